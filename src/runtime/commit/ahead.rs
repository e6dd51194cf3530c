//! One commit while the next batch is being decided.
//!
//! While a batch is written, what it causes is put together, and then what comes in is decided upon the states in memory,
//! as if the batch were written. Nothing of that is written before the batch is, and nothing of it is sent. When the
//! batch is not written, what was decided upon it is thrown away with it, and decided again.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};

use futures_util::future::{BoxFuture, MaybeDone, maybe_done};

use super::decide::{Decided, Item, Whose, item, put_in_order};
use super::{Desk, Hindrance, Verdicts, Work};
use crate::domain::decision::Effect;
use crate::runtime::lane::LaneError;
use crate::runtime::port::StoreError;
use crate::runtime::role::{Rendered, Role};
use crate::wire::{Raw, StreamId};

/// So many messages are put together between two looks at a commit that is on its way, and so many bytes of them at the
/// most.
const EARLY_AT_ONCE: usize = 32;
const EARLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Work that is written together, as far as it is decided.
pub(crate) struct Batch<R: Role> {
    pub(crate) work: Vec<Work<R::Input>>,
    /// Places in the work, in the order in which they were decided.
    order: Vec<usize>,
    decided: Decided<R::Event>,
    /// A decision panicked: the states are not to be used.
    is_spoiled: bool,
}

impl<R: Role> Default for Batch<R> {
    fn default() -> Self {
        Self { work: Vec::new(), order: Vec::new(), decided: Decided::default(), is_spoiled: false }
    }
}

impl<R: Role> Batch<R> {
    /// Takes what is not decided yet into the order.
    fn rest(&mut self, role: &R) -> usize {
        let from = self.order.len();
        self.order.extend(from..self.work.len());
        put_in_order(&mut self.order[from..], &self.work, role);
        from
    }

    fn items(&self, from: usize) -> Vec<Item<'_, R::Input>> {
        self.order[from..].iter().map(|&place| item(&self.work, place)).collect()
    }

    fn streams(&self) -> BTreeSet<StreamId> {
        self.work.iter().map(|(_, _, message)| message.stream).collect()
    }
}

/// A commit that is on its way as long as somebody waits for it, or for something [beside](beside) it.
type Write = Pin<Box<MaybeDone<BoxFuture<'static, Result<(), StoreError>>>>>;

/// Does something while a commit is on its way. What is done may need what the commit holds: a connection to the store.
async fn beside<T>(write: &mut Write, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _ = write.as_mut().poll(context);
        work.as_mut().poll(context)
    })
    .await
}

/// A batch whose commit is on its way.
pub(crate) struct Writing<R: Role> {
    pub(crate) work: Vec<Work<R::Input>>,
    pub(crate) verdicts: Verdicts,
    write: Write,
    /// Nothing that is still to be sent looks at the states.
    is_put_together: bool,
}

impl<R: Role> Writing<R> {
    /// Waits until it is written, or not. Loses nothing when it is dropped before.
    pub(crate) async fn done(&mut self) {
        self.write.as_mut().await;
    }

    /// Does something while it is being written.
    pub(crate) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        beside(&mut self.write, work).await
    }

    /// What it has come to, once it is done.
    pub(crate) fn outcome(&mut self) -> Result<(), StoreError> {
        self.write.as_mut().take_output().expect("it is done")
    }
}

impl<R: Role> Desk<R> {
    /// Decides what of a batch is left and has all of it written. Gives it back when it has to be
    /// [committed](Self::commit) step by step.
    pub(crate) async fn begin(&mut self, mut batch: Batch<R>) -> Result<Result<Writing<R>, Batch<R>>, LaneError> {
        let decided = match batch.is_spoiled {
            true => false,
            false => self.decide_rest(&mut batch).await?,
        };
        if !decided {
            self.take_back(&mut batch);
            return Ok(Err(batch));
        }
        let decided = std::mem::take(&mut batch.decided);
        let (verdicts, parts) = self.close(&batch.items(0), decided, false);
        let write = maybe_done(self.write(parts));
        Ok(Ok(Writing { work: batch.work, verdicts, write: Box::pin(write), is_put_together: false }))
    }

    /// False when it can not be now.
    async fn decide_rest(&mut self, batch: &mut Batch<R>) -> Result<bool, LaneError> {
        let from = batch.rest(&self.role);
        self.states.forget_what_is_over(&mut self.role, |stream| batch.decided.is_about(stream));
        let mut decided = std::mem::take(&mut batch.decided);
        let items = batch.items(from);
        let is_decided = match self.decide_now(&mut decided, &items, Whose::Delivered, &BTreeSet::new()).await {
            Ok(()) => Ok(true),
            Err(Hindrance::Lost(error)) => Err(error.into()),
            Err(Hindrance::Store(_) | Hindrance::Poison(_)) => Ok(false),
        };
        batch.decided = decided;
        is_decided
    }

    /// Decides what came in while another batch is written, as if it were; what can not be decided like that is left.
    pub(crate) fn decide_ahead(&mut self, writing: &Writing<R>, batch: &mut Batch<R>) {
        let known = |(_, _, message): &Work<R::Input>| {
            // What comes last is not decided before what is still to come.
            let waits = self.role.is_untimely(&message.input) || self.role.comes_last(&message.input);
            self.states.get(message.stream).is_some() && !waits
        };
        let is_next = !batch.is_spoiled && R::KEEPS_STATES && writing.is_put_together;
        if !is_next || !batch.work[batch.order.len()..].iter().all(known) {
            return;
        }
        let from = batch.rest(&self.role);
        let mut decided = std::mem::take(&mut batch.decided);
        let done = self.decide(&mut decided, &batch.items(from), Whose::Delivered, &BTreeSet::new(), true);
        (batch.decided, batch.is_spoiled) = (decided, done.is_err());
    }

    /// Throws away what was decided of a batch.
    pub(crate) fn take_back(&mut self, batch: &mut Batch<R>) {
        if batch.is_spoiled || !batch.order.is_empty() {
            self.forget(batch.streams());
        }
        *batch = Batch { work: std::mem::take(&mut batch.work), ..Batch::default() };
    }

    /// Throws away what was decided of a batch whose commit nobody waits for any more.
    pub(crate) fn leave(&mut self, writing: &Writing<R>) {
        self.forget(writing.work.iter().map(|(_, _, message)| message.stream));
    }

    /// Puts together what is to be sent when a batch is written, while it is on its way.
    pub(crate) async fn put_together(&mut self, writing: &mut Writing<R>) {
        let Writing { verdicts, write, .. } = &mut *writing;
        let mut bytes = 0;
        for some in verdicts.effects.chunks_mut(EARLY_AT_ONCE) {
            // The statement has to get on its way, and what has come in is looked at.
            beside(write, tokio::task::yield_now()).await;
            if write.as_mut().output_mut().is_some() || bytes > EARLY_BYTES_MAX {
                return;
            }
            for to_send in some {
                to_send.early = beside(write, self.render_early(to_send.stream, to_send.effect)).await;
                bytes += to_send.early.as_ref().map_or(0, |early| early.outgoing.body.len());
            }
        }
        writing.is_put_together = writing.verdicts.effects.iter().all(|to_send| to_send.early.is_some());
    }

    /// The message of an effect; what goes wrong goes wrong again in its turn.
    async fn render_early(&mut self, stream: StreamId, effect: Effect) -> Option<Rendered> {
        let state = &self.states.get(stream)?.state;
        let gathered = match self.role.must_gather(state, effect) {
            true => self.role.gather(stream, state, effect).await.ok()?,
            false => Raw::empty_object(),
        };
        self.role.render(stream, state, effect, gathered, self.clock.now()).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    /// As a commit holds a connection until its answer is read, and whoever reads from the store needs one.
    #[tokio::test(start_paused = true)]
    async fn what_is_done_beside_a_commit_gets_what_the_commit_holds() {
        let connections = Arc::new(Semaphore::new(1));
        let append: BoxFuture<'static, Result<(), StoreError>> = Box::pin({
            let connections = connections.clone();
            async move {
                let _held = connections.acquire().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(())
            }
        });
        let mut write: Write = Box::pin(maybe_done(append));
        beside(&mut write, tokio::task::yield_now()).await;
        assert_eq!(connections.available_permits(), 0);
        let read = tokio::time::timeout(Duration::from_secs(5), connections.acquire());
        let got = beside(&mut write, read).await.expect("the commit has let go of it");
        drop(got.expect("open"));
        assert_eq!(write.as_mut().take_output(), Some(Ok(())));
    }
}
