//! How a project may end, as far as that is certain: by its plan, its policy, what operators have said of it, and what
//! nobody can make good.

use trireme::domain::project::{Answer, REPLANS_MAX};
use trireme::wire::Status;
use trireme::wire::policy::OnFailure;

use crate::projects::PlannedProject;
use crate::sights::Sight;

/// What operators have said of a project, whatever became of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said {
    cancel: bool,
    cancel_subtask: bool,
    retry: bool,
    retry_failed: bool,
    fail: bool,
}

impl Said {
    pub fn add(&mut self, word: Sight, answer: Option<Answer>) {
        match word {
            Sight::SaidCancel => self.cancel = true,
            Sight::SaidCancelSubtask => self.cancel_subtask = true,
            Sight::SaidRetry | Sight::SaidRetrySubtask => self.retry = true,
            Sight::SaidRetryFailed => (self.retry, self.retry_failed) = (true, true),
            _ => {}
        }
        self.fail |= answer == Some(Answer::Fail);
    }
}

/// Where a project may end. `is_excused`: innocent subtasks may have failed, or there was no plan.
pub fn endings(planned: &PlannedProject, said: Said, is_excused: bool) -> Vec<Status> {
    use Status::{Cancelled, Completed, Error};
    let (doom, on_failure) = (&planned.doom, planned.policy.on_failure);
    let has_deadline = planned.request.deadline_ms.is_some();
    let mut endings = vec![by_plan(planned)];
    if said.cancel {
        endings.push(Cancelled);
    }
    if has_deadline || is_excused || said.fail {
        endings.push(Error);
    }
    if said.cancel_subtask && matches!(on_failure, OnFailure::Fail | OnFailure::Replan) {
        endings.push(Error);
    }
    // Then what was cancelled is left out of the phase that is run again, or planned anew after something else has failed.
    let is_left_out = said.cancel_subtask && (said.retry_failed || on_failure == OnFailure::Replan);
    // Goals that were planned anew stay so, and the next run has all its attempts at planning again.
    let is_cured = on_failure == OnFailure::Replan && said.retry && !doom.incurable;
    if !doom.plan && (is_left_out || is_cured) {
        endings.push(Completed);
    }
    endings
}

fn by_plan(planned: &PlannedProject) -> Status {
    let doom = &planned.doom;
    let is_planned_anew = !doom.incurable && doom.curable <= REPLANS_MAX;
    match planned.policy.on_failure {
        _ if doom.plan => Status::Error,
        _ if !doom.is_of_a_subtask() => Status::Completed,
        OnFailure::Fail => Status::Error,
        OnFailure::Replan if !is_planned_anew => Status::Error,
        // Whoever is asked says `skip` in the end.
        OnFailure::Replan | OnFailure::Skip | OnFailure::Continue | OnFailure::Ask => Status::Completed,
    }
}

/// Whether every subtask has to be completed, if the project is.
pub fn is_whole(planned: &PlannedProject, said: Said, is_excused: bool) -> bool {
    let passes_over = matches!(planned.policy.on_failure, OnFailure::Skip | OnFailure::Continue | OnFailure::Ask);
    !said.cancel_subtask && !(passes_over && (planned.doom.is_of_a_subtask() || is_excused))
}
