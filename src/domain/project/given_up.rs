//! A phase that can not go on: its start or its alarm died, or nobody is there to run it. It does not take the rest
//! of its project down: the project's policy says what becomes of it.

use super::alarm::set_alarm;
use super::phases::{end, go_on};
use super::runs::{replan, run_again};
use super::words::{Word, tell_phase};
use super::{Added, DeadPhase, Draft, Event};
use crate::domain::decision::{Decision, Effect, cut};
use crate::domain::dossier::Dossier;
use crate::domain::phase::{Refusal, Why};
use crate::wire::Status;
use crate::wire::content::Former;
use crate::wire::policy::OnFailure;

/// How long what was refused waits for its queue.
const REFUSED_WAIT_MS: u64 = 5_000;

/// What belongs to the current phase was given up: it can not go on.
pub(super) fn on_dead_phase(draft: &mut Draft<'_>, dead: &DeadPhase) -> Result<(), Decision<Event>> {
    if draft.project.current != Some(dead.phase) {
        return Err(Decision::Nothing("the dead letter is not of the current phase"));
    }
    give_up(draft, dead.phase, &dead.reason);
    Ok(())
}

/// Gives the current phase up. It may be alive all the same, or come to life later: its last word is to stop.
pub(super) fn give_up(draft: &mut Draft<'_>, phase: u32, reason: &str) {
    let error = report_given_up(draft, phase, reason);
    tell_phase(draft, phase, Word::Cancel { subtask: None, reason: error.clone() });
    go_on_without(draft, phase, error);
}

/// In the place of its own report; gives back the error.
fn report_given_up(draft: &mut Draft<'_>, phase: u32, reason: &str) -> String {
    let error = cut(&format!("phase {phase} was given up: {reason}"));
    let counts = draft.project.phase(phase).map(|phase| draft.project.known_counts(phase)).unwrap_or_default();
    // What a person has cancelled has not failed.
    let status = if draft.project.cancel.is_some() { Status::Cancelled } else { Status::Error };
    let at = draft.context.now;
    draft.record(Event::PhaseReported { at, phase, status, counts, error: Some(error.clone()) });
    error
}

/// What the policy says of a phase that was given up.
fn go_on_without(draft: &mut Draft<'_>, phase: u32, error: String) {
    let at = draft.context.now;
    if draft.project.cancel.is_some() {
        return go_on(draft);
    }
    match draft.project.policy().on_failure {
        OnFailure::Fail => end(draft, Status::Error, Some(error)),
        OnFailure::Skip | OnFailure::Continue => {
            draft.record(Event::PhaseSkipped { at, phase });
            go_on(draft);
        }
        OnFailure::Replan => replan(draft, phase, &Dossier::default(), error),
        OnFailure::Ask => {
            // A question of the manager's own: it has the id of what made it ask.
            draft.record(Event::Asked { at, question: draft.cause, phase, subtask: None, error, asking: None });
            set_alarm(draft, false);
        }
    }
}

/// Somebody has said that it is to be tried again: not what he, or another, had cancelled in it.
pub(super) fn try_again(draft: &mut Draft<'_>, phase: u32) {
    run_again(draft, Added::Decided, Former { phase, redo: None, failed_only: true });
    go_on(draft);
}

/// The broker refused what this project sent.
pub(super) fn on_refused(draft: &mut Draft<'_>, refusal: &Refusal) -> Result<(), Decision<Event>> {
    match refusal.effect {
        Effect::StartPhase { phase } if draft.project.start_id(phase) == Some(refusal.id) => {
            on_start_refused(draft, phase, &refusal.why);
        }
        Effect::Tell { number } if draft.project.tell_id(number) == Some(refusal.id) => {
            on_tell_refused(draft, number, &refusal.why);
        }
        _ if draft.project.ended.is_some() => return Err(Decision::Nothing("the project has ended")),
        _ => return Err(Decision::Nothing("the refused message is not current")),
    }
    if draft.project.is_open() {
        set_alarm(draft, false);
    }
    Ok(())
}

fn on_start_refused(draft: &mut Draft<'_>, phase: u32, why: &Why) {
    let at = draft.context.now;
    match why {
        Why::Unsendable(why) => {
            let error = report_given_up(draft, phase, &format!("it can not be sent: {why}"));
            // It would be too big the next time too.
            match draft.project.policy().on_failure {
                OnFailure::Replan => end(draft, Status::Error, Some(error)),
                _ => go_on_without(draft, phase, error),
            }
        }
        Why::Nacked | Why::Returned => {
            draft.record(Event::StartRefused {
                at,
                phase,
                again_at: at.plus_ms(REFUSED_WAIT_MS),
                error: why.to_string(),
            });
        }
    }
}

fn on_tell_refused(draft: &mut Draft<'_>, number: u32, why: &Why) {
    let at = draft.context.now;
    draft.record(Event::TellRefused { at, number, again_at: at.plus_ms(REFUSED_WAIT_MS), error: why.to_string() });
}
