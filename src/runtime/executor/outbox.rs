//! Where answers wait to be sent. All that finished while the last confirm was in flight goes into one message;
//! nobody waits to fill it. A command is acked when its answer is confirmed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};

use super::Shop;
use super::answer::Answer;
use super::running::settle;
use crate::runtime::port::{Confirmed, Outgoing, Properties, Publisher};
use crate::runtime::supervise::{Ended, Fatal, supervise};
use crate::wire::MessageId;
use crate::wire::address::Address;
use crate::wire::codec::{self, ENVELOPE_BYTES_MAX};

/// What it is called when it does not work.
const PART: &str = "the outbox";
/// Answers that wait here at the most; beyond it attempts wait to hand theirs in.
const WAITING_MAX: usize = 4_096;
/// How long a refused answer waits before it is sent again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// Answers in one message at the most: they are decided and committed together.
const BATCH_MAX: usize = 512;

/// An answer that is to be sent.
pub(crate) struct Finished {
    pub(crate) command: MessageId,
    /// The routing key of the command's owner.
    pub(crate) reply_to: String,
    pub(crate) answer: Answer,
    pub(crate) next: Next,
}

/// What becomes of a command when the broker has its answer.
pub(crate) enum Next {
    /// It is done with.
    End,
    /// Its owner knows who has it: whoever waits for that goes on.
    Accepted(oneshot::Sender<()>),
}

/// The sending end, for attempts.
pub(crate) struct Outbox {
    sender: mpsc::Sender<Finished>,
}

/// The receiving end, for [`serve`].
pub(super) struct FinishedOnes {
    receiver: mpsc::Receiver<Finished>,
}

impl Outbox {
    pub(super) fn new() -> (Self, FinishedOnes) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { sender }, FinishedOnes { receiver })
    }

    pub(crate) async fn put(&self, finished: Finished) {
        if self.sender.send(finished).await.is_err() {
            tracing::debug!("an answer came after the end; its command will be delivered again");
        }
    }
}

/// Sends answers until the process leaves. Answers outlive the connection: they are sent on the next one.
pub(super) async fn serve(shop: &Arc<Shop>, finished: FinishedOnes) -> Result<(), Fatal> {
    let desk = tokio::sync::Mutex::new(Desk { receiver: finished.receiver, waiting: BTreeMap::new() });
    // It outlives a drain: it ends with the process, when everything is answered.
    let never = crate::runtime::stop::Stop::new();
    supervise(PART, &shop.post, &never, || async {
        let publisher = shop.ground.transport.publisher().await?;
        shop.post.works(PART);
        desk.lock().await.session(shop, &*publisher).await
    })
    .await
}

struct Desk {
    receiver: mpsc::Receiver<Finished>,
    /// By routing key; an answer stays here until it is confirmed.
    waiting: BTreeMap<String, VecDeque<Finished>>,
}

/// A message in flight: so many answers at the front of its key's queue.
type InFlight = BoxFuture<'static, (String, usize, Confirmed)>;

impl Desk {
    async fn session(&mut self, shop: &Shop, publisher: &dyn Publisher) -> Result<(), Ended> {
        let mut in_flight: FuturesUnordered<InFlight> = FuturesUnordered::new();
        let mut flying: BTreeMap<String, usize> = BTreeMap::new();
        let mut incoming = Vec::new();
        loop {
            for (key, waiting) in &self.waiting {
                if !waiting.is_empty() && !flying.contains_key(key) {
                    let (count, outgoing) = batch(shop, key, waiting);
                    let confirmation = publisher.publish(outgoing).await?;
                    let key = key.clone();
                    flying.insert(key.clone(), count);
                    in_flight.push(Box::pin(async move {
                        let confirmed = confirmation.await;
                        if matches!(confirmed, Confirmed::Nacked | Confirmed::Returned) {
                            tracing::warn!(key, ?confirmed, "an answer was refused, it is sent again");
                            tokio::time::sleep(REFUSED_PAUSE).await;
                        }
                        (key, count, confirmed)
                    }));
                }
            }
            tokio::select! {
                biased;
                Some((key, count, confirmed)) = in_flight.next() => {
                    flying.remove(&key);
                    match confirmed {
                        Confirmed::Accepted => self.confirmed(shop, &key, count).await,
                        Confirmed::Nacked | Confirmed::Returned => {}
                        Confirmed::Unknown => return Err(Ended::Broken("an answer was not confirmed".into())),
                    }
                }
                count = self.receiver.recv_many(&mut incoming, WAITING_MAX) => {
                    if count == 0 {
                        return Ok(());
                    }
                    for finished in incoming.drain(..) {
                        self.waiting.entry(finished.reply_to.clone()).or_default().push_back(finished);
                    }
                }
            }
        }
    }

    async fn confirmed(&mut self, shop: &Shop, key: &str, count: usize) {
        let Some(waiting) = self.waiting.get_mut(key) else { return };
        let answered: Vec<_> = waiting.drain(..count.min(waiting.len())).collect();
        if waiting.is_empty() {
            self.waiting.remove(key);
        }
        for finished in answered {
            match finished.next {
                Next::End => settle(shop.running.end(finished.command)).await,
                // Nobody waits any more for one that was cancelled meanwhile.
                Next::Accepted(waiting) => drop(waiting.send(())),
            }
        }
    }
}

/// As many of the waiting answers as go into one message.
fn batch(shop: &Shop, key: &str, waiting: &VecDeque<Finished>) -> (usize, Outgoing) {
    let mut bytes = 0;
    let fits = |finished: &&Finished| {
        bytes += finished.answer.body.len() + 1;
        bytes < ENVELOPE_BYTES_MAX
    };
    let count = waiting.iter().take(BATCH_MAX).take_while(fits).count().max(1);
    let bodies: Vec<Bytes> = waiting.iter().take(count).map(|finished| finished.answer.body.clone()).collect();
    let first = waiting.front().map(|finished| &finished.answer);
    let kind = if count == 1 { first.map(|answer| answer.kind) } else { Some("Batch") };
    let outgoing = Outgoing {
        address: Address::results(key),
        mandatory: true,
        properties: Properties {
            message_id: first.map(|answer| answer.id),
            kind: kind.map(str::to_owned),
            sender: Some(shop.post.identity().agent_id.to_string()),
            persistent: true,
            ..Properties::default()
        },
        body: codec::join(&bodies),
    };
    (count, outgoing)
}
