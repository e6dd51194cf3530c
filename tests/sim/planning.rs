//! Planners of one seed: those that ship, and now and then none of them has a plan, or one panics.

use std::panic::resume_unwind;
use std::sync::Arc;

use serde_json::Value;
use trireme::domain::dossier::Dossier;
use trireme::runtime::port::{PlanError, PlannedGoals, Planner};
use trireme::wire::content::{NewProject, StartProjectPhase};
use trireme::wire::{GoalPlan, ProjectId, SubtaskPlan};
use uuid::Uuid;

use crate::faults::{Act, Point};
use crate::sim::Sim;

/// Asked before the planners that ship. It knows nothing, and sometimes says so in a way that ends the asking.
pub struct Sabotage(pub Arc<Sim>);

impl Sabotage {
    /// What goes wrong here, if anything; then its project may end in ERROR.
    fn strike(&self, point: Point, project: impl FnOnce() -> ProjectId) -> Result<(), PlanError> {
        let Some(fault) = self.0.chaos(|chaos, random| chaos.strike(random, point, None)) else { return Ok(()) };
        self.0.note("a planner", format!("FAULT {}", fault.name));
        self.0.excuse(project());
        match fault.act {
            // Not a panic of a test: no hook is called, nothing is printed.
            Act::Panic => resume_unwind(Box::new("the simulator says so")),
            Act::NoPlan => Err(PlanError::new("the simulator says so")),
            act => unreachable!("{act:?} does not happen to a planner"),
        }
    }
}

impl Planner for Sabotage {
    fn name(&self) -> &'static str {
        "sabotage"
    }

    fn goals(&self, request: &NewProject) -> Result<Option<PlannedGoals>, PlanError> {
        // A request does not say which project it is about, but its name does.
        let number = || request.project_name.rsplit(' ').next().and_then(|number| number.parse().ok());
        self.strike(Point::PlanProject, || ProjectId(Uuid::from_u128(number().expect("a number in the name"))))?;
        Ok(None)
    }

    fn subtasks(&self, _: &GoalPlan, phase: &StartProjectPhase) -> Result<Option<Vec<SubtaskPlan>>, PlanError> {
        self.strike(Point::Plan, || phase.project_id)?;
        Ok(None)
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
