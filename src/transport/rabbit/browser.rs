//! Browsing: one channel that gets message after message when it asks, and leaves those in the queue that nothing
//! is said about.
//!
//! A get is a question and an answer for each message. It is slower than consuming, and right for looking through
//! thousands of letters: it says when there is none left, which no consumer can know, and holds one body at a time.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::Channel;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::debug;

use super::admin::{short, within};
use super::connection::ANSWER_TIMEOUT;
use super::consumer::{self, Unacked};
use super::error;
use crate::runtime::port::{Acker, Browser, Delivery, TransportError};

pub(super) struct RabbitBrowser {
    channel: Arc<Channel>,
    queue: ShortString,
    unacked: Arc<Unacked>,
}

impl RabbitBrowser {
    /// For a queue that is declared.
    pub async fn open(channel: Channel, queue: &str) -> Result<Self, TransportError> {
        let (what, queue) = (format!("queue `{queue}`"), short(queue)?);
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = channel.queue_declare(queue.clone(), options, FieldTable::default());
        within(ANSWER_TIMEOUT, &what, async { asked.await.map_err(|error| error::of_asking(&what, &error)) }).await?;
        let channel = Arc::new(channel);
        Ok(Self { unacked: Arc::new(Unacked::new(channel.clone())), channel, queue })
    }
}

#[async_trait]
impl Browser for RabbitBrowser {
    async fn next(&mut self) -> Result<Option<(Delivery, u32)>, TransportError> {
        let asked = self.channel.basic_get(self.queue.clone(), BasicGetOptions::default());
        let got = within(ANSWER_TIMEOUT, "getting a message", async {
            asked.await.map_err(|error| error::of_channel(&error))
        });
        let Some(message) = got.await? else { return Ok(None) };
        let (delivery, acker) = consumer::read(message.delivery);
        self.unacked.hold(delivery.tag, acker);
        Ok(Some((delivery, message.message_count)))
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.unacked.clone()
    }
}

impl Drop for RabbitBrowser {
    fn drop(&mut self) {
        self.unacked.close();
        let channel = self.channel.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Err(error)) = timeout(ANSWER_TIMEOUT, channel.close(200, "OK".into())).await {
                    debug!(%error, "the channel of a browser was closed already");
                }
            });
        }
    }
}
