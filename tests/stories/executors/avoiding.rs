//! A command that names its executor among those to avoid is left to another one, once, when there is one.

use trireme::runtime::port::{Confirmed, Consumer, Outgoing, Properties};
use trireme::wire::address::{Address, Exchange, Queue, layer_key};
use trireme::wire::content::{ExecuteSubtask, Layer, Presence};
use trireme::wire::{AgentStatus, Content, Envelope, MessageId, ProjectId, Timestamp, codec};
use uuid::Uuid;

use super::on_both;
use super::owner::{Owner, command};
use super::place::{HELD, Place, WITHIN, agent};

fn avoiding(ordinal: u32, agents: &[&str]) -> ExecuteSubtask {
    ExecuteSubtask { avoid: agents.iter().map(|name| agent(name)).collect(), ..command(HELD, ordinal) }
}

/// How often the command was published, and how often of these it was passed on.
async fn published(watcher: &mut Box<dyn Consumer>, id: MessageId, times: usize) -> usize {
    let mut passed_on = 0;
    let mut seen = 0;
    while seen < times {
        let copies = tokio::time::timeout(WITHIN, watcher.next(1)).await.expect("a copy in time").expect("open");
        for copy in copies {
            assert_eq!(copy.properties.message_id, Some(id));
            assert_eq!(copy.properties.reply_to.as_deref(), Some("p.0"));
            assert!(copy.properties.persistent);
            seen += 1;
            passed_on += usize::from(copy.properties.passed_on);
        }
    }
    passed_on
}

async fn left_once(place: &Place) {
    let worker = place.executor("worker", 2);
    worker.open(10);
    let mut owner = Owner::join(place).await;
    owner.pong(&agent("worker")).await;
    let bindings = [(Exchange::Skills, HELD.to_owned())];
    let mut watcher = owner.transport.subscribe(&Queue::Watcher("copies".into()), &bindings).await.expect("a queue");

    // Alone, it does it, whatever it says.
    let id = owner.command(avoiding(1, &["worker"])).await;
    assert_eq!(owner.completion().await, (1, "worker".into()));
    assert_eq!(published(&mut watcher, id, 1).await, 0);
    worker.drained().await;

    // With another one that has the skill it leaves the command to that one. Which is slow here, so that the copy comes
    // back to the first, who then does it.
    let other = Other::join(place).await;
    let worker = place.executor("worker", 2);
    worker.open(10);
    owner.pong(&agent("worker")).await;
    let id = owner.command(avoiding(2, &["worker", "gone"])).await;
    assert_eq!(owner.completion().await, (2, "worker".into()));
    assert_eq!(published(&mut watcher, id, 2).await, 1);

    // One that is to be avoided as well is no other.
    let id = owner.command(avoiding(3, &["worker", "other"])).await;
    assert_eq!(owner.completion().await, (3, "worker".into()));
    assert_eq!(published(&mut watcher, id, 1).await, 0);
    owner.until_queue_has(HELD, 0, 1).await;
    other.abort();
    worker.drained().await;
}

/// An executor that says that it has the skill, and takes nothing.
struct Other;

impl Other {
    async fn join(place: &Place) -> tokio::task::JoinHandle<()> {
        let transport = place.connect("other");
        let bindings = [(Exchange::Agents, layer_key(Layer::Execution))];
        let mut inbox = transport.subscribe(&Queue::Agent(agent("other")), &bindings).await.expect("an inbox");
        let publisher = transport.publisher().await.expect("a publisher");
        tokio::spawn(async move {
            let _transport = transport;
            while let Ok(deliveries) = inbox.next(10).await {
                for delivery in deliveries {
                    for letter in codec::decode(&delivery.body).into_iter().flatten() {
                        if let Content::Ping(_) = letter.content {
                            let outgoing = pong(&letter.sender_id);
                            let sent = publisher.publish(outgoing).await.expect("published").await;
                            assert_eq!(sent, Confirmed::Accepted);
                        }
                    }
                }
            }
        })
    }
}

fn pong(to: &str) -> Outgoing {
    let address = Address::agent(&agent(to));
    let content = Content::Pong(Presence {
        agent_id: agent("other"),
        name: "other".into(),
        layer: Layer::Execution,
        status: AgentStatus::Idle,
        skills: vec![HELD.into()],
        slots: 1,
        busy: 0,
        version: "0".into(),
        host: "there".into(),
        pid: 2,
        last_seen: Timestamp(0),
        store_id: None,
        holds: Vec::new(),
        waits_for: Vec::new(),
        unable: Vec::new(),
        queues_lost: Vec::new(),
        clock_ahead_ms: None,
        commands: Vec::new(),
        trouble: None,
        published: 0,
        leaving: false,
        peers: Vec::new(),
    });
    let envelope = Envelope {
        message_id: MessageId(Uuid::now_v7()),
        sender_id: "other".into(),
        receiver_id: to.into(),
        message_type: content.message_type(),
        content,
        timestamp: Timestamp(0),
        task_id: ProjectId(Uuid::nil()),
    };
    let body = codec::encode(&envelope).expect("a small message");
    Outgoing { address, mandatory: false, properties: Properties::default(), body }
}

#[tokio::test]
async fn a_command_is_left_to_another_executor_once_and_only_when_there_is_one() {
    on_both(left_once).await;
}
