//! PostgreSQL: for workers on many machines.
//!
//! Every call is one statement that commits by itself, so that no transaction is ever open between two round
//! trips: a process that stops can not hold a lock that others wait for. Everything lives in the schema `trireme`
//! of the database.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::batch::{checked, cut};
use super::{Access, only_read};
use crate::runtime::port::{
    Append, KEYS_MAX, Page, Payload, PayloadKind, Removal, Store, StoreError, StoreIdentity, Stored, Summary,
    SummaryQuery,
};
use crate::store::batch::{PAGE_BYTES, phase_of};
use crate::store::rows::{sorted, summaries_sql};
use crate::wire::{ProjectId, StreamId, Timestamp};
use append::Columns;
use error::Failure;
pub use throwaway::Throwaway;

mod append;
mod check;
mod error;
mod open;
mod read;
mod remove;
mod throwaway;
#[cfg(feature = "tls")]
mod tls;

/// How long a call waits for its answer. The server gives up on a statement after 5 s; when not even that is heard,
/// the network is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

pub struct PostgresStore {
    pool: Pool,
    access: Access,
}

impl PostgresStore {
    pub async fn open(url: &str, access: Access) -> Result<Self, StoreError> {
        Ok(Self { pool: open::open(url, access).await?, access })
    }

    /// One statement, in one round trip. A connection that broke in it is not used again.
    async fn call(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let client = self.pool.get().await.map_err(Failure::NoConnection)?;
        let answer = timeout(ANSWER_TIMEOUT, async {
            let statement = client.prepare_cached(sql).await.map_err(Failure::Prepare)?;
            client.query(&statement, parameters).await.map_err(Failure::Answer)
        });
        let answer = answer.await.unwrap_or(Err(Failure::Silence));
        if let Err(failure) = &answer
            && failure.is_broken()
        {
            drop(Object::take(client));
            if failure.is_of_server() {
                // The other sessions are at the same server: they have no more use than this one.
                self.pool.retain(|_, _| false);
            }
        }
        answer
    }

    /// A statement that writes nothing, so that it can be sent again: once for each connection that may have broken
    /// since it was used last.
    async fn read(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        for _ in 0..open::CONNECTIONS_MAX {
            match self.call(sql, parameters).await {
                Err(failure) if failure.is_cut() => tracing::debug!(?failure, "connection to PostgreSQL is gone"),
                done => return done.map_err(error::of_read),
            }
        }
        self.call(sql, parameters).await.map_err(error::of_read)
    }

    fn check_access(&self) -> Result<(), StoreError> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(only_read()),
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn append(&self, parts: Vec<Append>) -> Result<(), StoreError> {
        self.check_access()?;
        let batch = cut(checked(parts)?)?;
        let columns = Columns::of(&batch);
        if batch.iter().all(|part| part.only_asserts()) {
            let changed = self.read(append::ASSERT, &columns.assertions()).await?;
            return if changed.is_empty() { Ok(()) } else { Err(StoreError::Conflict) };
        }
        self.call(append::APPEND, &columns.all()).await.map(drop).map_err(error::of_write)
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Stored>, StoreError> {
        let names: Vec<String> = streams.iter().map(StreamId::to_string).collect();
        read::streams(self.read(read::STREAMS, &[&names, &true]).await?, streams)
    }

    async fn load_from_start(&self, stream: StreamId) -> Result<Stored, StoreError> {
        let rows = self.read(read::STREAMS, &[&vec![stream.to_string()], &false]).await?;
        Ok(read::streams(rows, &[stream])?.pop().unwrap_or_default())
    }

    async fn payloads(&self, phase: StreamId, kind: PayloadKind, ordinals: &[u32]) -> Result<Vec<Payload>, StoreError> {
        let ordinals: Vec<i64> = sorted(ordinals).into_iter().map(i64::from).collect();
        let rows = self.read(read::PAYLOADS, &[&phase.to_string(), &kind.as_str(), &ordinals]).await?;
        rows.iter().map(|row| read::payload(row, kind)).collect()
    }

    async fn page(&self, stream: StreamId, after: u64) -> Result<Page, StoreError> {
        let (project, phase) = (stream.project().0, i64::from(phase_of(stream)));
        let bytes = PAGE_BYTES as i64;
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&stream.to_string(), &after.cast_signed(), &bytes, &project, &phase];
        check::page(stream, &self.read(check::PAGE, &parameters).await?)
    }

    async fn payload_keys(
        &self,
        phase: StreamId,
        kind: PayloadKind,
        after: Option<(u32, u32)>,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        // Before the first there is nothing: attempts count from 1.
        let (ordinal, attempt) = after.unwrap_or_default();
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&phase.to_string(), &kind.as_str(), &i64::from(ordinal), &i64::from(attempt), &(KEYS_MAX as i64)];
        self.read(check::KEYS, &parameters).await?.iter().map(check::key).collect()
    }

    async fn projects(&self) -> Result<Vec<ProjectId>, StoreError> {
        self.read(check::PROJECTS, &[]).await?.iter().map(check::project).collect()
    }

    async fn remove(&self, project: ProjectId, removal: Removal) -> Result<u64, StoreError> {
        self.check_access()?;
        let client = self.pool.get().await.map_err(error::no_connection)?;
        // Its statements may take longer than others; an answer that nobody waits for ends with the connection.
        let client = Object::take(client);
        match timeout(remove::TIMEOUT, client.simple_query(&remove::sql(project, removal))).await {
            Ok(Ok(answers)) => remove::count(&answers),
            Ok(Err(failure)) => Err(error::of_write(Failure::Answer(failure))),
            Err(_) => Err(error::of_write(Failure::Silence)),
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let rows = self.read(read::NOW, &[]).await?;
        rows.first().map(|row| Timestamp(row.get(0))).ok_or_else(|| StoreError::Unusable("it knows no time".into()))
    }

    async fn probe_write(&self) -> Result<(), StoreError> {
        self.check_access()?;
        self.call(append::PROBE, &[]).await.map(drop).map_err(error::of_write)
    }

    async fn summaries(&self, query: &SummaryQuery) -> Result<Vec<Summary>, StoreError> {
        let rows = self.read(&summaries_sql(query), &[]).await?;
        rows.iter().map(read::summary).collect()
    }

    async fn identity(&self, partitions: u32) -> Result<StoreIdentity, StoreError> {
        if let Some(row) = self.read(read::IDENTITY, &[]).await?.first() {
            return read::identity(row);
        }
        self.check_access()?;
        let written = self.call(append::IDENTITY, &[&Uuid::now_v7(), &i64::from(partitions)]).await;
        written.map_err(error::of_write)?;
        match self.read(read::IDENTITY, &[]).await?.first() {
            Some(row) => read::identity(row),
            None => Err(StoreError::Unusable("its identity does not stay written".into())),
        }
    }
}
