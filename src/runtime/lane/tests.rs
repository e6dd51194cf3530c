//! A decision that panics, about a message or about a refused publish: its letter is kept and told, its delivery acked,
//! and the lane goes on. And what becomes of what can not be read.

mod ahead;
mod ports;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::refused::REFUSAL_PANICKED;
use super::*;
use crate::domain::decision::{Decision, UNKNOWN_STREAM};
use crate::domain::phase::Why;
use crate::runtime::commit::{PANICKED, UNREADABLE};
use crate::runtime::letter::{Letter, Pen};
use crate::runtime::port::{Append, Outgoing, Payload, Properties, Snapshot, Summary, Tag};
use crate::runtime::role::{Message, RenderError, Rendered};
use crate::wire::address::{Address, Exchange, TOLD_MANAGERS, Tier};
use crate::wire::content::{Alarm, Control};
use crate::wire::{AgentId, ProjectId, Raw, Timestamp};
use ports::{Fed, Recorder, world};

/// Longer than anything here takes: the time is not the real one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody offers it: its commands come back.
const SKILL: &str = "nobody";

/// The number of an alarm that no decision can be made about.
const POISON: u64 = 13;

/// A machine that remembers causes, has a command sent for each, and panics when one is refused, and at poison.
struct Panicking {
    pen: Pen,
    /// The command has no message.
    is_unsendable: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Caused(MessageId);

#[derive(Clone, Copy, PartialEq)]
enum Input {
    Start,
    Dead,
    Refused,
    Unknown,
    Poison,
    Word,
}

impl Role for Panicking {
    type State = Vec<MessageId>;
    type Event = Caused;
    type Input = Input;
    const KEEPS_STATES: bool = true;

    fn read(&mut self, letter: &Letter) -> Result<Message<Input>, Unfit> {
        let input = match (&letter.envelope.content, &letter.death) {
            (Content::Recover(_), None) => Input::Start,
            (Content::Recover(_), Some(_)) => Input::Dead,
            (Content::Pause(_), None) => Input::Word,
            (Content::Alarm(alarm), None) if alarm.number == POISON => Input::Poison,
            (Content::Alarm(_), _) => Input::Unknown,
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
        _: bool,
        _: Timestamp,
    ) -> Decision<Caused> {
        assert!(message.input != Input::Refused, "this machine has a bug");
        if message.input == Input::Unknown {
            return Decision::Refuse(UNKNOWN_STREAM);
        }
        if message.input == Input::Poison {
            // What was done to the state so far is not to be seen by the others.
            state.clear();
            panic!("this machine has another bug");
        }
        if state.contains(&message.cause) || message.input == Input::Dead {
            return Decision::Nothing("it is known");
        }
        state.push(message.cause);
        Decision::Record(vec![Caused(message.cause)])
    }

    fn comes_first(&self, input: &Input) -> bool {
        *input == Input::Word
    }

    fn is_untimely(&self, input: &Input) -> bool {
        *input == Input::Start
    }

    fn payloads(&mut self, _: StreamId, _: &[Caused], _: &Message<Input>) -> Vec<Payload> {
        Vec::new()
    }

    fn summary(&self, _: StreamId, _: &Vec<MessageId>) -> Option<Summary> {
        None
    }

    fn sent_again(&self, cause: MessageId, _: Timestamp) -> Caused {
        Caused(cause)
    }

    fn effects(&self, state: &Vec<MessageId>, cause: MessageId) -> Vec<Effect> {
        let at = state.iter().position(|known| *known == cause).and_then(|at| u32::try_from(at).ok());
        at.map(|ordinal| Effect::Execute { ordinal, attempt: 1 }).into_iter().collect()
    }

    fn render(
        &self,
        stream: StreamId,
        _: &Vec<MessageId>,
        effect: Effect,
        _: Raw,
        _: Timestamp,
    ) -> Result<Rendered, RenderError> {
        let Effect::Execute { ordinal, .. } = effect else { panic!("{effect:?}") };
        let id = MessageId(Uuid::from_u128(7 + u128::from(ordinal)));
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

    /// A project must not be left without its alarm.
    fn instead(&self, letter: &Letter, _: Timestamp) -> Option<Outgoing> {
        let Content::Alarm(Alarm { stream: StreamId::Project(project), .. }) = letter.envelope.content else {
            return None;
        };
        let (id, address) = (MessageId(Uuid::from_u128(99)), Address::project_alarm(Tier::LONGEST));
        self.pen.must_arrive(id, address, project, letter.envelope.content.clone(), Timestamp(0)).ok()
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
    let role = Panicking { pen: pen(), is_unsendable };
    published_at(&world(), role, Recorder::default(), vec![delivery]).await
}

/// What a lane publishes in this world, that was given these at once.
async fn published_at(world: &World, role: Panicking, publisher: Recorder, deliveries: Vec<Delivery>) -> Vec<Outgoing> {
    let (stop, sent) = (Stop::new(), publisher.sent.clone());
    let last = deliveries.last().map(|delivery| delivery.tag);
    let mut consumer = Fed::new(deliveries, stop.clone());
    let mut lane = Lane::new(role, world, Arc::default(), Box::new(publisher), &consumer);
    let ended = tokio::time::timeout(PATIENCE, lane.run(&mut consumer, &stop)).await.expect("it ends");
    ended.expect("the lane goes on");
    // One ack for all.
    assert_eq!(consumer.acked(), Vec::from_iter(last));
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

/// An alarm of a stream that nobody knows.
fn alarm(store_id: Option<Uuid>) -> bytes::Bytes {
    let stream = StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1);
    let alarm = Content::Alarm(Alarm { stream, number: 1, not_before: Timestamp(0), store_id });
    let to = Address::phase_alarm(Tier::LONGEST, 0);
    let sent = pen().must_arrive(MessageId(Uuid::nil()), to, stream.project(), alarm, Timestamp(0));
    sent.expect("small").body
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
    for body in [alarm(None), bytes::Bytes::from_static(b"garbage")] {
        for key in ["told.0", TOLD_MANAGERS, "project"] {
            let through = |exchange| Delivery { key: key.into(), ..delivery(exchange, body.clone()) };
            assert_eq!(published_for(through("lane.alarms"), false).await.len(), 1, "{key} {body:?}");
            assert_eq!(published_for(through("lane.dead"), false).await.len(), 0, "{key} {body:?}");
        }
    }
}

/// It may have been acked meanwhile: what was decided would be sent by nobody if this process died.
#[tokio::test(start_paused = true)]
async fn what_somebody_else_may_have_by_now_is_not_decided() {
    let stream = StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1);
    let sent =
        pen().must_arrive(MessageId(Uuid::nil()), Address::requests(), stream.project(), recover(stream), Timestamp(0));
    let stop = Stop::new();
    let mut consumer = Fed::lost(vec![delivery("lane.requests", sent.expect("small").body)], stop.clone());
    let (world, role) = (world(), Panicking { pen: pen(), is_unsendable: false });
    let mut lane = Lane::new(role, &world, Arc::default(), Box::new(Recorder::default()), &consumer);
    let ended = tokio::time::timeout(PATIENCE, lane.run(&mut consumer, &stop)).await.expect("it ends");
    assert!(matches!(ended, Err(LaneError::Transport(TransportError::Closed(_)))), "{ended:?}");
    let stored = world.store.load(&[stream]).await.expect("a store");
    assert!(consumer.acked().is_empty() && stored.iter().all(|stored| stored.version == 0), "{stored:?}");
}

/// Whoever had it before may be about to record that something it sent was refused: what follows from that is sent because
/// of this very delivery, which will be acked here.
#[tokio::test(start_paused = true)]
async fn what_sends_again_for_a_redelivered_message_changes_its_stream() {
    let (world, stream) = (world(), StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1));
    for (redelivered, version, sends) in [(false, 1, 1), (false, 1, 0), (true, 2, 1), (true, 3, 1)] {
        let delivery = Delivery { redelivered, ..addressed(1, recover(stream), stream) };
        let publisher = Recorder { takes_commands: true, ..Recorder::default() };
        let role = Panicking { pen: pen(), is_unsendable: false };
        let sent = published_at(&world, role, publisher, vec![delivery]).await;
        let stored = world.store.load(&[stream]).await.expect("a store").remove(0);
        assert_eq!((stored.version, sent.len()), (version, sends), "{redelivered}");
    }
}

/// Of another store, or of none that is named, it may be this process that is in the wrong place.
#[tokio::test(start_paused = true)]
async fn an_alarm_of_a_stream_that_this_store_has_forgotten_is_acked_in_silence() {
    for (store_id, letters) in [(Some(world().store_id), 0), (Some(Uuid::max()), 1), (None, 1)] {
        let sent = published_for(delivery("lane.alarms", alarm(store_id)), false).await;
        assert_eq!(sent.len(), letters, "{store_id:?}");
    }
}

/// A message to the owner of this stream, as the delivery of this number.
fn addressed(number: u64, content: Content, stream: StreamId) -> Delivery {
    let id = MessageId(Uuid::from_u128(number.into()));
    let sent = pen().must_arrive(id, Address::requests(), stream.project(), content, Timestamp(0)).expect("small");
    Delivery { tag: Tag(number), ..delivery("lane.alarms", sent.body) }
}

fn poison(number: u64, stream: StreamId) -> Delivery {
    addressed(
        number,
        Content::Alarm(Alarm { stream, number: POISON, not_before: Timestamp(0), store_id: None }),
        stream,
    )
}

/// It stops what the others of its batch would have sent, wherever it stood among them.
#[tokio::test(start_paused = true)]
async fn a_word_that_comes_first_is_decided_before_whatever_came_with_it() {
    let stream = StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1);
    let start = |number| addressed(number, recover(stream), stream);
    let word = addressed(3, Content::Pause(Control::about(stream.project())), stream);
    let (world, role) = (world(), Panicking { pen: pen(), is_unsendable: false });
    let recorder = Recorder { takes_commands: true, ..Recorder::default() };
    let sent = published_at(&world, role, recorder, vec![start(1), start(2), word]).await;
    let stored = world.store.load_from_start(stream).await.expect("a store");
    let causes: Vec<Caused> = stored.events.iter().map(|raw| raw.read().expect("an event")).collect();
    assert_eq!(causes, [3, 1, 2].map(|number| Caused(MessageId(Uuid::from_u128(number)))), "{sent:?}");
}

/// Two of three are committed, and what they cause goes out; the third alone lies among the dead, and managers hear
/// of it: nothing else would wake its phase.
#[tokio::test(start_paused = true)]
async fn a_decision_that_panics_takes_no_other_with_it() {
    let stream = StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1);
    let deliveries =
        vec![addressed(1, recover(stream), stream), poison(2, stream), addressed(3, recover(stream), stream)];
    let (world, role) = (world(), Panicking { pen: pen(), is_unsendable: false });
    let publisher = Recorder { takes_commands: true, ..Recorder::default() };
    let bad = deliveries[1].body.clone();
    let sent = published_at(&world, role, publisher, deliveries).await;
    let stored = world.store.load_from_start(stream).await.expect("a store");
    assert_eq!(stored.version, 2);
    let (dead, commands): (Vec<_>, Vec<_>) = sent.iter().partition(|sent| sent.address.exchange == Exchange::Dead);
    let ids: Vec<_> = commands.iter().filter_map(|command| command.properties.message_id).collect();
    assert_eq!(ids, [7, 8].map(|id| MessageId(Uuid::from_u128(id))));
    let [letter] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!((&letter.body, letter.properties.reason.as_deref()), (&bad, Some(PANICKED)));
    assert_eq!(letter.properties.message_id, Some(MessageId(Uuid::from_u128(2))));
    assert_eq!(letter.address.told.as_deref(), Some(TOLD_MANAGERS));
    assert_eq!(as_told(letter).death.map(|death| death.reason).as_deref(), Some(PANICKED));
}

/// One of a newer version, say. It ends nobody's process: the message lies among the dead, and managers hear of it.
#[tokio::test(start_paused = true)]
async fn a_stream_that_can_not_be_read_takes_no_other_with_it() {
    let stream = StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1);
    let alarm = Content::Alarm(Alarm { stream, number: 1, not_before: Timestamp(0), store_id: None });
    let (world, role) = (world(), Panicking { pen: pen(), is_unsendable: false });
    let tomorrow = Raw::parse(r#"{"OfTomorrow":{}}"#).expect("JSON");
    world.store.append(vec![Append { events: vec![tomorrow], ..Append::assertion(stream, 0) }]).await.expect("a store");
    let deliveries = vec![addressed(1, alarm, stream), addressed(2, recover(stream), stream)];
    let sent = published_at(&world, role, Recorder::default(), deliveries).await;
    let told: Vec<_> = sent.iter().map(|letter| letter.address.told.as_deref()).collect();
    assert_eq!(told, [Some(TOLD_MANAGERS), None]);
    assert!(sent.iter().all(|letter| letter.properties.reason.as_deref() == Some(UNREADABLE)), "{sent:?}");
    assert_eq!(world.store.load_from_start(stream).await.expect("a store").version, 1, "nothing was decided");
}

/// What the role has in its place is sent instead: nothing is set aside.
#[tokio::test(start_paused = true)]
async fn a_role_may_know_better_than_to_set_aside_what_panicked() {
    let sent = published_for(poison(1, StreamId::Project(ProjectId(Uuid::from_u128(1)))), false).await;
    let [alarm] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(
        (alarm.address.exchange, alarm.properties.message_id),
        (Exchange::Later, Some(MessageId(Uuid::from_u128(99))))
    );
}

/// So that it is found by its id, and sent again under it; of several nothing is known.
#[tokio::test(start_paused = true)]
async fn what_can_not_be_read_keeps_what_stood_beside_it() {
    let properties = Properties {
        message_id: Some(MessageId(Uuid::from_u128(5))),
        project: Some(ProjectId(Uuid::from_u128(1))),
        sender: Some("peer".into()),
        ..Properties::default()
    };
    for (body, is_kept) in [("garbage", true), ("[{}]", true), ("[{}, {}]", false)] {
        let beside = properties.clone();
        let bad =
            Delivery { properties: beside, ..delivery("lane.results", bytes::Bytes::from_static(body.as_bytes())) };
        let sent = published_for(bad, false).await;
        let [letter] = sent.as_slice() else { panic!("{sent:?}") };
        let known = if is_kept { properties.clone() } else { Properties::default() };
        let Properties { reason, origin, set_aside_at, .. } = letter.properties.clone();
        assert!(reason.is_some() && origin.as_deref() == Some("lane.results"), "{letter:?}");
        assert_eq!(letter.properties, Properties { reason, origin, set_aside_at, persistent: true, ..known }, "{body}");
    }
}
