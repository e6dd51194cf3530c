//! Removing a project: a few statements in one round trip and one transaction.

use std::time::Duration;

use tokio_postgres::SimpleQueryMessage;

use super::error::STALE;
use crate::runtime::port::{Removal, StoreError};
use crate::store::batch::names_of;
use crate::wire::ProjectId;

/// A project may have millions of rows. Only its own are locked meanwhile.
pub const TIMEOUT: Duration = Duration::from_secs(620);

/// The statements. There are no parameters, because the names in it are our own words and a UUID.
///
/// The streams are locked first, in the order in which batches lock them, and by name from then on: one that begins
/// meanwhile is left alone, whole. Then each statement sees what was committed before the locks were given.
pub fn sql(project: ProjectId, removal: Removal) -> String {
    let (own, first, end) = names_of(project);
    let is_refused = removal == Removal::Ended;
    format!(
        "set local statement_timeout = '600s';
         do $do$
         declare
             gone text[];
         begin
             select coalesce(array_agg(name), '{{}}') into gone from (
                 select name from streams where name = '{own}' or (name >= '{first}' and name < '{end}')
                 order by name for update
             ) as locked;
             if {is_refused} and exists (
                 select 1 from summaries where project = '{project}' and phase = 0 and not ended
             ) then
                 raise exception 'project {project} is open' using errcode = '{STALE}';
             end if;
             delete from events where stream = any (gone);
             delete from snapshots where stream = any (gone);
             delete from payloads where stream = any (gone);
             delete from streams where name = any (gone);
             delete from summaries where project = '{project}' and not exists (
                 select 1 from streams where name = case phase when 0 then '{own}' else '{first}' || phase end
             );
             perform set_config('trireme.removed', cardinality(gone)::text, true);
         end
         $do$;
         select current_setting('trireme.removed')"
    )
}

/// The number of streams, from the answers.
pub fn count(answers: &[SimpleQueryMessage]) -> Result<u64, StoreError> {
    let rows = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let count = rows.last().and_then(|count| count.parse().ok());
    count.ok_or_else(|| StoreError::Unusable("a removal without an answer".into()))
}
