//! Reading a stream as it is stored, page by page, for whoever checks it.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::unwritten;
use super::read::{read_snapshot, summary, uuid, version};
use crate::runtime::port::{EventChunk, KEYS_MAX, Page, PayloadKind, StoreError};
use crate::store::batch::{PAGE_BYTES, phase_of};
use crate::store::rows::{Rebuild, number};
use crate::wire::{ProjectId, StreamId};

pub fn page(connection: &mut Connection, stream: StreamId, after: u64) -> Result<Page, StoreError> {
    let transaction = connection.transaction().map_err(unwritten)?;
    let name = stream.to_string();
    let mut page = Page { version: version(&transaction, &name)?, ..Page::default() };
    if after == 0 {
        let mut rebuild = Rebuild::new(stream, page.version);
        read_snapshot(&transaction, &name, &mut rebuild)?;
        page.snapshot = rebuild.into_snapshot();
    }
    let sql = "select project, phase, name, status, counts, submitted_ms, finished_ms from summaries
               where project = ?1 and phase = ?2";
    let asked = params![stream.project().to_string(), phase_of(stream)];
    let row = transaction.prepare_cached(sql).map_err(unwritten)?.query_row(asked, |row| Ok(summary(row))).optional();
    page.summary = row.map_err(unwritten)?.transpose()?;
    page.chunks = chunks(&transaction, &name, after)?;
    Ok(page)
}

fn chunks(connection: &Connection, stream: &str, after: u64) -> Result<Vec<EventChunk>, StoreError> {
    let sql = "select first_version, last_version, events from events
               where stream = ?1 and last_version > ?2 order by last_version";
    let mut statement = connection.prepare_cached(sql).map_err(unwritten)?;
    let mut rows = statement.query(params![stream, after.cast_signed()]).map_err(unwritten)?;
    let (mut chunks, mut bytes) = (Vec::new(), 0);
    while bytes < PAGE_BYTES {
        let Some(row) = rows.next().map_err(unwritten)? else { break };
        let (first, last) = (row.get(0).map_err(unwritten)?, row.get(1).map_err(unwritten)?);
        let events: String = row.get(2).map_err(unwritten)?;
        bytes += events.len();
        chunks.push(EventChunk { first: number(first)?, last: number(last)?, events });
    }
    Ok(chunks)
}

/// A stream is `project/<id>` or `phase/<id>/<number>`, and an id has 36 characters.
pub fn projects(connection: &mut Connection) -> Result<Vec<ProjectId>, StoreError> {
    let sql = "select distinct substr(name, instr(name, '/') + 1, 36) as project from streams order by project";
    let mut statement = connection.prepare(sql).map_err(unwritten)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(unwritten)?;
    rows.map(|id| Ok(ProjectId(uuid(id.map_err(unwritten)?)?))).collect()
}

pub fn payload_keys(
    connection: &mut Connection,
    phase: StreamId,
    kind: PayloadKind,
    after: Option<(u32, u32)>,
) -> Result<Vec<(u32, u32)>, StoreError> {
    // Before the first there is nothing: attempts count from 1.
    let (ordinal, attempt) = after.unwrap_or_default();
    let sql = "select ordinal, attempt from payloads
               where stream = ?1 and kind = ?2 and (ordinal, attempt) > (?3, ?4) order by ordinal, attempt limit ?5";
    let mut statement = connection.prepare_cached(sql).map_err(unwritten)?;
    let asked = params![phase.to_string(), kind.as_str(), ordinal, attempt, KEYS_MAX as i64];
    let rows = statement.query_map(asked, |row| Ok((row.get(0)?, row.get(1)?))).map_err(unwritten)?;
    rows.map(|row| row.map_err(unwritten).and_then(|(ordinal, attempt)| Ok((number(ordinal)?, number(attempt)?))))
        .collect()
}
