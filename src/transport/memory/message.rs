//! A message at the broker: what its sender gave, shared, and what happened to it since.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::queue::QueueId;
use crate::runtime::port::{Death, Delivery, Origin, Properties, Tag};
use crate::wire::address::{Exchange, Namespace};

/// What the sender gave. The copies of a message in several queues share it.
#[derive(Debug)]
pub struct Content {
    pub key: String,
    /// The second routing key.
    pub told: Option<String>,
    /// More of them, which nobody sees.
    pub also: Vec<String>,
    pub properties: Properties,
    pub body: Bytes,
}

impl Content {
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let also = self.also.iter().map(String::as_str);
        std::iter::once(self.key.as_str()).chain(self.told.as_deref()).chain(also)
    }
}

/// Why a message becomes a dead letter. The reason `maxlen` does not occur: full queues refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Rejected,
    Expired,
    DeliveryLimit,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// The newest death, and the queues that the message went through without anybody having rejected it.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) death: Death,
    /// The exchange that it was published to, and the queue that it died in first.
    origin: (Exchange, String),
    trail: Vec<QueueId>,
}

/// One message in one queue. Cloning it is cheap.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) content: Arc<Content>,
    /// Where it was published last: by its sender, or as a dead letter.
    pub(super) exchange: Exchange,
    /// How often it came back to the queue that it is in.
    pub(super) returns: u32,
    pub(super) past: Option<Arc<Past>>,
    /// When it dies of age, if it is at the head then.
    pub(super) expires: Option<Instant>,
}

impl Message {
    pub(super) fn new(content: Content, exchange: Exchange) -> Self {
        Self { content: Arc::new(content), exchange, returns: 0, past: None, expires: None }
    }

    /// The letter that a queue's dead-letter exchange gets. Its returns are counted anew from there.
    pub(super) fn into_letter(self, queue: QueueId, name: &str, reason: Reason, exchange: Exchange) -> Self {
        let mut trail = match (reason, &self.past) {
            (Reason::Rejected, _) => Vec::new(),
            (_, Some(past)) => past.trail.clone(),
            (_, None) => Vec::new(),
        };
        if reason != Reason::Rejected {
            trail.push(queue);
        }
        let death = Death { queue: name.to_owned(), reason: reason.as_str().to_owned() };
        let origin = match &self.past {
            Some(past) => past.origin.clone(),
            None => (self.exchange, name.to_owned()),
        };
        Self { exchange, returns: 0, past: Some(Arc::new(Past { death, origin, trail })), expires: None, ..self }
    }

    /// Whether it died in `queue` before and nobody rejected it since: the broker drops what goes in circles
    /// of itself.
    pub(super) fn came_from(&self, queue: QueueId) -> bool {
        self.past.as_ref().is_some_and(|past| past.trail.contains(&queue))
    }

    pub(super) fn death(&self) -> Option<&Death> {
        self.past.as_ref().map(|past| &past.death)
    }

    fn origin(&self, namespace: &Namespace) -> Option<Origin> {
        let (exchange, queue) = &self.past.as_ref()?.origin;
        // There is no clock here that tells the time of day.
        let (key, died_at) = (self.content.key.clone(), None);
        Some(Origin { exchange: exchange.name(namespace), key, queue: queue.clone(), died_at })
    }

    pub(super) fn into_delivery(self, tag: u64, namespace: &Namespace) -> Delivery {
        Delivery {
            tag: Tag(tag),
            exchange: self.exchange.name(namespace),
            key: self.content.key.clone(),
            redelivered: self.returns > 0,
            returns: self.returns,
            properties: self.content.properties.clone(),
            death: self.death().cloned(),
            origin: self.origin(namespace),
            body: self.content.body.clone(),
        }
    }
}
