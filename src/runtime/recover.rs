//! Has everything sent anew that a project may have lost with its broker: one `Recover` to each of its open
//! streams. It changes nothing by itself: what the owners make of it is committed like any other input.

use uuid::Uuid;

use super::client::{Client, ClientError};
use super::port::{Store, StoreError, SummaryQuery};
use crate::domain::decision::recover_id;
use crate::domain::project::{Event, Project};
use crate::wire::address::Address;
use crate::wire::{ProjectId, StreamId};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Sends them, and returns to how many streams. `start` is drawn once: what is sent again under it has no
/// second effect.
pub async fn recover(
    client: &Client,
    store: &dyn Store,
    start: Uuid,
    project: ProjectId,
) -> Result<usize, RecoverError> {
    let state = load(store, project).await?;
    let query = SummaryQuery { project: Some(project), open: true, ..SummaryQuery::default() };
    let mut sent = 0;
    for summary in store.summaries(&query).await? {
        let (to, number) = match summary.stream {
            StreamId::Project(_) => (Address::requests(), 0),
            StreamId::Phase(_, number) => {
                // The partition that it was dealt into, whatever the settings say today.
                let Some(partition) = state.phase(number).and_then(|phase| phase.partition) else { continue };
                (Address::phases(partition), number)
            }
        };
        client.recover(recover_id(start, project, number), summary.stream, to).await?;
        sent += 1;
    }
    Ok(sent)
}

async fn load(store: &dyn Store, project: ProjectId) -> Result<Project, StoreError> {
    let stream = StreamId::Project(project);
    let mut state = Project::new(project);
    for raw in store.load_from_start(stream).await?.events {
        let event: Event = raw.read().map_err(|error| {
            StoreError::Unusable(format!("stream {stream} has an event that this version can not read: {error}"))
        })?;
        state.apply(&event);
    }
    Ok(state)
}
