//! A store in memory, for the simulator and for tests of what lies above: ordered maps, no clock, no random
//! number, no waiting. Nothing of it outlives the value.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use super::batch::{checked, phase_of};
use super::rows::sorted;
use crate::runtime::port::{
    Append, Payload, PayloadKind, Snapshot, Store, StoreError, StoreIdentity, Stored, Summary, SummaryQuery,
};
use crate::wire::{ProjectId, Raw, StreamId};

pub struct MemoryStore {
    id: Uuid,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    partitions: Option<u32>,
    streams: BTreeMap<StreamId, Stream>,
    payloads: BTreeMap<PayloadKey, Raw>,
    /// By project and phase; 0 is the project's own.
    summaries: BTreeMap<(ProjectId, u32), Summary>,
}

#[derive(Default)]
struct Stream {
    events: Vec<Raw>,
    snapshot: Option<Snapshot>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PayloadKey {
    stream: StreamId,
    kind: PayloadKind,
    ordinal: u32,
    attempt: u32,
}

impl MemoryStore {
    /// An empty store with this id.
    pub fn new(id: Uuid) -> Self {
        Self { id, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below can panic with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, parts: Vec<Append>) -> Result<(), StoreError> {
        let parts = checked(parts)?;
        let mut state = self.state();
        if parts.iter().any(|part| state.version(part.stream) != part.expected) {
            return Err(StoreError::Conflict);
        }
        parts.into_iter().for_each(|part| state.write(part));
        Ok(())
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Stored>, StoreError> {
        let state = self.state();
        Ok(streams.iter().map(|stream| state.load(*stream)).collect())
    }

    async fn load_from_start(&self, stream: StreamId) -> Result<Stored, StoreError> {
        let events = self.state().streams.get(&stream).map(|found| found.events.clone()).unwrap_or_default();
        Ok(Stored { snapshot: None, version: events.len() as u64, events })
    }

    async fn payloads(&self, phase: StreamId, kind: PayloadKind, ordinals: &[u32]) -> Result<Vec<Payload>, StoreError> {
        let state = self.state();
        Ok(sorted(ordinals).into_iter().filter_map(|ordinal| state.payload(phase, kind, ordinal)).collect())
    }

    async fn summaries(&self, query: &SummaryQuery) -> Result<Vec<Summary>, StoreError> {
        Ok(self.state().summaries(query))
    }

    async fn identity(&self, partitions: u32) -> Result<StoreIdentity, StoreError> {
        let partitions = *self.state().partitions.get_or_insert(partitions);
        Ok(StoreIdentity { id: self.id, partitions })
    }
}

impl State {
    fn version(&self, stream: StreamId) -> u64 {
        self.streams.get(&stream).map_or(0, |found| found.events.len() as u64)
    }

    fn write(&mut self, part: Append) {
        let stream = part.stream;
        if !part.events.is_empty() {
            self.streams.entry(stream).or_default().events.extend(part.events);
        }
        for Payload { ordinal, attempt, kind, data } in part.payloads {
            self.payloads.insert(PayloadKey { stream, kind, ordinal, attempt }, data);
        }
        if let Some(summary) = part.summary {
            self.summaries.insert((stream.project(), phase_of(stream)), summary);
        }
        let Some(snapshot) = part.snapshot else { return };
        let kept = &mut self.streams.entry(stream).or_default().snapshot;
        if kept.as_ref().is_none_or(|old| old.version < snapshot.version) {
            *kept = Some(snapshot);
        }
    }

    fn load(&self, stream: StreamId) -> Stored {
        let Some(found) = self.streams.get(&stream) else { return Stored::default() };
        let covered = found.snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
        let covered = usize::try_from(covered).unwrap_or(usize::MAX);
        Stored {
            snapshot: found.snapshot.clone(),
            events: found.events.iter().skip(covered).cloned().collect(),
            version: found.events.len() as u64,
        }
    }

    fn payload(&self, stream: StreamId, kind: PayloadKind, ordinal: u32) -> Option<Payload> {
        let first = PayloadKey { stream, kind, ordinal, attempt: 0 };
        let last = PayloadKey { attempt: u32::MAX, ..first };
        let (key, data) = self.payloads.range(first..=last).next_back()?;
        Some(Payload { ordinal, attempt: key.attempt, kind, data: data.clone() })
    }

    fn summaries(&self, query: &SummaryQuery) -> Vec<Summary> {
        let mut projects: Vec<Vec<&Summary>> = Vec::new();
        for ((project, _), summary) in &self.summaries {
            match projects.last_mut() {
                Some(rows) if rows[0].stream.project() == *project => rows.push(summary),
                _ => projects.push(vec![summary]),
            }
        }
        projects.retain(|rows| is_wanted(rows, query));
        projects.sort_by_key(|rows| (rows[0].submitted_at, rows[0].stream.project()));
        let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
        let rows = projects.into_iter().rev().take(limit).flatten();
        rows.filter(|row| !query.open || !row.status.is_ended()).cloned().collect()
    }
}

/// Whether a project with these rows, of which its own is the first, is an answer.
fn is_wanted(rows: &[&Summary], query: &SummaryQuery) -> bool {
    let own = matches!(rows[0].stream, StreamId::Project(_)).then_some(rows[0].status);
    query.project.is_none_or(|project| rows[0].stream.project() == project)
        && query.status.is_none_or(|status| own == Some(status))
        && (!query.open || rows.iter().any(|row| !row.status.is_ended()))
}
