//! The receiving end of a channel, and its acks.

use std::sync::Arc;

use async_trait::async_trait;

use super::channel::{ChannelId, Signal};
use super::connection::Connection;
use super::deliveries::Opened;
use crate::runtime::port::{Acker, Consumer, Delivery, Tag, TransportError};

pub(super) struct MemoryConsumer {
    channel: Arc<MemoryAcker>,
}

/// Knows its channel by id only: it does not keep the channel open.
pub(super) struct MemoryAcker {
    pub(super) connection: Arc<Connection>,
    pub(super) id: ChannelId,
    pub(super) signal: Arc<Signal>,
}

impl MemoryAcker {
    pub(super) fn new(connection: Arc<Connection>, (id, signal): Opened) -> Self {
        Self { connection, id, signal }
    }

    pub(super) fn close(&self, reason: &str) {
        self.connection.broker.act(|core, now| core.close(self.id, reason, now));
    }
}

impl MemoryConsumer {
    pub(super) fn new(connection: Arc<Connection>, opened: Opened) -> Self {
        Self { channel: Arc::new(MemoryAcker::new(connection, opened)) }
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, TransportError> {
        // A loop that always finds something ready lets others have their turn all the same.
        tokio::task::coop::consume_budget().await;
        let MemoryAcker { connection, id, signal } = &*self.channel;
        loop {
            let taken =
                connection.broker.act(|core, _| core.take(*id, most.max(1))).ok_or_else(|| signal.error())??;
            if !taken.is_empty() {
                let namespace = &connection.namespace;
                return Ok(taken.into_iter().map(|(tag, message)| message.into_delivery(tag, namespace)).collect());
            }
            // What arrives between the look and the wait leaves a permit here, so it is not missed.
            signal.arrived.notified().await;
        }
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.channel.clone()
    }

    async fn stop(&mut self) -> Result<(), TransportError> {
        let MemoryAcker { connection, id, signal } = &*self.channel;
        let stopped = connection.broker.act(|core, now| core.stop(*id, now));
        stopped.then_some(()).ok_or_else(|| signal.error())
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        self.channel.close("the consumer was dropped");
    }
}

#[async_trait]
impl Acker for MemoryAcker {
    async fn ack(&self, tag: Tag, multiple: bool) -> Result<(), TransportError> {
        let open = self.connection.broker.act(|core, now| core.ack(self.id, tag, multiple, now));
        open.then_some(()).ok_or_else(|| self.signal.error())
    }

    async fn still_holds(&self) -> Result<(), TransportError> {
        let open = self.connection.broker.act(|core, _| core.is_open(self.id));
        open.then_some(()).ok_or_else(|| self.signal.error())
    }

    async fn reject(&self, tag: Tag) -> Result<(), TransportError> {
        let open = self.connection.broker.act(|core, now| core.reject(self.id, tag, now));
        open.then_some(()).ok_or_else(|| self.signal.error())
    }
}
