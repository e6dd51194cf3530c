//! What this executor has taken in and not answered yet, by command, and the deliveries that wait for each answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::halt::{Halt, Reason};
use crate::broken::{self, Broken};
use crate::runtime::port::{Acker, Tag};
use crate::wire::MessageId;
use crate::wire::content::{Progress, RunningCommand};

/// A heartbeat lists so many of the commands that are not leased: it is a heartbeat, not a ledger.
const TOLD_MAX: usize = 256;

/// A delivery's claim to an ack: given when all of its commands are answered, or accepted.
#[derive(Clone)]
pub(crate) struct Receipt {
    acker: Arc<dyn Acker>,
    tag: Tag,
    left: Arc<AtomicUsize>,
    /// Fires when an ack did not go through: the channel is of no use any more.
    broken: CancellationToken,
    /// The channel is kept open for as long as there is one of these.
    _open: TaskTrackerToken,
}

impl Receipt {
    /// For a delivery with this many commands.
    pub(crate) fn new(
        acker: Arc<dyn Acker>,
        tag: Tag,
        commands: usize,
        broken: CancellationToken,
        open: TaskTrackerToken,
    ) -> Self {
        Self { acker, tag, left: Arc::new(AtomicUsize::new(commands)), broken, _open: open }
    }

    /// One of its commands is done with: whether it was the last.
    fn is_last(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1 && !broken::is(Broken::AcksBeforeConfirms)
    }
}

/// Of each of these deliveries a command is done with: those with no more of them are acked. A channel that can not be
/// acked on is to be closed: it gives the deliveries back.
pub(crate) async fn settle(receipts: impl IntoIterator<Item = Receipt>) {
    let mut done: Vec<(Receipt, BTreeSet<Tag>)> = Vec::new();
    for receipt in receipts.into_iter().filter(Receipt::is_last) {
        match done.iter_mut().find(|(other, _)| Arc::ptr_eq(&other.acker, &receipt.acker)) {
            Some((_, tags)) => _ = tags.insert(receipt.tag),
            None => {
                let tags = BTreeSet::from([receipt.tag]);
                done.push((receipt, tags));
            }
        }
    }
    for (receipt, tags) in done {
        if let Err(error) = receipt.acker.ack_all(&tags).await {
            tracing::debug!(%error, "an ack did not go through; the commands will be delivered again");
            receipt.broken.cancel();
        }
    }
}

/// The attempts of this process.
#[derive(Default)]
pub(crate) struct Running {
    attempts: Mutex<Attempts>,
    /// Answers that are not confirmed yet count too.
    idle: Notify,
}

/// In their order, and boxed, so that little is moved when one comes or goes.
type Attempts = BTreeMap<MessageId, Box<Attempt>>;

struct Attempt {
    /// What heartbeats tell of it.
    told: RunningCommand,
    receipts: Vec<Receipt>,
    halt: Halt,
    /// It is leased, and its owner knows who has it: its deliveries are acked already.
    accepted: bool,
}

/// What a command that came in is here.
pub(crate) enum Begun {
    New(Halt),
    /// It runs here already, and the delivery only waits for its answer.
    Known,
    /// It runs here already, and its owner knows: the delivery may be acked.
    Accepted(Vec<Receipt>),
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a command in.
    pub(crate) fn begin(&self, told: RunningCommand, receipt: Receipt) -> Begun {
        self.take_back(told, vec![receipt], Halt::default())
    }

    /// Takes in a command that was [ended](Self::end) here without an answer.
    pub(crate) fn take_back(&self, told: RunningCommand, receipts: Vec<Receipt>, halt: Halt) -> Begun {
        let mut attempts = self.lock();
        match attempts.get_mut(&told.command) {
            None => {
                let attempt = Attempt { told, receipts, halt: halt.clone(), accepted: false };
                attempts.insert(attempt.told.command, Box::new(attempt));
                Begun::New(halt)
            }
            Some(attempt) if attempt.accepted => Begun::Accepted(receipts),
            Some(attempt) => {
                attempt.receipts.extend(receipts);
                Begun::Known
            }
        }
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

    /// Its owner knows that this agent has it: its deliveries may be acked.
    pub(crate) fn accept(&self, command: MessageId) -> Vec<Receipt> {
        let mut attempts = self.lock();
        let Some(attempt) = attempts.get_mut(&command) else { return Vec::new() };
        attempt.accepted = true;
        std::mem::take(&mut attempt.receipts)
    }

    /// How far the runner of a command is.
    pub(crate) fn progress(&self, command: MessageId, progress: Progress) {
        if let Some(attempt) = self.lock().get_mut(&command) {
            attempt.told.progress = Some(progress);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// For heartbeats: all that are leased, since that is what keeps the lease, and some of the others.
    pub(crate) fn told(&self) -> Vec<RunningCommand> {
        let attempts = self.lock();
        let leased = attempts.values().filter(|attempt| attempt.accepted);
        let held = attempts.values().filter(|attempt| !attempt.accepted).take(TOLD_MAX);
        leased.chain(held).map(|attempt| attempt.told.clone()).collect()
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

    pub(crate) fn halt_all(&self, reason: Reason) {
        self.lock().values().for_each(|attempt| attempt.halt.fire(reason));
    }

    pub(crate) fn cancel(&self, commands: &[MessageId]) {
        let attempts = self.lock();
        let meant = commands.iter().filter_map(|command| attempts.get(command));
        meant.for_each(|attempt| attempt.halt.fire(Reason::Cancelled));
    }
}
