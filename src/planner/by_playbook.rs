//! The planner `playbook`: the goals and subtasks of the playbook that a project names, or that matches its
//! description. Managers and coordinators each read their own copy, so the content's hash goes with every
//! phase, and another content is refused rather than half followed.

use std::sync::Arc;

use super::input::Base;
use super::library::Library;
use super::playbook::Playbook;
use super::{is_wanted, refusal};
use crate::domain::check::check;
use crate::runtime::port::{PlanError, PlannedGoals, Planner};
use crate::wire::content::{NewProject, StartProjectPhase};
use crate::wire::{GoalPlan, SubtaskPlan};

pub const NAME: &str = "playbook";

#[derive(Debug, Clone)]
pub struct ByPlaybook {
    library: Arc<Library>,
}

impl ByPlaybook {
    pub fn new(library: Arc<Library>) -> Self {
        Self { library }
    }

    /// The playbook that a phase was planned with.
    fn of_phase(&self, phase: &StartProjectPhase) -> Result<Option<&Playbook>, PlanError> {
        let Some(reference) = &phase.playbook else { return Ok(None) };
        let name = &reference.name;
        match self.library.get(name) {
            None => Err(PlanError::new(format!("playbook `{name}` of the manager is not known here"))),
            Some(own) if own.blake3 != reference.blake3 => {
                Err(PlanError::new(format!("playbook `{name}` here differs from the manager's")))
            }
            Some(own) => Ok(Some(own)),
        }
    }
}

impl Planner for ByPlaybook {
    fn name(&self) -> &'static str {
        NAME
    }

    /// With goals in the project a playbook is of use only when it was named, or knows one of those without
    /// subtasks; what then comes of both is checked here, before anything starts.
    fn goals(&self, request: &NewProject) -> Result<Option<PlannedGoals>, PlanError> {
        if !is_wanted(request, NAME)? {
            return Ok(None);
        }
        let is_named = request.planner.is_some() || request.playbook.is_some();
        let Some(playbook) = self.library.choose(request).map_err(refusal)? else {
            return match request.planner {
                None => Ok(None),
                Some(_) => Err(PlanError::new("no playbook matches the description of the project")),
            };
        };
        let goals = match request.plan.as_deref().unwrap_or_default() {
            [] => playbook.outline(),
            goals => goals.to_vec(),
        };
        let filled = playbook.filled(&goals);
        let gains = goals.iter().zip(&filled).any(|(goal, filled)| goal.subtasks != filled.subtasks);
        if !is_named && !gains && request.plan.as_ref().is_some_and(|goals| !goals.is_empty()) {
            return Ok(None);
        }
        check(&filled).map_err(|bad| refusal(bad.at(format_args!("with playbook `{}`", playbook.name))))?;
        // A goal that the playbook itself leaves open is its word: the fallback does it.
        let is_unknown = |goal: &&GoalPlan| goal.subtasks.is_none() && playbook.goal(&goal.goal_name).is_none();
        match filled.iter().find(is_unknown) {
            Some(goal) if request.planner.is_some() => Err(PlanError::new(format!(
                "goal `{}` has no subtasks, and playbook `{}` does not know it",
                goal.goal_name, playbook.name
            ))),
            _ => Ok(Some(PlannedGoals { goals, playbook: Some(playbook.reference()) })),
        }
    }

    fn subtasks(&self, goal: &GoalPlan, phase: &StartProjectPhase) -> Result<Option<Vec<SubtaskPlan>>, PlanError> {
        let Some(playbook) = self.of_phase(phase)? else { return Ok(None) };
        let own = playbook.goal(&goal.goal_name);
        let Some(subtasks) = goal.subtasks.as_ref().or(own.and_then(|own| own.subtasks.as_ref())) else {
            return Ok(None);
        };
        let layers = [
            Some(&playbook.parameters),
            Some(&phase.parameters),
            own.and_then(|own| own.input.as_ref()),
            goal.input.as_ref(),
        ];
        Base::of(layers)?.under(subtasks).map(Some)
    }
}
