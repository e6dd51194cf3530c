//! The results that dependants are still to be handed: in memory within a bound, else read from the store.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::domain::phase::Phase;
use crate::runtime::port::{PayloadKind, Store, StoreError};
use crate::wire::{Raw, StreamId, SubtaskStatus};

/// Results kept in memory per partition, in bytes; beyond it the oldest are read from the store again.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest `deps` that is sent as it is, in bytes; a longer one is a reference.
pub(crate) const DEPS_BYTES_MAX: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct Results {
    kept: BTreeMap<(StreamId, u32), Raw>,
    order: VecDeque<(StreamId, u32)>,
    bytes: usize,
}

/// What stands in the place of `deps` that are too long: where they are, and how many.
#[derive(Serialize)]
struct Reference {
    reference: StreamId,
    bytes: usize,
    subtasks: usize,
    completed: usize,
}

/// Why there are no `deps`.
pub(crate) enum DepsError {
    Store(StoreError),
    /// The result of this subtask is not in the store.
    Missing(String),
}

impl From<StoreError> for DepsError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Results {
    pub(crate) fn keep(&mut self, stream: StreamId, ordinal: u32, result: Raw) {
        self.bytes += result.bytes();
        self.kept.insert((stream, ordinal), result);
        self.order.push_back((stream, ordinal));
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.drop_one(oldest);
        }
    }

    fn drop_one(&mut self, key: (StreamId, u32)) {
        if let Some(result) = self.kept.remove(&key) {
            self.bytes -= result.bytes();
        }
    }

    pub(crate) fn forget(&mut self, stream: StreamId) {
        let of_stream: Vec<_> = self.kept.range((stream, 0)..=(stream, u32::MAX)).map(|(&key, _)| key).collect();
        of_stream.into_iter().for_each(|key| self.drop_one(key));
        // The order may name what is gone; it is skipped when its turn comes, unless there is too much of that.
        if self.order.len() > 2 * self.kept.len() + 1_024 {
            self.order.retain(|key| self.kept.contains_key(key));
        }
    }

    /// The `deps` of a subtask: an object from the name of each direct dependency to its result. A result that the
    /// store does not have is an error of its own: it is recorded with the completion, so it should be there.
    pub(crate) async fn deps(
        &mut self,
        store: &dyn Store,
        stream: StreamId,
        phase: &Phase,
        ordinal: u32,
    ) -> Result<Raw, DepsError> {
        let spec = phase.spec(ordinal);
        if spec.dependencies.is_empty() {
            return Ok(Raw::empty_object());
        }
        let ordinals: Vec<u32> = spec.dependencies.iter().flat_map(|span| span.ordinals()).collect();
        let bytes_of = |other: &u32| {
            let result = phase.subtask(*other).map_or(0, |subtask| subtask.bytes as usize);
            result + phase.spec(*other).name.len() + 16
        };
        let bytes = ordinals.iter().map(bytes_of).sum();
        let is_last = spec.span().ordinals().next_back() == Some(ordinal);
        let deps = match bytes > DEPS_BYTES_MAX {
            true => {
                let count = ordinals.len();
                json(&Reference { reference: stream, bytes, subtasks: count, completed: count })?
            }
            false => self.gather(store, stream, phase, &ordinals).await?,
        };
        if is_last {
            ordinals.iter().filter(|&&other| phase.is_used_up(other)).for_each(|&other| self.drop_one((stream, other)));
        }
        Ok(deps)
    }

    async fn gather(
        &self,
        store: &dyn Store,
        stream: StreamId,
        phase: &Phase,
        ordinals: &[u32],
    ) -> Result<Raw, DepsError> {
        // Where each is that is not in memory: with its own phase, or where it was made.
        let mut missing: BTreeMap<StreamId, Vec<u32>> = BTreeMap::new();
        for &ordinal in ordinals.iter().filter(|&&ordinal| !self.kept.contains_key(&(stream, ordinal))) {
            let (stream, ordinal) = place(stream, phase, ordinal);
            missing.entry(stream).or_default().push(ordinal);
        }
        let mut stored: BTreeMap<(StreamId, u32), Raw> = BTreeMap::new();
        for (stream, ordinals) in missing {
            let payloads = store.payloads(stream, PayloadKind::Result, &ordinals).await?;
            stored.extend(payloads.into_iter().map(|payload| ((stream, payload.ordinal), payload.data)));
        }
        let goes_without =
            |ordinal: u32| phase.subtask(ordinal).is_some_and(|subtask| subtask.status != SubtaskStatus::Completed);
        let result = |&ordinal: &u32| match goes_without(ordinal) {
            // It was passed over, and what depends on it runs all the same.
            true => Some(Raw::null()),
            false => {
                let here = self.kept.get(&(stream, ordinal));
                here.or_else(|| stored.get(&place(stream, phase, ordinal))).cloned()
            }
        };
        let named: Result<BTreeMap<String, Raw>, String> = ordinals
            .iter()
            .map(|ordinal| {
                let name = phase.spec(*ordinal).name_of(*ordinal);
                result(ordinal).map(|result| (name.clone(), result)).ok_or(name)
            })
            .collect();
        match named {
            Ok(named) => Ok(json(&named)?),
            Err(name) => Err(DepsError::Missing(name)),
        }
    }
}

/// Where the result of a subtask is stored.
fn place(stream: StreamId, phase: &Phase, ordinal: u32) -> (StreamId, u32) {
    match phase.kept_from(ordinal) {
        Some(from) => (StreamId::Phase(stream.project(), from.phase), from.ordinal),
        None => (stream, ordinal),
    }
}

fn json<T: Serialize>(value: &T) -> Result<Raw, StoreError> {
    Raw::from_serialize(value).map_err(|error| StoreError::Unusable(error.to_string()))
}
