//! A refused publish whose decision panics: its letter is kept and told, its delivery acked, and the lane goes on.

mod ports;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::domain::decision::Decision;
use crate::runtime::letter::Pen;
use crate::runtime::port::{Payload, Properties, Snapshot, Summary};
use crate::wire::address::{Exchange, Tier};
use crate::wire::content::Control;
use crate::wire::{AgentId, ProjectId, Timestamp};
use ports::{NoSkills, OneDelivery, world};

/// Longer than anything here takes: the time is not the real one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody offers it: its commands come back.
const SKILL: &str = "nobody";

/// A machine that remembers one cause, has one command sent for it, and panics when that is refused.
struct Panicking {
    pen: Pen,
    /// The command has no message.
    is_unsendable: bool,
}

#[derive(Serialize, Deserialize)]
struct Caused(MessageId);

#[derive(Clone, Copy, PartialEq)]
enum Input {
    Start,
    Dead,
    Refused,
}

const EFFECT: Effect = Effect::Execute { ordinal: 0, attempt: 1 };

impl Role for Panicking {
    type State = Vec<MessageId>;
    type Event = Caused;
    type Input = Input;
    const KEEPS_STATES: bool = true;

    fn read(&mut self, letter: &Letter) -> Result<Message<Input>, Unfit> {
        let input = match (&letter.envelope.content, &letter.death) {
            (Content::Recover(_), None) => Input::Start,
            (Content::Recover(_), Some(_)) => Input::Dead,
            _ => return Err(Unfit::Misdirected("not_for_this_test")),
        };
        let stream = StreamId::Phase(letter.envelope.task_id, 1);
        Ok(Message { stream, cause: letter.envelope.message_id, input, result: None, log: None })
    }

    fn fresh(&self, _: StreamId) -> Vec<MessageId> {
        Vec::new()
    }

    fn restore(&self, _: &Snapshot) -> Option<Vec<MessageId>> {
        None
    }

    fn snapshot(&self, _: &Vec<MessageId>) -> Option<Snapshot> {
        None
    }

    fn apply(&self, state: &mut Vec<MessageId>, Caused(cause): &Caused) {
        state.push(*cause);
    }

    fn version(&self, state: &Vec<MessageId>) -> u64 {
        state.len() as u64
    }

    fn is_over(&self, _: &Vec<MessageId>) -> bool {
        false
    }

    fn decide(
        &mut self,
        _: StreamId,
        state: &mut Vec<MessageId>,
        message: &Message<Input>,
        _: Timestamp,
    ) -> Decision<Caused> {
        assert!(message.input != Input::Refused, "this machine has a bug");
        if state.contains(&message.cause) || message.input == Input::Dead {
            return Decision::Nothing("it is known");
        }
        state.push(message.cause);
        Decision::Record(vec![Caused(message.cause)])
    }

    fn payloads(&mut self, _: StreamId, _: &[Caused], _: &Message<Input>) -> Vec<Payload> {
        Vec::new()
    }

    fn summary(&self, _: StreamId, _: &Vec<MessageId>) -> Option<Summary> {
        None
    }

    fn effects(&self, state: &Vec<MessageId>, cause: MessageId) -> Vec<Effect> {
        if state.contains(&cause) { vec![EFFECT] } else { Vec::new() }
    }

    async fn render(
        &mut self,
        stream: StreamId,
        _: &Vec<MessageId>,
        _: Effect,
        _: Timestamp,
    ) -> Result<Rendered, RenderError> {
        let id = MessageId(Uuid::from_u128(7));
        if self.is_unsendable {
            return Err(RenderError::Unsendable { id, why: "it is too big".into() });
        }
        let address = Address::skill(SKILL, 0);
        let outgoing =
            self.pen.must_arrive(id, address, stream.project(), recover(stream), Timestamp(0)).expect("small");
        Ok(Rendered { id, outgoing, pack_max: 1 })
    }

    fn notices(&self, _: StreamId, _: &Vec<MessageId>, _: &[Caused], _: Timestamp) -> Vec<Outgoing> {
        Vec::new()
    }

    fn answer(
        &self,
        _: StreamId,
        _: &Vec<MessageId>,
        _: &Message<Input>,
        _: Option<&str>,
        _: Timestamp,
    ) -> Option<Outgoing> {
        None
    }

    fn after_panic(&self, _: &Letter, _: Timestamp) -> Option<Outgoing> {
        None
    }

    fn at_work(&self) {}

    fn pen(&self) -> &Pen {
        &self.pen
    }

    fn refused(&self, _: Effect, _: MessageId, _: Why) -> Input {
        Input::Refused
    }

    fn forget(&mut self, _: StreamId) {}
}

fn recover(stream: StreamId) -> Content {
    Content::Recover(Control { stream: Some(stream), ..Control::about(stream.project()) })
}

/// What a lane publishes that was given one message whose effect is refused, the dead letter last.
async fn published(is_unsendable: bool) -> Vec<Outgoing> {
    let project = ProjectId(Uuid::from_u128(1));
    let start = recover(StreamId::Phase(project, 1));
    let id = MessageId(Uuid::from_u128(2));
    let request = pen().must_arrive(id, Address::requests(), project, start, Timestamp(0)).expect("small");
    published_for(delivery("lane.requests", request.body), is_unsendable).await
}

/// What a lane publishes that was given this. It ends by a drain, which waits for what is held and no more: nothing is
/// tried for ever.
async fn published_for(delivery: Delivery, is_unsendable: bool) -> Vec<Outgoing> {
    let stop = Stop::new();
    let mut consumer = OneDelivery::new(delivery, stop.clone());
    let publisher = NoSkills::default();
    let sent = publisher.sent.clone();
    let role = Panicking { pen: pen(), is_unsendable };
    let mut lane = Lane::new(role, &world(), Arc::default(), Box::new(publisher), &consumer);
    let ended = tokio::time::timeout(PATIENCE, lane.run(&mut consumer, &stop)).await.expect("it ends");
    ended.expect("the lane goes on");
    assert_eq!(consumer.acked(), [Tag(1)]);
    sent.lock().expect("nobody panics while it is held").clone()
}

fn pen() -> Pen {
    Pen { agent: AgentId::new("tester").expect("a word") }
}

fn delivery(exchange: &str, body: bytes::Bytes) -> Delivery {
    Delivery {
        tag: Tag(1),
        exchange: exchange.into(),
        key: "project".into(),
        redelivered: false,
        returns: 0,
        properties: Properties::default(),
        death: None,
        origin: None,
        body,
    }
}

/// A dead letter, as those get it who are told.
fn as_told(letter: &Outgoing) -> Letter {
    let properties = letter.properties.clone();
    let delivery = Delivery { properties, ..delivery("lane.dead", letter.body.clone()) };
    letter::open(&delivery).letters.remove(0)
}

#[tokio::test(start_paused = true)]
async fn its_letter_is_kept_and_told_to_whom_the_broker_would_have_told() {
    let sent = published(false).await;
    let [refused, letter] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((refused.address.exchange, &refused.body), (Exchange::Skills, &letter.body));
    let address = Address { told: Some("told.0".into()), ..Address::dead(SKILL) };
    assert_eq!(letter.address, address);
    assert_eq!(letter.properties.reason.as_deref(), Some(REFUSAL_PANICKED));
    // To its owner it is a command that died.
    let told_of = as_told(letter);
    assert_eq!(told_of.envelope.message_id, MessageId(Uuid::from_u128(7)));
    assert_eq!(told_of.death.as_ref().map(|death| death.reason.as_str()), Some(REFUSAL_PANICKED));
}

#[tokio::test(start_paused = true)]
async fn one_that_has_no_message_ends_its_phase_by_the_managers() {
    let sent = published(true).await;
    let [letter] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(letter.address.told.as_deref(), Some(TOLD_MANAGERS));
    let told_of = as_told(letter);
    let Content::Alarm(alarm) = &told_of.envelope.content else { panic!("{told_of:?}") };
    assert_eq!(alarm.stream, StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1));
    assert!(told_of.death.is_some());
}

/// Whoever published it, and by whatever key: it lies there, and set aside again it might come straight back.
#[tokio::test(start_paused = true)]
async fn what_came_through_the_exchange_of_the_dead_is_not_set_aside_again() {
    let stream = StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1);
    let alarm = Content::Alarm(Alarm { stream, number: 1, not_before: Timestamp(0) });
    let to = Address::phase_alarm(Tier::LONGEST, 0);
    let sent = pen().must_arrive(MessageId(Uuid::nil()), to, stream.project(), alarm, Timestamp(0)).expect("small");
    for body in [sent.body, bytes::Bytes::from_static(b"garbage")] {
        for key in ["told.0", TOLD_MANAGERS, "project"] {
            let through = |exchange| Delivery { key: key.into(), ..delivery(exchange, body.clone()) };
            assert_eq!(published_for(through("lane.alarms"), false).await.len(), 1, "{key} {body:?}");
            assert_eq!(published_for(through("lane.dead"), false).await.len(), 0, "{key} {body:?}");
        }
    }
}
