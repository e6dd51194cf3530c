//! The store of one agent: the one in memory, with what goes wrong on the way there and back.

use std::sync::Arc;

use async_trait::async_trait;
use trireme::runtime::port::{
    Append, Page, Payload, PayloadKind, Removal, Store, StoreError, StoreIdentity, Stored, Summary, SummaryQuery,
};
use trireme::store::memory::MemoryStore;
use trireme::wire::{ProjectId, StreamId};

use crate::agent::Agent;
use crate::faults::{Act, Point};
use crate::sights::Sight;

pub struct FaultyStore {
    pub agent: Arc<Agent>,
    pub inner: Arc<MemoryStore>,
}

fn away() -> StoreError {
    StoreError::Unreachable("the simulator says so".into())
}

fn unknown() -> StoreError {
    StoreError::Unknown("the simulator says so".into())
}

impl FaultyStore {
    /// Passes the point of everything that reads.
    async fn read(&self) -> Result<(), StoreError> {
        match self.agent.at(Point::Load, None).await {
            None if self.agent.has_no_store() => Err(away()),
            None => Ok(()),
            Some(act) => unreachable!("{act:?} does not happen to a read"),
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn append(&self, parts: Vec<Append>) -> Result<(), StoreError> {
        let Agent { name, sim, .. } = &*self.agent;
        match self.agent.at(Point::BeforeAppend, None).await {
            None if self.agent.has_no_store() => return Err(away()),
            None => {}
            Some(Act::Unknown) => return Err(unknown()),
            Some(act) => unreachable!("{act:?} does not happen before an append"),
        }
        let what: Vec<String> = parts
            .iter()
            .map(|part| format!("{} at {} + {}", brief(part.stream), part.expected, part.events.len()))
            .collect();
        let expected: Vec<_> = parts.iter().map(|part| (part.stream, part.expected, part.events.len())).collect();
        let written = self.inner.append(parts).await;
        match &written {
            Ok(()) => {
                for (stream, expected, added) in expected {
                    let stored = self.inner.load_from_start(stream).await?;
                    sim.watch().committed(sim, stream, expected, added, &stored.events);
                }
                sim.step(name, format!("commit {}", what.join(", ")));
            }
            Err(error) => {
                if *error == StoreError::Conflict {
                    sim.see(Sight::Conflict);
                }
                sim.step(name, format!("no commit of {}: {error}", what.join(", ")));
            }
        }
        match self.agent.at(Point::AfterAppend, None).await {
            None => written,
            Some(Act::Unknown) => Err(unknown()),
            Some(act) => unreachable!("{act:?} does not happen after an append"),
        }
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Stored>, StoreError> {
        self.read().await?;
        self.inner.load(streams).await
    }

    async fn load_from_start(&self, stream: StreamId) -> Result<Stored, StoreError> {
        self.read().await?;
        self.inner.load_from_start(stream).await
    }

    async fn payloads(&self, phase: StreamId, kind: PayloadKind, ordinals: &[u32]) -> Result<Vec<Payload>, StoreError> {
        self.read().await?;
        self.inner.payloads(phase, kind, ordinals).await
    }

    async fn page(&self, stream: StreamId, after: u64) -> Result<Page, StoreError> {
        self.inner.page(stream, after).await
    }

    async fn payload_keys(
        &self,
        phase: StreamId,
        kind: PayloadKind,
        after: Option<(u32, u32)>,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        self.inner.payload_keys(phase, kind, after).await
    }

    async fn now(&self) -> Result<trireme::wire::Timestamp, StoreError> {
        self.inner.now().await
    }

    async fn probe_write(&self) -> Result<(), StoreError> {
        self.read().await?;
        self.inner.probe_write().await
    }

    async fn remove(&self, project: ProjectId, removal: Removal) -> Result<u64, StoreError> {
        self.inner.remove(project, removal).await
    }

    async fn projects(&self) -> Result<Vec<ProjectId>, StoreError> {
        self.read().await?;
        self.inner.projects().await
    }

    async fn summaries(&self, query: &SummaryQuery) -> Result<Vec<Summary>, StoreError> {
        self.read().await?;
        self.inner.summaries(query).await
    }

    async fn identity(&self, partitions: u32) -> Result<StoreIdentity, StoreError> {
        self.inner.identity(partitions).await
    }
}

/// A stream in few letters.
pub fn brief(stream: StreamId) -> String {
    let project = stream.project().0.as_u128() & 0xff;
    match stream {
        StreamId::Project(_) => format!("P{project}"),
        StreamId::Phase(_, phase) => format!("P{project}/{phase}"),
    }
}
