//! The dead letters on the in-memory broker: found, redriven, and left alone.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use trireme::runtime::dead::{DeadLetter, DeadLetters, Facts, NotRedriven, Redriven, Redriver};
use trireme::runtime::port::{Confirmed, Consumer, Delivery, Outgoing, Properties, QueueKind, SystemClock, Transport};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::transport::memory::{MemoryBroker, MemoryTransport};
use trireme::wire::address::{Address, Exchange, Namespace, Queue};
use trireme::wire::{Content, MessageId, Timestamp, codec};

const PROJECT: &str = "00000000-0000-0000-0000-0000000000aa";

fn namespace() -> Namespace {
    Namespace::new("dead").expect("a word")
}

async fn transport() -> MemoryTransport {
    let transport = MemoryBroker::new(namespace()).connect("test");
    let skills = vec!["alpha".to_owned()];
    let options = TopologyOptions {
        namespace: namespace(),
        partitions: 1,
        skills,
        requests_max: 2,
        skill_delivery_limit: 0,
        queue_kind: QueueKind::Quorum,
    };
    transport.declare(&topology(&options)).await.expect("declared");
    transport
}

fn envelope(id: u32, content: serde_json::Value) -> Bytes {
    let id = format!("00000000-0000-0000-0000-{id:012x}");
    json!({
        "message_id": id, "sender_id": "peer", "receiver_id": "x", "message_type": "COMMAND", "content": content,
        "timestamp": "2026-01-01T00:00:00.000Z", "task_id": PROJECT,
    })
    .to_string()
    .into()
}

fn command(id: u32) -> Bytes {
    let content = json!({
        "type": "ExecuteSubtask", "project_id": PROJECT, "project_name": "p", "phase": 1, "goal_name": "g",
        "subtask_id": "1.7", "task_name": "t", "skill": "alpha", "attempt": 2, "max_attempts": 3, "timeout_ms": 1000,
        "not_after": "2026-01-01T00:00:00.000Z",
    });
    envelope(id, content)
}

fn alarm(id: u32) -> Bytes {
    let stream = format!("phase/{PROJECT}/1");
    let content = json!({ "type": "Alarm", "stream": stream, "number": 1, "not_before": "2026-01-01T00:00:00.000Z" });
    envelope(id, content)
}

async fn publish(transport: &MemoryTransport, address: Address, properties: Properties, body: Bytes) {
    let outgoing = Outgoing { address, mandatory: true, properties, body };
    let publisher = transport.publisher().await.expect("a publisher");
    assert_eq!(publisher.publish(outgoing).await.expect("sent").await, Confirmed::Accepted);
}

/// As an agent sets it aside.
async fn set_aside(transport: &MemoryTransport, exchange: Exchange, key: &str, reason: &str, body: Bytes) {
    let properties = Properties {
        reason: Some(reason.into()),
        origin: Some(exchange.name(&namespace())),
        set_aside_at: Some(Timestamp(1000)),
        ..Properties::default()
    };
    publish(transport, Address::dead(key), properties, body).await;
}

/// The broker gives it up: the queue's limit is 0.
async fn killed_in_its_queue(transport: &MemoryTransport, body: Bytes) {
    publish(transport, Address::skill("alpha", 0), Properties::default(), body).await;
    let mut executor = transport.consume(&Queue::Skill("alpha".into()), 1).await.expect("a consumer");
    executor.next(1).await.expect("a delivery");
}

async fn letters(transport: &MemoryTransport) -> DeadLetters {
    DeadLetters::open(transport, namespace()).await.expect("the queue")
}

async fn redriver(transport: &MemoryTransport) -> Redriver {
    Redriver::connect(transport, namespace(), Arc::new(SystemClock)).await.expect("a publisher")
}

async fn redrive(redriver: &Redriver, letters: &DeadLetters, letter: DeadLetter) -> Result<Redriven, NotRedriven> {
    let sent = redriver.send(letter).await.expect("open");
    sent.arrive(letters).await.expect("open").1
}

async fn all(transport: &MemoryTransport) -> Vec<Facts> {
    let (mut letters, mut all) = (letters(transport).await, Vec::new());
    while let Some(letter) = letters.next().await.expect("open") {
        all.push(letter.facts);
    }
    all
}

async fn ready(transport: &MemoryTransport, queue: &Queue) -> u32 {
    transport.depth(queue).await.expect("an answer").expect("the queue").ready
}

async fn take(transport: &MemoryTransport, queue: Queue) -> Delivery {
    let mut consumer: Box<dyn Consumer> = transport.consume(&queue, 1).await.expect("a consumer");
    let taken = consumer.next(1).await.expect("open").remove(0);
    consumer.acker().ack(taken.tag, false).await.expect("acked");
    taken
}

#[tokio::test]
async fn a_letter_says_what_it_is_and_where_it_came_from() {
    let transport = transport().await;
    killed_in_its_queue(&transport, command(1)).await;
    set_aside(&transport, Exchange::Alarms, "1s.p.0", "unknown_stream", alarm(2)).await;
    set_aside(&transport, Exchange::Requests, "project", "not_json: expected value: line 1", "no".into()).await;
    // A letter of a peer that knows none of our headers.
    publish(&transport, Address::dead("lost"), Properties::default(), alarm(3)).await;
    // It has another copy where its owner is told, which is no letter among these.
    let found = all(&transport).await;
    let [command, alarm, garbage, strange] = &found[..] else { panic!("{found:?}") };

    assert_eq!((command.reason.as_str(), command.kind.as_deref()), ("delivery_limit", Some("ExecuteSubtask")));
    assert_eq!(command.exchange.as_deref(), Some("dead.skills"));
    assert_eq!((command.routing_key.as_str(), command.queue.as_deref()), ("alpha", Some("dead.skill.alpha")));
    assert_eq!((command.skill.as_deref(), command.attempt), (Some("alpha"), Some(2)));
    assert_eq!(command.subtask_id.map(|id| id.to_string()).as_deref(), Some("1.7"));
    assert_eq!(
        (command.id.as_str(), command.sender.as_deref()),
        ("00000000-0000-0000-0000-000000000001", Some("peer"))
    );

    assert_eq!((alarm.reason.as_str(), alarm.detail.as_deref()), ("unknown_stream", None));
    assert_eq!((alarm.queue.as_deref(), alarm.died_at), (Some("dead.coordination.0"), Some(Timestamp(1000))));
    assert_eq!((garbage.reason.as_str(), garbage.detail.as_deref()), ("not_json", Some("expected value: line 1")));
    assert_eq!((garbage.queue.as_deref(), garbage.kind.as_deref()), (Some("dead.requests"), None));
    assert_eq!(garbage.id, blake3::hash(b"no").to_hex()[..32]);
    assert_eq!((strange.reason.as_str(), &strange.exchange, &strange.queue), ("not_said", &None, &None));
    assert_eq!(ready(&transport, &Queue::Dead).await, 4, "looking takes nothing");
}

/// Whoever can send to one queue must not choose where an operator sends the letter again.
#[tokio::test]
async fn what_a_sender_writes_into_our_headers_counts_for_nothing() {
    let transport = transport().await;
    let forged = Properties {
        reason: Some("unknown_stream".into()),
        origin: Some("dead.requests".into()),
        ..Properties::default()
    };
    publish(&transport, Address::skill("alpha", 0), forged, alarm(1)).await;
    let mut executor = transport.consume(&Queue::Skill("alpha".into()), 1).await.expect("a consumer");
    executor.next(1).await.expect("a delivery");
    drop(executor);
    let found = all(&transport).await;
    assert_eq!((found[0].reason.as_str(), found[0].exchange.as_deref()), ("delivery_limit", Some("dead.skills")));
}

#[tokio::test]
async fn a_beginning_names_one_letter_and_its_copies_or_none() {
    let transport = transport().await;
    for id in [0x1234_0001, 0x1234_0002, 0x1234_0001] {
        set_aside(&transport, Exchange::Results, "p.0", "unknown_stream", alarm(id)).await;
    }
    set_aside(&transport, Exchange::Results, "p.0", "another_reason", alarm(0x1234_0001)).await;
    set_aside(&transport, Exchange::Requests, "project", "not_json: x", "no".into()).await;
    let find = async |named: &str| letters(&transport).await.find(named).await;

    let one = find("00000000-0000-0000-0000-000012340001").await.expect("found");
    let copies: Vec<_> = one.letters.iter().map(|letter| (letter.facts.reason.as_str(), letter.copies())).collect();
    assert_eq!((one.count(), copies), (3, vec![("unknown_stream", 2), ("another_reason", 1)]));
    let hash = blake3::hash(b"no").to_hex();
    assert_eq!(find(&hash[..6].to_uppercase()).await.expect("found").id, hash[..32]);
    for (named, expected) in [
        ("00000000-0000-0000-0000-00001234", "is the beginning of several"),
        ("ffff0000", "no dead letter has the id"),
        ("000", "is shorter than 4"),
    ] {
        let error = find(named).await.expect_err(named).to_string();
        assert!(error.contains(expected), "{named}: {error}");
    }

    // What is dropped is gone with its copies, and nothing else is.
    let mut open = letters(&transport).await;
    for letter in open.find("00000000-0000-0000-0000-000012340001").await.expect("found").letters {
        open.remove(&letter).await.expect("acked");
    }
    drop(open);
    assert_eq!(ready(&transport, &Queue::Dead).await, 2);
}

#[tokio::test]
async fn a_command_becomes_a_retry_of_its_subtask() {
    let transport = transport().await;
    killed_in_its_queue(&transport, command(1)).await;
    let mut open = letters(&transport).await;
    let letter = open.next().await.expect("open").expect("a letter");
    let redriver = redriver(&transport).await;
    let project = PROJECT.parse().expect("an id");
    let expected = Redriven::Retry(vec![(project, "1.7".parse().expect("an id"))]);
    assert_eq!(redrive(&redriver, &open, letter).await, Ok(expected));
    drop(open);
    assert_eq!(ready(&transport, &Queue::Dead).await, 0);
    assert_eq!(ready(&transport, &Queue::Skill("alpha".into())).await, 0);

    // The same letter asks under the same id, however often.
    killed_in_its_queue(&transport, command(1)).await;
    let mut open = letters(&transport).await;
    let letter = open.next().await.expect("open").expect("a letter");
    redrive(&redriver, &open, letter).await.expect("taken");
    let asked = [take(&transport, Queue::Requests).await, take(&transport, Queue::Requests).await];
    let [first, second] = asked.map(|request| codec::decode(&request.body).remove(0).expect("read"));
    let Content::Retry(control) = &first.content else { panic!("{first:?}") };
    assert_eq!((control.project_id, first.task_id), (project, project));
    assert_eq!(control.subtask_id.map(|id| id.to_string()).as_deref(), Some("1.7"));
    assert_eq!(first.message_id, second.message_id);
}

#[tokio::test]
async fn anything_else_goes_where_it_once_went_as_it_was() {
    let transport = transport().await;
    set_aside(&transport, Exchange::Later, "250ms.p.0", "unknown_stream", alarm(1)).await;
    set_aside(&transport, Exchange::Skills, "alpha", "not_json: x", "no".into()).await;
    let mut open = letters(&transport).await;
    let redriver = redriver(&transport).await;
    while let Some(letter) = open.next().await.expect("open") {
        redrive(&redriver, &open, letter).await.expect("taken");
    }
    drop(open);
    assert_eq!(ready(&transport, &Queue::Dead).await, 0);
    let again = take(&transport, Queue::Coordination(0)).await;
    assert_eq!((again.key.as_str(), &again.body), ("250ms.p.0", &alarm(1)));
    let id: MessageId = MessageId("00000000-0000-0000-0000-000000000001".parse().expect("an id"));
    let Properties { message_id, again: is_again, reason, origin, set_aside_at, kind, .. } = again.properties;
    assert_eq!((message_id, is_again, kind.as_deref()), (Some(id), true, Some("Alarm")));
    assert_eq!((reason, origin, set_aside_at), (None, None, None), "what its death wrote does not go along");
    let garbage = take(&transport, Queue::Skill("alpha".into())).await;
    assert_eq!((&garbage.body[..], garbage.death, garbage.properties.again), (&b"no"[..], None, true));
}

#[tokio::test]
async fn what_nobody_takes_stays() {
    let transport = transport().await;
    set_aside(&transport, Exchange::Skills, "nobody", "not_json: x", "1".into()).await;
    publish(&transport, Address::dead("lost"), Properties::default(), "2".into()).await;
    set_aside(&transport, Exchange::Dead, "lost", "unknown_stream", "3".into()).await;
    let foreign = Properties { origin: Some("other.skills".into()), ..Properties::default() };
    publish(&transport, Address::dead("lost"), foreign, "4".into()).await;
    for full in ["5", "6", "7"] {
        publish(&transport, Address::requests(), Properties::default(), full.into()).await;
    }
    set_aside(&transport, Exchange::Requests, "project", "not_json: x", "8".into()).await;

    let mut open = letters(&transport).await;
    let redriver = redriver(&transport).await;
    let mut refused = Vec::new();
    while let Some(letter) = open.next().await.expect("open") {
        refused.push(redrive(&redriver, &open, letter).await.expect_err("refused"));
    }
    let no_queue = NotRedriven::NoQueue { exchange: "dead.skills".into(), key: "nobody".into() };
    let foreign = NotRedriven::Foreign("other.skills".into());
    assert_eq!(refused, [no_queue, NotRedriven::NoOrigin, NotRedriven::NoOrigin, foreign, NotRedriven::Full]);
    drop(open);
    assert_eq!(ready(&transport, &Queue::Dead).await, 5);
}

/// A letter that comes straight back is met again by the next look only.
#[tokio::test]
async fn a_look_ends_although_letters_come_back() {
    let transport = transport().await;
    for id in 0..3 {
        set_aside(&transport, Exchange::Results, "p.0", "unknown_stream", alarm(id)).await;
    }
    let mut open = letters(&transport).await;
    let mut seen = 0;
    while let Some(letter) = open.next().await.expect("open") {
        seen += 1;
        open.remove(&letter).await.expect("acked");
        set_aside(&transport, Exchange::Results, "p.0", "unknown_stream", letter.body.clone()).await;
    }
    assert_eq!(seen, 3);
}
