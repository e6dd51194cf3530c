//! Removing a project, in one transaction.

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::{at_commit, unwritten};
use crate::runtime::port::{Removal, StoreError};
use crate::store::batch::names_of;
use crate::wire::ProjectId;

pub fn remove(connection: &mut Connection, project: ProjectId, removal: Removal) -> Result<u64, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unwritten)?;
    let is_open = "select 1 from summaries where project = ?1 and phase = 0 and not ended";
    let is_open = || transaction.prepare_cached(is_open)?.exists(params![project.to_string()]);
    if removal == Removal::Ended && is_open().map_err(unwritten)? {
        return Err(StoreError::Conflict);
    }
    let (own, first, end) = names_of(project);
    let mut streams = 0;
    for (table, column) in [("events", "stream"), ("snapshots", "stream"), ("payloads", "stream"), ("streams", "name")]
    {
        let sql = format!("delete from {table} where {column} = ?1 or ({column} >= ?2 and {column} < ?3)");
        streams = transaction.execute(&sql, params![own, first, end]).map_err(unwritten)?;
    }
    let sql = "delete from summaries where project = ?1";
    transaction.execute(sql, params![project.to_string()]).map_err(unwritten)?;
    transaction.commit().map_err(at_commit)?;
    Ok(streams as u64)
}
