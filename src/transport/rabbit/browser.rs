//! Browsing: what is in a queue, and stays there unless it is acked.
//!
//! A get says when there is nothing, which no consumer can know; but each is a round of the queue's replicas (5 ms and
//! more). A consumer is given hundreds in one, and its prefetch bounds what is on the way here. So the first message is
//! got, which also tells how many there are, and the others are consumed, in pages: a channel has room for so many
//! unacked ones, and when all of them are kept, another channel goes on. Where a page gives nothing for a while although
//! there should be more, a get says whether somebody else has taken it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::Channel;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::debug;

use super::admin::{short, within};
use super::connection::{ANSWER_TIMEOUT, Connections, Purpose};
use super::consumer::{self, RabbitConsumer, Unacked};
use super::error;
use crate::runtime::port::{Acker, Browser, Consumer, Delivery, Tag, TransportError};

/// Messages a page: at our own cap of 1 MiB for each they are 128 MiB at the most, and mostly some hundred kilobytes.
/// The 2,047 channels of a connection hold a quarter of a million.
const PAGE: u16 = 128;
/// What is ready is given within milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);
/// The number of a page stands above the tags that its channel counts.
const PAGE_SHIFT: u32 = 40;

pub(super) struct RabbitBrowser {
    connections: Arc<Connections>,
    queue: String,
    gets: Arc<Channel>,
    got: Unacked,
    pages: Vec<RabbitConsumer>,
    /// How many are yet to come; none before the first was asked for.
    left: Option<u32>,
}

impl RabbitBrowser {
    /// For a queue that is declared.
    pub async fn open(connections: Arc<Connections>, queue: String) -> Result<Self, TransportError> {
        let channel = connections.channel(Purpose::Consume).await?;
        let (what, name) = (format!("queue `{queue}`"), short(&queue)?);
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = channel.queue_declare(name, options, FieldTable::default());
        within(ANSWER_TIMEOUT, &what, async { asked.await.map_err(|error| error::of_asking(&what, &error)) }).await?;
        let gets = Arc::new(channel);
        Ok(Self { connections, queue, got: Unacked::new(gets.clone()), gets, pages: Vec::new(), left: None })
    }

    async fn get(&self) -> Result<Option<(Delivery, u32)>, TransportError> {
        let asked = self.gets.basic_get(short(&self.queue)?, BasicGetOptions::default());
        let got = within(ANSWER_TIMEOUT, "getting a message", async {
            asked.await.map_err(|error| error::of_channel(&error))
        });
        let Some(message) = got.await? else { return Ok(None) };
        let (delivery, acker) = consumer::read(message.delivery);
        self.got.hold(delivery.tag, acker);
        Ok(Some((delivery, message.message_count)))
    }

    /// The next one of the last page; none when it gives none for a while.
    async fn turn(&mut self) -> Result<Option<Delivery>, TransportError> {
        if self.pages.last().is_none_or(|page| page.held() >= usize::from(PAGE)) {
            // What was held before is gone then: a new connection would bring it a second time.
            if !self.gets.status().connected() {
                return Err(TransportError::Closed("the channel of the first page is gone".into()));
            }
            let channel = self.connections.channel(Purpose::Consume).await?;
            self.pages.push(RabbitConsumer::open(channel, &self.queue, PAGE).await?);
        }
        let number = self.pages.len() as u64;
        let Some(page) = self.pages.last_mut() else { return Ok(None) };
        let Ok(taken) = timeout(PATIENCE, page.next(1)).await else { return Ok(None) };
        Ok(taken?.pop().map(|delivery| {
            let Tag(tag) = delivery.tag;
            Delivery { tag: Tag((number << PAGE_SHIFT) | tag), ..delivery }
        }))
    }
}

#[async_trait]
impl Browser for RabbitBrowser {
    async fn next(&mut self) -> Result<Option<Delivery>, TransportError> {
        let Some(left) = self.left else {
            let first = self.get().await?;
            self.left = Some(first.as_ref().map_or(0, |(_, behind)| *behind));
            return Ok(first.map(|(delivery, _)| delivery));
        };
        if left == 0 {
            return Ok(None);
        }
        let next = match self.turn().await? {
            Some(delivery) => Some(delivery),
            None => self.get().await?.map(|(delivery, _)| delivery),
        };
        self.left = Some(if next.is_some() { left - 1 } else { 0 });
        Ok(next)
    }

    fn left(&self) -> u32 {
        self.left.unwrap_or(0)
    }

    async fn ack(&self, Tag(tag): Tag) -> Result<(), TransportError> {
        let (page, tag) = (tag >> PAGE_SHIFT, Tag(tag & ((1 << PAGE_SHIFT) - 1)));
        let page = page.checked_sub(1).and_then(|page| usize::try_from(page).ok());
        match page.map(|page| self.pages.get(page)) {
            None => self.got.ack(tag, false).await,
            Some(Some(page)) => page.acker().ack(tag, false).await,
            Some(None) => Ok(()),
        }
    }
}

impl Drop for RabbitBrowser {
    fn drop(&mut self) {
        self.got.close();
        let channel = self.gets.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Err(error)) = timeout(ANSWER_TIMEOUT, channel.close(200, "OK".into())).await {
                    debug!(%error, "the channel of a browser was closed already");
                }
            });
        }
    }
}
