//! What is on record at the end, as the store is read by everybody.

use std::collections::BTreeMap;

use trireme::runtime::port::{Store, StoreError};
use trireme::runtime::reader;
use trireme::wire::{ProjectId, SubtaskStatus};

use crate::ledger::Answer;
use crate::verdict::Stored;

/// The event of a phase's stream that a completion is.
const COMPLETED: &str = "Completed";

pub async fn stored(store: &dyn Store, id: ProjectId) -> Result<Stored, String> {
    let failed = |error: StoreError| format!("{id}: {error}");
    let Some(view) = reader::project(store, id, true).await.map_err(failed)? else { return Ok(Stored::default()) };
    let mut stored = Stored { status: Some(view.status), ..Stored::default() };
    let mut names = BTreeMap::new();
    for subtask in view.subtasks() {
        names.insert((subtask.id.phase, subtask.id.ordinal), subtask.name.clone());
        if let (SubtaskStatus::Completed, Some(result)) = (subtask.status, &subtask.result) {
            let answer: Answer = result.read().map_err(|error| format!("{id}: `{}`: {error}", subtask.name))?;
            stored.results.insert(subtask.name.clone(), answer);
        }
    }
    for event in reader::history(store, id).await.map_err(failed)?.unwrap_or_default() {
        if event.event == COMPLETED {
            for subtask in &event.subtask_ids {
                let name = names.get(&(subtask.phase, subtask.ordinal)).cloned().unwrap_or_default();
                *stored.completions.entry(name).or_default() += 1;
            }
        }
    }
    match stored.results.keys().find(|name| !stored.completions.contains_key(*name)) {
        Some(name) => Err(format!("{id}: `{name}` has a result, and no event `{COMPLETED}`")),
        None => Ok(stored),
    }
}

/// Whether all of them have ended.
pub async fn all_ended(store: &dyn Store, projects: &[ProjectId]) -> Result<bool, StoreError> {
    let most = u32::try_from(projects.len()).unwrap_or(u32::MAX).saturating_mul(2);
    let listed = reader::list(store, None, most).await?;
    let ended: std::collections::BTreeSet<ProjectId> =
        listed.into_iter().filter(|project| project.finished_at.is_some()).map(|project| project.project_id).collect();
    Ok(projects.iter().all(|project| ended.contains(project)))
}
