//! The watchdog: a consumer that gets nothing although its queue has something is ended, so that another is opened.
//!
//! What goes wrong: the broker forgets a consumer, a channel is half dead, a queue was deleted and nobody said so.
//! Nothing at all is heard then, so the broker is asked through another connection how full the queue is. Which
//! answers are good enough to end a consumer that may be well?
//!
//! - *"There is no such queue."* At once.
//! - *"Messages wait"*, in several looks in a row, over a minute in which nothing came, while there is room in the
//!   prefetch. One look proves nothing: what waits may be on its way. Other consumers of the queue are no excuse:
//!   the broker gives to everybody who has room in turn.
//! - *"Nothing waits"* proves nothing: a quorum queue whose leader is slow, or gone, says so too. It needs no proof
//!   from here: whoever publishes to such a queue gets no confirm, and says that.
//! - The number of consumers is no evidence: on quorum queues it is another number in most versions.
//!
//! Of several consumers of a partition only one gets anything, and the others nothing by right. So one that never got
//! anything is left alone as long as some live coordinator says that it holds the partition; its holder hears a ping
//! through the queue every few seconds, and is looked at like everybody else.
//!
//! An innocent consumer that is ended costs a redelivery of what it holds, and loses nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, OptionFuture, try_join_all};
use tokio::time::Instant;

use super::Watch;
use crate::runtime::port::{Acker, Consumer, Delivery, QueueDepth, Tag, Transport, TransportError};
use crate::wire::address::Queue;

/// How long nothing has to come before the broker is asked, and between two questions. A question is a channel of its
/// own, so a large team must not ask often.
const LOOK_PAUSE: Duration = Duration::from_secs(20);
/// So many looks in a row have to see messages wait.
const LOOKS: u32 = 3;

type Look = BoxFuture<'static, Result<Option<QueueDepth>, TransportError>>;

pub(super) struct WatchedConsumer {
    inner: Box<dyn Consumer>,
    transport: Arc<dyn Transport>,
    queue: Queue,
    prefetch: usize,
    watch: Arc<Watch>,
    unacked: Arc<Unacked>,
    has_had_something: bool,
    next_look: Instant,
    /// The question that is out.
    look: Option<Look>,
    /// Looks in a row that saw messages wait.
    seen: u32,
}

impl WatchedConsumer {
    pub(super) fn new(
        inner: Box<dyn Consumer>,
        transport: Arc<dyn Transport>,
        queue: Queue,
        prefetch: u16,
        watch: Arc<Watch>,
    ) -> Self {
        let unacked = Arc::new(Unacked { acker: inner.acker(), tags: Mutex::default() });
        let (prefetch, next_look) = (usize::from(prefetch.max(1)), Instant::now() + LOOK_PAUSE);
        Self {
            inner,
            transport,
            queue,
            prefetch,
            watch,
            unacked,
            has_had_something: false,
            next_look,
            look: None,
            seen: 0,
        }
    }

    /// What it is called when it gives nothing.
    fn part(&self) -> String {
        format!("queue {:?}", self.queue)
    }

    /// Whether something should come, if there is anything.
    fn expects(&self) -> bool {
        let has_room = self.unacked.lock().len() < self.prefetch;
        let is_others = match self.queue {
            Queue::Coordination(partition) => !self.has_had_something && self.watch.is_held(partition),
            _ => false,
        };
        has_room && !is_others
    }

    fn got(&mut self, deliveries: &[Delivery]) {
        self.unacked.lock().extend(deliveries.iter().map(|delivery| delivery.tag));
        self.has_had_something = true;
        self.calm_down();
        self.works();
    }

    fn works(&self) {
        if self.watch.outages.any() {
            self.watch.outages.works(&self.part());
        }
    }

    fn calm_down(&mut self) {
        (self.seen, self.look, self.next_look) = (0, None, Instant::now() + LOOK_PAUSE);
    }

    /// It is time to ask.
    fn begin_look(&mut self) {
        if !self.expects() {
            return self.calm_down();
        }
        let (transport, queue) = (self.transport.clone(), self.queue.clone());
        self.look = Some(Box::pin(async move { transport.depth(&queue).await }));
    }

    /// The broker has answered.
    fn looked(&mut self, answer: Result<Option<QueueDepth>, TransportError>) -> Result<(), TransportError> {
        (self.look, self.next_look) = (None, Instant::now() + LOOK_PAUSE);
        match answer {
            Ok(Some(QueueDepth { ready, .. })) if ready > 0 && self.expects() => {
                self.seen += 1;
                match self.seen >= LOOKS {
                    true => self.end(format!("{ready} messages wait in it, and none has come for a minute")),
                    false => Ok(()),
                }
            }
            Ok(Some(_)) => {
                self.seen = 0;
                self.works();
                Ok(())
            }
            Ok(None) => Err(TransportError::Missing(format!("{:?} is not there any more", self.queue))),
            // Whether the broker is there is seen elsewhere.
            Err(error) => {
                tracing::debug!(queue = ?self.queue, %error, "how full it is is not known");
                Ok(())
            }
        }
    }

    fn end(&mut self, why: String) -> Result<(), TransportError> {
        self.watch.outages.broke(&self.part(), &why);
        self.seen = 0;
        Err(TransportError::Closed(format!("{:?}: {why}", self.queue)))
    }
}

#[async_trait]
impl Consumer for WatchedConsumer {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, TransportError> {
        if self.look.is_none() && self.next_look <= Instant::now() {
            // Nobody has listened since: what has come meanwhile was not missed.
            self.next_look = Instant::now() + LOOK_PAUSE;
        }
        loop {
            let asking = self.look.is_some();
            tokio::select! {
                biased;
                deliveries = self.inner.next(most) => {
                    let deliveries = deliveries?;
                    self.got(&deliveries);
                    return Ok(deliveries);
                }
                Some(answer) = OptionFuture::from(self.look.as_mut()), if asking => self.looked(answer)?,
                () = tokio::time::sleep_until(self.next_look), if !asking => self.begin_look(),
            }
        }
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.unacked.clone()
    }

    async fn stop(&mut self) -> Result<(), TransportError> {
        self.inner.stop().await
    }
}

/// Counts what was not acked yet.
struct Unacked {
    acker: Arc<dyn Acker>,
    tags: Mutex<BTreeSet<Tag>>,
}

impl Unacked {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Tag>> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Acker for Unacked {
    async fn ack(&self, tag: Tag, multiple: bool) -> Result<(), TransportError> {
        {
            let mut tags = self.lock();
            if multiple {
                *tags = tags.split_off(&tag);
            }
            tags.remove(&tag);
        }
        self.acker.ack(tag, multiple).await
    }

    /// One ack for all up to the first that is still at work, and one for each behind it. All are said before any is waited
    /// for.
    async fn ack_all(&self, tags: &BTreeSet<Tag>) -> Result<(), TransportError> {
        let whole = self.lock().iter().take_while(|tag| tags.contains(tag)).last().copied();
        let first = whole.map(|last| self.ack(last, true));
        let rest = tags.iter().filter(|&&tag| whole.is_none_or(|last| tag > last)).map(|&tag| self.ack(tag, false));
        try_join_all(first.into_iter().chain(rest)).await.map(drop)
    }

    async fn still_holds(&self) -> Result<(), TransportError> {
        self.acker.still_holds().await
    }

    async fn reject(&self, tag: Tag) -> Result<(), TransportError> {
        self.lock().remove(&tag);
        self.acker.reject(tag).await
    }
}

#[cfg(test)]
mod tests;
