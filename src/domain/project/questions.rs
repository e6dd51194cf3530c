//! What a person is asked, and what becomes of the answer.
//!
//! A phase asks about a subtask that failed for good; the answer goes down to it. The project itself asks about a
//! phase that was given up. An answer names its question: a second one, or one to another question, changes nothing.

use serde::{Deserialize, Serialize};

use super::alarm::set_alarm;
use super::given_up::try_again;
use super::phases::{end, go_on};
use super::words::{Word, tell};
use super::{Draft, Event};
use crate::domain::decision::{Decision, cut};
use crate::wire::{MessageId, Status, SubtaskId, Timestamp};

/// What is to become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Retry,
    Skip,
    Fail,
}

impl Answer {
    pub const ALL: [Self; 3] = [Self::Retry, Self::Skip, Self::Fail];

    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Fail => "fail",
        }
    }

    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.as_str() == text)
    }
}

/// The subtask that a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedSubtask {
    pub id: SubtaskId,
    pub name: String,
}

/// A phase's question, as it comes.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The message that asks.
    pub id: MessageId,
    pub run: u32,
    pub subtask: AskedSubtask,
    /// How it failed.
    pub error: String,
}

/// A question of this run's current phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub at: Timestamp,
    pub phase: u32,
    /// None: it is about the phase, which was given up.
    pub subtask: Option<AskedSubtask>,
    pub error: String,
    pub answer: Option<Answer>,
}

pub(super) fn on_question(draft: &mut Draft<'_>, question: &Question) -> Result<(), Decision<Event>> {
    let phase = question.subtask.id.phase;
    if draft.project.run() != question.run || draft.project.current != Some(phase) {
        return Err(Decision::Nothing("the question is not of the current phase"));
    }
    if draft.project.cancel.is_some() {
        return Err(Decision::Nothing("the project is being cancelled"));
    }
    if draft.project.questions.contains_key(&question.id) {
        return Err(Decision::Nothing("it was asked before"));
    }
    let (at, subtask) = (draft.context.now, Some(question.subtask.clone()));
    draft.record(Event::Asked { at, question: question.id, phase, subtask, error: cut(&question.error) });
    set_alarm(draft, false);
    Ok(())
}

pub(super) fn on_decide(draft: &mut Draft<'_>, question: MessageId, answer: Answer) -> Result<(), Decision<Event>> {
    let open = match draft.project.questions.get(&question) {
        None => return Err(Decision::Nothing("nobody has asked that, or it is over")),
        Some(open) if open.answer.is_some() => return Err(Decision::Nothing("that was answered before")),
        Some(open) => open.clone(),
    };
    let (at, cause) = (draft.context.now, draft.cause);
    draft.record(Event::Decided { at, cause, question, answer });
    match (open.subtask, answer) {
        (Some(_), _) => {
            tell(draft, Word::Decide { question, answer });
            set_alarm(draft, false);
        }
        (None, Answer::Retry) => try_again(draft, open.phase),
        (None, Answer::Skip) => {
            draft.record(Event::PhaseSkipped { at, phase: open.phase });
            go_on(draft);
        }
        (None, Answer::Fail) => end(draft, Status::Error, Some(open.error)),
    }
    Ok(())
}
