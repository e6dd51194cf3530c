//! What will come of a request, before anybody is asked to carry it out: the goals and their subtasks, of the
//! planners that managers and coordinators ask. Planning has no effects, so it can be done twice.

use std::sync::Arc;

use uuid::Uuid;

use crate::runtime::port::{PlanError, PlannedGoals, Planner};
use crate::wire::content::{NewProject, StartProjectPhase};
use crate::wire::{GoalPlan, ProjectId, SubtaskPlan};

/// The goals of a request, each with its subtasks.
pub fn preview(planners: &[Arc<dyn Planner>], request: &NewProject) -> Result<Vec<GoalPlan>, PlanError> {
    let mut planned = None;
    for planner in planners {
        planned = planner.goals(request)?;
        if planned.is_some() {
            break;
        }
    }
    let PlannedGoals { goals, playbook } =
        planned.ok_or_else(|| PlanError::new("no planner knows what to do with this request"))?;
    // All goals in one phase: which one a goal is in does not change what it consists of.
    let phase = StartProjectPhase {
        project_id: ProjectId(Uuid::nil()),
        project_name: request.project_name.clone(),
        project_version: 0,
        run: 1,
        store_id: Uuid::nil(),
        phase: 1,
        priority: 1,
        partition: 0,
        strategic_goals: goals.clone(),
        parameters: request.parameters.clone(),
        policy: request.policy.clone(),
        id_namespace: Uuid::nil(),
        playbook,
        former: None,
        before: Vec::new(),
        left_out: Vec::new(),
    };
    let with_subtasks = |goal: GoalPlan| Ok(GoalPlan { subtasks: Some(subtasks(planners, &goal, &phase)?), ..goal });
    goals.into_iter().map(with_subtasks).collect()
}

fn subtasks(
    planners: &[Arc<dyn Planner>],
    goal: &GoalPlan,
    phase: &StartProjectPhase,
) -> Result<Vec<SubtaskPlan>, PlanError> {
    for planner in planners {
        if let Some(subtasks) = planner.subtasks(goal, phase)? {
            return Ok(subtasks);
        }
    }
    Err(PlanError::new(format!("no planner knows the goal `{}`", goal.goal_name)))
}
