//! What is read, from rows to what the port promises. Rows that do not fit together are refused, not mended.

use uuid::Uuid;

use crate::runtime::port::{Snapshot, StoreError, Stored, Summary, SummaryQuery};
use crate::wire::{ProjectId, Raw, StreamId, Timestamp};

/// Puts one stream together from its rows, the snapshot's first, all in the order of their versions.
pub struct Rebuild {
    stream: StreamId,
    stored: Stored,
}

impl Rebuild {
    /// Of a stream that is at `version`.
    pub fn new(stream: StreamId, version: u64) -> Self {
        Self { stream, stored: Stored { version, ..Stored::default() } }
    }

    pub fn snapshot_piece(&mut self, version: u64, format: u32, piece: Vec<u8>) {
        match &mut self.stored.snapshot {
            Some(snapshot) => snapshot.state.extend_from_slice(&piece),
            none => *none = Some(Snapshot { version, format, state: piece }),
        }
    }

    /// Takes the events of a chunk that come after the snapshot.
    pub fn chunk(&mut self, first: u64, last: u64, events: &str) -> Result<(), StoreError> {
        let events: Vec<Raw> =
            serde_json::from_str(events).map_err(|error| self.damaged(format!("version {first}: {error}")))?;
        let next = self.snapshot_version() + self.stored.events.len() as u64 + 1;
        let fits = events.len() as u64 == (last + 1).saturating_sub(first) && first <= next && next <= last;
        if !fits {
            return Err(self.damaged(format!("{} events from {first} to {last}, next is {next}", events.len())));
        }
        // A chunk may begin before the snapshot's version.
        let known = usize::try_from(next - first).unwrap_or(usize::MAX);
        self.stored.events.extend(events.into_iter().skip(known));
        Ok(())
    }

    pub fn finish(self) -> Result<Stored, StoreError> {
        match self.snapshot_version() + self.stored.events.len() as u64 == self.stored.version {
            true => Ok(self.stored),
            false => Err(self.damaged(format!("not all events up to version {}", self.stored.version))),
        }
    }

    /// The snapshot alone, for whoever looks at the events by himself.
    pub fn into_snapshot(self) -> Option<Snapshot> {
        self.stored.snapshot
    }

    fn snapshot_version(&self) -> u64 {
        self.stored.snapshot.as_ref().map_or(0, |snapshot| snapshot.version)
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Unusable(format!("`{}` is damaged: {what}", self.stream))
    }
}

/// Each of them once, in their order.
pub fn sorted(ordinals: &[u32]) -> Vec<u32> {
    let mut ordinals = ordinals.to_vec();
    ordinals.sort_unstable();
    ordinals.dedup();
    ordinals
}

/// A stored JSON text.
pub fn json(text: String) -> Result<Raw, StoreError> {
    Raw::parse(text).map_err(|error| StoreError::Unusable(format!("a stored text is no JSON: {error}")))
}

/// A number that a row has, as what the port has in its place.
pub fn number<T: TryFrom<i64>>(number: i64) -> Result<T, StoreError> {
    T::try_from(number).map_err(|_| StoreError::Unusable(format!("a stored number is out of range: {number}")))
}

/// A summary's columns, in the order of [`summaries_sql`].
pub struct SummaryColumns {
    pub project: Uuid,
    pub phase: i64,
    pub name: String,
    pub status: String,
    pub counts: String,
    pub submitted_ms: i64,
    pub finished_ms: Option<i64>,
}

impl SummaryColumns {
    pub fn read(self) -> Result<Summary, StoreError> {
        let damaged =
            |error: String| StoreError::Unusable(format!("the summary of {} is damaged: {error}", self.project));
        let project = ProjectId(self.project);
        Ok(Summary {
            stream: match number(self.phase)? {
                0 => StreamId::Project(project),
                phase => StreamId::Phase(project, phase),
            },
            name: self.name,
            status: self.status.parse().map_err(damaged)?,
            counts: serde_json::from_str(&self.counts).map_err(|error| damaged(error.to_string()))?,
            submitted_at: Timestamp(self.submitted_ms),
            finished_at: self.finished_ms.map(Timestamp),
        })
    }
}

/// The query as SQL that both databases understand. It has no parameters, because everything in it is a number,
/// a UUID or one of our own words; conditions that are not wanted are left out, so that an index serves the rest.
pub fn summaries_sql(query: &SummaryQuery) -> String {
    // A project is found by its first row, which is its own wherever there is one.
    let mut chosen = String::from(
        "select project, submitted_ms from summaries lead where not exists \
         (select 1 from summaries earlier where earlier.project = lead.project and earlier.phase < lead.phase)",
    );
    if let Some(project) = query.project {
        chosen += &format!(" and project = '{project}'");
    }
    if let Some(status) = query.status {
        chosen += &format!(" and phase = 0 and status = '{status}'");
    }
    if query.open {
        chosen += " and project in (select project from summaries where not ended)";
    }
    if let Some((Timestamp(submitted_ms), project)) = query.after {
        chosen += &format!(" and (submitted_ms, project) < ({submitted_ms}, '{project}')");
    }
    chosen += " order by submitted_ms desc, project desc";
    if let Some(limit) = query.limit {
        chosen += &format!(" limit {limit}");
    }
    let rows = if query.open { "where not ended" } else { "" };
    format!(
        "with chosen as ({chosen}) \
         select s.project, phase, name, status, counts, s.submitted_ms, finished_ms \
         from chosen join summaries s on s.project = chosen.project {rows} \
         order by chosen.submitted_ms desc, s.project desc, phase"
    )
}
