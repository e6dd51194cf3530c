//! A store in memory, for the simulator and for tests of what lies above: ordered maps, no clock, no random
//! number, no waiting. Nothing of it outlives the value.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use super::batch::{checked, phase_of};
use super::rows::sorted;
use crate::runtime::port::{
    Append, Clock, EventChunk, KEYS_MAX, Page, Payload, PayloadKind, Removal, Snapshot, Store, StoreError,
    StoreIdentity, Stored, Summary, SummaryQuery, SystemClock,
};
use crate::wire::{ProjectId, Raw, StreamId, Timestamp};

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

    async fn page(&self, stream: StreamId, after: u64) -> Result<Page, StoreError> {
        let state = self.state();
        let summary = state.summaries.get(&(stream.project(), phase_of(stream))).cloned();
        let Some(found) = state.streams.get(&stream) else { return Ok(Page { summary, ..Page::default() }) };
        let version = found.events.len() as u64;
        let events: Vec<&str> =
            found.events.iter().skip(usize::try_from(after).unwrap_or(usize::MAX)).map(Raw::get).collect();
        // Which were committed together is not remembered, so that they are one chunk.
        let chunk = EventChunk { first: after + 1, last: version, events: format!("[{}]", events.join(",\n")) };
        Ok(Page {
            version,
            chunks: (!events.is_empty()).then_some(chunk).into_iter().collect(),
            snapshot: found.snapshot.clone().filter(|_| after == 0),
            summary,
        })
    }

    async fn payload_keys(
        &self,
        stream: StreamId,
        kind: PayloadKind,
        after: Option<(u32, u32)>,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        let state = self.state();
        let key = |(ordinal, attempt)| PayloadKey { stream, kind, ordinal, attempt };
        let from = after.map_or(Bound::Included(key((0, 0))), |after| Bound::Excluded(key(after)));
        let keys = state.payloads.range((from, Bound::Included(key((u32::MAX, u32::MAX)))));
        Ok(keys.map(|(key, _)| (key.ordinal, key.attempt)).take(KEYS_MAX).collect())
    }

    async fn projects(&self) -> Result<Vec<ProjectId>, StoreError> {
        let projects: BTreeSet<ProjectId> = self.state().streams.keys().map(StreamId::project).collect();
        Ok(projects.into_iter().collect())
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        // Whoever has it is on this machine.
        Ok(SystemClock.now())
    }

    async fn probe_write(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn remove(&self, project: ProjectId, removal: Removal) -> Result<u64, StoreError> {
        let mut state = self.state();
        let own = state.summaries.get(&(project, 0));
        if removal == Removal::Ended && own.is_some_and(|own| !own.status.is_ended()) {
            return Err(StoreError::Conflict);
        }
        let before = state.streams.len();
        state.streams.retain(|stream, _| stream.project() != project);
        state.payloads.retain(|key, _| key.stream.project() != project);
        state.summaries.retain(|(other, _), _| *other != project);
        Ok((before - state.streams.len()) as u64)
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
        && query.after.is_none_or(|after| (rows[0].submitted_at, rows[0].stream.project()) < after)
        && (!query.open || rows.iter().any(|row| !row.status.is_ended()))
}
