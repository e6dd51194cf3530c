//! Declaring and deleting: the shape of the broker.

use tokio::time::Instant;

use super::core::Core;
use super::exchange::Routes;
use super::queue::{QueueId, QueueState};
use crate::runtime::port::{Binding, QueueSpec, Topology, TransportError};
use crate::wire::address::{Exchange, Queue};

impl Core {
    /// Makes what is missing, and refuses what exists in another shape: then nothing is made.
    pub(super) fn declare(&mut self, topology: &Topology, now: Instant) -> Result<(), TransportError> {
        self.check_namespace(topology)?;
        self.check_shapes(topology)?;
        for (exchange, kind) in &topology.exchanges {
            self.exchanges.entry(*exchange).or_insert_with(|| Routes::new(*kind));
        }
        for spec in &topology.queues {
            if !self.queue_ids.contains_key(&spec.queue) {
                self.add_queue(spec.clone());
            }
        }
        for Binding { exchange, key, queue } in &topology.bindings {
            let id = self.queue_id(queue)?;
            let no_exchange = self.no_exchange(*exchange);
            self.exchanges.get_mut(exchange).ok_or(no_exchange)?.bind(key, id);
        }
        self.changed();
        self.retry_stuck();
        self.carry_letters(now);
        Ok(())
    }

    /// Deletes what of `topology` exists, with what is in it. Who consumed it is told.
    pub(super) fn delete(&mut self, topology: &Topology) -> Result<(), TransportError> {
        self.check_namespace(topology)?;
        for spec in &topology.queues {
            if let Some(id) = self.queue_ids.get(&spec.queue) {
                self.remove_queue(*id);
            }
        }
        for (exchange, _) in &topology.exchanges {
            self.exchanges.remove(exchange);
        }
        self.changed();
        Ok(())
    }

    pub(super) fn queue_id(&self, queue: &Queue) -> Result<QueueId, TransportError> {
        let no_queue = || TransportError::Missing(format!("no queue `{}`", self.name_of(queue)));
        self.queue_ids.get(queue).copied().ok_or_else(no_queue)
    }

    pub(super) fn no_exchange(&self, exchange: Exchange) -> TransportError {
        TransportError::Missing(format!("no exchange `{}`", exchange.name(&self.namespace)))
    }

    pub(super) fn name_of(&self, queue: &Queue) -> String {
        queue.name(&self.namespace)
    }

    fn add_queue(&mut self, spec: QueueSpec) {
        let id = QueueId(self.fresh_id());
        if spec.ttl.is_some() {
            self.timed.insert(id);
        }
        self.queue_ids.insert(spec.queue.clone(), id);
        let name = self.name_of(&spec.queue);
        self.queues.insert(id, QueueState::durable(spec, name));
    }

    /// Removes a queue with all that is in it, its bindings, and its consumers' channels.
    pub(super) fn remove_queue(&mut self, id: QueueId) {
        let Some(queue) = self.queues.remove(&id) else { return };
        self.queue_ids.remove(&queue.queue);
        self.timed.remove(&id);
        self.exchanges.values_mut().for_each(|routes| routes.unbind(id));
        let reason = TransportError::Missing(format!("queue `{}` was deleted", queue.name));
        self.channels.retain(|_, channel| {
            let lost = channel.queue == id;
            if lost {
                channel.signal.end(reason.clone());
            }
            !lost
        });
        self.changed();
    }

    fn check_namespace(&self, topology: &Topology) -> Result<(), TransportError> {
        match topology.namespace == self.namespace {
            true => Ok(()),
            false => Err(TransportError::Refused(format!(
                "this broker has the namespace `{}` and no `{}`",
                self.namespace, topology.namespace
            ))),
        }
    }

    fn check_shapes(&self, topology: &Topology) -> Result<(), TransportError> {
        for (exchange, kind) in &topology.exchanges {
            if self.exchanges.get(exchange).is_some_and(|routes| routes.kind() != *kind) {
                let name = exchange.name(&self.namespace);
                return Err(TransportError::Mismatch(format!("exchange `{name}` exists and is not {kind:?}")));
            }
        }
        for spec in &topology.queues {
            let existing = self.queue_ids.get(&spec.queue).and_then(|id| self.queues.get(id));
            if let Some(different) = existing.and_then(|queue| difference(queue.spec(), spec)) {
                let name = self.name_of(&spec.queue);
                return Err(TransportError::Mismatch(format!("queue `{name}` exists with another `{different}`")));
            }
        }
        Ok(())
    }
}

/// The first thing in which a queue is not as it is asked for.
fn difference(existing: Option<&QueueSpec>, asked: &QueueSpec) -> Option<&'static str> {
    let Some(existing) = existing else { return Some("owner") };
    let same = [
        ("delivery_limit", existing.delivery_limit == asked.delivery_limit),
        ("max_length", existing.max_length == asked.max_length),
        ("ttl", existing.ttl == asked.ttl),
        ("dead_letters", existing.dead_letters == asked.dead_letters),
        ("single_active", existing.single_active == asked.single_active),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
}
