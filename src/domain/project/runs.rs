//! New phases in the place of others: another run of a project that has ended, and goals that are planned anew after
//! their phase has failed. What was completed before is kept: the new phase names the one whose place it takes.

use super::alarm::set_alarm;
use super::phases::{end, go_on};
use super::state::PhaseState;
use super::{Added, Draft, Event, Project};
use crate::domain::check;
use crate::domain::decision::{Decision, cut};
use crate::domain::dossier::Dossier;
use crate::domain::to_come::{Meant, ToCome};
use crate::wire::content::Former;
use crate::wire::{GoalPlan, Status, SubtaskId};

/// How often phases of one run are planned anew: a planner that has failed twice will do so again.
pub const REPLANS_MAX: u32 = 2;

/// An ended project is to be run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// This subtask is done again, whatever came of it, and all that depends on it.
    pub subtask: Option<SubtaskId>,
    /// What a person has cancelled stays cancelled.
    pub failed_only: bool,
    /// The agent to be told of the end.
    pub requester: String,
}

pub(super) fn on_retry(draft: &mut Draft<'_>, retry: &Retry) -> Result<(), Decision<Event>> {
    let project = &*draft.project;
    if project.phases().is_empty() {
        return Err(Decision::Nothing("the project has no plan: there is nothing to run again"));
    }
    if let Some(subtask) = retry.subtask {
        let is_latest = project.phases().iter().any(|phase| phase.number == subtask.phase);
        let is_begun = project.phase(subtask.phase).is_some_and(|phase| phase.started_by.is_some());
        match (is_latest, is_begun) {
            (true, true) => {}
            (true, false) => return Err(Decision::Nothing("the subtask's phase never began")),
            (false, _) => return Err(Decision::Nothing("another phase has taken the place of the subtask's")),
        }
    }
    // Only its deadline cancels the phase of a project that ends in ERROR.
    let is_late = project.ended().is_some_and(|ended| ended.status == Status::Error);
    let is_late = |phase: &&PhaseState| is_late && phase.reported_in == project.run();
    let again = project.phases().iter().filter(|phase| runs_again(phase, retry, is_late(phase)));
    let again: Vec<u32> = again.map(|phase| phase.number).collect();
    // One that was cancelled, and is not run again, is as far as it would come.
    let is_barred = project.phases().iter().any(|phase| phase.status == Status::Cancelled && !phase.is_skipped);
    if again.is_empty() && (is_barred || !project.phases().iter().any(PhaseState::is_to_come)) {
        return Err(Decision::Nothing(match retry.failed_only {
            true if is_barred => "what is left of it was cancelled",
            true => "nothing of it has failed",
            false => "everything of it was completed",
        }));
    }
    let (at, cause, run) = (draft.context.now, draft.cause, project.run() + 1);
    let (requester, wants_all) = (retry.requester.clone(), !retry.failed_only);
    draft.record(Event::RunStarted { at, cause, run, requester, wants_all });
    // The alarm of the run before may have come back when nobody needed it.
    set_alarm(draft, true);
    for phase in again {
        let redo = retry.subtask.filter(|subtask| subtask.phase == phase).map(|subtask| subtask.ordinal);
        run_again(draft, Added::Retry, Former { phase, redo, failed_only: retry.failed_only });
    }
    go_on(draft);
    Ok(())
}

/// Whether a phase that has begun gets another in its place. `is_late`: the deadline has ended what was cancelled.
fn runs_again(phase: &PhaseState, retry: &Retry, is_late: bool) -> bool {
    if phase.started_by.is_none() {
        return false;
    }
    let is_whole = phase.status == Status::Completed && phase.counts.completed == phase.counts.total;
    match retry.subtask {
        Some(subtask) => subtask.phase == phase.number || !is_whole,
        None if retry.failed_only => {
            let has_failed = phase.counts.failed > 0 || phase.counts.skipped > 0;
            match phase.status {
                Status::Cancelled => is_late,
                status => has_failed || status == Status::Error,
            }
        }
        None => !is_whole,
    }
}

/// A phase with the same goals takes the place of `former`: its subtasks have the same ordinals.
pub(super) fn run_again(draft: &mut Draft<'_>, why: Added, former: Former) {
    add_phase(draft, why, former, |_, _, ordinal| Some(ordinal));
}

/// A phase takes the place of `former`. What a person has cancelled there, and is to stay so, is left out of it: `now` is
/// its ordinal in the new phase, given that one's number; none where nobody can say.
fn add_phase(draft: &mut Draft<'_>, why: Added, former: Former, now: impl Fn(u32, &Project, u32) -> Option<u32>) {
    let (at, cause, phase) = (draft.context.now, draft.cause, draft.project.next_number());
    draft.record(Event::PhaseAdded { at, phase, why, former });
    let unwanted = draft.project.unwanted_in(former.phase).filter(|_| former.failed_only);
    let unwanted = unwanted.filter_map(|(subtask, unwanted)| {
        let ordinal = now(phase, draft.project, subtask.ordinal)?;
        let (subtask, reason) = (SubtaskId { phase, ordinal }, unwanted.reason.clone());
        Some(Event::SubtaskUnwanted {
            at,
            cause,
            subtask,
            reason,
            said_of: Some((unwanted.said_of, unwanted.said_last)),
        })
    });
    let unwanted: Vec<Event> = unwanted.collect();
    unwanted.into_iter().for_each(|event| draft.record(event));
}

/// The goals that failed in a phase are planned anew, told what failed; the project ends when that can not be.
pub(super) fn replan(draft: &mut Draft<'_>, phase: u32, dossier: &Dossier, error: String) {
    if draft.project.replans >= REPLANS_MAX {
        let error = cut(&format!("{error} (it was planned anew {REPLANS_MAX} times)"));
        return end(draft, Status::Error, Some(error));
    }
    match replacements(draft, phase, dossier) {
        Err(why) => {
            let error = cut(&format!("{error} (and it can not be planned anew: {why})"));
            end(draft, Status::Error, Some(error));
        }
        Ok(replacements) => {
            let at = draft.context.now;
            let former = Former { phase, redo: None, failed_only: true };
            let is_known = |(replaces, new): &(String, GoalPlan)| {
                draft.project.goals.iter().any(|goal| goal.goal_name == *replaces && goal == new)
            };
            let are_same = replacements.iter().all(is_known);
            let before = to_come(draft.project, phase);
            for (replaces, goal) in replacements {
                draft.record(Event::GoalReplanned { at, replaces, goal });
            }
            let after = |new: u32, project: &Project, ordinal: u32| match are_same {
                true => Some(ordinal),
                false => match to_come(project, new).meant_by(&before.name_of(ordinal)?)? {
                    Meant::One(subtask) => Some(subtask.ordinal),
                    Meant::Copies(_) | Meant::Somewhere => None,
                },
            };
            add_phase(draft, Added::Replan, former, after);
            go_on(draft);
        }
    }
}

fn to_come(project: &Project, phase: u32) -> ToCome {
    ToCome::new(phase, project.phase(phase).into_iter().flat_map(|known| project.goals_of(known)))
}

/// What the planners put in the place of the goals that failed; all goals of the phase when nothing says which.
fn replacements(draft: &Draft<'_>, phase: u32, dossier: &Dossier) -> Result<Vec<(String, GoalPlan)>, String> {
    let project = &*draft.project;
    let state = project.phase(phase).ok_or("there is no such phase")?;
    let has_failed = |goal: &&GoalPlan| {
        dossier.failed.is_empty() || dossier.failed.iter().any(|failed| failed.goal_name == goal.goal_name)
    };
    let mut replacements = Vec::new();
    for goal in project.goals_of(state).filter(has_failed) {
        let new = (draft.context.replan)(goal, dossier)?;
        // It goes where the old one was, whatever its planner says.
        replacements.push((goal.goal_name.clone(), GoalPlan { priority: goal.priority, ..new }));
    }
    let mut goals = project.goals.clone();
    for (replaces, new) in &replacements {
        goals.iter_mut().filter(|goal| goal.goal_name == *replaces).for_each(|goal| goal.clone_from(new));
    }
    check::check(&goals).map_err(|bad| bad.in_one_line())?;
    Ok(replacements)
}
