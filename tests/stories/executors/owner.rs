//! Whoever sends commands and takes answers: written against nothing but the wire.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trireme::runtime::port::{Acker, Confirmed, Consumer, Outgoing, Properties, Publisher, Transport};
use trireme::wire::address::{Address, Exchange, Queue, layer_key};
use trireme::wire::content::{Control, ExecuteSubtask, Layer, Ping, Presence, SubtaskFailure};
use trireme::wire::{AgentId, Content, Envelope, FailureKind, MessageId, ProjectId, Raw, SubtaskId, Timestamp, codec};
use uuid::Uuid;

use super::place::{Place, WITHIN, agent};

pub const PROJECT: ProjectId = ProjectId(Uuid::from_u128(7));
pub const PHASE: u32 = 1;
const NAME: &str = "owner";
/// A ping that was not answered for this long is sent again.
const ASKED_AGAIN: Duration = Duration::from_millis(500);

pub struct Owner {
    pub transport: Arc<dyn Transport>,
    publisher: Box<dyn Publisher>,
    results: Box<dyn Consumer>,
    acker: Arc<dyn Acker>,
    inbox: Box<dyn Consumer>,
    answers: VecDeque<Envelope>,
    letters: VecDeque<Envelope>,
}

/// The command of a subtask, of an hour's life.
pub fn command(skill: &str, ordinal: u32) -> ExecuteSubtask {
    ExecuteSubtask {
        project_id: PROJECT,
        project_name: "p".into(),
        phase: PHASE,
        goal_name: "g".into(),
        subtask_id: SubtaskId { phase: PHASE, ordinal },
        task_name: "t".into(),
        skill: skill.into(),
        description: String::new(),
        attempt: 1,
        max_attempts: 3,
        input: Raw::null(),
        deps: Raw::empty_object(),
        timeout_ms: 3_600_000,
        not_after: Timestamp(jiff::Timestamp::now().as_millisecond()).plus_ms(3_600_000),
        avoid: Vec::new(),
        deps_status: BTreeMap::new(),
        lease_ms: None,
    }
}

/// The id of the command for a subtask.
pub fn command_id(ordinal: u32) -> MessageId {
    MessageId(Uuid::from_u128(1_000 + u128::from(ordinal)))
}

impl Owner {
    /// Its results come with the key `p.0`, and it hears the coordinators' heartbeats.
    pub async fn join(place: &Place) -> Self {
        let transport = place.connect(NAME);
        let results = transport.consume(&Queue::Coordination(0), 100).await.expect("a queue");
        let bindings = [layer_key(Layer::Coordination), format!("agent.{NAME}")].map(|key| (Exchange::Agents, key));
        let inbox = transport.subscribe(&Queue::Agent(agent(NAME)), &bindings).await.expect("an inbox");
        Self {
            publisher: transport.publisher().await.expect("a publisher"),
            acker: results.acker(),
            results,
            inbox,
            transport,
            answers: VecDeque::new(),
            letters: VecDeque::new(),
        }
    }

    async fn publish(&self, address: Address, content: Content, id: MessageId, reply_to: Option<String>) -> Confirmed {
        self.publish_all(address, vec![(id, content)], reply_to).await
    }

    /// In one body.
    async fn publish_all(
        &self,
        address: Address,
        contents: Vec<(MessageId, Content)>,
        reply_to: Option<String>,
    ) -> Confirmed {
        let message_id = contents.first().map(|(id, _)| *id);
        let encoded = contents.into_iter().map(|(message_id, content)| {
            let envelope = Envelope {
                message_id,
                sender_id: NAME.into(),
                receiver_id: address.key.clone(),
                message_type: content.message_type(),
                content,
                timestamp: Timestamp(0),
                task_id: PROJECT,
            };
            codec::encode(&envelope).expect("a small message")
        });
        let body = codec::join(&encoded.collect::<Vec<_>>());
        let properties = Properties { message_id, reply_to, persistent: true, ..Properties::default() };
        let sent = self.publisher.publish(Outgoing { address, mandatory: true, properties, body });
        sent.await.expect("published").await
    }

    /// Sends a command, with an id that its subtask tells.
    pub async fn command(&self, command: ExecuteSubtask) -> MessageId {
        self.command_answered_to("p.0", command).await
    }

    /// The same, and its answer is to go elsewhere.
    pub async fn command_answered_to(&self, reply_to: &str, command: ExecuteSubtask) -> MessageId {
        let id = command_id(command.subtask_id.ordinal);
        let address = Address::skill(&command.skill.clone(), 0);
        let sent = self.publish(address, Content::ExecuteSubtask(command), id, Some(reply_to.into())).await;
        assert_eq!(sent, Confirmed::Accepted);
        id
    }

    /// Sends commands of one skill in one body.
    pub async fn packed(&self, skill: &str, ordinals: impl IntoIterator<Item = u32>) {
        let content = |ordinal| (command_id(ordinal), Content::ExecuteSubtask(command(skill, ordinal)));
        let contents = ordinals.into_iter().map(content).collect();
        let sent = self.publish_all(Address::skill(skill, 0), contents, Some("p.0".into())).await;
        assert_eq!(sent, Confirmed::Accepted);
    }

    pub async fn cancel(&self, to: Address, control: Control) {
        let sent = self.publish(to, Content::Cancel(control), MessageId(Uuid::now_v7()), None).await;
        assert_eq!(sent, Confirmed::Accepted, "an executor is there");
    }

    pub async fn answer(&mut self) -> Envelope {
        while self.answers.is_empty() {
            let deliveries = tokio::time::timeout(WITHIN, self.results.next(100)).await.expect("an answer in time");
            for delivery in deliveries.expect("open") {
                self.acker.ack(delivery.tag, false).await.expect("acked");
                self.answers.extend(codec::decode(&delivery.body).into_iter().flatten());
            }
        }
        self.answers.pop_front().expect("one is there")
    }

    /// Takes an answer that says of this command that it failed.
    pub async fn failure(&mut self, kind: FailureKind) -> SubtaskFailure {
        let answer = self.answer().await;
        match answer.content {
            Content::SubtaskFailure(failure) if failure.kind == kind => failure,
            other => panic!("{kind} was expected: {other:?}"),
        }
    }

    /// Takes an answer that says that this subtask is completed; gives who did it.
    pub async fn completion(&mut self) -> (u32, String) {
        let answer = self.answer().await;
        match answer.content {
            Content::SubtaskCompletion(completion) => (completion.subtask_id.ordinal, answer.sender_id),
            other => panic!("a completion was expected: {other:?}"),
        }
    }

    /// The next of the letters to it, or to all coordinators, that `wanted` takes: one that comes before this time.
    async fn letter_by<T>(&mut self, by: Instant, wanted: impl Fn(&Content) -> Option<T>) -> Option<T> {
        loop {
            while let Some(letter) = self.letters.pop_front() {
                let found = wanted(&letter.content);
                if found.is_some() {
                    return found;
                }
            }
            let deliveries = tokio::time::timeout_at(by, self.inbox.next(100)).await.ok()?;
            for delivery in deliveries.expect("open") {
                self.letters.extend(codec::decode(&delivery.body).into_iter().flatten());
            }
        }
    }

    /// Waits for a heartbeat that lists these commands and no others.
    pub async fn heartbeat_with(&mut self, commands: &[MessageId]) {
        self.letter_by(Instant::now() + WITHIN, |content| match content {
            Content::Heartbeat(presence) => {
                let told: Vec<_> = presence.commands.iter().map(|told| told.command).collect();
                (told == commands).then_some(())
            }
            _ => None,
        })
        .await
        .expect("such a heartbeat in time")
    }

    /// Asks an agent until it answers: it has read what was sent to it before, unless its inbox was opened anew
    /// meanwhile.
    pub async fn pong(&mut self, of: &AgentId) -> Presence {
        let until = Instant::now() + WITHIN;
        while Instant::now() < until {
            let id = MessageId(Uuid::now_v7());
            // It may have no inbox yet, and one that is opened anew loses what was in it.
            self.publish(Address::agent(of), Content::Ping(Ping::default()), id, None).await;
            let asked_again = Instant::now() + ASKED_AGAIN;
            let pong = self.letter_by(asked_again, |content| match content {
                Content::Pong(presence) => Some(presence.clone()).filter(|presence| presence.agent_id == *of),
                _ => None,
            });
            if let Some(presence) = pong.await {
                return presence;
            }
        }
        panic!("`{of}` did not answer in time")
    }

    /// Waits until so many commands wait in a skill's queue, and so many executors consume it.
    pub async fn until_queue_has(&self, skill: &str, ready: u32, consumers: u32) {
        let queue = Queue::Skill(skill.into());
        let looked = async {
            loop {
                let depth = self.transport.depth(&queue).await.expect("a queue").expect("it is declared");
                // A slow leader of a replicated queue makes the broker say nothing of both.
                if (depth.ready, depth.consumers) == (ready, consumers) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WITHIN, looked).await.unwrap_or_else(|_| panic!("never {ready} and {consumers}"));
    }
}
