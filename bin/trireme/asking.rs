//! A client's way to the agents: through the broker, and not the store.

use std::sync::Arc;
use std::time::Duration;

use trireme::config::Settings;
use trireme::runtime::client::{Answers, Client};
use trireme::runtime::port::SystemClock;
use trireme::transport::rabbit::RabbitTransport;
use trireme::wire::address::Address;
use trireme::wire::content::Presence;

use crate::failure::Failure;
use crate::wiring;

/// Agents that are there answer within this: a round trip on a network, and some work on their side.
pub const SOON: Duration = Duration::from_millis(500);
/// What is only for show does not wait longer for a broker.
const CONNECT_SOON: Duration = Duration::from_secs(1);

/// A client with its connection.
pub struct Asker {
    pub client: Client,
    transport: RabbitTransport,
}

impl Asker {
    pub async fn connect(settings: &Settings) -> Result<Self, Failure> {
        let transport = wiring::rabbit(settings, "client")?;
        let client = Client::connect(&transport, Arc::new(SystemClock)).await?;
        Ok(Self { client, transport })
    }

    /// For what is only for show: none when the broker does not answer soon.
    pub async fn connect_soon(settings: &Settings) -> Option<Self> {
        tokio::time::timeout(CONNECT_SOON, Self::connect(settings)).await.ok()?.ok()
    }

    /// A second inbox, for somebody else.
    pub async fn another(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.transport, Arc::new(SystemClock)).await?)
    }

    /// The agents that answer soon.
    pub async fn agents(&mut self) -> Result<Vec<Presence>, Failure> {
        let Answers { answered, .. } = self.client.ping(Address::everybody(), SOON, None).await?;
        Ok(answered.into_values().collect())
    }

    pub async fn close(self) {
        drop(self.client);
        self.transport.close().await;
    }
}
