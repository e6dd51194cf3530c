//! New phases in the place of others: another run of a project that has ended, and goals that are planned anew after
//! their phase has failed. What was completed before is kept: the new phase names the one whose place it takes.

use super::alarm::set_alarm;
use super::phases::{end, go_on};
use super::state::PhaseState;
use super::words::{is_unwanted, unwanted_in};
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
    let again = project.phases().iter().filter(|phase| runs_again(phase, retry, is_late));
    let again: Vec<u32> = again.map(|phase| phase.number).collect();
    if again.is_empty() && !project.phases().iter().any(PhaseState::is_to_come) {
        return Err(Decision::Nothing(match retry.failed_only {
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
            has_failed || phase.status == Status::Error || (is_late && phase.status == Status::Cancelled)
        }
        None => !is_whole,
    }
}

/// A phase with the same goals takes the place of `former`. What was cancelled in that one, and is to stay so, has the
/// same ids here: its own stream says nothing of it when it never had a plan.
pub(super) fn run_again(draft: &mut Draft<'_>, why: Added, former: Former) {
    let unwanted = unwanted_in(draft.project, former.phase);
    let phase = add_phase(draft, why, former);
    for (subtask, reason) in unwanted.into_iter().filter(|_| former.failed_only) {
        is_unwanted(draft, SubtaskId { phase, ..subtask }, reason);
    }
}

fn add_phase(draft: &mut Draft<'_>, why: Added, former: Former) -> u32 {
    let (at, phase) = (draft.context.now, draft.project.next_number());
    draft.record(Event::PhaseAdded { at, phase, why, former });
    phase
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
            let unwanted = unwanted_by_name(draft.project, phase);
            for (replaces, goal) in replacements {
                draft.record(Event::GoalReplanned { at, replaces, goal });
            }
            // What a person has cancelled is not started again, however it is planned.
            let phase = add_phase(draft, Added::Replan, Former { phase, redo: None, failed_only: true });
            let to_come = to_come(draft.project, phase);
            for (name, reason) in unwanted {
                if let Some(Meant::One(subtask)) = to_come.meant_by(&name) {
                    is_unwanted(draft, subtask, reason);
                }
            }
            go_on(draft);
        }
    }
}

/// What a person does not want of a phase, as far as its goals name it, and why. What only its coordinators had named is
/// known to its own stream.
fn unwanted_by_name(project: &Project, phase: u32) -> Vec<(String, String)> {
    let to_come = to_come(project, phase);
    let unwanted = unwanted_in(project, phase).into_iter();
    unwanted.filter_map(|(subtask, reason)| Some((to_come.name_of(subtask.ordinal)?, reason))).collect()
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
