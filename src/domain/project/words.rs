//! What operators say of a project, and what its current phase is told of it.
//!
//! A word that is repeated, or stale, changes nothing. Cancel and pause of a project that nobody knows yet are
//! remembered: the request that follows finds them.

use serde::{Deserialize, Serialize};

use super::alarm::{hand_over_again, set_alarm};
use super::phases::{end, go_on};
use super::questions::Answer;
use super::{Draft, Event};
use crate::domain::decision::{Decision, UNKNOWN_STREAM, cut};
use crate::wire::{MessageId, Status, SubtaskId, Timestamp};

/// How a project is cancelled when nobody says why.
const CANCELLED: &str = "cancelled";

/// What a phase is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum Word {
    Cancel {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskId>,
        /// Of one subtask it may be empty: nobody said why.
        reason: String,
    },
    Pause,
    Resume,
    Decide {
        question: MessageId,
        answer: Answer,
    },
    Recover,
}

impl Word {
    /// The subtask that it cancels, where it is just one.
    pub(super) fn cancelled_subtask(&self) -> Option<SubtaskId> {
        match self {
            Self::Cancel { subtask, .. } => *subtask,
            Self::Pause | Self::Resume | Self::Decide { .. } | Self::Recover => None,
        }
    }

    /// Whether it cancels just this subtask.
    pub(super) fn cancels(&self, subtask: SubtaskId) -> bool {
        self.cancelled_subtask() == Some(subtask)
    }

    /// Whether `older` means nothing any more, now that this was said.
    pub(super) fn outdates(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::Pause | Self::Resume, Self::Pause | Self::Resume) | (Self::Recover, Self::Recover) => true,
            // It closes everything.
            (Self::Cancel { subtask: None, .. }, _) => true,
            // The same again.
            _ => self == older,
        }
    }
}

/// A word that its phase may not have heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub phase: u32,
    pub word: Word,
    /// The message that had it sent, the last time.
    pub cause: MessageId,
    /// The project's version when it was said: the newest word wins.
    pub version: u64,
    /// It was refused, and is told again then.
    pub again_at: Option<Timestamp>,
    /// The last word to a phase that was given up: nobody waits for what comes of it.
    pub is_farewell: bool,
}

/// A project, or one subtask of its current phase, is to end before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    pub subtask: Option<SubtaskId>,
    pub reason: Option<String>,
}

/// Has the current phase told.
pub(super) fn tell(draft: &mut Draft<'_>, word: Word) {
    let Some(phase) = draft.project.current else { return };
    tell_phase(draft, phase, word);
}

pub(super) fn tell_phase(draft: &mut Draft<'_>, phase: u32, word: Word) {
    let (at, cause, number) = (draft.context.now, draft.cause, draft.project.told_last + 1);
    draft.record(Event::Told { at, cause, number, phase, word });
}

/// What was told, or said to nobody yet, goes out anew because of this message.
pub(super) fn tell_again(draft: &mut Draft<'_>, which: impl Fn(&Told) -> bool) {
    let (at, cause) = (draft.context.now, draft.cause);
    let due: Vec<_> = draft.project.told.iter().filter(|(_, told)| !told.is_farewell && which(told)).collect();
    let due: Vec<_> = due.into_iter().map(|(&number, told)| (number, told.phase, told.word.clone())).collect();
    for (number, phase, word) in due {
        draft.record(Event::Told { at, cause, number, phase, word });
    }
}

pub(super) fn on_cancel(draft: &mut Draft<'_>, cancel: &Cancel) -> Result<(), Decision<Event>> {
    let reason = cancel.reason.as_deref().filter(|reason| !reason.trim().is_empty());
    match cancel.subtask {
        None => cancel_all(draft, Status::Cancelled, cut(reason.unwrap_or(CANCELLED))),
        Some(subtask) => cancel_subtask(draft, subtask, reason.map(cut).unwrap_or_default()),
    }
}

/// The project ends with `status` as soon as its current phase has closed everything; at once when it has none.
pub(super) fn cancel_all(draft: &mut Draft<'_>, status: Status, reason: String) -> Result<(), Decision<Event>> {
    if draft.project.cancel.is_some() {
        return Err(Decision::Nothing("the project is being cancelled already"));
    }
    let (at, cause) = (draft.context.now, draft.cause);
    draft.record(Event::CancelAsked { at, cause, status, reason: reason.clone() });
    if draft.project.current.is_some() {
        tell(draft, Word::Cancel { subtask: None, reason });
        set_alarm(draft, false);
    } else {
        end(draft, status, Some(reason));
    }
    Ok(())
}

fn cancel_subtask(draft: &mut Draft<'_>, subtask: SubtaskId, reason: String) -> Result<(), Decision<Event>> {
    let is_current = draft.project.current == Some(subtask.phase);
    let is_asked =
        draft.project.open_questions().any(|(_, open)| open.subtask.is_none() && open.phase == subtask.phase);
    let mut latest = draft.project.phases().iter().filter(|phase| phase.number == subtask.phase);
    // One that was given up, and that somebody is asked about, may be begun anew.
    let is_to_come = latest.any(|phase| phase.is_to_come() || is_asked);
    if !is_current && !is_to_come {
        return Err(Decision::Nothing("the subtask's phase is over, or there is none"));
    }
    if draft.project.cancel.is_some() {
        return Err(Decision::Nothing("the project is being cancelled already"));
    }
    // A phase that asks about it has heard that it is cancelled: said once more it is told once more.
    let is_told = draft.project.told.values().any(|told| told.word.cancels(subtask));
    // What was said of a phase before this one may have come too late there.
    let is_said = draft.project.unwanted.get(&subtask).is_some_and(|said| said.said_last == subtask.phase);
    if is_told || (is_to_come && is_said) {
        return Err(Decision::Nothing("the subtask is being cancelled already"));
    }
    if is_current {
        tell(draft, Word::Cancel { subtask: Some(subtask), reason });
        set_alarm(draft, false);
    } else {
        let (at, cause) = (draft.context.now, draft.cause);
        draft.record(Event::SubtaskUnwanted { at, cause, subtask, reason, said_of: None });
    }
    Ok(())
}

/// Somebody cancels what nobody knows yet.
pub(super) fn on_early_cancel(draft: &mut Draft<'_>, cancel: &Cancel) -> Result<(), Decision<Event>> {
    match (cancel.subtask, &draft.project.cancel) {
        (Some(_), _) => Err(Decision::Refuse(UNKNOWN_STREAM)),
        (None, Some(_)) => Err(Decision::Nothing("it is cancelled already")),
        (None, None) => {
            let (at, cause) = (draft.context.now, draft.cause);
            let reason = cut(cancel.reason.as_deref().unwrap_or(CANCELLED));
            draft.record(Event::CancelAsked { at, cause, status: Status::Cancelled, reason });
            Ok(())
        }
    }
}

pub(super) fn on_pause(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    if draft.project.cancel.is_some() {
        return Err(Decision::Nothing("the project is being cancelled already"));
    }
    if draft.project.is_paused() {
        return Err(Decision::Nothing("the project is paused already"));
    }
    let (at, cause) = (draft.context.now, draft.cause);
    draft.record(Event::Paused { at, cause });
    tell(draft, Word::Pause);
    if draft.project.is_open() {
        set_alarm(draft, false);
    }
    Ok(())
}

pub(super) fn on_resume(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    if !draft.project.is_paused() {
        return Err(Decision::Nothing("the project is not paused"));
    }
    let (at, cause) = (draft.context.now, draft.cause);
    draft.record(Event::Resumed { at, cause });
    if !draft.project.is_open() {
        return Ok(());
    }
    tell(draft, Word::Resume);
    go_on(draft);
    Ok(())
}

/// Everything that may have got lost goes out anew: the current phase, what it was told, that it is to do the
/// same, and the alarm.
pub(super) fn on_recover(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    draft.record(Event::Recovered { at: draft.context.now, cause: draft.cause });
    if let Some(phase) = draft.project.current {
        hand_over_again(draft, phase);
        tell(draft, Word::Recover);
    }
    set_alarm(draft, true);
    Ok(())
}
