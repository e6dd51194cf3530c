//! Reading a stream as it is stored, page by page, for whoever checks it. Each is one statement.

use tokio_postgres::Row;

use super::read::{get, summary};
use crate::runtime::port::{EventChunk, Page, StoreError};
use crate::store::rows::{Rebuild, number};
use crate::wire::{ProjectId, StreamId};

/// A stream (`$1`): its own row with its summary (kind 0), the pieces of its snapshot (1, in the page that begins at
/// the start), and the chunks of the events after `$2`, until they have `$3` bytes (2). `$4` and `$5` are its project
/// and its number there. In kind 0 `a` is the version, in kind 1 `a` is the snapshot's version and `b` its format, in
/// kind 2 they are the first and the last version.
pub const PAGE: &str = "
    with next as (
        select first_version, last_version, events from events
        where stream = $1 and last_version > $2 order by last_version limit 1000
    ), sized as (
        select first_version, last_version, events,
               sum(octet_length(events)) over (order by last_version) - octet_length(events) as before
        from next
    )
    select 0 as kind, 0::bigint as number, coalesce(s.version, 0) as a, 0::bigint as b, null::text as events,
           null::bytea as state, r.project, r.phase, r.name, r.status, r.counts, r.submitted_ms, r.finished_ms
    from (select 1) as one
    left join streams s on s.name = $1
    left join summaries r on r.project = $4 and r.phase = $5
    union all
    select 1, number, version, format, null, state, null, null, null, null, null, null, null
    from snapshots where stream = $1 and $2 = 0::bigint
    union all
    select 2, last_version, first_version, last_version, events, null, null, null, null, null, null, null, null
    from sized where before < $3::bigint
    order by kind, number";

pub const KEYS: &str = "
    select ordinal, attempt from payloads
    where stream = $1 and kind = $2 and (ordinal, attempt) > ($3, $4)
    order by ordinal, attempt limit $5";

/// A stream is `project/<id>` or `phase/<id>/<number>`.
pub const PROJECTS: &str = "select distinct split_part(name, '/', 2)::uuid as project from streams order by project";

pub fn project(row: &Row) -> Result<ProjectId, StoreError> {
    get(row, "project").map(ProjectId)
}

pub fn page(stream: StreamId, rows: &[Row]) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut rebuild = Rebuild::new(stream, 0);
    for row in rows {
        let (a, b) = (get(row, "a")?, get(row, "b")?);
        match get::<i32>(row, "kind")? {
            0 => {
                page.version = number(a)?;
                let has_row = get::<Option<i64>>(row, "phase")?.is_some();
                page.summary = has_row.then(|| summary(row)).transpose()?;
            }
            1 => rebuild.snapshot_piece(number(a)?, number(b)?, get(row, "state")?),
            _ => page.chunks.push(EventChunk { first: number(a)?, last: number(b)?, events: get(row, "events")? }),
        }
    }
    page.snapshot = rebuild.into_snapshot();
    Ok(page)
}

pub fn key(row: &Row) -> Result<(u32, u32), StoreError> {
    Ok((number(get(row, "ordinal")?)?, number(get(row, "attempt")?)?))
}
