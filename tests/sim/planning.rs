//! Planners of one seed: those that ship, and now and then none of them has a plan.

use std::sync::Arc;

use trireme::runtime::port::{PlanError, PlannedGoals, Planner};
use trireme::wire::content::{NewProject, StartProjectPhase};
use trireme::wire::{GoalPlan, SubtaskPlan};

use crate::faults::Point;
use crate::sim::Sim;

/// Asked before the planners that ship. It knows nothing, and sometimes says so in a way that ends the asking.
pub struct Sabotage(pub Arc<Sim>);

impl Planner for Sabotage {
    fn name(&self) -> &'static str {
        "sabotage"
    }

    fn goals(&self, _: &NewProject) -> Result<Option<PlannedGoals>, PlanError> {
        // A request does not say which project it is about, so nothing could be excused.
        Ok(None)
    }

    fn subtasks(&self, _: &GoalPlan, phase: &StartProjectPhase) -> Result<Option<Vec<SubtaskPlan>>, PlanError> {
        let Some(fault) = self.0.chaos(|chaos, random| chaos.strike(random, Point::Plan, None)) else {
            return Ok(None);
        };
        self.0.note("a planner", format!("FAULT {}", fault.name));
        self.0.excuse(phase.project_id);
        Err(PlanError::new("the simulator says so"))
    }
}
