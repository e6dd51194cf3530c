//! Reading. What one call answers is of one moment: its queries share a transaction.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::unwritten;
use crate::runtime::port::{Payload, PayloadKind, StoreError, StoreIdentity, Stored, Summary, SummaryQuery};
use crate::store::rows::{Rebuild, SummaryColumns, json, number, summaries_sql};
use crate::wire::StreamId;

pub fn version(connection: &Connection, stream: &str) -> Result<u64, StoreError> {
    let query = || {
        let mut statement = connection.prepare_cached("select version from streams where name = ?1")?;
        statement.query_row(params![stream], |row| row.get(0)).optional()
    };
    query().map_err(unwritten)?.map_or(Ok(0), number::<u64>)
}

pub fn load(connection: &mut Connection, streams: &[StreamId]) -> Result<Vec<Stored>, StoreError> {
    let transaction = connection.transaction().map_err(unwritten)?;
    let load = |stream: &StreamId| {
        let name = stream.to_string();
        let mut rebuild = Rebuild::new(*stream, version(&transaction, &name)?);
        let covered = read_snapshot(&transaction, &name, &mut rebuild)?;
        read_events(&transaction, &name, covered, &mut rebuild)?;
        rebuild.finish()
    };
    streams.iter().map(load).collect()
}

pub fn load_from_start(connection: &mut Connection, stream: StreamId) -> Result<Stored, StoreError> {
    let transaction = connection.transaction().map_err(unwritten)?;
    let name = stream.to_string();
    let mut rebuild = Rebuild::new(stream, version(&transaction, &name)?);
    read_events(&transaction, &name, 0, &mut rebuild)?;
    rebuild.finish()
}

/// Gives back the snapshot's version, 0 without one.
pub fn read_snapshot(connection: &Connection, stream: &str, rebuild: &mut Rebuild) -> Result<i64, StoreError> {
    let sql = "select version, format, state from snapshots where stream = ?1 order by number";
    let mut statement = connection.prepare_cached(sql).map_err(unwritten)?;
    let mut rows = statement.query(params![stream]).map_err(unwritten)?;
    let mut covered = 0;
    while let Some(row) = rows.next().map_err(unwritten)? {
        covered = row.get(0).map_err(unwritten)?;
        let format = number(row.get(1).map_err(unwritten)?)?;
        rebuild.snapshot_piece(number(covered)?, format, row.get(2).map_err(unwritten)?);
    }
    Ok(covered)
}

fn read_events(connection: &Connection, stream: &str, after: i64, rebuild: &mut Rebuild) -> Result<(), StoreError> {
    let sql = "select first_version, last_version, events from events
               where stream = ?1 and last_version > ?2 order by last_version";
    let mut statement = connection.prepare_cached(sql).map_err(unwritten)?;
    let mut rows = statement.query(params![stream, after]).map_err(unwritten)?;
    while let Some(row) = rows.next().map_err(unwritten)? {
        let (first, last) = (row.get(0).map_err(unwritten)?, row.get(1).map_err(unwritten)?);
        let text = row.get_ref(2).map_err(unwritten)?;
        let text = text.as_str().map_err(|error| StoreError::Unusable(format!("events of `{stream}`: {error}")))?;
        rebuild.chunk(number(first)?, number(last)?, text)?;
    }
    Ok(())
}

pub fn payloads(
    connection: &mut Connection,
    phase: StreamId,
    kind: PayloadKind,
    ordinals: &[u32],
) -> Result<Vec<Payload>, StoreError> {
    let transaction = connection.transaction().map_err(unwritten)?;
    let sql = "select attempt, data from payloads where stream = ?1 and kind = ?2 and ordinal = ?3
               order by attempt desc limit 1";
    let mut statement = transaction.prepare_cached(sql).map_err(unwritten)?;
    let stream = phase.to_string();
    let mut found = Vec::new();
    for &ordinal in ordinals {
        let newest = statement
            .query_row(params![stream, kind.as_str(), ordinal], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(unwritten)?;
        if let Some((attempt, data)) = newest {
            found.push(Payload { ordinal, attempt: number(attempt)?, kind, data: json(data)? });
        }
    }
    Ok(found)
}

pub fn summaries(connection: &mut Connection, query: &SummaryQuery) -> Result<Vec<Summary>, StoreError> {
    let mut statement = connection.prepare(&summaries_sql(query)).map_err(unwritten)?;
    let mut rows = statement.query([]).map_err(unwritten)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(unwritten)? {
        found.push(summary(row)?);
    }
    Ok(found)
}

/// A row of `project, phase, name, status, counts, submitted_ms, finished_ms`.
pub fn summary(row: &Row<'_>) -> Result<Summary, StoreError> {
    let project = uuid(row.get(0).map_err(unwritten)?)?;
    let columns = || {
        Ok(SummaryColumns {
            project,
            phase: row.get(1)?,
            name: row.get(2)?,
            status: row.get(3)?,
            counts: row.get(4)?,
            submitted_ms: row.get(5)?,
            finished_ms: row.get(6)?,
        })
    };
    columns().map_err(unwritten)?.read()
}

pub fn identity(connection: &Connection) -> Result<Option<StoreIdentity>, StoreError> {
    let row: Option<(String, i64)> = connection
        .query_row("select id, partitions from store", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(unwritten)?;
    row.map(|(id, partitions)| Ok(StoreIdentity { id: uuid(id)?, partitions: number(partitions)? })).transpose()
}

pub fn uuid(text: String) -> Result<Uuid, StoreError> {
    Uuid::parse_str(&text).map_err(|error| StoreError::Unusable(format!("a stored id is no UUID: {error}")))
}
