//! Whatever comes over the wire, the process goes on: what can not be read or is for somebody else lies among the
//! dead letters with its reason, and work goes on around it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use trireme::runtime::dead::{DeadLetters, Named, Redriven, Redriver};
use trireme::runtime::port::{Confirmed, Outgoing, Properties, Transport};
use trireme::wire::address::{Address, Namespace, Queue};
use trireme::wire::{MessageId, ProjectId, Status, SubtaskPlan};
use uuid::Uuid;

use crate::team::{Team, request};

const PROJECT: &str = "00000000-0000-0000-0000-0000000000aa";

/// An envelope with this content, as a peer would write it.
fn envelope(content: Value) -> Bytes {
    let envelope = json!({
        "message_id": "00000000-0000-0000-0000-000000000001", "sender_id": "peer", "receiver_id": "x",
        "message_type": "RESULT", "content": content, "timestamp": "2026-01-01T00:00:00.000Z", "task_id": PROJECT,
    });
    envelope.to_string().into()
}

fn completion(subtask: &str, attempt: Value, result: Value) -> Value {
    json!({
        "type": "SubtaskCompletion", "subtask_id": subtask, "attempt": attempt, "result": result,
        "in_reply_to": "00000000-0000-0000-0000-000000000002",
        "started_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:00.000Z",
    })
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// Where a letter is sent, what it is, and the first words of the reason that it dies of.
fn letters() -> Vec<(Address, Bytes, &'static str)> {
    let to = |exchange: fn() -> Address| exchange();
    let results = || Address::results("p.0");
    let mut letters = Vec::new();
    let everywhere = [to(Address::requests), to(Address::reports), results(), Address::skill("noop", 0)];
    for address in everywhere {
        letters.extend([
            (address.clone(), Bytes::from_static(b""), "not_json"),
            (address.clone(), Bytes::from_static(b"no envelope"), "not_json"),
            (address.clone(), Bytes::from_static(b"\xff\xfe{}"), "not_json"),
            (address.clone(), Bytes::from_static(b"[]"), "not_an_envelope"),
            (address.clone(), Bytes::from_static(b"{}"), "not_an_envelope"),
            (address.clone(), envelope(json!({ "no": "type" })), "not_an_envelope"),
            (address.clone(), envelope(json!({ "type": "Sing" })), "unknown_type"),
            (address.clone(), envelope(json!({ "type": "Alarm", "stream": "phase/x", "number": 1 })), "bad_content"),
            (address.clone(), envelope(json!({ "type": "Ping", "partition": -1 })), "bad_content"),
            (address.clone(), envelope(json!({ "type": "Ping", "note": "\u{0}" })), "nul"),
            (address, envelope(json!({ "type": "Ping", "note": deep(100) })), "too_deep"),
        ]);
    }
    let alarm = |stream: &str| {
        json!({
            "type": "Alarm", "stream": stream, "number": u64::MAX, "not_before": "9000-01-01T00:00:00.000Z",
        })
    };
    letters.extend([
        (
            Address::requests(),
            envelope(json!({ "type": "SubtaskProgress", "subtask_id": "1.1", "attempt": 1,
            "in_reply_to": PROJECT, "done": 1.0 })),
            "not_for_a_manager",
        ),
        (
            Address::reports(),
            envelope(alarm("project/00000000-0000-0000-0000-0000000000bb")),
            "task_id_is_not_project_id",
        ),
        (results(), envelope(json!({ "type": "NewProject", "project_name": "lost" })), "not_for_a_coordinator"),
        (results(), envelope(alarm(&format!("project/{PROJECT}"))), "alarm_of_a_project"),
        (results(), envelope(alarm(&format!("phase/{PROJECT}/0"))), "no_such_phase"),
        (results(), envelope(alarm(&format!("phase/{PROJECT}/4294967295"))), "unknown_stream"),
        // Of a project that nobody knows: the managers would have as little use for it.
        (results(), envelope(alarm("phase/00000000-0000-0000-0000-0000000000bb/1")), "unknown_stream"),
        (results(), envelope(completion("7.1", json!(1), json!(null))), "unknown_stream"),
        (results(), envelope(completion("0.0", json!(1), json!(null))), "no_such_phase"),
        (results(), envelope(completion("1.4294967295", json!(1), json!(null))), "unknown_subtask"),
        (results(), envelope(completion("1.0", json!(-1), json!(null))), "bad_content"),
        // A result whose owner can be told is the failure of its attempt; this attempt is not known.
        (results(), envelope(completion("7.1", json!(1), deep(100))), "unknown_stream"),
        (Address::skill("noop", 0), envelope(json!({ "type": "Pong" })), "bad_content"),
        (
            Address::skill("noop", 0),
            envelope(json!({ "type": "NewProject", "project_name": "x" })),
            "not_for_an_executor",
        ),
    ]);
    letters
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_lies_among_the_dead_and_work_goes_on() {
    let team = Team::start().await;
    let mut client = team.client().await;
    // A phase 1 with one long subtask: letters about it find an open stream.
    let known: ProjectId = PROJECT.parse().expect("an id");
    let long = SubtaskPlan {
        input: Some(json!({ "ms": 3_600_000 }).into()),
        timeout_ms: Some(7_200_000),
        ..SubtaskPlan::new("long", "sleep")
    };
    client.submit(known, request("known", vec![long])).await.expect("submitted");
    let stranger = team.world("stranger").await.transport;
    let publisher = stranger.publisher().await.expect("a publisher");
    let mut dead = stranger.consume(&Queue::Dead, 100).await.expect("the dead letters");
    // It is there when its phase is: the letters come after it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let partition = trireme::wire::StreamId::Phase(known, 1).partition(2);
    for (mut address, body, reason) in letters() {
        if address.key == "p.0" {
            address.key = format!("p.{partition}");
        }
        let outgoing = Outgoing { address: address.clone(), mandatory: true, properties: Properties::default(), body };
        let shown = format!("{address:?} {:?}", outgoing.body);
        let confirmed = publisher.publish(outgoing).await.expect("published").await;
        assert_eq!(confirmed, Confirmed::Accepted, "{shown}");
        let letter = tokio::time::timeout(Duration::from_secs(30), dead.next(1)).await;
        let letter = letter.unwrap_or_else(|_| panic!("no dead letter for {shown}")).expect("open").remove(0);
        dead.acker().ack(letter.tag, false).await.expect("acked");
        let found = letter.properties.reason.unwrap_or_default();
        assert!(found.starts_with(reason), "{shown}: {found}");
        assert!(team.is_whole(), "{shown}");
    }
    // Thousands in one body are a handful of letters, and none of their bytes is lost; the good one among them is
    // taken: it is nobody's too, and so comes alone.
    let known = envelope(completion("7.1", json!(1), json!(null)));
    let bad: Vec<String> = (0..3_000).map(|at| format!("{{\"number\":{at}}}")).collect();
    let odd: Vec<Bytes> = (0..2_000).map(|at| envelope(json!({ "type": "Sing", "number": at }))).collect();
    let odd: Vec<&str> = odd.iter().map(|bytes| std::str::from_utf8(bytes).expect("text")).collect();
    for address in [Address::results(&format!("p.{partition}")), Address::skill("noop", 0)] {
        let body = format!("[{},{},{}]", bad.join(","), std::str::from_utf8(&known).expect("text"), odd.join(","));
        let outgoing = Outgoing { address, mandatory: true, properties: Properties::default(), body: body.into() };
        assert_eq!(publisher.publish(outgoing).await.expect("published").await, Confirmed::Accepted);
        let mut letters = Vec::new();
        while letters.len() < 3 {
            let more = tokio::time::timeout(Duration::from_secs(30), dead.next(10)).await;
            letters.extend(more.expect("in time").expect("open"));
        }
        dead.acker().ack(letters[2].tag, true).await.expect("acked");
        let mut found: Vec<_> = letters.iter().map(|l| l.properties.reason.clone().unwrap_or_default()).collect();
        found.sort();
        assert!(found[0].starts_with("not_an_envelope: ") && found[0].ends_with(" (the first of 3000)"), "{found:?}");
        assert!(found[1].starts_with("not_for_an_executor") || found[1].starts_with("unknown_stream"), "{found:?}");
        assert!(found[2].starts_with("unknown_type: ") && found[2].ends_with(" (the first of 2000)"), "{found:?}");
        for (all, reason) in [(&bad.join(","), "not_an_envelope"), (&odd.join(","), "unknown_type")] {
            let of = |l: &&trireme::runtime::port::Delivery| {
                l.properties.reason.as_ref().is_some_and(|found| found.starts_with(reason))
            };
            let letter = letters.iter().find(of).expect("one of each");
            assert_eq!(letter.body, format!("[{all}]"));
        }
    }
    assert!(team.is_whole());
    // A phase of another store: with a manager on ours alive, it is the letter that is wrong.
    let body = Bytes::from_static(include_bytes!("../wire/records/StartProjectPhase.json"));
    let address = Address { told: None, ..Address::phases(partition) };
    let outgoing = Outgoing { address, mandatory: true, properties: Properties::default(), body };
    assert_eq!(publisher.publish(outgoing).await.expect("published").await, Confirmed::Accepted);
    let letter = tokio::time::timeout(Duration::from_secs(30), dead.next(1)).await.expect("in time").expect("open");
    assert_eq!(letter[0].properties.reason.as_deref(), Some("wrong_store"));
    assert!(team.is_whole());

    let quick = SubtaskPlan { repeat: Some(50), ..SubtaskPlan::new("quick", "noop") };
    client.submit(ProjectId(Uuid::from_u128(5)), request("after", vec![quick])).await.expect("submitted");
    let completion = client.completion().await.expect("a word about it");
    assert_eq!((completion.status, completion.final_report.counts.completed), (Status::Completed, 50));
}

/// Anybody who may publish there can: each lies among the dead once, and does not go round.
#[tokio::test(start_paused = true)]
async fn what_is_published_as_told_is_one_dead_letter() {
    let team = Team::start().await;
    let stranger = team.world("stranger").await.transport;
    let publisher = stranger.publisher().await.expect("a publisher");
    let mut dead = stranger.consume(&Queue::Dead, 1_000).await.expect("the dead letters");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut published = 0;
    for (_, body, _) in letters() {
        for key in ["told.0", "told.1", "told.managers"] {
            let (address, body) = (Address::dead(key), body.clone());
            let outgoing = Outgoing { address, mandatory: true, properties: Properties::default(), body };
            assert_eq!(publisher.publish(outgoing).await.expect("published").await, Confirmed::Accepted);
            published += 1;
        }
    }
    let mut found = 0;
    while let Ok(letters) = tokio::time::timeout(Duration::from_secs(60), dead.next(1_000)).await {
        found += letters.expect("open").len();
        assert!(found <= published, "more than {published}");
    }
    assert_eq!(found, published);
    assert!(team.is_whole());
}

/// Looks until there is one of this id.
async fn dead_letter(transport: &dyn Transport, namespace: &Namespace, id: MessageId) -> (DeadLetters, Named) {
    let look = async {
        loop {
            let mut letters = DeadLetters::open(transport, namespace.clone()).await.expect("the queue");
            if let Ok(named) = letters.find(&id.to_string()).await {
                return (letters, named);
            }
            drop(letters);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("a dead letter of this id")
}

/// Sent again it is the same message: it keeps its id, and who sent it about what, although nobody can read it.
#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_is_known_by_what_stands_beside_it() {
    let team = Team::start().await;
    let stranger = team.world("stranger").await;
    let (transport, namespace) = (&*stranger.transport, &stranger.topology.namespace);
    let publisher = transport.publisher().await.expect("a publisher");
    let redriver = Redriver::connect(transport, namespace.clone(), stranger.clock.clone()).await.expect("a publisher");
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (number, address) in (1..).zip([Address::requests(), Address::results("p.0"), Address::skill("noop", 0)]) {
        let (id, project) = (MessageId(Uuid::from_u128(number)), PROJECT.parse::<ProjectId>().expect("an id"));
        let properties = Properties {
            message_id: Some(id),
            project: Some(project),
            sender: Some("peer".into()),
            reply_to: Some("p.0".into()),
            ..Properties::default()
        };
        let body = envelope(json!({ "type": "Sing" }));
        let outgoing = Outgoing { address: address.clone(), mandatory: true, properties, body };
        assert_eq!(publisher.publish(outgoing).await.expect("published").await, Confirmed::Accepted);
        // As it died, and as it dies once more when it is redriven.
        for _ in 0..2 {
            let (letters, mut named) = dead_letter(transport, namespace, id).await;
            assert_eq!(named.count(), 1);
            let letter = named.letters.remove(0);
            assert_eq!((letter.facts.project_id, letter.facts.sender.as_deref()), (Some(project), Some("peer")));
            assert_eq!(letter.facts.reason, "unknown_type");
            let sent = redriver.send(letter).await.expect("open").arrive(&letters).await.expect("open").1;
            let Ok(Redriven::Sent { routing_key, .. }) = sent else { panic!("{sent:?}") };
            assert_eq!(routing_key, address.key);
        }
    }
    assert!(team.is_whole());
}
