//! A consumer's channel as the broker sees it: what it was given, and what of that is not acked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use super::message::Message;
use super::queue::QueueId;
use crate::runtime::port::TransportError;

/// Grows, so that the order of the ids is the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChannelId(pub(super) u64);

/// What a subscription may fall behind: a burst of heartbeats of a large team, some megabytes. It loses its oldest
/// messages beyond that.
const SUBSCRIPTION_BUFFER_MAX: usize = 10_000;

/// Tells the consumer's end that something arrived, or that the channel ended and why.
#[derive(Debug, Default)]
pub(super) struct Signal {
    pub(super) arrived: Notify,
    end: OnceLock<TransportError>,
}

impl Signal {
    pub(super) fn end(&self, reason: TransportError) {
        self.end.get_or_init(|| reason);
        self.arrived.notify_one();
    }

    pub(super) fn error(&self) -> TransportError {
        self.end.get().cloned().unwrap_or_else(|| TransportError::Closed("the broker is gone".to_owned()))
    }
}

/// How much may be unacked at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Prefetch(usize),
    /// Deliveries count as acked.
    NoAcks,
}

#[derive(Debug)]
pub(super) struct Channel {
    /// Whose it is.
    pub(super) agent: Arc<str>,
    pub(super) queue: QueueId,
    window: Window,
    consuming: bool,
    tag_last: u64,
    /// Delivered, and not yet taken by `next`.
    buffer: VecDeque<(u64, Message)>,
    unacked: BTreeMap<u64, Message>,
    pub(super) signal: Arc<Signal>,
}

impl Channel {
    pub(super) fn new(agent: Arc<str>, queue: QueueId, window: Window) -> Self {
        Self {
            agent,
            queue,
            window,
            consuming: true,
            tag_last: 0,
            buffer: VecDeque::new(),
            unacked: BTreeMap::new(),
            signal: Arc::default(),
        }
    }

    pub(super) fn deliver(&mut self, message: Message) {
        self.tag_last += 1;
        if let Window::Prefetch(_) = self.window {
            self.unacked.insert(self.tag_last, message.clone());
        } else if self.buffer.len() == SUBSCRIPTION_BUFFER_MAX {
            self.buffer.pop_front();
        }
        self.buffer.push_back((self.tag_last, message));
        self.signal.arrived.notify_one();
    }

    pub(super) fn has_room(&self) -> bool {
        match self.window {
            Window::Prefetch(most) => self.unacked.len() < most,
            Window::NoAcks => true,
        }
    }

    /// What came, at most `most`; an error when nothing is left and nothing more will come.
    pub(super) fn take(&mut self, most: usize) -> Result<Vec<(u64, Message)>, TransportError> {
        if self.buffer.is_empty() && !self.consuming {
            return Err(TransportError::Closed("the consumer was stopped".to_owned()));
        }
        Ok(self.buffer.drain(..most.min(self.buffer.len())).collect())
    }

    pub(super) fn stop(&mut self) {
        self.consuming = false;
        self.signal.arrived.notify_one();
    }

    /// Forgets `tag` and gives its message; `None` when it is not out.
    pub(super) fn settle(&mut self, tag: u64) -> Option<Message> {
        self.unacked.remove(&tag)
    }

    /// Forgets all before `tag`.
    pub(super) fn settle_before(&mut self, tag: u64) {
        while let Some(first) = self.unacked.first_entry().filter(|first| *first.key() < tag) {
            first.remove();
        }
    }

    pub(super) fn unacked(&self) -> impl Iterator<Item = &Message> {
        self.unacked.values()
    }

    /// What a subscription has not taken yet. For other consumers that is among the unacked.
    pub(super) fn untaken(&self) -> impl Iterator<Item = &Message> {
        self.buffer.iter().filter(|_| self.window == Window::NoAcks).map(|(_, message)| message)
    }

    /// What it held, in the order in which it was delivered.
    pub(super) fn into_unacked(self) -> impl Iterator<Item = Message> {
        self.unacked.into_values()
    }
}
