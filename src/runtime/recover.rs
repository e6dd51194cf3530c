//! Has everything sent anew that a project may have lost with its broker: a `Recover` to the project, which hands it
//! on to its current phase. It changes nothing by itself: what the owners make of it is committed like any other
//! input.

use uuid::Uuid;

use super::client::{Client, ClientError};
use crate::domain::decision::recover_id;
use crate::wire::ProjectId;

/// Sends it. `start` is drawn once: what is sent again under it has no second effect.
pub async fn recover(client: &Client, start: Uuid, project: ProjectId) -> Result<(), ClientError> {
    client.recover(recover_id(start, project, 0), project).await
}
