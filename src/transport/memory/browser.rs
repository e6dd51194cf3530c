//! The end of a channel that takes one message after the other, and waits for none.

use std::sync::Arc;

use async_trait::async_trait;

use super::connection::Connection;
use super::consumer::MemoryAcker;
use super::deliveries::Opened;
use crate::runtime::port::{Acker, Browser, Delivery, Tag, TransportError};

pub(super) struct MemoryBrowser {
    channel: MemoryAcker,
    /// How many are yet to come; none before the first was asked for.
    left: Option<u32>,
}

impl MemoryBrowser {
    pub(super) fn new(connection: Arc<Connection>, opened: Opened) -> Self {
        Self { channel: MemoryAcker::new(connection, opened), left: None }
    }
}

#[async_trait]
impl Browser for MemoryBrowser {
    async fn next(&mut self) -> Result<Option<Delivery>, TransportError> {
        // A loop that always finds something ready lets others have their turn all the same.
        tokio::task::coop::consume_budget().await;
        if self.left == Some(0) {
            return Ok(None);
        }
        let MemoryAcker { connection, id, signal } = &self.channel;
        let got = connection.broker.act(|core, now| core.get(*id, now)).ok_or_else(|| signal.error())?;
        let behind = got.as_ref().map_or(0, |(_, _, behind)| u32::try_from(*behind).unwrap_or(u32::MAX));
        self.left = Some(match (self.left, &got) {
            (Some(left), Some(_)) => left - 1,
            (None, _) | (_, None) => behind,
        });
        Ok(got.map(|(tag, message, _)| message.into_delivery(tag, &connection.namespace)))
    }

    fn left(&self) -> u32 {
        self.left.unwrap_or(0)
    }

    async fn ack(&self, tag: Tag) -> Result<(), TransportError> {
        self.channel.ack(tag, false).await
    }
}

impl Drop for MemoryBrowser {
    fn drop(&mut self) {
        self.channel.close("the browser was dropped");
    }
}
