//! The port, for one agent. What was opened here goes when the agent is cut off; what is opened after that works
//! again, because whoever reopens is the caller.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::broker::Shared;
use super::browser::MemoryBrowser;
use super::consumer::MemoryConsumer;
use super::core::Core;
use super::publisher::{Line, LineId, MemoryPublisher};
use crate::runtime::port::{Browser, Consumer, Publisher, QueueDepth, Topology, Transport, TransportError};
use crate::wire::address::{Exchange, Namespace, Queue};

pub(super) struct Connection {
    pub(super) broker: Arc<Shared>,
    pub(super) namespace: Namespace,
    agent: Arc<str>,
}

/// A [`MemoryBroker`](super::MemoryBroker), seen by one agent.
pub struct MemoryTransport {
    connection: Arc<Connection>,
}

impl MemoryTransport {
    pub(super) fn new(broker: Arc<Shared>, agent: &str) -> Self {
        let namespace = broker.act(|core, _| core.namespace.clone());
        Self { connection: Arc::new(Connection { broker, namespace, agent: agent.into() }) }
    }

    /// Does something at the broker, if it can be reached.
    fn act<T>(
        &self,
        action: impl FnOnce(&mut Core, Arc<str>, Instant) -> Result<T, TransportError>,
    ) -> Result<T, TransportError> {
        let Connection { broker, agent, .. } = &*self.connection;
        broker.act(|core, now| match core.isolated.contains(agent) {
            true => Err(TransportError::Unreachable(format!("`{agent}` is cut off"))),
            false => action(core, agent.clone(), now),
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
        let opened = self.act(|core, agent, now| core.consume(agent, queue, prefetch, now))?;
        Ok(Box::new(MemoryConsumer::new(self.connection.clone(), opened)))
    }

    async fn subscribe(
        &self,
        queue: &Queue,
        bindings: &[(Exchange, String)],
    ) -> Result<Box<dyn Consumer>, TransportError> {
        let opened = self.act(|core, agent, now| core.subscribe(agent, queue, bindings, now))?;
        Ok(Box::new(MemoryConsumer::new(self.connection.clone(), opened)))
    }

    async fn browse(&self, queue: &Queue) -> Result<Box<dyn Browser>, TransportError> {
        let opened = self.act(|core, agent, _| core.browse(agent, queue))?;
        Ok(Box::new(MemoryBrowser::new(self.connection.clone(), opened)))
    }

    async fn publisher(&self) -> Result<Box<dyn Publisher>, TransportError> {
        let (id, line) = self.act(|core, agent, _| {
            let id = LineId(core.fresh_id());
            let line = Arc::new(Line::new(agent));
            core.lines.insert(id, line.clone());
            Ok((id, line))
        })?;
        Ok(Box::new(MemoryPublisher::new(self.connection.clone(), id, line)))
    }

    async fn depth(&self, queue: &Queue) -> Result<Option<QueueDepth>, TransportError> {
        self.act(|core, _, now| Ok(core.depth(queue, now)))
    }
}
