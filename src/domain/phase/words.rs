//! The project's words to its phase: cancel, pause, resume, and the answers to its questions.
//!
//! Of cancel, pause and resume the newest wins, in whatever order they come. One that comes before the phase's
//! start leaves a tombstone that the start will find.

use super::dispatch::settle;
use super::draft::Draft;
use super::escalate::cancelled;
use super::{Event, Word};
use crate::domain::decision::{Decision, UNKNOWN_STREAM, cut};
use crate::wire::Status;

/// To a phase that is open, or of which nothing else is known yet.
pub(super) fn on_word(draft: &mut Draft<'_>, word: &Word) -> Result<(), Decision<Event>> {
    let at = draft.context.now;
    let is_open = draft.phase.opened.is_some();
    match word {
        Word::Cancel { project_version, .. } | Word::Pause { project_version } | Word::Resume { project_version }
            if draft.phase.word_version.is_some_and(|newest| *project_version <= newest) =>
        {
            return Err(Decision::Nothing("a newer word is known"));
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
        Word::CancelSubtask { .. } | Word::Decide { .. } if !is_open => return Err(Decision::Refuse(UNKNOWN_STREAM)),
        Word::CancelSubtask { ordinal, reason } => {
            let Some(subtask) = draft.phase.subtask(*ordinal) else {
                return Err(Decision::Refuse("unknown_subtask"));
            };
            if subtask.status.is_ended() {
                return Err(Decision::Nothing("the subtask has ended"));
            }
            let (reason, then) = (reason.as_deref().map(cut), cancelled(draft, *ordinal));
            draft.record(Event::SubtaskCancelled { at, cause: draft.cause, ordinal: *ordinal, reason, then });
        }
        Word::Decide { question, answer } => {
            let asked = draft.phase.questions.keys().copied();
            let mut asked = asked.filter(|&ordinal| draft.phase.question_id(ordinal) == Some(*question));
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

/// A phase that was cancelled is over at once: nothing waits for an executor's answer.
pub(super) fn end_cancelled(draft: &mut Draft<'_>) {
    let (at, cause) = (draft.context.now, draft.cause);
    let error = draft.phase.cancelled.as_ref().and_then(|cancelled| cancelled.reason.clone());
    draft.record(Event::Ended { at, cause, status: Status::Cancelled, error, laid_down: true });
    super::dispatch::set_alarm(draft, false);
}

/// What the policy says of attempts that run when the phase fails.
pub(super) fn cancel_running(draft: &mut Draft<'_>) {
    if !draft.phase.flights.is_empty() {
        draft.record(Event::RunningCancelled { at: draft.context.now });
    }
}
