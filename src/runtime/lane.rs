//! The step of the delivery protocol, on one channel.
//!
//! 1. Deliveries that are ready are opened into inputs,
//! 2. the machine decides each,
//! 3. all decisions of the batch are committed in one transaction, each against the version it was made at,
//! 4. what they cause is published, what goes to the same place in one body,
//! 5. and when that is confirmed, the deliveries are acked.
//!
//! The unacked delivery is the outbox. A crash before 3: it is delivered again, and decided again. A crash
//! between 3 and 5: it is delivered again, the machine sees that it was handled, and what it caused and what is
//! still current goes out again under the same ids.
//!
//! While 3 is on its way for one batch, the next is opened and decided, upon states that may not be written yet: nothing of
//! it is written or sent before the batch before it is, and all of it is decided again should that fail.
//!
//! A lane never outlives its channel: whatever breaks ends it, and a new one starts with nothing in memory.

mod line;
mod pack;
mod refused;
mod send;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::OptionFuture;
use tokio::time::Instant;
use uuid::Uuid;

use line::Line;
pub(crate) use line::Place;
use pack::Pack;

use super::commit::{Batch, Desk, Verdicts, Work, Writing};
use super::herald::{Herald, turn};
use super::letter::{self, Opened};
use super::options::World;
use super::outage::Outages;
use super::port::{Acker, Consumer, Delivery, Publisher, StoreError, TransportError};
use super::role::{Role, Unfit};
use super::states::Kept;
use super::stop::Stop;
use crate::broken::{self, Broken};
use crate::domain::decision::Effect;
use crate::wire::{Content, MessageId, StreamId};

/// So many deliveries are decided together: enough that a commit is shared, few enough that it is short.
const BATCH_MAX: usize = 256;
/// So many deliveries at once are decided while a commit is on its way, each of hundreds of answers where there are
/// many: it is not to wait long when it is done.
const AHEAD_AT_ONCE: usize = 1;
/// What it is called when it does not go round.
const LOOP: &str = "the loop";
/// So many deliveries wait for confirms before no more are taken: a slow broker must not fill the memory.
const HELD_MAX: usize = 2_048;

/// Why a lane ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a publish was not confirmed")]
    Unconfirmed,
    #[error("{0}")]
    WrongStore(String),
}

/// One channel's worth of the protocol.
pub(crate) struct Lane<R: Role> {
    desk: Desk<R>,
    store_id: Uuid,
    publisher: Arc<dyn Publisher>,
    acker: Arc<dyn Acker>,
    line: Line,
    /// The batch whose commit is on its way, and the place before which its deliveries are.
    writing: Option<(Writing<R>, Place)>,
    /// What came in since.
    next: Batch<R>,
    /// What is being sent and not published yet: a body for each place.
    packs: Vec<Pack>,
    herald: Herald,
}

/// An effect on its way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    stream: StreamId,
    effect: Effect,
    /// The input that caused it.
    cause: MessageId,
    id: MessageId,
}

impl<R: Role> Lane<R> {
    pub(crate) fn new(
        role: R,
        world: &World,
        outages: Arc<Outages>,
        publisher: Box<dyn Publisher>,
        consumer: &dyn Consumer,
    ) -> Self {
        Self {
            desk: Desk::new(role, world, outages, consumer.acker()),
            store_id: world.store_id,
            publisher: publisher.into(),
            acker: consumer.acker(),
            line: Line::default(),
            writing: None,
            next: Batch::default(),
            packs: Vec::new(),
            herald: Herald::new(world.timing.progress),
        }
    }

    /// See [`Desk::swap`].
    pub(crate) fn swap(&mut self, kept: &Kept<R::State>) {
        // What was not written is nobody's.
        self.desk.take_back(&mut self.next);
        if let Some((writing, _)) = self.writing.take() {
            self.desk.leave(&writing);
        }
        self.desk.swap(kept);
    }

    /// Works until it is told to stop or something breaks. A stop finishes what is committed, and no more.
    pub(crate) async fn run(&mut self, consumer: &mut dyn Consumer, stop: &Stop) -> Result<(), LaneError> {
        let outages = self.desk.outages();
        loop {
            let is_writing = self.writing.is_some();
            let next = self.writing.as_ref().map_or(0, |(_, end)| self.line.since(*end));
            let room = self.line.len() < HELD_MAX && next < BATCH_MAX;
            let most = if is_writing { AHEAD_AT_ONCE } else { BATCH_MAX };
            let written = self.writing.as_mut().map(|(writing, _)| writing.done());
            tokio::select! {
                biased;
                () = stop.draining() => break,
                Some(()) = OptionFuture::from(written) => outages.clone().in_time(LOOP, Box::pin(self.go_on())).await?,
                done = self.line.confirmed(&self.publisher), if !is_writing && self.line.is_out() => {
                    done?;
                    self.ack().await?;
                }
                batch = consumer.next(most), if room => outages.clone().in_time(LOOP, Box::pin(self.take(batch?))).await?,
                now = turn(self.herald.next()), if !is_writing => self.tell_watchers(now).await?,
            }
        }
        if let Some((writing, _)) = &mut self.writing {
            writing.done().await;
            self.finish().await?;
        }
        while self.line.is_out() {
            self.line.confirmed(&self.publisher).await?;
            self.ack().await?;
        }
        Ok(())
    }

    /// Steps 1 and 2, and 3 unless another batch is being written.
    async fn take(&mut self, deliveries: Vec<Delivery>) -> Result<(), LaneError> {
        if let Some(last) = deliveries.last().filter(|_| broken::is(Broken::AcksBeforeConfirms)) {
            self.acker.ack(last.tag, true).await?;
        }
        match self.writing.take() {
            Some((mut writing, end)) => {
                let opened = writing.beside(Box::pin(self.open_all(&deliveries))).await;
                self.desk.decide_ahead(&writing, &mut self.next);
                self.writing = Some((writing, end));
                opened
            }
            None => {
                Box::pin(self.open_all(&deliveries)).await?;
                self.begin().await
            }
        }
    }

    async fn open_all(&mut self, deliveries: &[Delivery]) -> Result<(), LaneError> {
        for delivery in deliveries {
            self.open(delivery).await?;
        }
        Ok(())
    }

    /// Step 1 for one delivery.
    async fn open(&mut self, delivery: &Delivery) -> Result<(), LaneError> {
        let at = self.line.push(delivery.tag);
        let Opened { letters, unreadable, is_one } = letter::open(delivery);
        for part in unreadable {
            let beside = letter::beside(delivery, is_one);
            self.set_aside(at, delivery, beside, &part.header(), part.bytes).await?;
        }
        for letter in letters {
            match self.desk.read(&letter) {
                Ok(mut message) => {
                    self.desk.prepare(&mut message).await?;
                    self.next.work.push((at, letter, message));
                }
                Err(Unfit::Handled) => {}
                Err(Unfit::WrongStore(why)) => return Err(LaneError::WrongStore(why)),
                Err(Unfit::Misdirected(reason)) => self.set_letter_aside(at, &letter, reason).await?,
            }
        }
        Ok(())
    }

    /// Has what came in written; nothing else is being written.
    async fn begin(&mut self) -> Result<(), LaneError> {
        let (batch, end) = (std::mem::take(&mut self.next), self.line.end());
        // An alarm is a look at the clock: a stream that only waits does not make its owner busy.
        if batch.work.iter().any(|(_, letter, _)| !matches!(letter.envelope.content, Content::Alarm(_))) {
            self.desk.role.at_work();
        }
        if batch.work.is_empty() {
            self.line.sent_before(end);
            return Ok(());
        }
        match self.desk.begin(batch).await? {
            Ok(mut writing) => {
                self.desk.put_together(&mut writing).await;
                self.note_moved(&mut writing.verdicts);
                self.writing = Some((writing, end));
                Ok(())
            }
            Err(batch) => {
                let mut verdicts = Box::pin(self.desk.commit(&batch.work, None)).await?;
                self.note_moved(&mut verdicts);
                self.sent(&batch.work, verdicts, end).await
            }
        }
    }

    /// A batch was written, or not: step 4 for it, and the next is begun.
    async fn go_on(&mut self) -> Result<(), LaneError> {
        self.finish().await?;
        self.ack().await?;
        match self.line.has_unsent() {
            true => self.begin().await,
            false => Ok(()),
        }
    }

    async fn finish(&mut self) -> Result<(), LaneError> {
        let Some((mut writing, end)) = self.writing.take() else { return Ok(()) };
        let verdicts = match writing.outcome() {
            Ok(()) => writing.verdicts,
            Err(error) => {
                self.desk.take_back(&mut self.next);
                let mut verdicts = Box::pin(self.desk.commit(&writing.work, Some(error))).await?;
                // The words about them went with what was not written.
                verdicts.moved.append(&mut writing.verdicts.moved);
                self.note_moved(&mut verdicts);
                verdicts
            }
        };
        self.sent(&writing.work, verdicts, end).await
    }

    /// Step 4 for work that is written, which is of the deliveries before `end`.
    async fn sent(&mut self, work: &[Work<R::Input>], verdicts: Verdicts, end: Place) -> Result<(), LaneError> {
        self.send_out(work, verdicts).await?;
        self.line.sent_before(end);
        Ok(())
    }

    /// Step 5: acks the deliveries at the front that are done, with one ack for all.
    async fn ack(&mut self) -> Result<(), LaneError> {
        let mut last = None;
        while let Some(done) = self.line.confirmed(&self.publisher).now_or_never() {
            done?;
            let refused = self.line.refused();
            if !refused.is_empty() {
                // What follows from it is decided upon what is written.
                self.desk.take_back(&mut self.next);
                Box::pin(self.on_refused(refused)).await?;
                continue;
            }
            match self.line.pop() {
                Some(tag) => last = Some(tag),
                None => break,
            }
        }
        if let Some(tag) = last.filter(|_| !broken::is(Broken::AcksBeforeConfirms)) {
            self.acker.ack(tag, true).await?;
        }
        Ok(())
    }

    /// Adds words for watchers about the streams whose turn it is, as they stand before anything else is decided; those
    /// are then named as moved.
    fn note_moved(&mut self, verdicts: &mut Verdicts) {
        let now = Instant::now();
        verdicts.moved.drain(..).for_each(|stream| self.herald.moved(stream, now));
        verdicts.moved = self.herald.due(now);
        verdicts.notices.extend(verdicts.moved.iter().filter_map(|&stream| self.desk.standing(stream)));
    }

    /// Says how streams stand whose turn it is.
    async fn tell_watchers(&mut self, now: Instant) -> Result<(), LaneError> {
        let due = self.herald.due(now);
        let words = due.into_iter().filter_map(|stream| self.desk.standing(stream)).collect();
        self.say(words).await
    }
}

#[cfg(test)]
mod tests;
