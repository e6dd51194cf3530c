//! Steps 2 and 3 of the delivery protocol: deciding a batch, and committing what was decided.
//!
//! A decision is committed against the version that it was made at, "nothing to do" too: a stale state must not
//! be able to judge a result "not current" and ack it away. Where the commit does not go through, what was kept
//! in memory is thrown away, loaded again, and decided again: first the batch as a whole, then stream by stream.

mod again;
mod ahead;
mod decide;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::lane::{LaneError, Place};
use super::letter::Letter;
use super::options::World;
use super::outage::Outages;
use super::patience::{Patience, STORE};
use super::port::{Acker, Append, Clock, Outgoing, Store, StoreError, TransportError};
use super::role::{Message, RenderError, Rendered, Role, Unfit};
use super::states::{Kept, States};
use crate::broken::{self, Broken};
use crate::domain::decision::Effect;
use crate::wire::{MessageId, StreamId, Timestamp};
pub(crate) use ahead::{Batch, Writing};
use decide::{Decided, Item, Whose, item, put_in_order};

/// Whatever is conflicted about a batch that is written together may be gone the next time; then it is decided stream by
/// stream.
const TOGETHER_MAX: u32 = 2;
/// A stream that is fought over is decided anew this often; then its lane ends, and with it the fight.
const CONFLICTS_MAX: u32 = 8;
/// What a commit is called when it does not end.
const COMMIT: &str = "a commit";

/// The reason in the header of a letter whose decision panicked.
pub(crate) const PANICKED: &str = "the decision panicked";
/// The same for one whose stream has events that this version does not know, or can not make sense of.
pub(crate) const UNREADABLE: &str = "its stream can not be read by this version";

/// The place of a delivery, with a letter in it and what that means.
pub(crate) type Work<I> = (Place, Letter, Message<I>);

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

/// Why something is not decided.
enum Hindrance {
    Store(StoreError),
    /// The deliveries may be somebody else's by now.
    Lost(TransportError),
    /// The decision about the message at this place panicked.
    Poison(usize),
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

    /// Decides and commits work, however often it takes; `failed` says why that of the whole was not written, when it was
    /// tried before.
    pub(crate) async fn commit(
        &mut self,
        work: &[Work<R::Input>],
        failed: Option<StoreError>,
    ) -> Result<Verdicts, LaneError> {
        let mut places: Vec<_> = (0..work.len()).collect();
        put_in_order(&mut places, work, &self.role);
        let items: Vec<_> = places.into_iter().map(|place| item(work, place)).collect();
        let mut verdicts = Verdicts::default();
        match self.commit_items(&items, Whose::Delivered, TOGETHER_MAX, failed, &mut verdicts).await {
            Err(LaneError::Store(StoreError::Conflict)) => {
                let mut streams: BTreeMap<StreamId, Vec<_>> = BTreeMap::new();
                for (item, again, message) in items {
                    let again = again || !broken::is(Broken::AgainByFlagOnly);
                    streams.entry(message.stream).or_default().push((item, again, message));
                }
                for items in streams.values() {
                    self.commit_items(items, Whose::Delivered, CONFLICTS_MAX, None, &mut verdicts).await?;
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
        self.commit_items(&[(0, true, &message)], Whose::Own, CONFLICTS_MAX, None, &mut verdicts).await?;
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

    /// Decides, commits, and tries again as often as `tries` allows. `failed`: the first time is over, and went like this.
    async fn commit_items(
        &mut self,
        items: &[Item<'_, R::Input>],
        whose: Whose,
        tries: u32,
        mut failed: Option<StoreError>,
        verdicts: &mut Verdicts,
    ) -> Result<(), LaneError> {
        let streams: BTreeSet<StreamId> = items.iter().map(|item| item.2.stream).collect();
        let mut poisons = BTreeSet::new();
        let mut patience = Patience::new(self.outages.clone());
        let (mut conflicts, mut tried) = (0, false);
        loop {
            if let Some(error) = failed.take() {
                // Whether it was written or not is to be seen from what is stored. From here on this process has
                // tried to commit: what turns out to be handled has its effects sent again.
                tried = true;
                self.forget(streams.iter().copied());
                match error {
                    StoreError::Conflict if conflicts + 1 < tries => conflicts += 1,
                    StoreError::Conflict => return Err(StoreError::Conflict.into()),
                    other => patience.wait(other).await?,
                }
            }
            let mut decided = Decided::default();
            match self.decide_now(&mut decided, items, whose, &poisons).await {
                Ok(()) => {}
                Err(Hindrance::Poison(item)) => {
                    poisons.insert(item);
                    self.forget(streams.iter().copied());
                    continue;
                }
                Err(Hindrance::Store(error)) => {
                    patience.wait(error).await?;
                    continue;
                }
                Err(Hindrance::Lost(error)) => return Err(error.into()),
            }
            let (decided, parts) = self.close(items, decided, tried);
            match self.write(parts).await {
                Ok(()) => {
                    verdicts.add(decided);
                    return Ok(());
                }
                Err(error) => failed = Some(error),
            }
        }
    }

    /// Decides items upon what is stored, and what follows from them.
    async fn decide_now(
        &mut self,
        decided: &mut Decided<R::Event>,
        items: &[Item<'_, R::Input>],
        whose: Whose,
        poisons: &BTreeSet<usize>,
    ) -> Result<(), Hindrance> {
        let streams: BTreeSet<StreamId> = items.iter().map(|item| item.2.stream).collect();
        if !R::KEEPS_STATES && !broken::is(Broken::StaleNothing) {
            self.forget(streams.iter().copied());
        }
        self.load(streams).await.map_err(Hindrance::Store)?;
        // After the state was read: whoever else gets the message from here on finds the same or a newer one, and
        // then this commit does not go through.
        if whose == Whose::Own || items.iter().any(|(_, _, message)| self.role.is_untimely(&message.input)) {
            self.acker.still_holds().await.map_err(Hindrance::Lost)?;
        }
        self.decide(decided, items, whose, poisons, false).map_err(Hindrance::Poison)?;
        self.settle(decided).map_err(Hindrance::Poison)
    }

    /// Writes it, once somebody waits for that.
    fn write(&mut self, mut parts: Vec<Append>) -> BoxFuture<'static, Result<(), StoreError>> {
        if broken::is(Broken::PublishesBeforeCommits) {
            self.late.extend(parts);
            return ready(Ok(())).boxed();
        }
        let (store, outages, written) = (self.store.clone(), self.outages.clone(), self.outages.clone());
        let append = async move {
            if broken::is(Broken::NoVersionCheck) {
                for part in &mut parts {
                    part.expected = store.load_from_start(part.stream).await?.version;
                }
            }
            let writes = parts.iter().any(Append::changes_something);
            store.append(parts).await?;
            // An assertion is read: while a store is known to fail only a write shows that it works again.
            if written.any() && (writes || store.probe_write().await.is_ok()) {
                written.works(STORE);
            }
            Ok(())
        };
        outages.in_time(COMMIT, append).boxed()
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
