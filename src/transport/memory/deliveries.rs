//! What consumers do to the broker: open, take, ack, reject, stop, close.

use std::sync::Arc;

use tokio::time::Instant;

use super::channel::{Channel, ChannelId, Signal, Window};
use super::core::Core;
use super::message::Message;
use super::queue::{QueueId, QueueState, ReturnOrder};
use crate::runtime::port::{Tag, TransportError};
use crate::wire::address::{Exchange, Queue};

/// A consumer's end of a channel that was just opened.
pub(super) type Opened = (ChannelId, Arc<Signal>);

impl Core {
    pub(super) fn consume(
        &mut self,
        agent: Arc<str>,
        queue: &Queue,
        prefetch: u16,
        now: Instant,
    ) -> Result<Opened, TransportError> {
        let id = self.queue_id(queue)?;
        if self.queues.get(&id).is_some_and(QueueState::is_exclusive) {
            return Err(TransportError::Closed(format!("queue `{}` is somebody's own", self.name_of(queue))));
        }
        // AMQP's zero would be no bound at all.
        Ok(self.open(agent, id, Window::Prefetch(usize::from(prefetch.max(1))), now))
    }

    pub(super) fn subscribe(
        &mut self,
        agent: Arc<str>,
        queue: &Queue,
        bindings: &[(Exchange, String)],
        now: Instant,
    ) -> Result<Opened, TransportError> {
        if self.queue_ids.contains_key(queue) {
            return Err(TransportError::Closed(format!("queue `{}` is taken", self.name_of(queue))));
        }
        if let Some((missing, _)) = bindings.iter().find(|(exchange, _)| !self.exchanges.contains_key(exchange)) {
            return Err(self.no_exchange(*missing));
        }
        let id = QueueId(self.fresh_id());
        self.queues.insert(id, QueueState::exclusive(queue.clone(), self.name_of(queue)));
        self.queue_ids.insert(queue.clone(), id);
        for (exchange, key) in bindings {
            self.exchanges.entry(*exchange).and_modify(|routes| routes.bind(key, id));
        }
        let opened = self.open(agent, id, Window::NoAcks, now);
        self.retry_stuck();
        self.carry_letters(now);
        Ok(opened)
    }

    /// A channel that takes messages when it asks for one: the queue has one consumer no more by it.
    pub(super) fn browse(&mut self, agent: Arc<str>, queue: &Queue) -> Result<Opened, TransportError> {
        let queue = self.queue_id(queue)?;
        let id = ChannelId(self.fresh_id());
        let channel = Channel::new(agent, queue, Window::Prefetch(usize::MAX));
        let signal = channel.signal.clone();
        self.channels.insert(id, channel);
        Ok((id, signal))
    }

    /// The next message for a channel that asks for one, and how many are left: none when there is none. `None` when
    /// the channel is gone.
    pub(super) fn get(&mut self, id: ChannelId, now: Instant) -> Option<Option<(u64, Message, usize)>> {
        let queue_id = self.channels.get(&id)?.queue;
        // What is too old by now is not given to anybody.
        self.hand_out(queue_id, now);
        self.carry_letters(now);
        let queue = self.queues.get_mut(&queue_id)?;
        let Some(message) = queue.hand_out(id) else { return Some(None) };
        let left = queue.ready_count();
        let channel = self.channels.get_mut(&id)?;
        channel.deliver(message);
        let taken = channel.take(1).ok()?.pop();
        self.changed();
        Some(taken.map(|(tag, message)| (tag, message, left)))
    }

    fn open(&mut self, agent: Arc<str>, queue: QueueId, window: Window, now: Instant) -> Opened {
        let id = ChannelId(self.fresh_id());
        let channel = Channel::new(agent, queue, window);
        let signal = channel.signal.clone();
        self.channels.insert(id, channel);
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.add_consumer(id);
        }
        self.changed();
        self.hand_out(queue, now);
        self.carry_letters(now);
        (id, signal)
    }

    /// What came for a channel; `None` when the channel is gone.
    pub(super) fn take(&mut self, id: ChannelId, most: usize) -> Option<Result<Vec<(u64, Message)>, TransportError>> {
        let taken = self.channels.get_mut(&id)?.take(most);
        if taken.as_ref().is_ok_and(|messages| !messages.is_empty()) {
            self.changed();
        }
        Some(taken)
    }

    pub(super) fn is_open(&self, id: ChannelId) -> bool {
        self.channels.contains_key(&id)
    }

    /// Settles deliveries. Nothing happens to a tag that is not out, or to what came before it. Says whether the
    /// channel is there.
    pub(super) fn ack(&mut self, id: ChannelId, Tag(tag): Tag, multiple: bool, now: Instant) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        if channel.settle(tag).is_some() {
            if multiple {
                channel.settle_before(tag);
            }
            self.changed();
            self.refill(id, now);
        }
        true
    }

    pub(super) fn reject(&mut self, id: ChannelId, Tag(tag): Tag, now: Instant) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let queue = channel.queue;
        if let Some(message) = channel.settle(tag) {
            self.bury(queue, message);
            self.refill(id, now);
        }
        true
    }

    /// A channel may have room again.
    fn refill(&mut self, id: ChannelId, now: Instant) {
        let Some(channel) = self.channels.get(&id) else { return };
        let queue_id = channel.queue;
        if let Some(queue) = self.queues.get_mut(&queue_id) {
            queue.set_room(id, channel.has_room());
        }
        self.hand_out(queue_id, now);
        self.carry_letters(now);
    }

    /// No more deliveries for a channel; what it holds can still be settled. The next in line takes over at once.
    pub(super) fn stop(&mut self, id: ChannelId, now: Instant) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        channel.stop();
        let queue = channel.queue;
        self.changed();
        let Some(state) = self.queues.get_mut(&queue) else { return false };
        state.remove_consumer(id);
        if state.is_exclusive() {
            // The queue is there until the channel closes; nothing more comes into it.
            self.exchanges.values_mut().for_each(|routes| routes.unbind(queue));
        }
        self.hand_out(queue, now);
        self.carry_letters(now);
        true
    }

    /// Ends a channel in good order.
    pub(super) fn close(&mut self, id: ChannelId, reason: &str, now: Instant) {
        self.close_all(&[id], reason, now);
    }

    /// Cuts the connections of `agent`: what it opened is gone at once.
    pub(super) fn disconnect(&mut self, agent: &str, now: Instant) {
        let reason = format!("the connection of `{agent}` was cut");
        let lost = self.channels.iter().filter(|(_, channel)| *channel.agent == *agent).map(|(id, _)| *id);
        let channels: Vec<_> = lost.collect();
        self.lines.retain(|_, line| {
            let lost = *line.agent == *agent;
            if lost {
                line.close(&reason);
            }
            !lost
        });
        self.changed();
        self.close_all(&channels, &reason, now);
    }

    /// Closes channels. All of them stop consuming before anything moves, so that none of them is given what
    /// another held.
    fn close_all(&mut self, ids: &[ChannelId], reason: &str, now: Instant) {
        let closed: Vec<_> = ids.iter().filter_map(|id| Some((*id, self.channels.remove(id)?))).collect();
        let queues: Vec<_> = closed.iter().map(|(_, channel)| channel.queue).collect();
        for (id, channel) in &closed {
            self.changed();
            channel.signal.end(TransportError::Closed(reason.to_owned()));
            self.leave(*id, channel.queue);
        }
        if self.return_order == ReturnOrder::AfterHandover {
            queues.iter().for_each(|queue| self.hand_out(*queue, now));
        }
        for (_, channel) in closed {
            self.take_back(channel.queue, channel.into_unacked());
        }
        queues.iter().for_each(|queue| self.hand_out(*queue, now));
        self.carry_letters(now);
    }

    fn leave(&mut self, id: ChannelId, queue_id: QueueId) {
        let Some(queue) = self.queues.get_mut(&queue_id) else { return };
        queue.remove_consumer(id);
        if queue.is_exclusive() {
            self.remove_queue(queue_id);
        }
    }
}
