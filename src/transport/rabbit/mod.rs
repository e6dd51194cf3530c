//! RabbitMQ as a [`Transport`], spoken to with lapin.
//!
//! ```text
//! publish connection -- a confirm channel per publisher, each with one task that owns its unconfirmed messages
//! consume connection -- a channel per consumer and browser
//! admin connection   -- a channel per question, because a wrong answer closes it
//! ```
//!
//! The connections are apart because a broker in need stops reading from those that publish, and acks must
//! still get through. They are made when first needed, and anew when a channel is wanted after one died.
//! Nothing here ever reconnects on its own, retries, or hides that a channel is gone: the caller decides.

mod admin;
mod arguments;
mod browser;
mod connection;
mod consumer;
mod error;
mod namespaces;
mod node;
mod properties;
mod publisher;
mod unconfirmed;

use std::sync::Arc;

use async_trait::async_trait;

pub use namespaces::{Claim, NAMESPACES, claim};

use crate::runtime::port::{Browser, Consumer, Publisher, QueueDepth, Topology, Transport, TransportError};
use crate::wire::address::{Exchange, Namespace, Queue};
use admin::Admin;
use browser::RabbitBrowser;
use connection::{BLOCKED, Connections, Purpose};
use consumer::RabbitConsumer;
use publisher::{Publishers, RabbitPublisher};

/// How to reach the broker. Not `Debug`: the URL has the password in it.
#[derive(Clone)]
pub struct RabbitOptions {
    /// `amqp://user:password@host:port/vhost`, or `amqps:` with the feature `tls`; of a cluster, one a node with
    /// commas between them.
    pub url: String,
    pub namespace: Namespace,
    /// What the broker's own lists show: an agent's id, say.
    pub connection_name: String,
}

/// One namespace of a RabbitMQ broker.
pub struct RabbitTransport {
    connections: Arc<Connections>,
    publishers: Publishers,
    namespace: Namespace,
    only_looks: bool,
}

impl RabbitTransport {
    /// Reads the URL and connects nothing yet.
    pub fn new(options: RabbitOptions) -> Result<Self, TransportError> {
        let connections = Arc::new(Connections::new(&options.url, options.connection_name)?);
        let publishers = publisher::publishers(connections.clone())?;
        Ok(Self { connections, publishers, namespace: options.namespace, only_looks: false })
    }

    /// The same transport, which makes no exchange and no queue but a subscription's own: declaring a topology is to look
    /// whether all of it is there.
    pub fn that_only_looks(self) -> Self {
        Self { only_looks: true, ..self }
    }

    /// Closes the connections, and with them every consumer and publisher, behind what was written so far.
    pub async fn close(&self) {
        self.connections.close().await;
    }

    async fn admin(&self) -> Result<Admin, TransportError> {
        Ok(Admin::new(self.connections.channel(Purpose::Admin).await?))
    }
}

#[async_trait]
impl Transport for RabbitTransport {
    async fn declare(&self, topology: &Topology) -> Result<(), TransportError> {
        let admin = self.admin().await?;
        match self.only_looks {
            true => admin.look(topology).await,
            false => admin.declare(topology).await,
        }
    }

    async fn delete(&self, topology: &Topology) -> Result<(), TransportError> {
        self.admin().await?.delete(topology).await
    }

    async fn consume(&self, queue: &Queue, prefetch: u16) -> Result<Box<dyn Consumer>, TransportError> {
        let channel = self.connections.channel(Purpose::Consume).await?;
        let name = queue.name(&self.namespace);
        Ok(Box::new(RabbitConsumer::open(channel, &name, prefetch).await?))
    }

    async fn subscribe(
        &self,
        queue: &Queue,
        bindings: &[(Exchange, String)],
    ) -> Result<Box<dyn Consumer>, TransportError> {
        let channel = self.connections.channel(Purpose::Consume).await?;
        let bindings: Vec<_> = bindings.iter().map(|(from, key)| (from.name(&self.namespace), key.clone())).collect();
        Ok(Box::new(RabbitConsumer::subscribe(channel, &queue.name(&self.namespace), &bindings).await?))
    }

    async fn browse(&self, queue: &Queue) -> Result<Box<dyn Browser>, TransportError> {
        let channel = self.connections.channel(Purpose::Consume).await?;
        Ok(Box::new(RabbitBrowser::open(channel, &queue.name(&self.namespace)).await?))
    }

    async fn publisher(&self) -> Result<Box<dyn Publisher>, TransportError> {
        let channel = publisher::take(&self.publishers).await?;
        Ok(Box::new(RabbitPublisher::new(channel, self.namespace.clone(), self.connections.login())))
    }

    async fn depth(&self, queue: &Queue) -> Result<Option<QueueDepth>, TransportError> {
        self.admin().await?.depth(&queue.name(&self.namespace)).await
    }

    fn hindrance(&self) -> Option<String> {
        self.connections.is_blocked().then(|| BLOCKED.into())
    }
}
