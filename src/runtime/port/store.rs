//! The store: streams of events, their snapshots, the payloads of subtasks, and one summary row a stream.

use async_trait::async_trait;
use uuid::Uuid;

use crate::wire::{Counts, ProjectId, Raw, Status, StreamId, Timestamp};

/// Where streams are kept. The version of a stream is the number of its events.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Appends to several streams, all or nothing, in one transaction and one round trip. Every part carries
    /// the version that it was decided at, a part without events too: that one only asserts. Streams are
    /// locked in their order, so that two batches never wait for each other in a circle. Each stream occurs
    /// once at the most.
    async fn append(&self, parts: Vec<Append>) -> Result<(), StoreError>;

    /// Each stream's newest snapshot and the events since; version 0 and nothing for one that does not exist.
    /// The answers are in the order of the questions.
    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Stored>, StoreError>;

    /// The whole stream, without its snapshot: for those who do not know its snapshot's format, and for its history.
    /// Events are never deleted because of a snapshot.
    async fn load_from_start(&self, stream: StreamId) -> Result<Stored, StoreError>;

    /// The newest payload of this kind of each named subtask of a phase, by attempt; those that there are not
    /// are left out. In the order of the ordinals.
    async fn payloads(&self, phase: StreamId, kind: PayloadKind, ordinals: &[u32]) -> Result<Vec<Payload>, StoreError>;

    /// The next events of a stream after a version, as they are stored and judged by nobody: for whoever checks
    /// them. Bounded: the next page begins where this one ends.
    async fn page(&self, stream: StreamId, after: u64) -> Result<Page, StoreError>;

    /// Which payloads of this kind a phase has, by ordinal and attempt, in their order: at most [`KEYS_MAX`] of
    /// those after `after`.
    async fn payload_keys(
        &self,
        phase: StreamId,
        kind: PayloadKind,
        after: Option<(u32, u32)>,
    ) -> Result<Vec<(u32, u32)>, StoreError>;

    /// All projects that have a stream, also those that no summary row tells of, in the order of their ids: for whoever
    /// checks.
    async fn projects(&self) -> Result<Vec<ProjectId>, StoreError>;

    /// Removes everything of a project, its phases' too, in one transaction; gives the number of streams that
    /// were there. Whoever decides on one of them meanwhile gets a conflict, and finds that it does not exist.
    /// A project that is not to be removed as it is now is a conflict too.
    async fn remove(&self, project: ProjectId, removal: Removal) -> Result<u64, StoreError>;

    /// The time of the store's machine: all who work on it can be asked for that one.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Writes what changes nothing, and commits it: a store that answers may still take no writes (a replica, a disk that
    /// is full or read-only).
    ///
    /// # Errors
    /// As of [`append`](Self::append), but never a conflict.
    async fn probe_write(&self) -> Result<(), StoreError>;

    /// Summary rows, newest submission first, a project's own row before its phases' (in their order).
    async fn summaries(&self, query: &SummaryQuery) -> Result<Vec<Summary>, StoreError>;

    /// The store's own id, made with it, and the number of partitions that its projects are dealt into. The
    /// first caller's `partitions` is written down and stays; the answer is what is written.
    async fn identity(&self, partitions: u32) -> Result<StoreIdentity, StoreError>;
}

/// A part of a batch: what one stream gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    pub stream: StreamId,
    /// The version that the decision was made at.
    pub expected: u64,
    /// One JSON object each. They become the versions `expected + 1`, `expected + 2`, ...
    pub events: Vec<Raw>,
    pub payloads: Vec<Payload>,
    /// The stream's row on the read side as it is after these events; `None` leaves it as it is.
    pub summary: Option<Summary>,
    /// A snapshot of the state after these events; an older one never replaces a newer.
    pub snapshot: Option<Snapshot>,
}

impl Append {
    /// Whether there is anything in it but an assertion of the version.
    pub fn changes_something(&self) -> bool {
        !self.events.is_empty() || !self.payloads.is_empty() || self.summary.is_some() || self.snapshot.is_some()
    }

    /// Asserts that `stream` still is at this version.
    pub fn assertion(stream: StreamId, expected: u64) -> Self {
        Self { stream, expected, events: Vec::new(), payloads: Vec::new(), summary: None, snapshot: None }
    }
}

/// A stream's state at a version, in a format that only its writer knows. Stored in chunks of 1 MiB.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub version: u64,
    /// Who does not know it loads the stream from its start.
    pub format: u32,
    pub state: Vec<u8>,
}

/// A stream as it is stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stored {
    pub snapshot: Option<Snapshot>,
    /// The events after the snapshot, oldest first.
    pub events: Vec<Raw>,
    /// The version after the last of them.
    pub version: u64,
}

/// Which projects are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Only one that has ended.
    Ended,
    /// An open one too: what is still sent about it becomes a dead letter.
    Whatever,
}

/// The most keys in one answer.
pub const KEYS_MAX: usize = 10_000;

/// A part of a stream as it is stored. All of it is of one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The version that the stream says it has.
    pub version: u64,
    pub chunks: Vec<EventChunk>,
    /// Its newest snapshot: in the page that begins at the start.
    pub snapshot: Option<Snapshot>,
    /// Its row on the read side.
    pub summary: Option<Summary>,
}

/// The longest text of a chunk of events and the longest piece of a snapshot, in bytes: large enough that a
/// full batch is a few rows, small enough that no database minds one. Only a single event that is longer by
/// itself makes a longer chunk.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// Events that were committed together, or a part of them where they are many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventChunk {
    pub first: u64,
    pub last: u64,
    /// A JSON array.
    pub events: String,
}

/// What a subtask's attempt left behind: kept out of the events, which stay small by it.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    pub ordinal: u32,
    pub attempt: u32,
    pub kind: PayloadKind,
    pub data: Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayloadKind {
    /// The result of the attempt that completed it.
    Result,
    /// An attempt's log: a JSON string.
    Log,
}

impl PayloadKind {
    /// Its name in a stored row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Log => "log",
        }
    }
}

/// A stream's one row on the read side.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub stream: StreamId,
    pub name: String,
    pub status: Status,
    pub counts: Counts,
    /// When the project was submitted: the same in the rows of its phases.
    pub submitted_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// Which summaries are wanted: all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SummaryQuery {
    pub project: Option<ProjectId>,
    /// Of projects in this status, with their phases in whichever.
    pub status: Option<Status>,
    /// Only of streams that have not ended.
    pub open: bool,
    /// Of projects that come after this one in the order of the answers: submitted when, and its id.
    pub after: Option<(Timestamp, ProjectId)>,
    /// This many projects at the most.
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreIdentity {
    pub id: Uuid,
    pub partitions: u32,
}

/// What went wrong, by what the caller is to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A stream is not at the version that was expected: load again, decide again. Nothing was written.
    #[error("a stream was changed by somebody else")]
    Conflict,
    /// It is not known whether the batch was written: load again, and decide again as for a redelivery.
    #[error("the store did not answer: {0}")]
    Unknown(String),
    /// Nothing was written; it may work later.
    #[error("the store is not reachable: {0}")]
    Unreachable(String),
    /// It was opened for reading, and nobody who may write has made it yet, or brought it up to date.
    #[error("the store is not ready: {0}")]
    NotReady(String),
    /// It will not work later either: a schema newer than the program, no permission, a file that is no database.
    #[error("the store can not be used: {0}")]
    Unusable(String),
}
