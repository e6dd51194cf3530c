//! A refused publish whose decision panics: its letter is kept and told, its delivery acked, and the lane goes on.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::domain::decision::Decision;
use crate::runtime::letter::Pen;
use crate::runtime::options::{Timing, World};
use crate::runtime::port::{Payload, Properties, Snapshot, Summary, SystemClock, Transport};
use crate::runtime::topology::{TopologyOptions, topology};
use crate::store::memory::MemoryStore;
use crate::transport::memory::MemoryBroker;
use crate::wire::address::{Namespace, Queue, Tier};
use crate::wire::content::Control;
use crate::wire::{AgentId, ProjectId, Timestamp};

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
        now: Timestamp,
    ) -> Result<Rendered, RenderError> {
        let id = MessageId(Uuid::from_u128(7));
        if self.is_unsendable {
            return Err(RenderError::Unsendable { id, why: "it is too big".into() });
        }
        let address = Address::skill(SKILL, 0);
        let outgoing = self.pen.must_arrive(id, address, stream.project(), recover(stream), now).expect("small");
        Ok(Rendered { id, outgoing })
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

/// What a lane leaves behind that was given one message whose command is refused: the dead letter, and the names of
/// the queues that have it or something else.
async fn left_behind(is_unsendable: bool, told: Queue) -> (Delivery, Delivery) {
    let namespace = Namespace::new("lane").expect("a word");
    let broker = MemoryBroker::new(namespace.clone());
    let transport = broker.connect("lane");
    let options =
        TopologyOptions { namespace, partitions: 1, skills: Vec::new(), requests_max: 10, skill_delivery_limit: 5 };
    transport.declare(&topology(&options)).await.expect("declared");
    let world = World {
        transport: Arc::new(broker.connect("world")),
        store: Arc::new(MemoryStore::new(Uuid::from_u128(3))),
        store_id: Uuid::from_u128(3),
        clock: Arc::new(SystemClock),
        planners: Vec::new().into(),
        skills: Arc::default(),
        topology: Arc::new(options),
        timing: Timing::default(),
    };
    let pen = Pen { agent: AgentId::new("tester").expect("a word") };
    let project = ProjectId(Uuid::from_u128(1));
    let start = recover(StreamId::Phase(project, 1));
    let outside = transport.publisher().await.expect("a publisher");
    let id = MessageId(Uuid::from_u128(2));
    let request = pen.must_arrive(id, Address::requests(), project, start, Timestamp(0)).expect("small");
    assert_eq!(outside.publish(request).await.expect("published").await, Confirmed::Accepted);

    let mut consumer = transport.consume(&Queue::Requests, 10).await.expect("a consumer");
    let publisher = transport.publisher().await.expect("a publisher");
    let role = Panicking { pen, is_unsendable };
    let mut lane = Lane::new(role, &world, Arc::default(), publisher, &*consumer);
    let stop = Stop::new();
    let mut dead = transport.consume(&Queue::Dead, 10).await.expect("a consumer");
    let mut owner = transport.consume(&told, 10).await.expect("a consumer");
    let found = async {
        let letter = dead.next(10).await.expect("open").remove(0);
        let copy = owner.next(10).await.expect("open").remove(0);
        // A drain waits for what is held, and no more: nothing is tried for ever.
        stop.drain();
        (letter, copy)
    };
    let both = async { tokio::join!(lane.run(&mut *consumer, &stop), found) };
    let (ended, found) = tokio::time::timeout(PATIENCE, both).await.expect("it ends");
    ended.expect("the lane goes on");
    let held = broker.inspect().messages;
    assert!(held.iter().all(|message| message.queue != Queue::Requests), "the delivery is not acked: {held:?}");
    found
}

#[tokio::test(start_paused = true)]
async fn its_letter_is_kept_and_told_to_whom_the_broker_would_have_told() {
    let (letter, copy) = left_behind(false, Queue::Coordination(0)).await;
    assert_eq!(letter.properties.reason.as_deref(), Some(REFUSAL_PANICKED));
    assert_eq!((letter.key.as_str(), &letter.body), (SKILL, &copy.body));
    let letters = letter::open(&copy).letters;
    assert_eq!(letters[0].envelope.message_id, MessageId(Uuid::from_u128(7)));
    assert_eq!(letters[0].death.as_ref().map(|death| death.reason.as_str()), Some(REFUSAL_PANICKED));
}

#[tokio::test(start_paused = true)]
async fn one_that_has_no_message_ends_its_phase_by_the_managers() {
    let (letter, copy) = left_behind(true, Queue::Management).await;
    assert_eq!(letter.body, copy.body);
    let told_of = letter::open(&copy).letters.remove(0);
    let Content::Alarm(alarm) = &told_of.envelope.content else { panic!("{told_of:?}") };
    assert_eq!(alarm.stream, StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1));
    assert!(told_of.death.is_some());
    // Were it to panic there as well, it would be told to nobody.
    assert_eq!(told(&told_of, PANICKED), None);
}

/// One that was set aside and told has no death that the broker knows of: still it is told only once.
#[test]
fn what_was_told_once_is_not_told_again() {
    let pen = Pen { agent: AgentId::new("tester").expect("a word") };
    let stream = StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1);
    let alarm = Content::Alarm(Alarm { stream, number: 1, not_before: Timestamp(0) });
    let to = Address::phase_alarm(Tier::LONGEST, 0);
    let sent = pen.must_arrive(MessageId(Uuid::nil()), to, stream.project(), alarm, Timestamp(0)).expect("small");
    let delivery = |exchange: &str| Delivery {
        origin: None,
        tag: Tag(1),
        exchange: exchange.into(),
        key: "60s.p.0".into(),
        redelivered: false,
        returns: 0,
        properties: Properties::default(),
        death: None,
        body: sent.body.clone(),
    };
    assert_eq!(told(&letter::open(&delivery("lane.alarms")).letters[0], PANICKED).as_deref(), Some(TOLD_MANAGERS));
    assert_eq!(told(&letter::open(&delivery("lane.dead")).letters[0], PANICKED), None);
}
