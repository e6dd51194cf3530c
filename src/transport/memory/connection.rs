//! One agent's connection, as the port: everything that is opened here goes when it is cut.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::broker::Shared;
use super::consumer::MemoryConsumer;
use super::core::Core;
use super::publisher::{Line, LineId, MemoryPublisher};
use crate::runtime::port::{Consumer, Publisher, QueueDepth, Topology, Transport, TransportError};
use crate::wire::address::{Exchange, Namespace, Queue};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

/// Open as long as the transport, or a consumer or publisher of it, is there, unless it is cut.
pub(super) struct Connection {
    pub(super) broker: Arc<Shared>,
    pub(super) namespace: Namespace,
    id: ConnectionId,
    name: Arc<str>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.broker.act(|core, _| core.connections.remove(&self.id));
    }
}

/// A connection to a [`MemoryBroker`](super::MemoryBroker).
pub struct MemoryTransport {
    connection: Arc<Connection>,
}

impl MemoryTransport {
    pub(super) fn new(broker: Arc<Shared>, name: &str) -> Self {
        let name: Arc<str> = name.into();
        let (id, namespace) = broker.act(|core, _| {
            let id = ConnectionId(core.fresh_id());
            core.connections.insert(id, name.clone());
            (id, core.namespace.clone())
        });
        Self { connection: Arc::new(Connection { broker, namespace, id, name }) }
    }

    /// Does something at the broker, unless the connection was cut.
    fn act<T>(
        &self,
        action: impl FnOnce(&mut Core, ConnectionId, Instant) -> Result<T, TransportError>,
    ) -> Result<T, TransportError> {
        let Connection { broker, id, name, .. } = &*self.connection;
        broker.act(|core, now| match core.connections.contains_key(id) {
            true => action(core, *id, now),
            false => Err(TransportError::Unreachable(format!("the connection of `{name}` was cut"))),
        })
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    async fn declare(&self, topology: &Topology) -> Result<(), TransportError> {
        self.act(|core, _, now| core.declare(topology, now))
    }

    async fn delete(&self, topology: &Topology) -> Result<(), TransportError> {
        self.act(|core, _, _| core.delete(topology))
    }

    async fn consume(&self, queue: &Queue, prefetch: u16) -> Result<Box<dyn Consumer>, TransportError> {
        let opened = self.act(|core, connection, now| core.consume(connection, queue, prefetch, now))?;
        Ok(Box::new(MemoryConsumer::new(self.connection.clone(), opened)))
    }

    async fn subscribe(
        &self,
        queue: &Queue,
        bindings: &[(Exchange, String)],
    ) -> Result<Box<dyn Consumer>, TransportError> {
        let opened = self.act(|core, connection, now| core.subscribe(connection, queue, bindings, now))?;
        Ok(Box::new(MemoryConsumer::new(self.connection.clone(), opened)))
    }

    async fn publisher(&self) -> Result<Box<dyn Publisher>, TransportError> {
        let (id, line) = self.act(|core, connection, _| {
            let id = LineId(core.fresh_id());
            let line = Arc::new(Line::new(connection));
            core.lines.insert(id, line.clone());
            Ok((id, line))
        })?;
        Ok(Box::new(MemoryPublisher::new(self.connection.clone(), id, line)))
    }

    async fn depth(&self, queue: &Queue) -> Result<Option<QueueDepth>, TransportError> {
        self.act(|core, _, now| Ok(core.depth(queue, now)))
    }
}
