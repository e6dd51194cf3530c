//! The queries, and what their rows mean. Each is one statement, so that what it answers is of one moment.

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::runtime::port::{Payload, PayloadKind, StoreError, StoreIdentity, Stored, Summary};
use crate::store::rows::{Rebuild, SummaryColumns, json, number};
use crate::wire::StreamId;

/// The streams asked for (`$1`), each by its place in the question: its own row (kind 0), the pieces of its
/// snapshot (1, when `$2` wants them) and the chunks of the events after it (2). In kind 0 `a` is the version, in
/// kind 1 `a` is the snapshot's version and `b` its format, in kind 2 they are the first and the last version.
/// Milliseconds since 1970.
pub const NOW: &str = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint";

pub const STREAMS: &str = "
    with asked as (
        select place, s.name, s.version,
               case when $2 then coalesce((select max(version) from snapshots p where p.stream = s.name), 0)
                    else 0 end as covered
        from unnest($1::text[]) with ordinality as question (name, place)
        join streams s on s.name = question.name
    )
    select place, 0 as kind, 0::bigint as number, version as a, 0::bigint as b, null::text as events, null::bytea as state
    from asked
    union all
    select place, 1, p.number, p.version, p.format, null, p.state
    from asked join snapshots p on p.stream = asked.name and p.version = asked.covered
    union all
    select place, 2, e.last_version, e.first_version, e.last_version, e.events, null
    from asked join events e on e.stream = asked.name and e.last_version > asked.covered
    order by place, kind, number";

/// One look into the index for each ordinal.
pub const PAYLOADS: &str = "
    select wanted.ordinal, newest.attempt, newest.data
    from unnest($3::bigint[]) as wanted (ordinal)
    cross join lateral (
        select attempt, data from payloads p
        where p.stream = $1 and p.kind = $2 and p.ordinal = wanted.ordinal
        order by attempt desc limit 1
    ) as newest
    order by wanted.ordinal";

pub const IDENTITY: &str = "select id, partitions from store";

/// The rows of [`STREAMS`] as the answers to `asked`.
pub fn streams(rows: Vec<Row>, asked: &[StreamId]) -> Result<Vec<Stored>, StoreError> {
    let mut answers = vec![Stored::default(); asked.len()];
    let mut rows = rows.iter().peekable();
    while let Some(row) = rows.next() {
        let place: i64 = get(row, "place")?;
        let index = usize::try_from(place - 1).ok().filter(|index| *index < asked.len());
        let index = index.ok_or_else(|| StoreError::Unusable(format!("an answer to no question: {place}")))?;
        let mut rebuild = Rebuild::new(asked[index], number(get(row, "a")?)?);
        while let Some(row) = rows.next_if(|row| row.try_get::<_, i64>("place").is_ok_and(|next| next == place)) {
            add(&mut rebuild, row)?;
        }
        answers[index] = rebuild.finish()?;
    }
    Ok(answers)
}

fn add(rebuild: &mut Rebuild, row: &Row) -> Result<(), StoreError> {
    let (a, b) = (get(row, "a")?, get(row, "b")?);
    match get::<i32>(row, "kind")? {
        1 => {
            rebuild.snapshot_piece(number(a)?, number(b)?, get(row, "state")?);
            Ok(())
        }
        _ => rebuild.chunk(number(a)?, number(b)?, get(row, "events")?),
    }
}

pub fn payload(row: &Row, kind: PayloadKind) -> Result<Payload, StoreError> {
    Ok(Payload {
        ordinal: number(get(row, "ordinal")?)?,
        attempt: number(get(row, "attempt")?)?,
        kind,
        data: json(get(row, "data")?)?,
    })
}

pub fn summary(row: &Row) -> Result<Summary, StoreError> {
    let columns = SummaryColumns {
        project: get(row, "project")?,
        phase: get(row, "phase")?,
        name: get(row, "name")?,
        status: get(row, "status")?,
        counts: get(row, "counts")?,
        submitted_ms: get(row, "submitted_ms")?,
        finished_ms: get(row, "finished_ms")?,
    };
    columns.read()
}

pub fn identity(row: &Row) -> Result<StoreIdentity, StoreError> {
    Ok(StoreIdentity { id: get(row, "id")?, partitions: number(get(row, "partitions")?)? })
}

pub fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::Unusable(format!("column `{column}`: {error}")))
}
