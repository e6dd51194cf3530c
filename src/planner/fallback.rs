//! The planner `fallback`: one generic goal for a project of which nobody knows anything, one generic subtask
//! for such a goal. It always knows.

use serde_json::json;

use super::input::Base;
use super::is_wanted;
use crate::domain::expand::GENERIC_SKILL;
use crate::runtime::port::{PlanError, PlannedGoals, Planner};
use crate::wire::content::{NewProject, StartProjectPhase};
use crate::wire::{GoalPlan, Raw, SubtaskPlan};

pub const NAME: &str = "fallback";
/// The goal of a project without goals.
pub const GOAL: &str = "Generic Task Completion";
#[derive(Debug, Clone, Copy)]
pub struct Fallback;

impl Planner for Fallback {
    fn name(&self) -> &'static str {
        NAME
    }

    /// An open goal that says nothing of itself is described by its project: the subtask gets to see it.
    fn goals(&self, request: &NewProject) -> Result<Option<PlannedGoals>, PlanError> {
        if !is_wanted(request, NAME)? {
            return Ok(None);
        }
        let mut goals = match request.plan.as_deref().unwrap_or_default() {
            [] => vec![generic_goal()],
            goals => goals.to_vec(),
        };
        for goal in goals.iter_mut().filter(|goal| goal.subtasks.is_none() && goal.description.is_empty()) {
            goal.description.clone_from(&request.description);
        }
        Ok(Some(PlannedGoals { goals, playbook: None }))
    }

    fn subtasks(&self, goal: &GoalPlan, phase: &StartProjectPhase) -> Result<Option<Vec<SubtaskPlan>>, PlanError> {
        if let Some(subtasks) = &goal.subtasks {
            return Base::of([Some(&phase.parameters), goal.input.as_ref()])?.under(subtasks).map(Some);
        }
        let about = match goal.description.is_empty() {
            true => &phase.project_name,
            false => &goal.description,
        };
        let described = Raw::from(json!({ "description": about }));
        Base::of([Some(&described), Some(&phase.parameters), goal.input.as_ref()])?
            .under(&[generic_subtask(&goal.goal_name)])
            .map(Some)
    }
}

fn generic_goal() -> GoalPlan {
    GoalPlan { goal_name: GOAL.into(), priority: 1, description: String::new(), input: None, subtasks: None }
}

fn generic_subtask(goal: &str) -> SubtaskPlan {
    SubtaskPlan {
        description: format!("Generic execution for {goal}"),
        ..SubtaskPlan::new(format!("Execute {goal}"), GENERIC_SKILL)
    }
}
