//! What runs here, by command, and the deliveries that wait for each answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::broken::{self, Broken};
use crate::runtime::port::{Acker, Tag};
use crate::wire::MessageId;
use crate::wire::content::RunningCommand;

/// A delivery's claim to an ack: given when all of its commands are answered.
#[derive(Clone)]
pub(crate) struct Receipt {
    acker: Arc<dyn Acker>,
    tag: Tag,
    left: Arc<AtomicUsize>,
    /// Fires when an ack did not go through: the channel is of no use any more.
    broken: CancellationToken,
}

impl Receipt {
    /// For a delivery with this many commands.
    pub(crate) fn new(acker: Arc<dyn Acker>, tag: Tag, commands: usize, broken: CancellationToken) -> Self {
        Self { acker, tag, left: Arc::new(AtomicUsize::new(commands)), broken }
    }

    /// One of its commands is answered. A channel that can not be acked on is to be closed: it gives the delivery back.
    pub(crate) async fn settle(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && !broken::is(Broken::AcksBeforeConfirms)
            && let Err(error) = self.acker.ack(self.tag, false).await
        {
            tracing::debug!(%error, "an ack did not go through; the command will be delivered again");
            self.broken.cancel();
        }
    }
}

/// The attempts of this process.
#[derive(Default)]
pub(crate) struct Running {
    attempts: Mutex<BTreeMap<MessageId, Attempt>>,
    /// Answers that are not confirmed yet count too.
    idle: Notify,
}

struct Attempt {
    /// What heartbeats tell of it.
    told: RunningCommand,
    receipts: Vec<Receipt>,
    stop: CancellationToken,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<MessageId, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a command in; none when it runs here already, and the delivery only waits for its answer.
    pub(crate) fn begin(&self, told: RunningCommand, receipt: Receipt) -> Option<CancellationToken> {
        let mut attempts = self.lock();
        let is_new = !attempts.contains_key(&told.command);
        let fresh = || Attempt { told, receipts: Vec::new(), stop: CancellationToken::new() };
        let attempt = attempts.entry(told.command).or_insert_with(fresh);
        attempt.receipts.push(receipt);
        is_new.then(|| attempt.stop.clone())
    }

    /// The answer of a command is confirmed: its deliveries may be acked.
    pub(crate) fn end(&self, command: MessageId) -> Vec<Receipt> {
        let mut attempts = self.lock();
        let receipts = attempts.remove(&command).map(|attempt| attempt.receipts).unwrap_or_default();
        if attempts.is_empty() {
            self.idle.notify_waiters();
        }
        receipts
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn commands(&self, most: usize) -> Vec<RunningCommand> {
        self.lock().values().take(most).map(|attempt| attempt.told).collect()
    }

    /// Waits until everything is answered and confirmed.
    pub(crate) async fn until_idle(&self) {
        loop {
            let notified = self.idle.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            notified.await;
        }
    }

    pub(crate) fn abort_all(&self) {
        self.lock().values().for_each(|attempt| attempt.stop.cancel());
    }
}
