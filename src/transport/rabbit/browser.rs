//! Browsing: what is in a queue, and stays there unless it is acked. One channel that gets message after message.
//!
//! Each get is a round of the queue's replicas (some 5 ms), so this is for looking through thousands, not millions. A
//! consumer would be quicker, and wrong: it can not know that it has seen the last one, and it is handed messages that
//! nobody here will look at.
//!
//! Acks need an answer of their own: the broker sends a quorum queue 32 commands ahead and keeps the others back; when
//! the channel closes, what was kept back is forgotten, and so is the ack. A get is answered behind what was sent
//! before it, so there is one after every few acks. A message that comes with it is the next one that is given.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use lapin::Channel;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;

use super::admin::{short, within};
use super::connection::ANSWER_TIMEOUT;
use super::consumer::{self, Unacked};
use super::error;
use crate::runtime::port::{Acker, Browser, Delivery, Tag, TransportError};

/// So many acks are sent before the broker is asked for something: well below what it sends ahead.
const ACKS_UNANSWERED_MAX: usize = 16;

pub(super) struct RabbitBrowser {
    channel: Arc<Channel>,
    queue: ShortString,
    unacked: Unacked,
    /// Got and not given yet, each with how many were behind it.
    ahead: Mutex<VecDeque<(Delivery, u32)>>,
    acks: AtomicUsize,
    /// How many are yet to come; none before the first was asked for.
    left: Option<u32>,
}

impl RabbitBrowser {
    /// For a queue that is declared.
    pub async fn open(channel: Channel, queue: &str) -> Result<Self, TransportError> {
        let (what, queue) = (format!("queue `{queue}`"), short(queue)?);
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = channel.queue_declare(queue.clone(), options, FieldTable::default());
        within(ANSWER_TIMEOUT, &what, async {
            asked.await.map_err(|error| error::of_asking(error::Right::Configure, &what, &error))
        })
        .await?;
        let channel = Arc::new(channel);
        Ok(Self {
            unacked: Unacked::new(channel.clone()),
            channel,
            queue,
            ahead: Mutex::default(),
            acks: AtomicUsize::default(),
            left: None,
        })
    }

    async fn get(&self) -> Result<Option<(Delivery, u32)>, TransportError> {
        let asked = self.channel.basic_get(self.queue.clone(), BasicGetOptions::default());
        let got = within(ANSWER_TIMEOUT, "getting a message", async {
            asked.await.map_err(|error| error::of_channel(&error))
        });
        let Some(message) = got.await? else { return Ok(None) };
        let (delivery, acker) = consumer::read(message.delivery);
        self.unacked.hold(delivery.tag, acker);
        Ok(Some((delivery, message.message_count)))
    }
}

#[async_trait]
impl Browser for RabbitBrowser {
    async fn next(&mut self) -> Result<Option<Delivery>, TransportError> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let next = match self.ahead.get_mut().pop_front() {
            Some(ahead) => Some(ahead),
            None => self.get().await?,
        };
        self.left = Some(match (self.left, &next) {
            (None, Some((_, behind))) => *behind,
            (Some(left), Some(_)) => left - 1,
            (_, None) => 0,
        });
        Ok(next.map(|(delivery, _)| delivery))
    }

    fn left(&self) -> u32 {
        self.left.unwrap_or(0)
    }

    async fn ack(&self, tag: Tag) -> Result<(), TransportError> {
        self.unacked.ack(tag, false).await?;
        if (self.acks.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(ACKS_UNANSWERED_MAX)
            && let Some(got) = self.get().await?
        {
            self.ahead.lock().await.push_back(got);
        }
        Ok(())
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
