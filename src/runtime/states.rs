//! The states that a lane has in memory: loaded when they are needed, thrown away when a commit does not go through.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;

use super::port::{Snapshot, Store, StoreError, Stored};
use super::role::Role;
use crate::wire::{Raw, StreamId};

/// No snapshot before a stream has grown by this much: folding it is cheaper.
const SNAPSHOT_BYTES_MIN: usize = 1024 * 1024;

/// By stream.
pub(super) struct States<S>(BTreeMap<StreamId, Hot<S>>);

/// States that outlive their channel: see [`crate::broken::Broken::StaleNothing`].
pub(crate) struct Kept<S>(Mutex<States<S>>);

/// A state in memory.
pub(super) struct Hot<S> {
    pub(super) state: S,
    /// Bytes of events since the last snapshot, and that snapshot's own.
    bytes_since: usize,
    snapshot_bytes: usize,
}

impl<S> Default for States<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S> Default for Kept<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S> Hot<S> {
    /// So many bytes of events are about to be written: with a snapshot when they and those before outweigh the last.
    pub(super) fn grown_by<R: Role<State = S>>(&mut self, bytes: usize, role: &R) -> Option<Snapshot> {
        self.bytes_since += bytes;
        let is_due = self.bytes_since > self.snapshot_bytes.max(SNAPSHOT_BYTES_MIN);
        let snapshot = is_due.then(|| role.snapshot(&self.state)).flatten();
        if let Some(snapshot) = &snapshot {
            (self.bytes_since, self.snapshot_bytes) = (0, snapshot.state.len());
        }
        snapshot
    }
}

impl<S> States<S> {
    pub(super) fn get(&self, stream: StreamId) -> Option<&Hot<S>> {
        self.0.get(&stream)
    }

    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Hot<S>> {
        self.0.get_mut(&stream)
    }

    pub(super) fn swap(&mut self, kept: &Kept<S>) {
        std::mem::swap(self, &mut kept.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn forget<R: Role<State = S>>(&mut self, role: &mut R, streams: impl IntoIterator<Item = StreamId>) {
        for stream in streams {
            self.0.remove(&stream);
            role.forget(stream);
        }
    }

    /// Forgets the streams that have ended, but those that are `needed`.
    pub(super) fn forget_what_is_over<R: Role<State = S>>(&mut self, role: &mut R, needed: impl Fn(StreamId) -> bool) {
        let over = self.0.iter().filter(|(stream, hot)| role.is_over(&hot.state) && !needed(**stream));
        let over: Vec<_> = over.map(|(&stream, _)| stream).collect();
        self.forget(role, over);
    }

    /// Loads those of the streams that are not in memory; one that can not be read is left out.
    pub(super) async fn load<R: Role<State = S>>(
        &mut self,
        role: &R,
        store: &dyn Store,
        streams: impl IntoIterator<Item = StreamId>,
    ) -> Result<(), StoreError> {
        let missing: Vec<_> = streams.into_iter().filter(|stream| !self.0.contains_key(stream)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let stored = store.load(&missing).await?;
        for (stream, mut stored) in missing.into_iter().zip(stored) {
            let snapshot = stored.snapshot.take();
            let restored = snapshot.as_ref().and_then(|snapshot| {
                let state = catch_unwind(AssertUnwindSafe(|| role.restore(snapshot))).ok().flatten()?;
                Some((state, snapshot.state.len()))
            });
            if snapshot.is_some() && restored.is_none() {
                // A snapshot of another format, or one that is damaged: the stream has everything.
                stored = store.load_from_start(stream).await?;
            }
            let was_restored = restored.is_some();
            let mut folded = fold(role, stream, restored, &stored);
            if folded.is_none() && was_restored {
                // It may be the snapshot that does not fit.
                folded = fold(role, stream, None, &store.load_from_start(stream).await?);
            }
            if let Some(hot) = folded {
                self.0.insert(stream, hot);
            }
        }
        Ok(())
    }
}

/// None of a stream that can not be read: nobody else's work is to suffer from it. `restored` is the state of a snapshot,
/// and the bytes of that.
fn fold<R: Role>(
    role: &R,
    stream: StreamId,
    restored: Option<(R::State, usize)>,
    stored: &Stored,
) -> Option<Hot<R::State>> {
    let (mut state, snapshot_bytes) = restored.unwrap_or_else(|| (role.fresh(stream), 0));
    for raw in &stored.events {
        if let Err(error) = apply(raw, |event| role.apply(&mut state, &event)) {
            tracing::error!(
                %stream, error,
                "a stream has an event that this version can not read, and its messages are set aside; hint: run the \
                 newest version of this layer, then `trireme dead redrive`"
            );
            return None;
        }
    }
    Some(Hot { state, bytes_since: stored.events.iter().map(Raw::bytes).sum(), snapshot_bytes })
}

/// Reads a stored event and has it applied. Whoever stored it may have known more than this version, or less: what it
/// can make no sense of must not end it.
pub(super) fn apply<E: DeserializeOwned>(raw: &Raw, apply: impl FnOnce(E)) -> Result<(), String> {
    let event = raw.read().map_err(|error| error.to_string())?;
    catch_unwind(AssertUnwindSafe(|| apply(event))).map_err(|_| "it does not fit what came before it".to_owned())
}
