//! A transport whose consumers are watched and whose messages are counted, and nothing else about it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::Watch;
use super::consumer::WatchedConsumer;
use crate::runtime::port::{
    Browser, Confirmation, Consumer, Outgoing, Publisher, QueueDepth, Topology, Transport, TransportError,
};
use crate::wire::address::{Exchange, Queue};

pub(super) struct WatchedTransport {
    inner: Arc<dyn Transport>,
    watch: Arc<Watch>,
}

impl WatchedTransport {
    pub(super) fn new(inner: Arc<dyn Transport>, watch: Arc<Watch>) -> Self {
        Self { inner, watch }
    }
}

#[async_trait]
impl Transport for WatchedTransport {
    async fn declare(&self, topology: &Topology) -> Result<(), TransportError> {
        self.inner.declare(topology).await
    }

    async fn delete(&self, topology: &Topology) -> Result<(), TransportError> {
        self.inner.delete(topology).await
    }

    async fn consume(&self, queue: &Queue, prefetch: u16) -> Result<Box<dyn Consumer>, TransportError> {
        let consumer = self.inner.consume(queue, prefetch).await?;
        let (transport, watch) = (self.inner.clone(), self.watch.clone());
        Ok(Box::new(WatchedConsumer::new(consumer, transport, queue.clone(), prefetch, watch)))
    }

    /// What may get lost is not watched: nobody else could look into a queue of our own.
    async fn subscribe(
        &self,
        queue: &Queue,
        bindings: &[(Exchange, String)],
    ) -> Result<Box<dyn Consumer>, TransportError> {
        self.inner.subscribe(queue, bindings).await
    }

    async fn browse(&self, queue: &Queue) -> Result<Box<dyn Browser>, TransportError> {
        self.inner.browse(queue).await
    }

    async fn publisher(&self) -> Result<Box<dyn Publisher>, TransportError> {
        let (inner, watch) = (self.inner.publisher().await?, self.watch.clone());
        Ok(Box::new(CountedPublisher { inner, watch }))
    }

    async fn depth(&self, queue: &Queue) -> Result<Option<QueueDepth>, TransportError> {
        self.inner.depth(queue).await
    }

    fn hindrance(&self) -> Option<String> {
        self.inner.hindrance()
    }
}

struct CountedPublisher {
    inner: Box<dyn Publisher>,
    watch: Arc<Watch>,
}

#[async_trait]
impl Publisher for CountedPublisher {
    async fn publish(&self, message: Outgoing) -> Result<Confirmation, TransportError> {
        self.watch.published.fetch_add(1, Ordering::Relaxed);
        self.inner.publish(message).await
    }
}
