//! The transport: exchanges and queues, deliveries and acks, publishes and confirms.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::wire::address::{Address, Exchange, Namespace, Queue};
use crate::wire::{MessageId, ProjectId, Timestamp};

/// A broker, seen through one namespace. It never reconnects behind the caller's back: whatever breaks ends
/// the consumers and publishers that it touches, and the caller opens new ones.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Makes what of `topology` does not exist. Something that exists in another shape is an error.
    async fn declare(&self, topology: &Topology) -> Result<(), TransportError>;

    /// Deletes every queue and exchange of `topology`, with what is in them.
    async fn delete(&self, topology: &Topology) -> Result<(), TransportError>;

    /// Consumes a declared queue on a channel of its own, with at most `prefetch` deliveries unacked.
    async fn consume(&self, queue: &Queue, prefetch: u16) -> Result<Box<dyn Consumer>, TransportError>;

    /// Makes a queue of the caller's own, binds it, and consumes it without acks: for what may get lost. The
    /// queue goes when the consumer does.
    async fn subscribe(
        &self,
        queue: &Queue,
        bindings: &[(Exchange, String)],
    ) -> Result<Box<dyn Consumer>, TransportError>;

    /// Looks through a declared queue that nobody consumes.
    async fn browse(&self, queue: &Queue) -> Result<Box<dyn Browser>, TransportError>;

    /// A channel to publish on, with confirms.
    async fn publisher(&self) -> Result<Box<dyn Publisher>, TransportError>;

    /// How full a queue is; `None` when there is no such queue.
    async fn depth(&self, queue: &Queue) -> Result<Option<QueueDepth>, TransportError>;

    /// Why the broker takes no messages right now, as far as it says so: what is published meanwhile waits.
    fn hindrance(&self) -> Option<String> {
        None
    }
}

/// The receiving end of one channel. Dropping it closes the channel: what was not acked is delivered again.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for a delivery, then takes what else is ready, `most` in all and never waiting for more. Loses
    /// nothing when it is dropped before it is done. An error means the channel is gone, for good.
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, TransportError>;

    /// Acks for this channel. Without effect on anything once the channel is gone.
    fn acker(&self) -> std::sync::Arc<dyn Acker>;

    /// No more deliveries from here on: `next` gives those that already came, then an error. What is held can
    /// still be acked.
    async fn stop(&mut self) -> Result<(), TransportError>;
}

/// A look through a queue, one message after the other, so that few of them take memory here. Dropping it closes what it
/// holds: what was not acked is in the queue again, a little later, and so is what came meanwhile.
#[async_trait]
pub trait Browser: Send + Sync {
    /// The next of the messages that were ready when the first was asked for; none when there is no other. Never waits
    /// for one to come.
    async fn next(&mut self) -> Result<Option<Delivery>, TransportError>;

    /// How many of them are behind the last one that was given.
    fn left(&self) -> u32;

    /// Takes a message out of the queue.
    async fn ack(&self, tag: Tag) -> Result<(), TransportError>;
}

/// Says what became of deliveries.
#[async_trait]
pub trait Acker: Send + Sync {
    /// Done with `tag`, and with `multiple` with every earlier one of this channel too.
    async fn ack(&self, tag: Tag, multiple: bool) -> Result<(), TransportError>;

    /// Done with each of these, in as few words as that can be said.
    async fn ack_all(&self, tags: &BTreeSet<Tag>) -> Result<(), TransportError> {
        for &tag in tags {
            self.ack(tag, false).await?;
        }
        Ok(())
    }

    /// Asks the broker whether this channel is still there, and with it what it brought and nobody settled. Fails when it
    /// is not: that may be somebody else's by now, who may have acked it.
    async fn still_holds(&self) -> Result<(), TransportError>;

    /// Sends the message to its queue's dead letters.
    async fn reject(&self, tag: Tag) -> Result<(), TransportError>;
}

/// The sending end of one channel. Cheap to share; order of sending is the order of the calls.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Sends, and gives a future of what became of it. Waits only for room among the unconfirmed. The message
    /// is on its way whether or not the future is awaited.
    async fn publish(&self, message: Outgoing) -> Result<Confirmation, TransportError>;
}

/// Resolves when the broker answered, or when the channel is gone.
pub type Confirmation = BoxFuture<'static, Confirmed>;

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// The broker has it, in every queue that it belongs into.
    Accepted,
    /// The broker refused it: a full queue.
    Nacked,
    /// It was mandatory, and no queue is bound to its key.
    Returned,
    /// Nobody knows: the channel went, or the answer did not come in time. Publish it again under the same id.
    Unknown,
}

/// Names a delivery to its channel's [`Acker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(pub u64);

/// A message on its way here.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub tag: Tag,
    /// The exchange that it came through, by its full name.
    pub exchange: String,
    pub key: String,
    /// It was delivered before, to somebody.
    pub redelivered: bool,
    /// How often it came back unacked, where the broker counts.
    pub returns: u32,
    pub properties: Properties,
    /// Where and why it died, when it came as a dead letter: the newest of its deaths.
    pub death: Option<Death>,
    /// How it came in, before it died for the first time.
    pub origin: Option<Origin>,
    pub body: Bytes,
}

/// Why a message became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The queue that it died in, by its full name.
    pub queue: String,
    /// `rejected`, `expired`, `maxlen` or `delivery_limit`.
    pub reason: String,
}

/// How a dead letter once came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The exchange that it was published to, by its full name.
    pub exchange: String,
    pub key: String,
    /// The queue that it died in first, by its full name.
    pub queue: String,
    /// When it died last, where the broker says: to the second.
    pub died_at: Option<Timestamp>,
}

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub address: Address,
    /// To be returned when no queue is bound to its key.
    pub mandatory: bool,
    pub properties: Properties,
    pub body: Bytes,
}

/// What the broker has a place for beside the body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    pub message_id: Option<MessageId>,
    /// The project: `correlation_id`.
    pub project: Option<ProjectId>,
    /// The content's type, or `Batch`: `type`.
    pub kind: Option<String>,
    /// The sender: `app_id`.
    pub sender: Option<String>,
    pub reply_to: Option<String>,
    /// Header `attempt`.
    pub attempt: Option<u32>,
    /// Header `x-again`: an input that was handled before is to have its effects again.
    pub again: bool,
    /// Header `x-passed-on`: a command that an executor has left to another.
    pub passed_on: bool,
    /// Header `x-reason`: why we put a letter among the dead.
    pub reason: Option<String>,
    /// Header `x-origin`: the exchange that a letter came in through, by its full name, before we put it there.
    pub origin: Option<String>,
    /// Header `x-set-aside-at`: when we put it there, in milliseconds since 1970.
    pub set_aside_at: Option<Timestamp>,
    /// Kept over a restart of the broker.
    pub persistent: bool,
    /// More routing keys, in the header `BCC`: a queue that is bound to several of them gets one copy. Nobody who gets it
    /// sees them.
    pub also: Vec<String>,
}

/// How full a queue is, as far as the broker tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that wait for a consumer.
    pub ready: u32,
    pub consumers: u32,
}

/// The exchanges, queues and bindings of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    pub namespace: Namespace,
    pub exchanges: Vec<(Exchange, ExchangeKind)>,
    pub queues: Vec<QueueSpec>,
    pub bindings: Vec<Binding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeKind {
    Direct,
    Topic,
}

/// How the broker keeps the queues of a topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// Replicated where the broker can, with a delivery limit, dead-lettering at least once.
    Quorum,
    /// On one node, without a limit; its dead letters may get lost. It is there to measure what the others cost.
    Classic,
}

/// A queue that outlives its consumers and the broker's restarts: durable, and refusing when it is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    pub queue: Queue,
    pub kind: QueueKind,
    /// A message that came back more often than this is a dead letter.
    pub delivery_limit: u32,
    /// Refuses publishes beyond this many messages.
    pub max_length: Option<u32>,
    /// Messages die of age after this, when they are at the head.
    pub ttl: Option<Duration>,
    /// Where its dead letters go, with the keys that they came with.
    pub dead_letters: Option<Exchange>,
    /// Only one consumer gets deliveries; the next in line when it is gone.
    pub single_active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub exchange: Exchange,
    /// A key, or a pattern where the exchange is a topic.
    pub key: String,
    pub queue: Queue,
}

/// What went wrong, by what the caller is to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The broker can not be reached now: try again later.
    #[error("the broker is not reachable: {0}")]
    Unreachable(String),
    /// The broker said no: wrong password, no such virtual host, no permission. Trying again is of no use.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// A queue or exchange exists with other arguments.
    #[error("the topology does not fit: {0}")]
    Mismatch(String),
    /// A queue or exchange is not there, or the broker can not find it now.
    #[error("it is not there: {0}")]
    Missing(String),
    /// This channel is gone; open another.
    #[error("the channel is closed: {0}")]
    Closed(String),
}
