//! Steps 2 and 3 of the delivery protocol: deciding a batch, and committing what was decided.
//!
//! A decision is committed against the version that it was made at, "nothing to do" too: a stale state must not
//! be able to judge a result "not current" and ack it away. Where the commit does not go through, what was kept
//! in memory is thrown away, loaded again, and decided again: first the batch as a whole, then stream by stream.

mod again;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use again::{remembers, sends_again};
use futures_util::poll;
use serde::Serialize;

use super::lane::LaneError;
use super::letter::Letter;
use super::options::World;
use super::outage::Outages;
use super::patience::{Patience, STORE};
use super::port::{Acker, Append, Clock, Outgoing, Payload, Store, StoreError};
use super::role::{Message, RenderError, Rendered, Role, Unfit};
use super::states::{Kept, States};
use crate::broken::{self, Broken};
use crate::domain::decision::{Decision, Effect};
use crate::wire::{MessageId, Raw, StreamId, Timestamp};

/// A stream that is fought over is decided anew this often; then its lane ends, and with it the fight.
const CONFLICTS_MAX: u32 = 8;
/// So many messages are put together between two looks at a commit that is on its way, and so many bytes of them at the
/// most.
const EARLY_AT_ONCE: usize = 32;
const EARLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The reason in the header of a letter whose decision panicked.
pub(crate) const PANICKED: &str = "the decision panicked";
/// The same for one whose stream has events that this version does not know, or can not make sense of.
pub(crate) const UNREADABLE: &str = "its stream can not be read by this version";

/// A place in the batch, with the letter and what it means.
pub(crate) type Work<I> = (usize, Letter, Message<I>);

/// An effect of the work at this place.
pub(crate) struct ToSend {
    pub(crate) item: usize,
    pub(crate) stream: StreamId,
    pub(crate) effect: Effect,
    /// Its message, where it was put together while the commit was on its way.
    pub(crate) early: Option<Rendered>,
}

/// What came of a batch. Numbers are places in the work that was handed in.
#[derive(Default)]
pub(crate) struct Verdicts {
    pub(crate) effects: Vec<ToSend>,
    pub(crate) notices: Vec<Outgoing>,
    /// Streams of which watchers are to hear in their turn.
    pub(crate) moved: Vec<StreamId>,
    pub(crate) refused: Vec<(usize, &'static str)>,
    /// Decided by nobody, and why.
    pub(crate) undecided: Vec<(usize, &'static str)>,
}

/// Where a role's decisions are made and committed.
pub(crate) struct Desk<R: Role> {
    pub(crate) role: R,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    outages: Arc<Outages>,
    acker: Arc<dyn Acker>,
    states: States<R::State>,
    late: Vec<Append>,
}

/// What one stream is to get of the batch.
struct Draft<E> {
    expected: u64,
    events: Vec<E>,
    raw: Vec<Raw>,
    payloads: Vec<Payload>,
}

impl<E: Serialize> Draft<E> {
    fn at(expected: u64) -> Self {
        Self { expected, events: Vec::new(), raw: Vec::new(), payloads: Vec::new() }
    }

    fn record(&mut self, events: Vec<E>) {
        self.raw.extend(events.iter().map(|event| Raw::from_serialize(event).expect("events are JSON")));
        self.events.extend(events);
    }
}

/// What of a batch is one stream's.
#[derive(Default)]
struct Share {
    inputs: usize,
    /// The last of them that was recorded: its place, and its message.
    recorded: Option<(usize, MessageId)>,
}

/// Where an input comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Delivered,
    /// This process gives it itself, because of a delivery that it still has to hold: what follows is sent because of that.
    Own,
}

/// What was decided of one piece of work.
enum Outcome {
    Recorded,
    Nothing(&'static str),
    Refused(&'static str),
    Undecided(&'static str),
}

impl Verdicts {
    fn add(&mut self, other: Self) {
        let Self { effects, notices, moved, refused, undecided } = other;
        self.effects.extend(effects);
        self.notices.extend(notices);
        self.moved.extend(moved);
        self.refused.extend(refused);
        self.undecided.extend(undecided);
    }
}

impl<R: Role> Desk<R> {
    pub(crate) fn new(role: R, world: &World, outages: Arc<Outages>, acker: Arc<dyn Acker>) -> Self {
        let (store, clock) = (world.store.clone(), world.clock.clone());
        Self { role, store, clock, outages, acker, states: States::default(), late: Vec::new() }
    }

    pub(crate) fn outages(&self) -> Arc<Outages> {
        self.outages.clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What a letter means; one that can not be read without a panic must not take the others with it.
    pub(crate) fn read(&mut self, letter: &Letter) -> Result<Message<R::Input>, Unfit> {
        let message = catch_unwind(AssertUnwindSafe(|| self.role.read(letter)));
        let message = message.unwrap_or(Err(Unfit::Misdirected(PANICKED)))?;
        match message.stream {
            StreamId::Phase(_, 0) => Err(Unfit::Misdirected("no_such_phase")),
            _ => Ok(message),
        }
    }

    /// Reads from the store what a message needs before it is decided.
    pub(crate) async fn prepare(&mut self, message: &mut Message<R::Input>) -> Result<(), StoreError> {
        let mut patience = Patience::new(self.outages.clone());
        while let Err(error) = self.role.prepare(message).await {
            patience.wait(error).await?;
        }
        Ok(())
    }

    /// Decides and commits a batch.
    pub(crate) async fn commit(&mut self, work: &[Work<R::Input>]) -> Result<Verdicts, LaneError> {
        let items = (0..).zip(work).map(|(item, (_, letter, message))| (item, letter.again, message));
        let mut items: Vec<_> = items.collect();
        items.sort_by_key(|(_, _, Message { input, .. })| (!self.role.comes_first(input), self.role.comes_last(input)));
        if items.is_empty() {
            return Ok(Verdicts::default());
        }
        self.states.forget_what_is_over(&mut self.role);
        let mut verdicts = Verdicts::default();
        match self.commit_items(&items, Whose::Delivered, 2, &mut verdicts).await {
            Err(LaneError::Store(StoreError::Conflict)) => {
                let mut streams: BTreeMap<StreamId, Vec<_>> = BTreeMap::new();
                for item in items {
                    streams.entry(item.2.stream).or_default().push((
                        item.0,
                        item.1 || !broken::is(Broken::AgainByFlagOnly),
                        item.2,
                    ));
                }
                for items in streams.values() {
                    self.commit_items(items, Whose::Delivered, CONFLICTS_MAX, &mut verdicts).await?;
                }
            }
            done => done?,
        }
        Ok(verdicts)
    }

    /// Decides and commits an input that this process gives itself; what it caused is to be sent in any case. None
    /// when the decision panicked.
    pub(crate) async fn commit_own(
        &mut self,
        message: Message<R::Input>,
    ) -> Result<Option<Vec<(StreamId, Effect)>>, LaneError> {
        let mut verdicts = Verdicts::default();
        self.commit_items(&[(0, true, &message)], Whose::Own, CONFLICTS_MAX, &mut verdicts).await?;
        let effects = verdicts.effects.into_iter().map(|to_send| (to_send.stream, to_send.effect)).collect();
        Ok(verdicts.undecided.is_empty().then_some(effects))
    }

    /// Whether what `cause` had sent still waits for this effect to arrive.
    pub(crate) async fn is_current(
        &mut self,
        stream: StreamId,
        cause: MessageId,
        effect: Effect,
    ) -> Result<bool, StoreError> {
        self.load([stream]).await?;
        Ok(self.states.get(stream).is_some_and(|hot| self.role.effects(&hot.state, cause).contains(&effect)))
    }

    /// The message of an effect of a stream that was just committed.
    pub(crate) async fn render(&mut self, stream: StreamId, effect: Effect) -> Result<Rendered, RenderError> {
        let mut patience = Patience::new(self.outages.clone());
        loop {
            self.load([stream]).await.map_err(RenderError::Store)?;
            let now = self.clock.now();
            let Some(hot) = self.states.get(stream) else {
                return Err(RenderError::Store(StoreError::Conflict));
            };
            match self.role.gather(stream, &hot.state, effect).await {
                Ok(gathered) => return self.role.render(stream, &hot.state, effect, gathered, now),
                Err(RenderError::Store(error)) => patience.wait(error).await.map_err(RenderError::Store)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Decides, commits, and tries again as often as `tries` allows. The items are (place, whether handled ones
    /// are to have their effects again, message).
    async fn commit_items(
        &mut self,
        items: &[(usize, bool, &Message<R::Input>)],
        whose: Whose,
        tries: u32,
        verdicts: &mut Verdicts,
    ) -> Result<(), LaneError> {
        let mut poisons = BTreeSet::new();
        let mut patience = Patience::new(self.outages.clone());
        let (mut conflicts, mut tried) = (0, false);
        loop {
            let streams: BTreeSet<StreamId> = items.iter().map(|item| item.2.stream).collect();
            if !R::KEEPS_STATES && !broken::is(Broken::StaleNothing) {
                self.forget(streams.iter().copied());
            }
            if let Err(error) = self.load(streams.iter().copied()).await {
                patience.wait(error).await?;
                continue;
            }
            // After the state was read: whoever else gets the message from here on finds the same or a newer one, and
            // then this commit does not go through.
            if whose == Whose::Own || items.iter().any(|(_, _, message)| self.role.is_untimely(&message.input)) {
                self.acker.still_holds().await?;
            }
            let (outcomes, mut drafts) = match self.decide(items, whose, &poisons) {
                Ok(decided) => decided,
                Err(poison) => {
                    poisons.insert(poison);
                    self.forget(streams);
                    continue;
                }
            };
            let mut decided = self.collect(items, tried, outcomes, &drafts);
            let parts = self.parts(&mut drafts);
            let error = match self.append(parts, &mut decided.effects).await {
                Ok(()) => {
                    self.outages.works(STORE);
                    verdicts.add(decided);
                    return Ok(());
                }
                Err(error) => error,
            };
            // Whether it was written or not is to be seen from what is stored. From here on this process has
            // tried to commit: what turns out to be handled has its effects sent again.
            tried = true;
            self.forget(streams);
            match error {
                StoreError::Conflict if conflicts + 1 < tries => conflicts += 1,
                StoreError::Conflict => return Err(StoreError::Conflict.into()),
                other => patience.wait(other).await?,
            }
        }
    }

    /// Decides all items in their order; fails with the place of one whose decision panicked.
    #[expect(clippy::type_complexity, reason = "used once, right above")]
    fn decide(
        &mut self,
        items: &[(usize, bool, &Message<R::Input>)],
        whose: Whose,
        poisons: &BTreeSet<usize>,
    ) -> Result<(Vec<Outcome>, BTreeMap<StreamId, Draft<R::Event>>), usize> {
        let now = self.clock.now();
        let mut outcomes = Vec::with_capacity(items.len());
        let mut drafts = BTreeMap::new();
        let mut shares: BTreeMap<StreamId, Share> = BTreeMap::new();
        items.iter().for_each(|(_, _, message)| shares.entry(message.stream).or_default().inputs += 1);
        for &(item, again, message) in items {
            if poisons.contains(&item) {
                outcomes.push(Outcome::Undecided(PANICKED));
                continue;
            }
            let stream = message.stream;
            let Some(hot) = self.states.get_mut(stream) else {
                outcomes.push(Outcome::Undecided(UNREADABLE));
                continue;
            };
            let expected = self.role.version(&hot.state);
            let draft = drafts.entry(stream).or_insert_with(|| Draft::at(expected));
            let (role, share) = (&mut self.role, shares.entry(stream).or_default());
            let many = share.inputs > 1;
            let decided =
                catch_unwind(AssertUnwindSafe(|| match role.decide(stream, &mut hot.state, message, many, now) {
                    Decision::Record(events) => {
                        draft.payloads.extend(role.payloads(stream, &events, message));
                        draft.record(events);
                        share.recorded = Some((item, message.cause));
                        Outcome::Recorded
                    }
                    Decision::Nothing(why) => {
                        tracing::debug!(%stream, message = %message.cause, why, "nothing to do");
                        // Whoever had it before may be about to record that a publish was refused: then one of the two finds
                        // the stream changed.
                        let is_fenced = again && whose == Whose::Delivered && !broken::is(Broken::StaleNothing);
                        if is_fenced && !role.effects(&hot.state, message.cause).is_empty() {
                            let event = role.sent_again(message.cause, now);
                            role.apply(&mut hot.state, &event);
                            draft.record(vec![event]);
                        }
                        Outcome::Nothing(why)
                    }
                    Decision::Refuse(why) => Outcome::Refused(why),
                }));
            match decided {
                Ok(outcome) => outcomes.push(outcome),
                Err(_) => {
                    tracing::error!(%stream, message = %message.cause, "a decision panicked; its message is set aside");
                    return Err(item);
                }
            }
        }
        for (stream, share) in shares.into_iter().filter(|(_, share)| share.inputs > 1) {
            let (Some((item, cause)), Some(hot)) = (share.recorded, self.states.get_mut(stream)) else { continue };
            let settle = || self.role.settle(stream, &mut hot.state, cause, now);
            match (catch_unwind(AssertUnwindSafe(settle)), drafts.get_mut(&stream)) {
                (Ok(events), Some(draft)) => draft.record(events),
                _ => {
                    tracing::error!(%stream, message = %cause, "settling panicked; its message is set aside");
                    return Err(item);
                }
            }
        }
        Ok((outcomes, drafts))
    }

    /// What is to be written.
    fn parts(&mut self, drafts: &mut BTreeMap<StreamId, Draft<R::Event>>) -> Vec<Append> {
        let mut parts = Vec::with_capacity(drafts.len());
        for (&stream, draft) in drafts {
            let Some(hot) = self.states.get_mut(stream) else { continue };
            if draft.events.is_empty() {
                if !broken::is(Broken::StaleNothing) {
                    parts.push(Append::assertion(stream, draft.expected));
                }
                continue;
            }
            let snapshot = hot.grown_by(draft.raw.iter().map(Raw::bytes).sum(), &self.role);
            parts.push(Append {
                stream,
                expected: draft.expected,
                // When this is not written, everything is decided anew.
                events: std::mem::take(&mut draft.raw),
                payloads: std::mem::take(&mut draft.payloads),
                summary: self.role.summary(stream, &hot.state),
                snapshot,
            });
        }
        parts
    }

    /// Writes, and puts together meanwhile what is to be sent when it is written.
    async fn append(&mut self, mut parts: Vec<Append>, effects: &mut [ToSend]) -> Result<(), StoreError> {
        if broken::is(Broken::NoVersionCheck) {
            for part in &mut parts {
                part.expected = self.store.load_from_start(part.stream).await?.version;
            }
        }
        if broken::is(Broken::PublishesBeforeCommits) {
            self.late.extend(parts);
            return Ok(());
        }
        let store = self.store.clone();
        let mut written = pin!(store.append(parts));
        let mut bytes = 0;
        for some in effects.chunks_mut(EARLY_AT_ONCE) {
            if let Poll::Ready(written) = poll!(written.as_mut()) {
                return written;
            }
            // The statement has to get on its way, and what has come in is looked at.
            tokio::task::yield_now().await;
            some.iter_mut().for_each(|to_send| to_send.early = self.render_early(to_send));
            bytes +=
                some.iter().flat_map(|to_send| &to_send.early).map(|early| early.outgoing.body.len()).sum::<usize>();
            if bytes > EARLY_BYTES_MAX {
                break;
            }
        }
        written.await
    }

    /// The message of an effect that needs nothing but the state; what goes wrong goes wrong again in its turn.
    fn render_early(&self, to_send: &ToSend) -> Option<Rendered> {
        let state = &self.states.get(to_send.stream)?.state;
        if self.role.must_gather(state, to_send.effect) {
            return None;
        }
        self.role.render(to_send.stream, state, to_send.effect, Raw::empty_object(), self.clock.now()).ok()
    }

    /// Writes what is still to be written: nothing, unless this program publishes first.
    pub(crate) async fn append_late(&mut self) -> Result<(), StoreError> {
        match self.late.is_empty() {
            true => Ok(()),
            false => self.store.append(std::mem::take(&mut self.late)).await,
        }
    }

    /// Takes over what another had in memory, or leaves it behind: only where that is the fault that is looked for.
    pub(crate) fn swap(&mut self, kept: &Kept<R::State>) {
        if broken::is(Broken::StaleNothing) {
            self.states.swap(kept);
        }
    }

    /// What is to be sent when all of it is written, by the states after the whole batch.
    fn collect(
        &self,
        items: &[(usize, bool, &Message<R::Input>)],
        tried: bool,
        outcomes: Vec<Outcome>,
        drafts: &BTreeMap<StreamId, Draft<R::Event>>,
    ) -> Verdicts {
        let mut verdicts = Verdicts::default();
        let now = self.clock.now();
        let mut sent = BTreeSet::new();
        for (&(item, again, message), outcome) in items.iter().zip(outcomes) {
            match outcome {
                Outcome::Undecided(why) => verdicts.undecided.push((item, why)),
                Outcome::Refused(reason) => verdicts.refused.push((item, reason)),
                Outcome::Recorded | Outcome::Nothing(_) => {}
            }
            let Some(hot) = self.states.get(message.stream) else { continue };
            let why = match outcome {
                Outcome::Refused(why) | Outcome::Nothing(why) => Some(why),
                Outcome::Recorded | Outcome::Undecided(_) => None,
            };
            let to_send = match outcome {
                Outcome::Recorded => true,
                Outcome::Nothing(_) => sends_again(again, tried),
                Outcome::Refused(_) | Outcome::Undecided(_) => false,
            };
            if to_send {
                let effects = self.role.effects(&hot.state, message.cause);
                let is_known = |effect: &Effect| remembers(*effect, matches!(outcome, Outcome::Recorded));
                let fresh =
                    effects.into_iter().filter(is_known).filter(|&effect| sent.insert((message.stream, effect)));
                let stream = message.stream;
                verdicts.effects.extend(fresh.map(|effect| ToSend { item, stream, effect, early: None }));
            }
            if !matches!(outcome, Outcome::Recorded) {
                verdicts.notices.extend(self.role.answer(message.stream, &hot.state, message, why, now));
            }
        }
        for (stream, draft) in drafts.iter().filter(|(_, draft)| !draft.events.is_empty()) {
            if let Some(hot) = self.states.get(*stream) {
                verdicts.notices.extend(self.role.notices(*stream, &hot.state, &draft.events, now));
                verdicts.moved.extend(self.role.has_moved(&hot.state, &draft.events).then_some(*stream));
            }
        }
        verdicts
    }

    /// How a stream stands that is in memory.
    pub(crate) fn standing(&self, stream: StreamId) -> Option<Outgoing> {
        self.role.standing(stream, &self.states.get(stream)?.state, self.now())
    }

    async fn load(&mut self, streams: impl IntoIterator<Item = StreamId>) -> Result<(), StoreError> {
        self.states.load(&self.role, self.store.as_ref(), streams).await
    }

    fn forget(&mut self, streams: impl IntoIterator<Item = StreamId>) {
        self.states.forget(&mut self.role, streams);
    }
}
