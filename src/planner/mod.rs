//! Judgement: what turns a request into goals and goals into subtasks. This file is the list; a new planner is
//! one file and one line in it.
//!
//! A project says what it wants in a [`file`]; what it leaves open is filled by the first planner that knows,
//! in the order of the list. All of them are pure: whatever they read, they read when the process starts.
//!
//! | planner | knows |
//! | --- | --- |
//! | [`plan`] | what the project itself says, when that is everything |
//! | [`by_playbook`] | the goals and subtasks of the playbook that was named, or that matches the description |
//! | [`fallback`] | one generic goal, one generic subtask a goal |

use std::path::Path;
use std::sync::Arc;

use crate::domain::BadInput;
use crate::domain::check::check;
use crate::runtime::port::{PlanError, Planner};
use crate::wire::content::NewProject;

pub mod by_playbook;
pub mod document;
pub mod duration;
pub mod fallback;
pub mod file;
pub mod input;
pub mod library;
mod nul;
pub mod plan;
pub mod playbook;
mod policy;
pub mod preview;
pub mod table;

pub use file::{Known, ProjectFile};
pub use library::Library;
pub use preview::preview;

/// The planners by name, in the order in which they are asked.
pub const NAMES: [&str; 3] = [plan::NAME, by_playbook::NAME, fallback::NAME];

/// The planners, with the playbooks of `folder` before those that ship.
pub fn planners(folder: Option<&Path>) -> Result<Vec<Arc<dyn Planner>>, BadInput> {
    Ok(planners_with(Arc::new(Library::load(folder)?)))
}

/// The planners, with these playbooks.
pub fn planners_with(library: Arc<Library>) -> Vec<Arc<dyn Planner>> {
    vec![Arc::new(plan::Plan), Arc::new(by_playbook::ByPlaybook::new(library)), Arc::new(fallback::Fallback)]
}

/// Whether `request` lets the planner `name` speak. What no planner could make sense of is refused by whoever is
/// asked first: requests come from anybody.
fn is_wanted(request: &NewProject, name: &str) -> Result<bool, PlanError> {
    if !request.parameters.get().starts_with('{') {
        return Err(PlanError::new("the `parameters` of a project are an object"));
    }
    check(request.plan.as_deref().unwrap_or_default()).map_err(refusal)?;
    let Some(planner) = &request.planner else { return Ok(true) };
    file::known("planner", planner, NAMES).map_err(refusal)?;
    Ok(planner == name)
}

fn refusal(bad: BadInput) -> PlanError {
    PlanError::new(bad.in_one_line())
}

#[cfg(test)]
mod tests;
