//! Planners of one seed: those that ship, and now and then none of them has a plan.

use std::sync::Arc;

use serde_json::Value;
use trireme::domain::dossier::Dossier;
use trireme::runtime::port::{PlanError, PlannedGoals, Planner};
use trireme::wire::content::{NewProject, StartProjectPhase};
use trireme::wire::{GoalPlan, ProjectId, SubtaskPlan};
use uuid::Uuid;

use crate::faults::Point;
use crate::sim::Sim;

/// Asked before the planners that ship. It knows nothing, and sometimes says so in a way that ends the asking.
pub struct Sabotage(pub Arc<Sim>);

impl Planner for Sabotage {
    fn name(&self) -> &'static str {
        "sabotage"
    }

    fn goals(&self, request: &NewProject) -> Result<Option<PlannedGoals>, PlanError> {
        let Some(fault) = self.0.chaos(|chaos, random| chaos.strike(random, Point::PlanProject, None)) else {
            return Ok(None);
        };
        self.0.note("a planner", format!("FAULT {}", fault.name));
        // A request does not say which project it is about, but its name does.
        let number = request.project_name.rsplit(' ').next().and_then(|number| number.parse().ok());
        self.0.excuse(ProjectId(Uuid::from_u128(number.expect("a number in the name"))));
        Err(PlanError::new("the simulator says so"))
    }

    fn subtasks(&self, _: &GoalPlan, phase: &StartProjectPhase) -> Result<Option<Vec<SubtaskPlan>>, PlanError> {
        let Some(fault) = self.0.chaos(|chaos, random| chaos.strike(random, Point::Plan, None)) else {
            return Ok(None);
        };
        self.0.note("a planner", format!("FAULT {}", fault.name));
        self.0.excuse(phase.project_id);
        Err(PlanError::new("the simulator says so"))
    }

    /// Where it helps, what never went well goes well from now on.
    fn replan(&self, goal: &GoalPlan, _: &Dossier) -> Result<Option<GoalPlan>, PlanError> {
        let mut goal = goal.clone();
        let mut is_cured = false;
        for subtask in goal.subtasks.iter_mut().flatten() {
            let input: Option<Value> = subtask.input.as_ref().and_then(|input| input.read().ok());
            if let Some(mut input) = input.filter(|input| input["cure"] == true) {
                (input["cure"], input["fails"]) = (false.into(), 0.into());
                subtask.input = Some(input.into());
                is_cured = true;
            }
        }
        Ok(is_cured.then_some(goal))
    }
}
