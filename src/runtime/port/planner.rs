//! Planners: what turns a request into goals and goals into subtasks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::dossier::Dossier;
use crate::wire::content::{NewProject, PlaybookRef, StartProjectPhase};
use crate::wire::{GoalPlan, SubtaskPlan};

/// A pure planner: no I/O, no clock, the same answer to the same question. The runtime calls it in place and
/// asks one after the other until one knows; a planner that takes time is no planner of this kind.
pub trait Planner: Send + Sync + 'static {
    /// Its name in a project file's `planner`.
    fn name(&self) -> &'static str;

    /// The goals of a request; `None` when it does not know.
    fn goals(&self, request: &NewProject) -> Result<Option<PlannedGoals>, PlanError>;

    /// The subtasks of one goal of a phase; `None` when it does not know. Their inputs are complete: the
    /// parameters and the goal's own input are merged in.
    fn subtasks(&self, goal: &GoalPlan, phase: &StartProjectPhase) -> Result<Option<Vec<SubtaskPlan>>, PlanError>;

    /// What is to be tried in the place of a goal that failed, told how it failed; `None` when it has nothing better:
    /// when no planner has, the goal is planned again as it is. What was completed of it is kept where it stays the
    /// same.
    fn replan(&self, _goal: &GoalPlan, _dossier: &Dossier) -> Result<Option<GoalPlan>, PlanError> {
        Ok(None)
    }
}

/// The goals of a request, and the playbook that they are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedGoals {
    pub goals: Vec<GoalPlan>,
    pub playbook: Option<PlaybookRef>,
}

/// Why there is no plan. Asking again gives the same answer: the request is refused with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    pub message: String,
}

impl PlanError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// What planners say. One that panics has no plan: what it was asked about ends by that, or goes on where it was
/// planned before, and is not set aside, where nothing would be sent again for it.
pub(crate) fn guarded<T>(ask: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // The panic hook has said where.
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| Err("the planner panicked".into()))
}
