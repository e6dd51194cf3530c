//! The planner `plan`: what the project says itself. It knows only plans that leave nothing open.

use super::input::Base;
use super::is_wanted;
use crate::runtime::port::{PlanError, PlannedGoals, Planner};
use crate::wire::content::{NewProject, StartProjectPhase};
use crate::wire::{GoalPlan, SubtaskPlan};

pub const NAME: &str = "plan";

#[derive(Debug, Clone, Copy)]
pub struct Plan;

impl Planner for Plan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn goals(&self, request: &NewProject) -> Result<Option<PlannedGoals>, PlanError> {
        let is_named = is_wanted(request, NAME)? && request.planner.is_some();
        let goals = request.plan.as_deref().unwrap_or_default();
        let open = goals.iter().find(|goal| goal.subtasks.is_none());
        match open {
            Some(goal) if is_named => Err(PlanError::new(format!(
                "goal `{}` has no subtasks, and the planner `{NAME}` adds none",
                goal.goal_name
            ))),
            None if is_named && goals.is_empty() => {
                Err(PlanError::new(format!("the project has no goals, and the planner `{NAME}` adds none")))
            }
            // A playbook that was named has parameters, and inputs of goals, to add to a plan without gaps too.
            None if !goals.is_empty() && request.playbook.is_none() => {
                Ok(Some(PlannedGoals { goals: goals.to_vec(), playbook: None }))
            }
            _ => Ok(None),
        }
    }

    fn subtasks(&self, goal: &GoalPlan, phase: &StartProjectPhase) -> Result<Option<Vec<SubtaskPlan>>, PlanError> {
        match (&goal.subtasks, &phase.playbook) {
            (Some(subtasks), None) => {
                Base::of([Some(&phase.parameters), goal.input.as_ref()])?.under(subtasks).map(Some)
            }
            _ => Ok(None),
        }
    }
}
