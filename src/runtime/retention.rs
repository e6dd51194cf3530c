//! Forgetting: what a store no longer has to know. Nothing else ever removes anything.
//!
//! It does not go through the broker like everything else that changes a project, because there is nobody to ask:
//! the stream that would remember the wish is what goes. It needs no owner either. A message about a stream that
//! does not exist, a late result say, is set aside among the dead letters by whoever gets it, and an alarm of this
//! store's is acked; an owner that has the stream in memory finds at its next commit that it is not there.

use super::port::{Removal, Store, StoreError, SummaryQuery};
use super::reader::{self, Listed};
use crate::wire::{ProjectId, Status, StreamId, Timestamp};

/// What came of a wish to forget one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// Its streams, and there were so many.
    Streams(u64),
    /// It has not ended: nothing was removed.
    Open,
}

/// A project's own row, or the first of what is left of it; none when the store does not know it.
pub async fn find(store: &dyn Store, id: ProjectId) -> Result<Option<Listed>, StoreError> {
    let query = SummaryQuery { project: Some(id), ..SummaryQuery::default() };
    if let Some(listed) = Listed::lead(&store.summaries(&query).await?) {
        return Ok(Some(listed));
    }
    // Streams without a row are remains that nobody should ever see; they can be removed all the same.
    let version = store.page(StreamId::Project(id), 0).await?.version;
    Ok((version > 0).then(|| Listed {
        project_id: id,
        name: String::new(),
        status: Status::Idle,
        submitted_at: Timestamp::default(),
        finished_at: None,
        counts: Default::default(),
    }))
}

/// Removes a project.
pub async fn forget(store: &dyn Store, id: ProjectId, removal: Removal) -> Result<Forgotten, StoreError> {
    match store.remove(id, removal).await {
        Ok(streams) => Ok(Forgotten::Streams(streams)),
        Err(StoreError::Conflict) if removal == Removal::Ended => Ok(Forgotten::Open),
        Err(error) => Err(error),
    }
}

/// The projects that ended before `before`, in this status where one is given. Open ones are never among them.
pub async fn ended_before(
    store: &dyn Store,
    before: Timestamp,
    status: Option<Status>,
) -> Result<Vec<Listed>, StoreError> {
    let mut found = Vec::new();
    reader::pages(store, status, async |page| {
        let is_old = |listed: &Listed| {
            listed.status.is_ended() && listed.finished_at.is_some_and(|finished_at| finished_at < before)
        };
        found.extend(page.into_iter().filter(is_old));
        Ok::<(), StoreError>(())
    })
    .await?;
    Ok(found)
}
