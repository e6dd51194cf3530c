//! Questions about the topology, and its making. A question that the broker does not like closes its channel,
//! so each has its own.

use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ExchangeKind as Kind};
use tokio::time::timeout;

use super::connection::ANSWER_TIMEOUT;
use super::error::Right;
use super::{arguments, error};
use crate::runtime::port::{Binding, ExchangeKind, QueueDepth, QueueSpec, Topology, TransportError};
use crate::wire::address::{Exchange, Namespace};

/// All queues of a large topology, at some 30 ms for a quorum queue and many more on a cluster.
const TOPOLOGY_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) struct Admin {
    channel: Channel,
}

impl Admin {
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }

    /// Exchanges, then queues, then bindings; those of a kind are asked for all at once.
    pub async fn declare(&self, topology: &Topology) -> Result<(), TransportError> {
        let namespace = &topology.namespace;
        within(TOPOLOGY_TIMEOUT, "declaring the topology", async {
            try_join_all(topology.exchanges.iter().map(|(name, kind)| self.exchange(*name, *kind, namespace, false)))
                .await?;
            try_join_all(topology.queues.iter().map(|spec| self.queue(spec, namespace))).await?;
            try_join_all(topology.bindings.iter().map(|binding| self.bind(binding, namespace))).await?;
            Ok(())
        })
        .await
    }

    /// Looks whether all exchanges and queues are there. Their arguments and bindings can not be seen. The first that is
    /// missing closes the channel, so each is asked for alone.
    pub async fn look(&self, topology: &Topology) -> Result<(), TransportError> {
        let namespace = &topology.namespace;
        within(TOPOLOGY_TIMEOUT, "looking at the topology", async {
            for (exchange, kind) in &topology.exchanges {
                self.exchange(*exchange, *kind, namespace, true).await?;
            }
            for spec in &topology.queues {
                let name = spec.queue.name(namespace);
                let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                let asked = self.channel.queue_declare(short(&name)?, options, FieldTable::default());
                asked.await.map_err(|error| error::of_asking(Right::Configure, &format!("queue `{name}`"), &error))?;
            }
            Ok(())
        })
        .await
    }

    pub async fn delete(&self, topology: &Topology) -> Result<(), TransportError> {
        let namespace = &topology.namespace;
        within(TOPOLOGY_TIMEOUT, "deleting the topology", async {
            try_join_all(topology.queues.iter().map(|spec| self.delete_queue(spec.queue.name(namespace)))).await?;
            try_join_all(topology.exchanges.iter().map(|(name, _)| self.delete_exchange(*name, namespace))).await?;
            Ok(())
        })
        .await
    }

    pub async fn depth(&self, queue: &str) -> Result<Option<QueueDepth>, TransportError> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = self.channel.queue_declare(short(queue)?, options, FieldTable::default());
        match timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(queue)) => Ok(Some(depth_of(&queue))),
            Ok(Err(error)) if error::is_not_found(&error) => Ok(None),
            Ok(Err(error)) => Err(error::of_asking(Right::Configure, &format!("queue `{queue}`"), &error)),
            Err(_) => Err(no_answer(&format!("queue `{queue}`"))),
        }
    }

    pub async fn exchange(
        &self,
        exchange: Exchange,
        kind: ExchangeKind,
        namespace: &Namespace,
        passive: bool,
    ) -> Result<(), TransportError> {
        let name = exchange.name(namespace);
        let kind = match kind {
            ExchangeKind::Direct => Kind::Direct,
            ExchangeKind::Topic => Kind::Topic,
        };
        let options = ExchangeDeclareOptions { durable: true, passive, ..ExchangeDeclareOptions::default() };
        let asked = self.channel.exchange_declare(short(&name)?, kind, options, FieldTable::default());
        asked.await.map_err(|error| error::of_asking(Right::Configure, &format!("exchange `{name}`"), &error))
    }

    /// Makes a queue, or finds it as it should be, and tells how full it is.
    pub async fn queue(&self, spec: &QueueSpec, namespace: &Namespace) -> Result<QueueDepth, TransportError> {
        let name = spec.queue.name(namespace);
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let asked = self.channel.queue_declare(short(&name)?, options, arguments::of_topology(spec, namespace));
        let queue =
            asked.await.map_err(|error| error::of_asking(Right::Configure, &format!("queue `{name}`"), &error))?;
        Ok(depth_of(&queue))
    }

    pub async fn bind(&self, binding: &Binding, namespace: &Namespace) -> Result<(), TransportError> {
        bind(&self.channel, &binding.queue.name(namespace), &binding.exchange.name(namespace), &binding.key).await
    }

    pub async fn delete_queue(&self, name: String) -> Result<(), TransportError> {
        let asked = self.channel.queue_delete(short(&name)?, QueueDeleteOptions::default());
        asked.await.map(drop).map_err(|error| error::of_asking(Right::Configure, &format!("queue `{name}`"), &error))
    }

    pub async fn delete_exchange(&self, exchange: Exchange, namespace: &Namespace) -> Result<(), TransportError> {
        let name = exchange.name(namespace);
        let asked = self.channel.exchange_delete(short(&name)?, ExchangeDeleteOptions::default());
        asked.await.map_err(|error| error::of_asking(Right::Configure, &format!("exchange `{name}`"), &error))
    }

    pub async fn purge(&self, name: &str) -> Result<(), TransportError> {
        let asked = self.channel.queue_purge(short(name)?, QueuePurgeOptions::default());
        asked.await.map(drop).map_err(|error| error::of_asking(Right::Configure, &format!("queue `{name}`"), &error))
    }

    /// Makes a queue that goes with this connection. Closed when it belongs to another one.
    pub async fn guard(&self, name: &str) -> Result<(), TransportError> {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let asked = self.channel.queue_declare(short(name)?, options, arguments::subscription());
        let what = format!("queue `{name}`");
        within(ANSWER_TIMEOUT, &what, async {
            asked.await.map(drop).map_err(|error| error::of_asking(Right::Configure, &what, &error))
        })
        .await
    }
}

pub(super) async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), TransportError> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let asked = channel.queue_bind(short(queue)?, short(exchange)?, short(key)?, options, none);
    asked.await.map_err(|error| {
        error::of_asking(Right::Bind, &format!("binding `{queue}` to `{exchange}` by `{key}`"), &error)
    })
}

/// Bounds what `what` may take.
pub(super) async fn within<T>(
    limit: Duration,
    what: &str,
    asked: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    timeout(limit, asked).await.unwrap_or_else(|_| Err(no_answer(what)))
}

/// A name or key as AMQP carries it.
pub(super) fn short(text: &str) -> Result<ShortString, TransportError> {
    ShortString::try_new(text).map_err(|_| {
        let start: String = text.chars().take(40).collect();
        TransportError::Refused(format!("`{}...` is longer than the 255 bytes of AMQP's names", start.escape_default()))
    })
}

fn no_answer(what: &str) -> TransportError {
    TransportError::Unreachable(format!("{what}: the broker does not answer"))
}

fn depth_of(queue: &lapin::Queue) -> QueueDepth {
    QueueDepth { ready: queue.message_count(), consumers: queue.consumer_count() }
}
