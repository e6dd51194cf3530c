//! The project's words to its phase: cancel, pause, resume, and the answers to its questions.
//!
//! Of pause and resume the newest wins, in whatever order they come; a cancel always does. One that comes before the phase's
//! start leaves a tombstone that the start will find, and so does the cancel of one subtask; a pause that is older than
//! the start is outdated by it.

use super::dispatch::settle;
use super::draft::Draft;
use super::escalate::cancelled;
use super::event::Then;
use super::{Event, LeftOut, Word};
use crate::broken::{self, Broken};
use crate::domain::decision::{Decision, UNKNOWN_STREAM, cut};
use crate::wire::Status;

/// To a phase that is open, or of which nothing else is known yet.
pub(super) fn on_word(draft: &mut Draft<'_>, word: &Word) -> Result<(), Decision<Event>> {
    let at = draft.context.now;
    let is_open = draft.phase.opened.is_some();
    // Whoever hands a phase over has said before that what he has said before.
    let newest = draft.phase.word_version.max(is_open.then_some(draft.phase.handed_over));
    match word {
        // A phase that was cancelled is never wanted again: another takes its place.
        Word::Pause { project_version } | Word::Resume { project_version }
            if newest.is_some_and(|newest| *project_version <= newest) =>
        {
            return Err(Decision::Nothing("a newer word is known"));
        }
        Word::Cancel { .. } if draft.phase.cancelled.is_some() => {
            return Err(Decision::Nothing("it is cancelled already"));
        }
        Word::Cancel { project_version, reason } => {
            let reason = reason.as_deref().map(cut);
            draft.record(Event::Cancelled { at, project_version: *project_version, reason });
            if is_open {
                end_cancelled(draft);
            }
            return Ok(());
        }
        Word::Pause { project_version } => draft.record(Event::Paused { at, project_version: *project_version }),
        Word::Resume { project_version } => draft.record(Event::Resumed { at, project_version: *project_version }),
        Word::CancelSubtask { ordinal, reason } if !is_open => {
            let (cause, ordinal, reason) = (draft.cause, *ordinal, reason.as_deref().map(cut));
            draft.record(Event::SubtaskUnwanted { at, cause, ordinal, reason });
        }
        Word::Decide { .. } if !is_open => return Err(Decision::Refuse(UNKNOWN_STREAM)),
        Word::CancelSubtask { ordinal, reason } => {
            let Some(subtask) = draft.phase.subtask(*ordinal) else {
                // Said of a phase that had no plan yet, by somebody who guessed.
                return Err(Decision::Nothing("the plan has no such subtask"));
            };
            if subtask.status.is_ended() {
                return Err(Decision::Nothing("the subtask has ended"));
            }
            cancel_subtask(draft, *ordinal, reason.as_deref().map(cut), false);
        }
        Word::Decide { question, answer } => {
            let asked = draft.phase.questions.keys().copied();
            let is_named = |&ordinal: &u32| draft.phase.question_id(ordinal) == Some(*question);
            let mut asked = asked.filter(|ordinal| broken::is(Broken::AnswersUnnamed) || is_named(ordinal));
            let Some(ordinal) = asked.next() else {
                return Err(Decision::Nothing("the question is not asked any more"));
            };
            draft.record(Event::Decided { at, ordinal, answer: *answer });
        }
    }
    if is_open {
        settle(draft, false);
    }
    Ok(())
}

/// What is settled does not fail another phase as well, and nobody is asked about it once more.
fn cancel_subtask(draft: &mut Draft<'_>, ordinal: u32, reason: Option<String>, is_settled: bool) {
    let then = match cancelled(draft, ordinal) {
        Then::Fail | Then::Ask if is_settled => Then::Skip,
        then => then,
    };
    let (at, cause) = (draft.context.now, draft.cause);
    draft.record(Event::SubtaskCancelled { at, cause, ordinal, reason, then });
}

/// The plan is there: what is left out of it, and what was never wanted, is cancelled, before anything is handed out.
pub(super) fn cancel_unwanted(draft: &mut Draft<'_>, left_out: &[LeftOut]) {
    let left_out = left_out.iter().map(|out| (out.ordinal, out.reason.as_deref().map(cut), out.is_settled));
    let never_wanted = draft.phase.never_wanted.clone().into_iter().map(|(ordinal, reason)| (ordinal, reason, false));
    let path = |ordinal: u32| Some(draft.phase.paths[draft.phase.subtask(ordinal)?.spec as usize]);
    // A plan may be shorter than somebody thought.
    let known = left_out.chain(never_wanted).filter_map(|unwanted| Some((path(unwanted.0)?, unwanted)));
    let mut known: Vec<_> = known.collect();
    // What depends on another one first: that is not skipped because of the other, it is cancelled itself.
    known.sort_by_key(|(path, _)| *path);
    for (_, (ordinal, reason, is_settled)) in known {
        // It may be kept, or skipped because of one that nobody has named.
        if draft.phase.subtask(ordinal).is_some_and(|subtask| !subtask.status.is_ended()) {
            cancel_subtask(draft, ordinal, reason, is_settled);
        }
    }
}

/// A phase that was cancelled is over at once: nothing waits for an executor's answer.
pub(super) fn end_cancelled(draft: &mut Draft<'_>) {
    let (at, cause) = (draft.context.now, draft.cause);
    let error = draft.phase.cancelled.as_ref().and_then(|cancelled| cancelled.reason.clone());
    draft.record(Event::Ended { at, cause, status: Status::Cancelled, error, laid_down: true });
    super::dispatch::set_alarm(draft, false);
}

/// What the policy says of attempts that run when the phase fails: those of cleanups run on.
pub(super) fn cancel_running(draft: &mut Draft<'_>) {
    if draft.phase.flights.keys().any(|&ordinal| !draft.phase.spec(ordinal).is_cleanup()) {
        draft.record(Event::RunningCancelled { at: draft.context.now });
    }
}
