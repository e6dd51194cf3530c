//! What a charged failure means: another attempt, the fallback, or, when all attempts are used up, what the
//! project's policy says.

use super::draft::Draft;
use super::event::{Budget, Dependants, Then};
use super::{Outcome, Phase};
use crate::domain::dossier::{COMPLETED_MAX, Dossier, FailedSubtask, PartialResult};
use crate::wire::policy::OnFailure;
use crate::wire::{Failure, FailureKind, SubtaskId, SubtaskStatus};

/// So many crashes use a skill up. Small, because each may have taken an executor with it; more than one, because
/// the neighbours of a poison come back with it.
const MAX_CRASHES: u32 = 3;

/// What follows from a failure of the current attempt that is charged to `budget`.
pub(super) fn charged(draft: &Draft<'_>, ordinal: u32, failure: &Failure, budget: Budget) -> Outcome {
    let phase = &*draft.phase;
    let (subtask, terms) = (&phase.subtasks[ordinal as usize], phase.terms(ordinal));
    let (spent, most) = match budget {
        Budget::Failures => (subtask.failures + 1, terms.max_attempts),
        Budget::Crashes => (subtask.crashes + 1, MAX_CRASHES),
    };
    let wait_ms = |failures| match phase.command_id(ordinal) {
        Some(command) => terms.retry.wait_ms(command, failures, failure.retry_after_ms),
        None => 0,
    };
    let fallback = phase.spec(ordinal).fallback.as_deref().filter(|_| !subtask.fell_back);
    // One that says it was told to stop was not told by its owner: it is tried again as if it had failed.
    // What its executor could not do another may, or the same one later.
    let is_worth_it = failure.kind == FailureKind::Cancelled || failure.avoid || terms.retry.retries(failure.kind);
    let is_used_up = spent >= most || !is_worth_it;
    let after = fallback.and_then(|fallback| fallback.after).unwrap_or(u32::MAX);
    let now = draft.context.now;
    match fallback {
        Some(_) if is_used_up || spent >= after => Outcome::FallBack { budget, until: now.plus_ms(wait_ms(1)) },
        _ if is_used_up => for_good(draft, budget),
        _ => match wait_ms(spent) {
            0 => Outcome::Again { budget },
            wait_ms => Outcome::Retry { budget, until: now.plus_ms(wait_ms) },
        },
    }
}

/// All attempts are used up.
pub(super) fn for_good(draft: &Draft<'_>, budget: Budget) -> Outcome {
    match draft.phase.policy.on_failure {
        // It ends in ERROR anyway.
        _ if draft.phase.failing.is_some() => Outcome::Exhausted { budget },
        OnFailure::Fail | OnFailure::Replan => Outcome::Exhausted { budget },
        OnFailure::Skip => Outcome::PassOver { budget, dependants: Dependants::Skip },
        OnFailure::Continue => Outcome::PassOver { budget, dependants: Dependants::Run },
        OnFailure::Ask => Outcome::Ask { budget, cause: draft.cause },
    }
}

/// What a cancelled subtask means for those that depend on it, if any do.
pub(super) fn cancelled(draft: &Draft<'_>, ordinal: u32) -> Then {
    let phase = &*draft.phase;
    let dependants = &phase.dependants[phase.subtasks[ordinal as usize].spec as usize];
    // Cleanups run anyway.
    let has_dependants = dependants.iter().any(|&dependant| !phase.specs[dependant as usize].is_cleanup());
    match phase.policy.on_failure {
        OnFailure::Fail | OnFailure::Replan => Then::Fail,
        OnFailure::Ask if has_dependants && phase.failing.is_none() => Then::Ask,
        OnFailure::Skip | OnFailure::Ask => Then::Skip,
        OnFailure::Continue => Then::Run,
    }
}

impl Phase {
    /// What goes up with a report, or with a question about one subtask.
    pub fn dossier(&self, about: Option<u32>) -> Option<Dossier> {
        let ordinals: Vec<u32> = about.map_or_else(|| self.failed.clone(), |ordinal| vec![ordinal]);
        if ordinals.is_empty() {
            return None;
        }
        let opened = self.opened.as_ref()?;
        let id = |ordinal| SubtaskId { phase: opened.phase, ordinal };
        let failed = |&ordinal: &u32| FailedSubtask {
            subtask_id: id(ordinal),
            name: self.spec(ordinal).name_of(ordinal),
            goal_name: opened.goals.get(self.spec(ordinal).goal as usize).cloned().unwrap_or_default(),
            skill: self.spec(ordinal).skill.clone(),
            attempts: self.notes.get(&ordinal).cloned().unwrap_or_default(),
        };
        let goals: Vec<u32> = ordinals.iter().map(|&ordinal| self.spec(ordinal).goal).collect();
        let is_partial = |&(ordinal, subtask): &(u32, &super::Subtask)| {
            subtask.status == SubtaskStatus::Completed && goals.contains(&self.spec(ordinal).goal)
        };
        let partial = |(ordinal, subtask): (u32, &super::Subtask)| PartialResult {
            subtask_id: id(ordinal),
            name: self.spec(ordinal).name_of(ordinal),
            bytes: subtask.bytes,
        };
        let told = u32::try_from(ordinals.len()).unwrap_or(u32::MAX);
        Some(Dossier {
            failed: ordinals.iter().map(failed).collect(),
            more: about.map_or(self.failed_count.saturating_sub(told), |_| 0),
            completed: (0..).zip(&self.subtasks).filter(is_partial).take(COMPLETED_MAX).map(partial).collect(),
        })
    }
}
