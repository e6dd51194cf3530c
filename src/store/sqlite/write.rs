//! Writing: one transaction a call, begun `IMMEDIATE`, because a transaction that reads first and then wants to
//! write fails at once when another one wrote in between.

use rusqlite::{Connection, Transaction, TransactionBehavior, named_params, params};
use uuid::Uuid;

use super::error::{at_commit, unwritten};
use super::read;
use crate::runtime::port::{StoreError, StoreIdentity};
use crate::store::batch::{Part, pieces};

pub fn append(connection: &mut Connection, batch: &[Part]) -> Result<(), StoreError> {
    // Dropped without a commit, it is rolled back.
    let transaction = begin(connection)?;
    for part in batch {
        if read::version(&transaction, &part.stream)? != part.expected {
            return Err(StoreError::Conflict);
        }
    }
    for part in batch.iter().filter(|part| !part.only_asserts()) {
        write(&transaction, part).map_err(unwritten)?;
    }
    transaction.commit().map_err(at_commit)
}

/// Writes down the identity unless somebody else was faster; gives back what is written.
pub fn identity(connection: &mut Connection, id: Uuid, partitions: u32) -> Result<StoreIdentity, StoreError> {
    let transaction = begin(connection)?;
    if let Some(identity) = read::identity(&transaction)? {
        return Ok(identity);
    }
    let sql = "insert into store (only_row, id, partitions) values (1, ?1, ?2)";
    transaction.execute(sql, params![id.to_string(), partitions]).map_err(unwritten)?;
    transaction.commit().map_err(at_commit)?;
    Ok(StoreIdentity { id, partitions })
}

/// Writes a row as it is, and commits that.
pub fn probe(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = begin(connection)?;
    transaction.execute("update store set partitions = partitions", []).map_err(unwritten)?;
    transaction.commit().map_err(at_commit)
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unwritten)
}

fn write(transaction: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    write_events(transaction, part)?;
    write_payloads(transaction, part)?;
    write_summary(transaction, part)?;
    write_snapshot(transaction, part)
}

fn write_events(transaction: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    if part.added == 0 {
        return Ok(());
    }
    let mut stream = transaction.prepare_cached(
        "insert into streams (name, version) values (?1, ?2) on conflict do update set version = excluded.version",
    )?;
    stream.execute(params![part.stream, signed(part.expected + part.added)])?;
    let mut events = transaction
        .prepare_cached("insert into events (stream, first_version, last_version, events) values (?1, ?2, ?3, ?4)")?;
    for chunk in &part.chunks {
        events.execute(params![part.stream, signed(chunk.first), signed(chunk.last), chunk.events])?;
    }
    Ok(())
}

fn write_payloads(transaction: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "insert into payloads (stream, kind, ordinal, attempt, data) values (?1, ?2, ?3, ?4, ?5)
         on conflict do update set data = excluded.data",
    )?;
    for payload in &part.payloads {
        let kind = payload.kind.as_str();
        statement.execute(params![part.stream, kind, payload.ordinal, payload.attempt, payload.data.get()])?;
    }
    Ok(())
}

fn write_summary(transaction: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    let Some(row) = &part.summary else { return Ok(()) };
    let mut statement = transaction.prepare_cached(
        "insert into summaries (project, phase, name, status, ended, counts, submitted_ms, finished_ms)
         values (:project, :phase, :name, :status, :ended, :counts, :submitted_ms, :finished_ms)
         on conflict do update
         set name = excluded.name, status = excluded.status, ended = excluded.ended, counts = excluded.counts,
             submitted_ms = excluded.submitted_ms, finished_ms = excluded.finished_ms",
    )?;
    statement.execute(named_params! {
        ":project": row.project.to_string(),
        ":phase": row.phase,
        ":name": row.name,
        ":status": row.status,
        ":ended": row.ended,
        ":counts": row.counts.get(),
        ":submitted_ms": row.submitted_ms,
        ":finished_ms": row.finished_ms,
    })?;
    Ok(())
}

fn write_snapshot(transaction: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    let Some(snapshot) = &part.snapshot else { return Ok(()) };
    let version = signed(snapshot.version);
    let newer = "select 1 from snapshots where stream = ?1 and version >= ?2";
    if transaction.prepare_cached(newer)?.exists(params![part.stream, version])? {
        return Ok(());
    }
    transaction.prepare_cached("delete from snapshots where stream = ?1")?.execute(params![part.stream])?;
    let mut statement = transaction
        .prepare_cached("insert into snapshots (stream, version, number, format, state) values (?1, ?2, ?3, ?4, ?5)")?;
    for (number, piece) in (0_i64..).zip(pieces(&snapshot.state)) {
        statement.execute(params![part.stream, version, number, snapshot.format, piece])?;
    }
    Ok(())
}

/// A checked batch has no version that SQLite's integers can not hold.
fn signed(version: u64) -> i64 {
    version.cast_signed()
}
