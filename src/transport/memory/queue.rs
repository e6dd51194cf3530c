//! A queue: its messages that wait, and the consumers that have room. Who holds what is the channels' affair.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use tokio::time::Instant;

use super::channel::ChannelId;
use super::message::{Message, Reason};
use crate::runtime::port::QueueSpec;
use crate::wire::address::{Exchange, Queue};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueId(pub(super) u64);

/// Where messages go that a closing channel held. Nothing may depend on it; a simulation tries all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReturnOrder {
    /// To the head, before the next consumer is given anything: what RabbitMQ 3.10.8 does when a channel or a
    /// connection closes. (After a cancel, [`stop`](crate::runtime::port::Consumer::stop), the next consumer has
    /// filled itself with newer ones by then, here as there.)
    #[default]
    Head,
    /// The next consumer fills itself with newer ones first, and then those that were held come back to the head:
    /// what a client sees that cancels its consumers before it closes.
    AfterHandover,
    /// Behind everything that is ready.
    Tail,
}

/// A queue that refused goes on until no more than this share of its length is left.
const REOPENS_AT_PERCENT: u64 = 80;

/// A letter that no queue takes now: none is bound to its keys, or one that is refuses. It stays in the queue that
/// it died in.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) message: Message,
    pub(super) reason: Reason,
}

#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) queue: Queue,
    pub(super) name: String,
    kind: Kind,
    /// Messages that came back. They are handed out before the others.
    returned: VecDeque<Message>,
    ready: VecDeque<Message>,
    pub(super) undelivered: Vec<Undelivered>,
    /// In the order in which they came.
    consumers: BTreeSet<ChannelId>,
    /// Those of the consumers that have room.
    roomy: BTreeSet<ChannelId>,
    served_last: ChannelId,
    refusing: bool,
}

#[derive(Debug)]
enum Kind {
    Durable(QueueSpec),
    /// Belongs to one subscription and goes with it.
    Exclusive,
}

impl QueueState {
    pub(super) fn durable(spec: QueueSpec, name: String) -> Self {
        Self::new(spec.queue.clone(), name, Kind::Durable(spec))
    }

    pub(super) fn exclusive(queue: Queue, name: String) -> Self {
        Self::new(queue, name, Kind::Exclusive)
    }

    fn new(queue: Queue, name: String, kind: Kind) -> Self {
        Self {
            queue,
            name,
            kind,
            returned: VecDeque::new(),
            ready: VecDeque::new(),
            undelivered: Vec::new(),
            consumers: BTreeSet::new(),
            roomy: BTreeSet::new(),
            served_last: ChannelId(0),
            refusing: false,
        }
    }

    pub(super) fn spec(&self) -> Option<&QueueSpec> {
        match &self.kind {
            Kind::Durable(spec) => Some(spec),
            Kind::Exclusive => None,
        }
    }

    pub(super) fn is_exclusive(&self) -> bool {
        matches!(self.kind, Kind::Exclusive)
    }

    pub(super) fn ttl(&self) -> Option<Duration> {
        self.spec().and_then(|spec| spec.ttl)
    }

    pub(super) fn dead_letters(&self) -> Option<Exchange> {
        self.spec().and_then(|spec| spec.dead_letters)
    }

    pub(super) fn ready_count(&self) -> usize {
        self.returned.len() + self.ready.len()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Message> {
        self.returned.iter().chain(&self.ready)
    }

    // Messages.

    pub(super) fn push(&mut self, mut message: Message, now: Instant) {
        message.expires = self.ttl().map(|ttl| now + ttl);
        self.ready.push_back(message);
    }

    /// Takes back what was handed out, or gives it on as a dead letter when it came back too often.
    pub(super) fn take_back(&mut self, mut message: Message, order: ReturnOrder) -> Option<Message> {
        message.returns = message.returns.saturating_add(1);
        if self.spec().is_some_and(|spec| message.returns > spec.delivery_limit) {
            return Some(message);
        }
        match order {
            ReturnOrder::Head | ReturnOrder::AfterHandover => self.returned.push_back(message),
            ReturnOrder::Tail => self.ready.push_back(message),
        }
        None
    }

    fn head(&self) -> Option<&Message> {
        self.returned.front().or_else(|| self.ready.front())
    }

    fn pop(&mut self) -> Option<Message> {
        self.returned.pop_front().or_else(|| self.ready.pop_front())
    }

    /// When the message at the head dies of age.
    pub(super) fn due(&self) -> Option<Instant> {
        self.head().and_then(|head| head.expires)
    }

    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Message> {
        if self.due()? <= now { self.pop() } else { None }
    }

    /// The next message, for `consumer`.
    pub(super) fn hand_out(&mut self, consumer: ChannelId) -> Option<Message> {
        let message = self.pop()?;
        self.served_last = consumer;
        Some(message)
    }

    // Consumers.

    pub(super) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    pub(super) fn add_consumer(&mut self, channel: ChannelId) {
        self.consumers.insert(channel);
        self.roomy.insert(channel);
    }

    pub(super) fn remove_consumer(&mut self, channel: ChannelId) {
        self.consumers.remove(&channel);
        self.roomy.remove(&channel);
    }

    pub(super) fn set_room(&mut self, channel: ChannelId, has_room: bool) {
        if !has_room {
            self.roomy.remove(&channel);
        } else if self.consumers.contains(&channel) {
            self.roomy.insert(channel);
        }
    }

    /// In turn, among those that have room; with a single active consumer the one that came first, or nobody.
    pub(super) fn next_consumer(&self) -> Option<ChannelId> {
        if self.spec().is_some_and(|spec| spec.single_active) {
            return self.consumers.first().filter(|active| self.roomy.contains(active)).copied();
        }
        let after = (Bound::Excluded(self.served_last), Bound::Unbounded);
        self.roomy.range(after).next().or_else(|| self.roomy.first()).copied()
    }

    // The length.

    pub(super) fn is_refusing(&self) -> bool {
        self.refusing
    }

    /// Looks at the length. Says whether a queue that refused takes messages again.
    pub(super) fn measure(&mut self) -> bool {
        let Some(max) = self.spec().and_then(|spec| spec.max_length).map(u64::from) else { return false };
        // The broker counts what waits, and dead letters that nobody takes, but not what consumers hold; and it
        // takes one more than the length before it refuses (seen on 3.10.8).
        let length = self.ready_count() as u64 + self.undelivered.len() as u64;
        let was_refusing = self.refusing;
        self.refusing = match was_refusing {
            true => length > max * REOPENS_AT_PERCENT / 100,
            false => length > max,
        };
        was_refusing && !self.refusing
    }
}
