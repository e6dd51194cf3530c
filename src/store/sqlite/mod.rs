//! SQLite: one file, for one process or for several of one machine.
//!
//! All writing is done by one thread of its own, all reading by another; the async runtime only waits for their
//! answers. A write transaction begins `IMMEDIATE` and ends within one call, because while it is open every other
//! process has to wait: one that is stopped (SIGSTOP) in the middle of it blocks all writers of the file, and
//! readers never.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use uuid::Uuid;

use super::batch::{checked, cut};
use super::rows::sorted;
use super::{Access, only_read};
use crate::runtime::port::{
    Append, Clock, Page, Payload, PayloadKind, Removal, Store, StoreError, StoreIdentity, Stored, Summary,
    SummaryQuery, SystemClock,
};
use crate::wire::{ProjectId, StreamId, Timestamp};
use worker::Worker;

mod check;
mod error;
mod open;
mod read;
mod remove;
mod worker;
mod write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    pub access: Access,
    pub synchronous: Synchronous,
    /// How long a call waits for another process's write.
    pub busy_timeout: Duration,
}

/// When a commit is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// When it is answered. What workers need: the broker has what came of it.
    Full,
    /// Soon after: a power cut may lose the last commits. For a private file that does not outlive the process.
    Normal,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        /// As long as PostgreSQL's statement timeout: longer than any commit takes, shorter than a lease.
        const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
        Self { access: Access::Write, synchronous: Synchronous::Full, busy_timeout: BUSY_TIMEOUT }
    }
}

pub struct SqliteStore {
    /// `None` when it was opened for reading.
    writer: Option<Worker>,
    reader: Worker,
}

impl SqliteStore {
    pub async fn open(path: impl Into<PathBuf>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.into();
        let opened = tokio::task::spawn_blocking(move || match options.access {
            Access::Read => Ok((None, open::reader(&path, options)?)),
            Access::Write => {
                let writer = open::writer(&path, options)?;
                Ok((Some(writer), open::reader(&path, options)?))
            }
        });
        let (writer, reader) = opened.await.map_err(|error| StoreError::Unusable(error.to_string()))??;
        Ok(Self {
            writer: writer.map(|connection| Worker::start("store-writer", connection)).transpose()?,
            reader: Worker::start("store-reader", reader)?,
        })
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.as_ref().ok_or_else(only_read)?.call(job).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, parts: Vec<Append>) -> Result<(), StoreError> {
        let batch = cut(checked(parts)?)?;
        self.write(move |connection| write::append(connection, &batch)).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Stored>, StoreError> {
        let streams = streams.to_vec();
        self.reader.call(move |connection| read::load(connection, &streams)).await
    }

    async fn load_from_start(&self, stream: StreamId) -> Result<Stored, StoreError> {
        self.reader.call(move |connection| read::load_from_start(connection, stream)).await
    }

    async fn payloads(&self, phase: StreamId, kind: PayloadKind, ordinals: &[u32]) -> Result<Vec<Payload>, StoreError> {
        let ordinals = sorted(ordinals);
        self.reader.call(move |connection| read::payloads(connection, phase, kind, &ordinals)).await
    }

    async fn page(&self, stream: StreamId, after: u64) -> Result<Page, StoreError> {
        self.reader.call(move |connection| check::page(connection, stream, after)).await
    }

    async fn payload_keys(
        &self,
        phase: StreamId,
        kind: PayloadKind,
        after: Option<(u32, u32)>,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        self.reader.call(move |connection| check::payload_keys(connection, phase, kind, after)).await
    }

    async fn projects(&self) -> Result<Vec<ProjectId>, StoreError> {
        self.reader.call(check::projects).await
    }

    async fn remove(&self, project: ProjectId, removal: Removal) -> Result<u64, StoreError> {
        self.write(move |connection| remove::remove(connection, project, removal)).await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        // Whoever has it is on this machine.
        Ok(SystemClock.now())
    }

    async fn probe_write(&self) -> Result<(), StoreError> {
        self.write(write::probe).await
    }

    async fn summaries(&self, query: &SummaryQuery) -> Result<Vec<Summary>, StoreError> {
        let query = query.clone();
        self.reader.call(move |connection| read::summaries(connection, &query)).await
    }

    async fn identity(&self, partitions: u32) -> Result<StoreIdentity, StoreError> {
        match self.reader.call(|connection| read::identity(connection)).await? {
            Some(identity) => Ok(identity),
            None => self.write(move |connection| write::identity(connection, Uuid::now_v7(), partitions)).await,
        }
    }
}
