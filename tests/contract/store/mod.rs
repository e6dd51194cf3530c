//! The contract of the store port. [`cases`] has it, adapter by adapter it is passed in [`sqlite`], [`postgres`]
//! and [`memory`], each with what only that adapter promises.

use std::sync::Arc;

use async_trait::async_trait;
use trireme::runtime::port::{Append, Payload, PayloadKind, Snapshot, Store, StoreError, Summary};
use trireme::wire::{Counts, ProjectId, Raw, Status, StreamId, Timestamp};
use uuid::Uuid;

mod cases;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod races;
mod retention;
mod sqlite;
mod summaries;
mod takeover;

/// A place where one store is kept, empty at first and gone with the value.
#[async_trait]
trait Bed: Send + Sync {
    /// Opens it, again and again: as many processes would.
    async fn open(&self) -> Arc<dyn Store>;
}

fn project(number: u128) -> StreamId {
    StreamId::Project(ProjectId(Uuid::from_u128(number)))
}

fn phase(number: u128, phase: u32) -> StreamId {
    StreamId::Phase(ProjectId(Uuid::from_u128(number)), phase)
}

fn raw(text: &str) -> Raw {
    Raw::parse(text).expect("JSON")
}

/// Events `{"n": first}` and so on.
fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<Raw> {
    numbers.into_iter().map(|number| raw(&format!("{{\"n\": {number}}}"))).collect()
}

fn append(stream: StreamId, expected: u64, events: Vec<Raw>) -> Append {
    Append { events, ..Append::assertion(stream, expected) }
}

fn result(ordinal: u32, attempt: u32, data: &str) -> Payload {
    Payload { ordinal, attempt, kind: PayloadKind::Result, data: raw(data) }
}

fn snapshot(version: u64, state: impl Into<Vec<u8>>) -> Option<Snapshot> {
    Some(Snapshot { version, format: 1, state: state.into() })
}

fn summary(stream: StreamId, status: Status, submitted_ms: i64) -> Summary {
    Summary {
        stream,
        name: format!("{stream} by name"),
        status,
        counts: Counts { total: 3, completed: 2, handed_out: 1, ..Counts::default() },
        submitted_at: Timestamp(submitted_ms),
        finished_at: status.is_ended().then_some(Timestamp(submitted_ms).plus_ms(5)),
    }
}

async fn load(store: &dyn Store, stream: StreamId) -> trireme::runtime::port::Stored {
    store.load(&[stream]).await.expect("load").pop().expect("an answer")
}

/// The text of an error that says that the store can not be used, or not yet, with a way out.
fn refusal(result: Result<Arc<dyn Store>, StoreError>) -> String {
    match result {
        Err(StoreError::Unusable(text) | StoreError::NotReady(text)) => text,
        Err(other) => panic!("not refused for good, but: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[cfg(not(feature = "postgres"))]
#[tokio::test]
async fn postgres_that_is_not_built_in_is_refused() {
    let text = refusal(trireme::store::open("postgres://me:s3cret@db/x").await);
    assert_eq!(text, "PostgreSQL is not built into this trireme\nhint: cargo build --release --features postgres");
}
