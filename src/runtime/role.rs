//! What the step of the delivery protocol asks of a layer's machine.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::letter::{Letter, Pen};
use super::port::{Outgoing, Payload, Snapshot, StoreError, Summary};
use crate::domain::decision::{Decision, Effect};
use crate::domain::phase::Why;
use crate::wire::{MessageId, Raw, StreamId, Timestamp};

/// A machine with its place in the world: what comes to it, what it keeps, what it sends.
pub(crate) trait Role: Send {
    type State: Send;
    type Event: Serialize + DeserializeOwned + Send;
    type Input: Send;

    /// Whether states may be kept between batches: only where nobody else gets deliveries for these streams.
    const KEEPS_STATES: bool;

    /// What a letter means here, and to which stream.
    fn read(&mut self, letter: &Letter) -> Result<Message<Self::Input>, Unfit>;

    /// What else the input needs from the store before it is decided.
    fn prepare(&mut self, _: &mut Message<Self::Input>) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Ok(()))
    }

    /// The state of a stream without events.
    fn fresh(&self, stream: StreamId) -> Self::State;
    /// The state in a snapshot; none when it is in another format.
    fn restore(&self, snapshot: &Snapshot) -> Option<Self::State>;
    /// The state as a snapshot, where this machine makes any.
    fn snapshot(&self, state: &Self::State) -> Option<Snapshot>;
    fn apply(&self, state: &mut Self::State, event: &Self::Event);
    fn version(&self, state: &Self::State) -> u64;
    /// Nothing more is expected for it: its state need not be kept.
    fn is_over(&self, state: &Self::State) -> bool;

    /// The machine's decision. It moves the state on; that is kept only when it is committed. `is_one_of_many`: others for
    /// the stream are decided with it, and then all of them are [settled](Self::settle).
    fn decide(
        &mut self,
        stream: StreamId,
        state: &mut Self::State,
        message: &Message<Self::Input>,
        is_one_of_many: bool,
        now: Timestamp,
    ) -> Decision<Self::Event>;

    /// What follows from several inputs together, because of `cause`, the last of them that was recorded.
    fn settle(&mut self, _: StreamId, _: &mut Self::State, _cause: MessageId, _: Timestamp) -> Vec<Self::Event> {
        Vec::new()
    }

    /// Whether what comes of it depends on when it is decided: such a message is decided by nobody who may have lost it.
    /// Another may have found that there was nothing to do, and acked it; whatever it caused now would be sent by nobody
    /// if this process died.
    fn is_untimely(&self, _: &Self::Input) -> bool {
        false
    }

    /// What is stored beside these events of this message.
    fn payloads(&mut self, stream: StreamId, events: &[Self::Event], message: &Message<Self::Input>) -> Vec<Payload>;

    /// The stream's row on the read side.
    fn summary(&self, stream: StreamId, state: &Self::State) -> Option<Summary>;

    /// The event that says that what `cause` had sent is sent once more.
    fn sent_again(&self, cause: MessageId, now: Timestamp) -> Self::Event;

    /// What `cause` had sent and what is still current.
    fn effects(&self, state: &Self::State, cause: MessageId) -> Vec<Effect>;

    /// Whether the message of an effect has something in it that has to be gathered first.
    fn must_gather(&self, _: &Self::State, _: Effect) -> bool {
        false
    }

    /// What the message of an effect hands on beside what the state knows: the results that a command depends on; else an
    /// empty object.
    fn gather(
        &mut self,
        _: StreamId,
        _: &Self::State,
        _: Effect,
    ) -> impl Future<Output = Result<Raw, RenderError>> + Send {
        std::future::ready(Ok(Raw::empty_object()))
    }

    /// The message of an effect, with what was gathered for it.
    fn render(
        &self,
        stream: StreamId,
        state: &Self::State,
        effect: Effect,
        gathered: Raw,
        now: Timestamp,
    ) -> Result<Rendered, RenderError>;

    /// What others are told of committed events, as far as they listen.
    fn notices(&self, stream: StreamId, state: &Self::State, events: &[Self::Event], now: Timestamp) -> Vec<Outgoing>;

    /// Whether watchers are to hear how it stands after these events: at once when it was not said for a while, else then.
    fn has_moved(&self, _: &Self::State, _: &[Self::Event]) -> bool {
        false
    }

    /// How it stands.
    fn standing(&self, _: StreamId, _: &Self::State, _: Timestamp) -> Option<Outgoing> {
        None
    }

    /// What whoever sent a message that changed nothing is told; `why` is the machine's word for it.
    fn answer(
        &self,
        stream: StreamId,
        state: &Self::State,
        message: &Message<Self::Input>,
        why: Option<&str>,
        now: Timestamp,
    ) -> Option<Outgoing>;

    /// What is sent in the place of a message that nobody could decide on; none: it goes to the dead letters.
    fn instead(&self, letter: &Letter, now: Timestamp) -> Option<Outgoing>;

    /// Whether it is decided before whatever else came with it: a word that stops what the others would have sent.
    fn comes_first(&self, _: &Self::Input) -> bool {
        false
    }

    /// Whether it is decided after whatever else came with it: a look at the clock, that may find overdue what was just
    /// brought.
    fn comes_last(&self, _: &Self::Input) -> bool {
        false
    }

    /// Something was brought that is to be decided.
    fn at_work(&self);

    /// Who writes its letters.
    fn pen(&self) -> &Pen;

    /// The input that says that a publish was refused.
    fn refused(&self, effect: Effect, id: MessageId, why: Why) -> Self::Input;

    /// A stream's state is no longer kept here.
    fn forget(&mut self, stream: StreamId);
}

/// An input on its way to its stream.
#[derive(Debug, Clone)]
pub(crate) struct Message<I> {
    pub(crate) stream: StreamId,
    pub(crate) cause: MessageId,
    pub(crate) input: I,
    /// What is to be stored beside the stream: a result, a log.
    pub(crate) result: Option<Raw>,
    pub(crate) log: Option<String>,
}

/// Why a letter is not for this role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Set aside among the dead letters with this reason.
    Misdirected(&'static str),
    /// It is done with already: it was for the process, not for a stream.
    Handled,
    /// This process must not go on: it works on another store than its peers.
    WrongStore(String),
}

/// A message that is ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    pub(crate) id: MessageId,
    pub(crate) outgoing: Outgoing,
    /// With so many others that go to the same place it may share one body, itself counted.
    pub(crate) pack_max: u32,
}

/// What owners tell each other in one body: they read all of a body in one step.
pub(crate) const PACK_MAX: u32 = 64;

/// Why an effect has no message.
#[derive(Debug)]
pub(crate) enum RenderError {
    /// It can never be sent: the machine is told.
    Unsendable { id: MessageId, why: String },
    /// It could not be put together now.
    Store(StoreError),
}
