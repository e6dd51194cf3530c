//! `trireme dead` on RabbitMQ: what a real team could not handle is shown, sent again and dropped.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use trireme::runtime::port::{Confirmed, Delivery, Outgoing, Properties, Transport};
use trireme::wire::address::{Address, Queue};
use trireme::wire::{Content, codec};

use crate::place::{Place, Shared, on_every_broker};

/// What the shipped settings say: so many returns, and one delivery more.
const DELIVERIES: usize = 6;
const ONE_NOOP: &str = r#"
name = "Poisoned"
deadline = "12s"
[[goals]]
name = "only"
[[goals.subtasks]]
name = "work"
skill = "noop"
"#;

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(60), future).await;
    done.unwrap_or_else(|_| panic!("waited a minute in vain: {what}"))
}

async fn publish(transport: &dyn Transport, address: Address, body: impl Into<Bytes>) {
    let properties = Properties { persistent: true, ..Properties::default() };
    let outgoing = Outgoing { address, mandatory: true, properties, body: body.into() };
    let publisher = transport.publisher().await.expect("a publisher");
    assert_eq!(publisher.publish(outgoing).await.expect("sent").await, Confirmed::Accepted);
}

/// The next delivery of a queue, taken for good.
async fn take(transport: &dyn Transport, queue: Queue) -> Delivery {
    let mut consumer = transport.consume(&queue, 1).await.expect("a consumer");
    let taken = within("a delivery", consumer.next(1)).await.expect("open").remove(0);
    consumer.acker().ack(taken.tag, false).await.expect("acked");
    taken
}

fn alarm(id: &str) -> String {
    let stream = "phase/00000000-0000-0000-0000-0000000000ee/1";
    json!({
        "message_id": id, "sender_id": "ghost", "receiver_id": "p.0", "message_type": "COMMAND",
        "task_id": "00000000-0000-0000-0000-0000000000ee", "timestamp": "2026-01-01T00:00:00.000Z",
        "content": { "type": "Alarm", "stream": stream, "number": 7, "not_before": "2026-01-01T00:00:00.000Z" },
    })
    .to_string()
}

fn letter<'a>(letters: &'a Value, reason: &str) -> &'a Value {
    let all = letters.as_array().expect("an array");
    all.iter().find(|letter| letter["reason"] == reason).unwrap_or_else(|| panic!("no {reason} in {letters}"))
}

/// Exit status, standard output, standard error.
fn run(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let output = place.trireme(arguments).output().expect("a command");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("a status"), text(&output.stdout), text(&output.stderr))
}

/// Waits until so many letters are among the dead.
fn wait_for_letters(place: &Place, count: usize) -> Value {
    let began = std::time::Instant::now();
    loop {
        let letters = place.json(&["dead", "list", "--json"]);
        if letters.as_array().map(Vec::len) == Some(count) {
            return letters;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not {count} letters: {letters}");
    }
}

const ALARMS: [&str; 2] = ["12340000-0000-0000-0000-000000000001", "12340000-0000-0000-0000-000000000002"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_shown_redriven_and_dropped() {
    on_every_broker(async |url| shown_redriven_and_dropped(Place::new(url, Shared::SqliteFile, "dead").await).await)
        .await;
}

async fn shown_redriven_and_dropped(place: Place) {
    let transport = place.transport();
    assert_eq!(run(&place, &["dead", "list"]), (0, String::new(), "no dead letters\n".into()));
    assert_eq!(place.json(&["dead", "list", "--json"]), json!([]));
    assert_eq!(run(&place, &["dead", "redrive", "--all"]).0, 0, "there is nothing to ask about");

    // A team without executors; somebody takes the command and dies of it, again and again.
    let workers = [place.worker(&["manager"]), place.worker(&["coordinator"])];
    let file = place.file(ONE_NOOP);
    let id = place.json(&["submit", &file.display().to_string(), "--json"])["project_id"].clone();
    for _ in 0..DELIVERIES {
        let mut victim = transport.consume(&Queue::Skill("noop".into()), 1).await.expect("a consumer");
        within("the command", victim.next(1)).await.expect("open");
    }
    publish(&transport, Address::results("p.0"), "no envelope").await;
    for id in ALARMS {
        publish(&transport, Address::results("p.0"), alarm(id)).await;
    }
    let letters = wait_for_letters(&place, 4);
    // Its project has heard of it, and goes on by itself.
    let (status, _, error) = run(&place, &["dead", "redrive", "--skill", "noop"]);
    assert!(status == 1 && error.contains("stays: its project is open (BUSY)"), "{status}: {error}");
    let project = id.as_str().expect("an id");
    assert_eq!(run(&place, &["watch", project]).0, 1, "its deadline ends it");
    drop(workers);

    // The command says whose it was and what killed it.
    let (namespace, dead) = (place.namespace(), letter(&letters, "delivery_limit"));
    assert_eq!((&dead["project_id"], &dead["subtask_id"], &dead["attempt"]), (&id, &json!("1.0"), &json!(1)));
    assert_eq!((&dead["type"], &dead["skill"]), (&json!("ExecuteSubtask"), &json!("noop")));
    assert_eq!(dead["exchange"], format!("{namespace}.skills"));
    assert_eq!(dead["queue"], format!("{namespace}.skill.noop"));
    assert!(dead["died_at"].is_string() && dead["sender"].as_str().is_some_and(|by| by.starts_with("coordinator-")));
    // What was set aside says where it was.
    let garbage = letter(&letters, "not_json");
    assert_eq!(garbage["queue"], format!("{namespace}.coordination.0"));
    assert_eq!((&garbage["type"], &garbage["sender"], &garbage["bytes"]), (&Value::Null, &Value::Null, &json!(11)));
    assert!(garbage["died_at"].is_string() && garbage["detail"].is_string());
    let unknown = letter(&letters, "unknown_stream");
    assert_eq!((&unknown["type"], &unknown["sender"]), (&json!("Alarm"), &json!("ghost")));
    let (status, table, _) = run(&place, &["dead", "list"]);
    assert_eq!((status, table.lines().count()), (0, 5), "{table}");
    let (status, table, more) = run(&place, &["dead", "list", "--limit", "1"]);
    assert_eq!((status, table.lines().count()), (0, 2), "{table}");
    assert!(more.starts_with("3 more dead letters"), "{more}");

    // By the beginning of an id, if that is one letter's only.
    let hash = garbage["id"].as_str().expect("an id");
    let (status, shown, _) = run(&place, &["dead", "show", &hash[..8]]);
    assert!(status == 0 && shown.contains("not_json") && shown.contains("\"no envelope\""), "{shown}");
    let shown = place.json(&["dead", "show", ALARMS[1], "--json"]);
    assert_eq!((&shown[0]["message"]["content"]["number"], &shown[0]["copies"]), (&json!(7), &json!(1)));
    for command in ["show", "redrive", "drop"] {
        let yes: &[&str] = if command == "drop" { &["--yes"] } else { &[] };
        let refused = |named: &str| run(&place, &[&["dead", command, named], yes].concat());
        let (status, out, error) = refused("1234");
        assert!(
            error.starts_with("error: `1234` is the beginning of several dead letters' ids\nhint: `1234"),
            "{error}"
        );
        assert_eq!((status, out.as_str()), (2, ""));
        let (status, out, error) = refused("ffffffff");
        assert!(error.starts_with("error: no dead letter has the id `ffffffff`\nhint: "), "{error}");
        assert_eq!((status, out.as_str()), (2, ""));
    }
    let unasked = run(&place, &["dead", "drop", ALARMS[0]]);
    assert_eq!((unasked.0, unasked.2.as_str()), (2, UNASKED_DROP));
    let unasked = run(&place, &["dead", "redrive", "--all"]);
    assert_eq!((unasked.0, unasked.2.as_str()), (2, UNASKED_REDRIVE));
    wait_for_letters(&place, 4);

    // While nobody consumes: the retry of the command waits for a manager, and the skill's queue is left alone.
    let (status, said, error) = run(&place, &["dead", "redrive", "--skill", "noop"]);
    assert_eq!(status, 0, "{error}");
    assert!(said.contains("retry of subtask 1.0 of project"), "{said}");
    let retry = take(&transport, Queue::Requests).await;
    let envelope = codec::decode(&retry.body).remove(0).expect("an envelope");
    let Content::Retry(control) = &envelope.content else { panic!("{envelope:?}") };
    assert_eq!((json!(envelope.task_id), json!(control.project_id)), (id.clone(), id));
    assert_eq!(json!(control.subtask_id), "1.0");

    // Dropped for ever; the rest goes where it once was, as it was.
    assert_eq!(run(&place, &["dead", "drop", ALARMS[0], "--yes"]).1, format!("dropped {}\n", ALARMS[0]));
    wait_for_letters(&place, 2);
    let began = Instant::now();
    let redriven = place.json(&["dead", "redrive", "--all", "--yes", "--rate", "1", "--json"]);
    assert!(began.elapsed() > Duration::from_millis(900), "two at one a second: {:?}", began.elapsed());
    assert_eq!(redriven, json!({ "redriven": 2, "left": 0, "not_redriven": [] }));
    assert_eq!(place.json(&["dead", "list", "--json"]), json!([]));
    let mut back = Vec::new();
    while back.len() < 2 {
        // The phase's own alarms may have come in the meantime.
        let delivery = take(&transport, Queue::Coordination(0)).await;
        if delivery.properties.again {
            back.push(delivery);
        }
    }
    back.sort_by_key(|delivery| delivery.body.len());
    assert_eq!((&back[0].body[..], &back[1].body[..]), (&b"no envelope"[..], alarm(ALARMS[1]).as_bytes()));
    for delivery in &back {
        assert!(delivery.death.is_none(), "{delivery:?}");
        assert_eq!(delivery.exchange, format!("{namespace}.results"));
    }
    assert_eq!(back[1].properties.message_id.map(|id| id.to_string()).as_deref(), Some(ALARMS[1]));
    transport.close().await;
    place.leave().await;
}

const UNASKED_DROP: &str = "error: this drops a dead letter, and there is no terminal to ask on\nhint: give --yes\n";
const UNASKED_DROP_ALL: &str =
    "error: this drops all dead letters, and there is no terminal to ask on\nhint: give --yes\n";
const UNASKED_REDRIVE: &str =
    "error: this redrives all dead letters, and there is no terminal to ask on\nhint: give --yes\n";

/// Looking at one takes the queue some milliseconds.
const LETTERS: usize = 1_500;

/// What is sent where nobody takes it stays, and is said; thousands are looked through and redriven.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_stays_and_thousands_are_redriven() {
    on_every_broker(async |url| not_taken_and_thousands(Place::new(url, Shared::SqliteFile, "dead").await).await).await;
}

async fn not_taken_and_thousands(place: Place) {
    let transport = place.transport();
    let publisher = transport.publisher().await.expect("a publisher");
    let namespace = place.namespace();
    let aside = |key: &str, body: String| Outgoing {
        address: Address::dead(key),
        mandatory: true,
        properties: Properties {
            reason: Some("not_json: of a test".into()),
            origin: Some(format!("{namespace}.skills")),
            persistent: true,
            ..Properties::default()
        },
        body: body.into(),
    };
    let mut waiting = vec![publisher.publish(aside("nobody", "lost".into())).await.expect("sent")];
    for number in 0..LETTERS {
        waiting.push(publisher.publish(aside("noop", format!("letter {number}"))).await.expect("sent"));
    }
    for confirmation in waiting {
        assert_eq!(confirmation.await, Confirmed::Accepted);
    }
    let all = place.json(&["dead", "list", "--json", "--limit", "10000"]);
    assert_eq!(all.as_array().map(Vec::len), Some(LETTERS + 1));
    let (status, out, error) = run(&place, &["dead", "redrive", "--all", "--yes", "--json"]);
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, &told["redriven"], &told["left"]), (1, &json!(LETTERS), &json!(1)), "{error}");
    let why = told["not_redriven"][0]["why"].as_str().expect("a reason");
    assert_eq!(why, format!("no queue takes the key `nobody` of `{namespace}.skills`"));
    assert!(error.contains("error: 1 letter not taken"), "{error}");
    let left = wait_for_letters(&place, 1);
    assert_eq!(left[0]["routing_key"], "nobody");
    let mut skill = transport.consume(&Queue::Skill("noop".into()), 2_000).await.expect("a consumer");
    let mut there = std::collections::BTreeSet::new();
    while there.len() < LETTERS {
        for delivery in within("a letter", skill.next(LETTERS)).await.expect("open") {
            assert!(there.insert(delivery.body), "none is there twice");
        }
    }
    drop(skill);

    // All of them are dropped when that is said twice, copies too.
    for body in ["copy", "copy", "another"] {
        publish(&transport, Address::dead("nobody"), body).await;
    }
    wait_for_letters(&place, 4);
    let unasked = run(&place, &["dead", "drop", "--all"]);
    assert_eq!((unasked.0, unasked.2.as_str()), (2, UNASKED_DROP_ALL));
    wait_for_letters(&place, 4);
    assert_eq!(place.json(&["dead", "drop", "--all", "--yes", "--json"]), json!({ "dropped": 4 }));
    let nothing = run(&place, &["dead", "drop", "--all"]);
    assert_eq!(nothing, (0, String::new(), "0 letters dropped\n".into()), "there is nothing to ask about");
    transport.close().await;
    place.leave().await;
}
