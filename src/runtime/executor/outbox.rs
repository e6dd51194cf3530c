//! Where answers wait to be sent. All that finished while the last confirm was in flight goes into one message;
//! nobody waits to fill it. A command is acked when its answer is confirmed; or, when no queue takes that for a minute,
//! when it lies among the dead letters, from where it can be sent again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Shop;
use super::answer::Answer;
use super::running::settle;
use crate::runtime::letter::{self, Aside};
use crate::runtime::port::{Confirmed, Outgoing, Properties, Publisher};
use crate::runtime::supervise::{Ended, Fatal, declare, supervise};
use crate::wire::MessageId;
use crate::wire::address::Address;
use crate::wire::codec::{self, ENVELOPE_BYTES_MAX};

/// What it is called when it does not work.
const PART: &str = "the outbox";
/// Answers that wait here at the most; beyond it attempts wait to hand theirs in.
const WAITING_MAX: usize = 4_096;
/// How long a refused answer waits before it is sent again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// An answer that no queue takes for so long is a dead letter. A queue that somebody deleted is declared meanwhile.
const RETURNED_MAX: Duration = Duration::from_secs(60);
/// How often the topology is declared at the most, while answers are returned.
const DECLARED_EVERY: Duration = Duration::from_secs(10);
/// A key that was of no use is remembered for so long: what comes for it then is tried once.
const REMEMBERED: Duration = Duration::from_secs(600);
/// The reason in the header of an answer that was set aside.
const NO_QUEUE: &str = "no_queue: its command's reply_to has none";
/// What it is called when answers are returned.
const ANSWERS: &str = "answers";
/// Answers in one message at the most: they are decided and committed together.
const BATCH_MAX: usize = 1_024;

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
    let desk = Desk {
        receiver: finished.receiver,
        waiting: BTreeMap::new(),
        returned: BTreeMap::new(),
        declared: None,
        is_in_trouble: false,
    };
    let desk = tokio::sync::Mutex::new(desk);
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
    /// The keys that no queue takes.
    returned: BTreeMap<String, Returned>,
    /// When the topology was last declared because of them.
    declared: Option<Instant>,
    /// It was said that answers are returned.
    is_in_trouble: bool,
}

struct Returned {
    since: Instant,
    /// So many at the front were tried for long enough, and are to be set aside.
    over: usize,
}

/// A message in flight.
type InFlight = BoxFuture<'static, (Sent, Confirmed)>;

/// So many answers at the front of their key's queue.
struct Sent {
    key: String,
    count: usize,
    /// To the dead letters.
    is_dead: bool,
}

impl Desk {
    async fn session(&mut self, shop: &Shop, publisher: &dyn Publisher) -> Result<(), Ended> {
        let mut in_flight: FuturesUnordered<InFlight> = FuturesUnordered::new();
        let mut pauses: FuturesUnordered<BoxFuture<'_, String>> = FuturesUnordered::new();
        // The keys that wait for a confirm, or for their next try.
        let mut busy: BTreeSet<String> = BTreeSet::new();
        let mut incoming = Vec::new();
        loop {
            for (key, waiting) in &self.waiting {
                if !waiting.is_empty() && !busy.contains(key) {
                    let over = self.returned.get(key).map_or(0, |returned| returned.over);
                    let is_dead = over > 0;
                    let (count, mut outgoing) = batch(shop, key, waiting, if is_dead { over } else { BATCH_MAX });
                    if is_dead {
                        outgoing = dead(shop, outgoing);
                    }
                    let confirmation = publisher.publish(outgoing).await?;
                    busy.insert(key.clone());
                    let sent = Sent { key: key.clone(), count, is_dead };
                    in_flight.push(Box::pin(async move { (sent, confirmation.await) }));
                }
            }
            tokio::select! {
                biased;
                Some((sent, confirmed)) = in_flight.next() => match confirmed {
                    Confirmed::Accepted => {
                        busy.remove(&sent.key);
                        self.confirmed(shop, &sent).await;
                    }
                    Confirmed::Nacked | Confirmed::Returned => {
                        tracing::warn!(key = sent.key, ?confirmed, "an answer was refused, it is sent again");
                        let is_returned = confirmed == Confirmed::Returned && !sent.is_dead;
                        let must_declare = is_returned && self.returned(shop, &sent);
                        let key = sent.key;
                        pauses.push(Box::pin(async move {
                            if must_declare && declare(&shop.post).await.is_err() {
                                tracing::debug!("the topology could not be declared");
                            }
                            tokio::time::sleep(REFUSED_PAUSE).await;
                            key
                        }));
                    }
                    Confirmed::Unknown => return Err(Ended::Broken("an answer was not confirmed".into())),
                },
                Some(key) = pauses.next() => {
                    busy.remove(&key);
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

    /// No queue takes this key. True when the topology should be declared.
    fn returned(&mut self, shop: &Shop, sent: &Sent) -> bool {
        let now = Instant::now();
        shop.post.broke(ANSWERS, &format!("no queue takes `{}`", sent.key));
        self.is_in_trouble = true;
        self.returned.retain(|_, returned| now - returned.since < REMEMBERED);
        let returned = self.returned.entry(sent.key.clone()).or_insert(Returned { since: now, over: 0 });
        if now - returned.since >= RETURNED_MAX {
            // Those who wait for the confirm of an acceptance give their commands up.
            let mut tried = self.take(sent);
            tried.retain(|finished| matches!(finished.next, Next::End));
            let over = tried.len();
            let rest = self.waiting.remove(&sent.key).unwrap_or_default();
            tried.extend(rest);
            self.waiting.insert(sent.key.clone(), tried);
            if let Some(returned) = self.returned.get_mut(&sent.key) {
                returned.over = over;
            }
            self.tidy(shop, &sent.key);
        }
        let must_declare = self.declared.is_none_or(|declared| now - declared >= DECLARED_EVERY);
        if must_declare {
            self.declared = Some(now);
        }
        must_declare
    }

    async fn confirmed(&mut self, shop: &Shop, sent: &Sent) {
        match self.returned.get_mut(&sent.key) {
            Some(returned) if sent.is_dead => returned.over = returned.over.saturating_sub(sent.count),
            _ => _ = self.returned.remove(&sent.key),
        }
        let answered = self.take(sent);
        self.tidy(shop, &sent.key);
        let mut receipts = Vec::new();
        for finished in answered {
            match finished.next {
                Next::End => receipts.extend(shop.running.end(finished.command)),
                // Nobody waits any more for one that was cancelled meanwhile.
                Next::Accepted(waiting) => drop(waiting.send(())),
            }
        }
        settle(receipts).await;
    }

    fn take(&mut self, sent: &Sent) -> VecDeque<Finished> {
        let Some(waiting) = self.waiting.get_mut(&sent.key) else { return VecDeque::new() };
        waiting.drain(..sent.count.min(waiting.len())).collect()
    }

    fn tidy(&mut self, shop: &Shop, key: &str) {
        if self.waiting.get(key).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(key);
        }
        if self.is_in_trouble && !self.waiting.keys().any(|key| self.returned.contains_key(key)) {
            shop.post.works(ANSWERS);
            self.is_in_trouble = false;
        }
    }
}

/// The same message among the dead letters.
fn dead(shop: &Shop, outgoing: Outgoing) -> Outgoing {
    let Outgoing { address, properties, body, .. } = outgoing;
    let exchange = address.exchange.name(&shop.ground.topology.namespace);
    tracing::warn!(key = address.key, "an answer that no queue takes was set aside");
    let at = shop.ground.clock.now();
    let aside = Aside { exchange: Some(&exchange), key: &address.key, beside: properties, reason: NO_QUEUE, at };
    letter::dead(aside, None, body)
}

/// As many of the waiting answers as go into one message, `most` of them.
fn batch(shop: &Shop, key: &str, waiting: &VecDeque<Finished>, most: usize) -> (usize, Outgoing) {
    let mut bytes = 0;
    let fits = |finished: &&Finished| {
        bytes += finished.answer.body.len() + 1;
        bytes < ENVELOPE_BYTES_MAX
    };
    let count = waiting.iter().take(most).take_while(fits).count().max(1);
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
