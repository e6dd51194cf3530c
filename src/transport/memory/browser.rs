//! The end of a channel that takes one message after the other, and waits for none.

use std::sync::Arc;

use async_trait::async_trait;

use super::connection::Connection;
use super::consumer::MemoryAcker;
use super::deliveries::Opened;
use crate::runtime::port::{Acker, Browser, Delivery, TransportError};

pub(super) struct MemoryBrowser {
    channel: Arc<MemoryAcker>,
}

impl MemoryBrowser {
    pub(super) fn new(connection: Arc<Connection>, opened: Opened) -> Self {
        Self { channel: Arc::new(MemoryAcker::new(connection, opened)) }
    }
}

#[async_trait]
impl Browser for MemoryBrowser {
    async fn next(&mut self) -> Result<Option<(Delivery, u32)>, TransportError> {
        // A loop that always finds something ready lets others have their turn all the same.
        tokio::task::coop::consume_budget().await;
        let MemoryAcker { connection, id, signal } = &*self.channel;
        let got = connection.broker.act(|core, now| core.get(*id, now)).ok_or_else(|| signal.error())?;
        Ok(got.map(|(tag, message, left)| {
            (message.into_delivery(tag, &connection.namespace), u32::try_from(left).unwrap_or(u32::MAX))
        }))
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.channel.clone()
    }
}

impl Drop for MemoryBrowser {
    fn drop(&mut self) {
        self.channel.close("the browser was dropped");
    }
}
