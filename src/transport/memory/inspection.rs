//! What is in the broker, for the invariants of a simulation. Looking changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::channel::Channel;
use super::core::Core;
use super::message::{Content, Message};
use super::queue::{QueueId, QueueState};
use crate::runtime::port::{Death, QueueDepth};
use crate::wire::address::{Exchange, Queue};

/// Every message in the broker: by queue, in the order in which the queues were made.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The broker's count of changes at that moment.
    pub changes: u64,
    pub messages: Vec<InspectedMessage>,
}

/// A message in one queue. What its sender gave is shared with the broker, not copied.
#[derive(Debug, Clone)]
pub struct InspectedMessage {
    pub queue: Queue,
    pub place: Place,
    /// The exchange that it came through.
    pub exchange: Exchange,
    pub content: Arc<Content>,
    pub returns: u32,
    pub death: Option<Death>,
}

/// What a message waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A consumer.
    Ready,
    /// An answer of the agent that holds it.
    Unacked { by: Arc<str> },
    /// Its time: it waits in a queue with a TTL.
    Waiting { until: Instant },
    /// A queue that takes the dead letter.
    Undeliverable,
}

impl Core {
    pub(super) fn inspect(&self) -> Inspection {
        let mut messages = Vec::new();
        let mut channels: BTreeMap<QueueId, Vec<&Channel>> = BTreeMap::new();
        for channel in self.channels.values() {
            channels.entry(channel.queue).or_default().push(channel);
        }
        for (id, queue) in &self.queues {
            let mut add = |place: Place, message: &Message| messages.push(inspected(queue, place, message));
            for message in queue.waiting() {
                add(message.expires.map_or(Place::Ready, |until| Place::Waiting { until }), message);
            }
            queue.undelivered.iter().for_each(|letter| add(Place::Undeliverable, &letter.message));
            for channel in channels.get(id).into_iter().flatten() {
                channel.unacked().for_each(|message| add(Place::Unacked { by: channel.agent.clone() }, message));
                channel.untaken().for_each(|message| add(Place::Ready, message));
            }
        }
        Inspection { changes: self.changes(), messages }
    }

    pub(super) fn depth(&mut self, queue: &Queue, now: Instant) -> Option<QueueDepth> {
        let id = *self.queue_ids.get(queue)?;
        // What expired a moment ago is not there any more.
        self.hand_out(id, now);
        self.carry_letters(now);
        let queue = self.queues.get(&id)?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Some(QueueDepth { ready: count(queue.ready_count()), consumers: count(queue.consumer_count()) })
    }
}

fn inspected(queue: &QueueState, place: Place, message: &Message) -> InspectedMessage {
    InspectedMessage {
        queue: queue.queue.clone(),
        place,
        exchange: message.exchange,
        content: message.content.clone(),
        returns: message.returns,
        death: message.death().cloned(),
    }
}
