//! Publishing: a channel with confirms, and the one task that owns everything unconfirmed on it.
//!
//! Callers turn their message into AMQP's form and put it into a bounded line; the task writes them in that
//! order, without waiting for one to be written before it takes the next, and sees to the confirms. No task is
//! spawned for a publish or a confirm, and the body is handed to lapin as it came.
//!
//! The channels are pooled: a command line that publishes one message after the other gets the same one back,
//! a worker keeps its own. A channel that left a publish unanswered is torn down, and never comes back.
//!
//! So is one on which a queue without a bound refused something. Such a queue is never full; but a channel that comes
//! to a quorum queue for the first time while its leader's node is gone goes on asking that node, and refuses whatever
//! is for that queue as long as it lives (seen on RabbitMQ 3.10.8). The next channel knows the new leader.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use futures_util::future::{Either, FutureExt, ready};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, ChannelStatus};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

use super::admin::{short, within};
use super::connection::{ANSWER_TIMEOUT, Connections, Purpose};
use super::unconfirmed::{Name, Unconfirmed, Waiting};
use super::{error, properties};
use crate::runtime::port::{Confirmation, Confirmed, Outgoing, Publisher, TransportError};
use crate::wire::MessageId;
use crate::wire::address::{Exchange, Namespace};

/// Unconfirmed messages of a channel. A quorum queue confirms in batches, after an fsync: some thousand in
/// flight keep it busy, and at 1 KiB each they are 4 MiB.
const UNCONFIRMED_MAX: usize = 4096;
/// Messages that are taken from the line at once: the line is as long, so that callers rarely wait for a turn.
const LINE: usize = 256;
/// A confirm takes milliseconds, seconds on a broker in trouble. After this nobody knows any more.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the oldest unconfirmed message is looked at: nobody minds a second more.
const CONFIRM_CHECK: Duration = Duration::from_secs(1);
/// Channels for publishing in one process: an agent needs two or three, a bench some more.
const CHANNELS_MAX: usize = 32;

/// A channel of the pool, given back when it is dropped.
pub(super) type PooledChannel = Object<ChannelManager>;
pub(super) type Publishers = Pool<ChannelManager>;

pub(super) fn publishers(connections: Arc<Connections>) -> Result<Publishers, TransportError> {
    Pool::builder(ChannelManager { connections })
        .max_size(CHANNELS_MAX)
        .wait_timeout(Some(ANSWER_TIMEOUT))
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(|error| TransportError::Refused(error.to_string()))
}

pub(super) async fn take(publishers: &Publishers) -> Result<PooledChannel, TransportError> {
    publishers.get().await.map_err(|error| match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(_) => {
            TransportError::Closed(format!("all {CHANNELS_MAX} channels for publishing are in use"))
        }
        error => TransportError::Closed(error.to_string()),
    })
}

pub(super) struct ChannelManager {
    connections: Arc<Connections>,
}

/// The callers' end of a channel. Dropping it lets the task finish what is unconfirmed, and close.
pub(super) struct ConfirmChannel {
    line: mpsc::Sender<Parcel>,
    status: ChannelStatus,
    /// Something was refused on it: whoever has it may go on, nobody gets it anew.
    refused: Arc<AtomicBool>,
}

impl managed::Manager for ChannelManager {
    type Type = ConfirmChannel;
    type Error = TransportError;

    async fn create(&self) -> Result<ConfirmChannel, TransportError> {
        let channel = self.connections.channel(Purpose::Publish).await?;
        let what = "asking for confirms";
        within(ANSWER_TIMEOUT, what, async {
            let asked = channel.confirm_select(ConfirmSelectOptions::default()).await;
            asked.map_err(|error| error::of_asking(error::Right::Configure, what, &error))
        })
        .await?;
        let status = channel.status().clone();
        let (line, parcels) = mpsc::channel(LINE);
        let refused = Arc::new(AtomicBool::default());
        tokio::spawn(run(channel, parcels, self.connections.clone(), refused.clone()));
        Ok(ConfirmChannel { line, status, refused })
    }

    async fn recycle(&self, channel: &mut ConfirmChannel, _: &Metrics) -> RecycleResult<TransportError> {
        match (channel.is_open(), channel.refused.load(Ordering::Relaxed)) {
            (true, false) => Ok(()),
            (true, true) => Err(RecycleError::message("something was refused on the channel")),
            (false, _) => Err(RecycleError::message("the channel is closed")),
        }
    }
}

impl ConfirmChannel {
    fn is_open(&self) -> bool {
        self.status.connected() && !self.line.is_closed()
    }
}

/// A message as the task takes it.
struct Parcel {
    exchange: ShortString,
    key: ShortString,
    mandatory: bool,
    /// The queue that it is for has a bound, so that it may be refused.
    is_bounded: bool,
    properties: BasicProperties,
    body: Bytes,
    message_id: Option<MessageId>,
    answer: oneshot::Sender<Confirmed>,
}

pub(super) struct RabbitPublisher {
    channel: PooledChannel,
    namespace: Namespace,
    login: ShortString,
}

impl RabbitPublisher {
    pub fn new(channel: PooledChannel, namespace: Namespace, login: ShortString) -> Self {
        Self { channel, namespace, login }
    }
}

#[async_trait]
impl Publisher for RabbitPublisher {
    async fn publish(&self, message: Outgoing) -> Result<Confirmation, TransportError> {
        let closed = || TransportError::Closed("the channel for publishing is gone".into());
        if !self.channel.is_open() {
            return Err(closed());
        }
        let Outgoing { address, mandatory, properties, body } = message;
        let (answer, confirmed) = oneshot::channel();
        let parcel = Parcel {
            exchange: short(&address.exchange.name(&self.namespace))?,
            key: short(&address.key)?,
            mandatory,
            is_bounded: address.exchange == Exchange::Requests,
            properties: properties::to_amqp(&properties, address.told.as_deref(), &self.login)?,
            body,
            message_id: properties.message_id,
            answer,
        };
        self.channel.line.send(parcel).await.map_err(|_| closed())?;
        Ok(confirmed.map(|answer| answer.unwrap_or(Confirmed::Unknown)).boxed())
    }
}

/// What comes out of the set of futures.
enum Event {
    Confirmed {
        number: u64,
        acked: bool,
        is_bounded: bool,
        /// Whose return hung on it.
        carried: Option<Name>,
    },
    Gone(lapin::Error),
    Mark,
}

/// Ends when the callers are gone and everything is confirmed, or when nobody can know any more: whatever is
/// dropped then without an answer counts as unknown.
async fn run(
    channel: Channel,
    mut parcels: mpsc::Receiver<Parcel>,
    connections: Arc<Connections>,
    refused: Arc<AtomicBool>,
) {
    let mut unconfirmed = Unconfirmed::default();
    let mut in_flight = FuturesUnordered::new();
    let mut taken = Vec::with_capacity(LINE);
    let mut check = interval(CONFIRM_CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut more, mut blocked) = (true, None);
    while more || !in_flight.is_empty() {
        let room = UNCONFIRMED_MAX.saturating_sub(in_flight.len()).min(LINE);
        tokio::select! {
            biased;
            Some(event) = in_flight.next(), if !in_flight.is_empty() => {
                // All that is there at once, so that one mark serves many.
                let mut event = Some(event);
                while let Some(seen) = event {
                    match seen {
                        Event::Mark => unconfirmed.mark(),
                        Event::Confirmed { number, acked, is_bounded, carried } => {
                            if !acked {
                                refused.store(true, Ordering::Relaxed);
                            }
                            if !acked && !is_bounded && more {
                                warn!("a queue without a bound refused a message: closing the channel for publishing");
                                more = false;
                                parcels.close();
                            }
                            unconfirmed.confirm(number, acked, carried);
                        }
                        Event::Gone(error) => {
                            debug!(%error, "the channel for publishing is gone");
                            return; // lapin closes what is still open of it
                        }
                    }
                    event = in_flight.next().now_or_never().flatten();
                }
                if unconfirmed.wants_mark() {
                    in_flight.push(Either::Right(ready(Event::Mark)));
                }
            }
            count = parcels.recv_many(&mut taken, room), if more && room > 0 => {
                more = count > 0;
                let sent = Instant::now();
                for parcel in taken.drain(..) {
                    let Parcel { exchange, key, mandatory, is_bounded, properties, body, message_id, answer } = parcel;
                    let to = To { exchange, key, mandatory, is_bounded };
                    let name = Name::new(message_id, &to.exchange, &to.key);
                    let number = unconfirmed.add(Waiting { sent, name, mandatory, answer });
                    // The set polls what is new in the order in which it was put in, and the first poll hands
                    // the message to the connection: this is the order of sending.
                    in_flight.push(Either::Left(send(&channel, number, to, properties, body)));
                }
            }
            _ = check.tick() => {
                // While the broker reads nothing it owes no answer, and another channel would wait as well.
                if connections.is_blocked() {
                    blocked = Some(Instant::now());
                }
                let since = unconfirmed.oldest().map(|sent| blocked.map_or(sent, |blocked| sent.max(blocked)));
                if since.is_some_and(|since| since.elapsed() > CONFIRM_TIMEOUT) {
                    warn!(seconds = CONFIRM_TIMEOUT.as_secs(), "no confirm came: closing the channel for publishing");
                    break;
                }
            }
        }
    }
    drop(parcels);
    if timeout(ANSWER_TIMEOUT, channel.close(200, "OK".into())).await.is_err() {
        debug!("the broker does not answer to the closing of a channel");
    }
}

/// Where a message goes.
struct To {
    exchange: ShortString,
    key: ShortString,
    mandatory: bool,
    is_bounded: bool,
}

async fn send(channel: &Channel, number: u64, to: To, properties: BasicProperties, body: Bytes) -> Event {
    let To { exchange, key, mandatory, is_bounded } = to;
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let answer = match channel.basic_publish(exchange, key, options, &body, properties).await {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => {
            let acked = !answer.is_nack();
            let carried = answer.take_message().map(|returned| {
                let returned = &returned.delivery;
                Name::new(properties::message_id(&returned.properties), &returned.exchange, &returned.routing_key)
            });
            Event::Confirmed { number, acked, is_bounded, carried }
        }
        Err(error) => Event::Gone(error),
    }
}
