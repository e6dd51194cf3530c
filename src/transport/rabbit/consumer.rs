//! Consuming: one channel, its deliveries, and their ackers.
//!
//! A tag means something on its own channel only: acked on another, it is another message's, and that one is
//! lost. So the ackers of the deliveries are kept, each of which knows whether its channel is still the one,
//! and an ack for a tag that is not among them does nothing. What an acker does itself is a task per ack, which
//! may overtake another; here the frame is handed over under the lock, in the order of the calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::StreamExt;
use lapin::Channel;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::debug;

use super::admin::{bind, short, within};
use super::connection::ANSWER_TIMEOUT;
use super::{arguments, error, properties};
use crate::runtime::port::{Acker, Consumer, Delivery, Tag, TransportError};

/// What a subscriber may have on its way at once: bounds the memory of one who is slow, and is far above what
/// comes in between two turns.
const SUBSCRIPTION_PREFETCH: u16 = 1000;

pub(super) struct RabbitConsumer {
    channel: Arc<Channel>,
    deliveries: lapin::Consumer,
    unacked: Arc<Unacked>,
    /// A subscription acks by itself, as soon as `next` hands out.
    subscription: bool,
    is_stopped: bool,
    end: Option<TransportError>,
}

impl RabbitConsumer {
    /// Consumes what is declared.
    pub async fn open(channel: Channel, queue: &str, prefetch: u16) -> Result<Self, TransportError> {
        let what = format!("consuming `{queue}`");
        within(ANSWER_TIMEOUT, &what, Self::start(channel, queue, prefetch, false)).await
    }

    /// Makes a queue of its own, which goes with the consumer, and consumes that.
    pub async fn subscribe(
        channel: Channel,
        queue: &str,
        bindings: &[(String, String)],
    ) -> Result<Self, TransportError> {
        let what = format!("subscribing `{queue}`");
        within(ANSWER_TIMEOUT, &what, async {
            let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
            let asked = channel.queue_declare(short(queue)?, options, arguments::subscription());
            asked.await.map_err(|error| error::of_asking(error::Right::Configure, &what, &error))?;
            for (exchange, key) in bindings {
                bind(&channel, queue, exchange, key).await?;
            }
            Self::start(channel, queue, SUBSCRIPTION_PREFETCH, true).await
        })
        .await
    }

    async fn start(channel: Channel, queue: &str, prefetch: u16, subscription: bool) -> Result<Self, TransportError> {
        let failed =
            |error: lapin::Error| error::of_asking(error::Right::Read, &format!("consuming `{queue}`"), &error);
        // 0 would be no bound at all.
        channel.basic_qos(prefetch.max(1), BasicQosOptions::default()).await.map_err(failed)?;
        let (options, tag) = (BasicConsumeOptions::default(), "".into());
        let asked = channel.basic_consume(short(queue)?, tag, options, FieldTable::default());
        let deliveries = asked.await.map_err(failed)?;
        let channel = Arc::new(channel);
        let unacked = Arc::new(Unacked::new(channel.clone()));
        Ok(Self { channel, deliveries, unacked, subscription, is_stopped: false, end: None })
    }

    /// Why deliveries ended although lapin names no error: we stopped, the connection is gone, or the broker itself has
    /// cancelled the consumer, which it does when the queue is deleted.
    fn end_without_error(&self) -> TransportError {
        match (self.is_stopped, self.channel.status().connected()) {
            (true, _) => TransportError::Closed("the consumer was stopped".into()),
            (false, false) => TransportError::Closed("the connection is gone".into()),
            (false, true) => TransportError::Missing("the consumer's queue was deleted".into()),
        }
    }

    fn take(&self, delivery: lapin::message::Delivery) -> Delivery {
        let (delivery, acker) = read(delivery);
        if !self.subscription {
            self.unacked.hold(delivery.tag, acker);
        }
        delivery
    }
}

/// What lapin was given, in the words of the port, and what acks it.
pub(super) fn read(delivery: lapin::message::Delivery) -> (Delivery, lapin::Acker) {
    let read = Delivery {
        tag: Tag(delivery.delivery_tag),
        exchange: delivery.exchange.into(),
        key: delivery.routing_key.into(),
        redelivered: delivery.redelivered,
        returns: properties::returns(&delivery.properties),
        properties: properties::from_amqp(&delivery.properties),
        death: properties::death(&delivery.properties),
        origin: properties::origin(&delivery.properties),
        body: Bytes::from(delivery.data),
    };
    (read, delivery.acker)
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, TransportError> {
        let mut taken = Vec::new();
        while self.end.is_none() && taken.len() < most.max(1) {
            // Nothing is taken yet when this waits, so nothing is lost when it is dropped.
            let item = match self.deliveries.next().now_or_never() {
                Some(item) => item,
                None if taken.is_empty() => self.deliveries.next().await,
                None => break,
            };
            match item {
                // Of a channel that died meanwhile: somebody else gets it, and its ack would have no effect.
                Some(Ok(delivery)) if !self.subscription && delivery.acker.poisoned() => {}
                Some(Ok(delivery)) => taken.push(self.take(delivery)),
                Some(Err(error)) => self.end = Some(error::of_channel(&error)),
                None => self.end = Some(self.end_without_error()),
            }
        }
        if let (true, Some(last)) = (self.subscription, taken.last()) {
            // Handed over and not waited for: were it lost, so would be the queue, with the channel.
            let _ = self.channel.basic_ack(last.tag.0, BasicAckOptions { multiple: true }).now_or_never();
        }
        match &self.end {
            Some(end) if taken.is_empty() => Err(end.clone()),
            _ => Ok(taken),
        }
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.unacked.clone()
    }

    async fn stop(&mut self) -> Result<(), TransportError> {
        self.is_stopped = true;
        let asked = self.channel.basic_cancel(self.deliveries.tag(), BasicCancelOptions::default());
        within(ANSWER_TIMEOUT, "stopping a consumer", async { asked.await.map_err(|error| error::of_channel(&error)) })
            .await
    }
}

impl Drop for RabbitConsumer {
    fn drop(&mut self) {
        self.unacked.close();
        let (channel, deliveries) = (self.channel.clone(), self.deliveries.clone());
        // Closed in so many words, and lapin's consumer dropped afterwards: left to itself it would send a
        // cancel as well, and should that meet a channel that is closing, lapin gives up the whole connection.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Err(error)) = timeout(ANSWER_TIMEOUT, channel.close(200, "OK".into())).await {
                    debug!(%error, "the channel of a consumer was closed already");
                }
                drop(deliveries);
            });
        }
    }
}

/// The deliveries of one channel that nothing was said about yet.
pub(super) struct Unacked(Mutex<Held>);

struct Held {
    /// `None` once the consumer was dropped.
    channel: Option<Arc<Channel>>,
    ackers: BTreeMap<Tag, lapin::Acker>,
}

#[derive(Clone, Copy)]
enum Verdict {
    Ack { multiple: bool },
    Reject,
}

impl Unacked {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self(Mutex::new(Held { channel: Some(channel), ackers: BTreeMap::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self, tag: Tag, acker: lapin::Acker) {
        self.lock().ackers.insert(tag, acker);
    }

    pub(super) fn close(&self) {
        let mut held = self.lock();
        held.channel = None;
        held.ackers.clear();
    }

    async fn settle(&self, tag: Tag, verdict: Verdict) -> Result<(), TransportError> {
        let closed = || TransportError::Closed("its deliveries are somebody else's now".into());
        let mut written = {
            let mut held = self.lock();
            let channel = held.channel.clone().ok_or_else(closed)?;
            // What is not held any more was settled before: there is nothing to do.
            let Some(acker) = held.ackers.remove(&tag) else { return Ok(()) };
            if acker.poisoned() {
                return Err(closed());
            }
            if let Verdict::Ack { multiple: true } = verdict {
                held.ackers = held.ackers.split_off(&tag);
            }
            let mut written = Box::pin(async move {
                match verdict {
                    Verdict::Ack { multiple } => channel.basic_ack(tag.0, BasicAckOptions { multiple }).await,
                    Verdict::Reject => channel.basic_reject(tag.0, BasicRejectOptions { requeue: false }).await,
                }
            });
            // The first poll hands the frame over.
            if let Some(answer) = (&mut written).now_or_never() {
                return answer.map_err(|error| error::of_channel(&error));
            }
            written
        };
        within(ANSWER_TIMEOUT, "acking", async { (&mut written).await.map_err(|error| error::of_channel(&error)) })
            .await
    }
}

#[async_trait]
impl Acker for Unacked {
    async fn ack(&self, tag: Tag, multiple: bool) -> Result<(), TransportError> {
        self.settle(tag, Verdict::Ack { multiple }).await
    }

    async fn still_holds(&self) -> Result<(), TransportError> {
        let closed = || TransportError::Closed("its deliveries are somebody else's now".into());
        let channel = self.lock().channel.clone().ok_or_else(closed)?;
        // Any question that the channel answers; this one changes nothing for consumers that are there.
        let asked = async { channel.basic_qos(1, BasicQosOptions::default()).await };
        within(ANSWER_TIMEOUT, "asking a channel", async { asked.await.map_err(|error| error::of_channel(&error)) })
            .await
    }

    async fn reject(&self, tag: Tag) -> Result<(), TransportError> {
        self.settle(tag, Verdict::Reject).await
    }
}
