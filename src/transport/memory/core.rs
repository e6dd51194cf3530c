//! The state of the broker, and how messages flow through it: published, routed, handed out, dead.
//!
//! Nothing here waits, and nothing here reads a clock. Every call leaves no letter on its way: what can move
//! has moved when it returns.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::channel::{Channel, ChannelId};
use super::exchange::Routes;
use super::message::{Content, Message, Reason};
use super::publisher::{Line, LineId};
use super::queue::{QueueId, QueueState, ReturnOrder, Undelivered};
use crate::runtime::port::{Confirmed, Outgoing, TransportError};
use crate::wire::address::{Exchange, Namespace, Queue};

#[derive(Debug)]
pub(super) struct Core {
    pub(super) namespace: Namespace,
    pub(super) return_order: ReturnOrder,
    /// Agents that can not reach the broker now.
    pub(super) isolated: BTreeSet<Arc<str>>,
    pub(super) exchanges: BTreeMap<Exchange, Routes>,
    pub(super) queue_ids: BTreeMap<Queue, QueueId>,
    pub(super) queues: BTreeMap<QueueId, QueueState>,
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    pub(super) lines: BTreeMap<LineId, Arc<Line>>,
    /// Queues whose messages die of age.
    pub(super) timed: BTreeSet<QueueId>,
    /// Queues that hold letters nobody takes.
    stuck: BTreeSet<QueueId>,
    /// Letters on their way from one queue to others; empty between two calls.
    letters: VecDeque<Letter>,
    /// What publishers are yet to be told. The windows of the publishers bound it.
    answers: VecDeque<Answer>,
    last_id: u64,
    changes: u64,
    /// Something for the broker's task to do.
    wake: bool,
}

#[derive(Debug)]
struct Letter {
    from: QueueId,
    message: Message,
    reason: Reason,
}

/// What a publisher is told, and its room among the unconfirmed, which is free when it was told.
#[derive(Debug)]
pub(super) struct Answer {
    line: Arc<Line>,
    confirmed: Confirmed,
    to: oneshot::Sender<Confirmed>,
    _room: OwnedSemaphorePermit,
}

impl Answer {
    pub(super) fn tell(self) {
        let confirmed = if self.line.is_closed() { Confirmed::Unknown } else { self.confirmed };
        // A caller that does not want to know has dropped its end.
        let _ = self.to.send(confirmed);
    }
}

/// What a turn of the broker's task leaves to do without the lock.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) answers: VecDeque<Answer>,
    /// When the next message expires.
    pub(super) due: Option<Instant>,
}

impl Core {
    pub(super) fn new(namespace: Namespace, return_order: ReturnOrder) -> Self {
        Self {
            namespace,
            return_order,
            isolated: BTreeSet::new(),
            exchanges: BTreeMap::new(),
            queue_ids: BTreeMap::new(),
            queues: BTreeMap::new(),
            channels: BTreeMap::new(),
            lines: BTreeMap::new(),
            timed: BTreeSet::new(),
            stuck: BTreeSet::new(),
            letters: VecDeque::new(),
            answers: VecDeque::new(),
            last_id: 0,
            changes: 0,
            wake: false,
        }
    }

    /// An id that nothing else has, greater than all before it.
    pub(super) fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn changed(&mut self) {
        self.changes += 1;
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn take_wake(&mut self) -> bool {
        mem::take(&mut self.wake)
    }

    /// The turn of the broker's task: moves what expired, and says what publishers are to be told.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        for queue in self.timed.clone() {
            self.hand_out(queue, now);
        }
        self.carry_letters(now);
        self.wake = false;
        let due = self.timed.iter().filter_map(|queue| self.queues.get(queue)?.due()).min();
        Turn { answers: mem::take(&mut self.answers), due }
    }

    pub(super) fn publish(
        &mut self,
        line: &Arc<Line>,
        outgoing: Outgoing,
        room: OwnedSemaphorePermit,
        to: oneshot::Sender<Confirmed>,
        now: Instant,
    ) -> Result<(), TransportError> {
        if line.is_closed() {
            return Err(line.error());
        }
        let exchange = outgoing.address.exchange;
        let (address, mut properties) = (outgoing.address, outgoing.properties);
        let also = std::mem::take(&mut properties.also);
        let content = Content { key: address.key, told: address.told, also, properties, body: outgoing.body };
        let confirmed = match self.route(exchange, &content) {
            Some(targets) if targets.is_empty() && outgoing.mandatory => Confirmed::Returned,
            Some(targets) => self.enqueue(Message::new(content, exchange), &targets, now),
            None => {
                line.close(&format!("no exchange `{}`", exchange.name(&self.namespace)));
                Confirmed::Unknown
            }
        };
        self.answers.push_back(Answer { line: line.clone(), confirmed, to, _room: room });
        self.wake = true;
        self.carry_letters(now);
        Ok(())
    }

    /// The queues that a message belongs into, each once; `None` when there is no such exchange.
    fn route(&self, exchange: Exchange, content: &Content) -> Option<Vec<QueueId>> {
        let routes = self.exchanges.get(&exchange)?;
        let mut targets = Vec::new();
        content.keys().for_each(|key| routes.find(key, &mut targets));
        targets.sort_unstable();
        targets.dedup();
        Some(targets)
    }

    /// Puts a message into each queue that takes it. One that refuses makes the whole a refusal.
    fn enqueue(&mut self, message: Message, targets: &[QueueId], now: Instant) -> Confirmed {
        let mut confirmed = Confirmed::Accepted;
        for target in targets {
            match self.queues.get_mut(target) {
                Some(queue) if queue.is_refusing() => confirmed = Confirmed::Nacked,
                Some(queue) => {
                    queue.push(message.clone(), now);
                    self.changes += 1;
                    self.hand_out(*target, now);
                }
                None => {}
            }
        }
        confirmed
    }

    /// Hands out what waits in a queue to whoever has room, and lets go of what expired.
    pub(super) fn hand_out(&mut self, id: QueueId, now: Instant) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        loop {
            while let Some(message) = queue.pop_expired(now) {
                self.letters.push_back(Letter { from: id, message, reason: Reason::Expired });
                self.changes += 1;
            }
            let Some(consumer) = queue.next_consumer() else { break };
            let Some(channel) = self.channels.get_mut(&consumer) else {
                queue.remove_consumer(consumer);
                continue;
            };
            let Some(message) = queue.hand_out(consumer) else { break };
            channel.deliver(message);
            queue.set_room(consumer, channel.has_room());
            self.changes += 1;
        }
        self.wake |= queue.due().is_some();
        self.measure(id);
    }

    /// Takes back what a consumer held, in the order in which it was delivered.
    pub(super) fn take_back(&mut self, id: QueueId, held: impl Iterator<Item = Message>) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        for message in held {
            self.changes += 1;
            if let Some(message) = queue.take_back(message, self.return_order) {
                self.letters.push_back(Letter { from: id, message, reason: Reason::DeliveryLimit });
            }
        }
    }

    pub(super) fn bury(&mut self, from: QueueId, message: Message) {
        self.letters.push_back(Letter { from, message, reason: Reason::Rejected });
        self.changes += 1;
    }

    /// Moves dead letters until none is on its way. It ends: a letter only passes a queue twice when a consumer
    /// rejected it in between.
    pub(super) fn carry_letters(&mut self, now: Instant) {
        while let Some(letter) = self.letters.pop_front() {
            self.carry(letter, now);
        }
    }

    fn carry(&mut self, Letter { from, message, reason }: Letter, now: Instant) {
        // A queue that was deleted took its dead with it, and one without dead letters forgets them.
        let Some(queue) = self.queues.get(&from) else { return };
        let Some(exchange) = queue.dead_letters() else { return };
        let letter = message.clone().into_letter(from, &queue.name, reason, exchange);
        let routed = self.route(exchange, &letter.content).unwrap_or_default();
        let (circles, targets): (Vec<_>, Vec<_>) = routed.into_iter().partition(|target| letter.came_from(*target));
        if targets.is_empty() && !circles.is_empty() {
            return;
        }
        let refused = |target: &QueueId| self.queues.get(target).is_some_and(QueueState::is_refusing);
        if targets.is_empty() || targets.iter().any(refused) {
            self.keep(from, Undelivered { message, reason });
        } else {
            self.enqueue(letter, &targets, now);
            self.measure(from);
        }
    }

    /// Looks at a queue's length. What goes into a queue that has room again is tried again.
    fn measure(&mut self, id: QueueId) {
        if self.queues.get_mut(&id).is_some_and(QueueState::measure) {
            self.retry_stuck();
        }
    }

    fn keep(&mut self, id: QueueId, letter: Undelivered) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        queue.undelivered.push(letter);
        queue.measure();
        self.stuck.insert(id);
    }

    /// Sends the letters again that nobody took: there is a new binding, or a queue that has room again.
    pub(super) fn retry_stuck(&mut self) {
        for id in mem::take(&mut self.stuck) {
            let Some(queue) = self.queues.get_mut(&id) else { continue };
            let letters = mem::take(&mut queue.undelivered);
            self.letters.extend(letters.into_iter().map(|Undelivered { message, reason }| Letter {
                from: id,
                message,
                reason,
            }));
        }
    }
}
