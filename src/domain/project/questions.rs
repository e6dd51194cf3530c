//! What a person is asked, and what becomes of the answer.
//!
//! A phase asks about a subtask that failed for good; the answer goes down to it. The project itself asks about a
//! phase that was given up. An answer names its question: a second one, or one to another question, changes nothing.
//!
//! A phase has one question about a subtask at a time, under a new id each time that it asks, and none about what is
//! cancelled; it says when it asked. So a newer question takes the place of those before it, in whatever order they come,
//! and what is told to be cancelled is not asked about any more, unless its phase asks when it has heard of that.

use serde::{Deserialize, Serialize};

use super::alarm::set_alarm;
use super::given_up::try_again;
use super::phases::{end, go_on};
use super::words::{Word, tell};
use super::{Draft, Event, Project};
use crate::domain::decision::{Decision, cut};
use crate::wire::content::Asking;
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
    /// When its phase asked; coordinators of before do not say.
    pub asking: Option<Asking>,
}

/// A question of this run's current phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub at: Timestamp,
    pub phase: u32,
    /// None: it is about the phase, which was given up.
    pub subtask: Option<AskedSubtask>,
    pub error: String,
    pub asking: Option<Asking>,
    pub answer: Option<Answer>,
    /// Its phase does not ask this any more: the subtask is cancelled, or it has asked anew.
    pub is_over: bool,
}

impl Open {
    /// Whether it is about this subtask.
    pub fn is_about(&self, subtask: SubtaskId) -> bool {
        self.subtask.as_ref().is_some_and(|asked| asked.id == subtask)
    }

    /// Whether its phase asked this later. Of those that do not say the one that comes later is the newer.
    fn is_newer_than(&self, asking: Option<Asking>) -> bool {
        matches!((self.asking, asking), (Some(own), Some(other)) if own.version > other.version)
    }
}

impl Project {
    /// A phase has asked about a subtask: what it asked of it before is over.
    pub(super) fn ask(&mut self, question: MessageId, open: Open) {
        if let Some(subtask) = open.subtask.as_ref().map(|asked| asked.id) {
            self.stop_asking(subtask);
            if open.asking.is_some_and(|asking| asking.after_cancel) {
                // It has heard it.
                self.told.retain(|_, told| told.again_at.is_some() || !told.word.cancels(subtask));
            }
        }
        self.questions.insert(question, open);
    }

    /// Nothing that was asked about a subtask so far is worth an answer any more.
    pub(super) fn stop_asking(&mut self, subtask: SubtaskId) {
        self.questions.values_mut().filter(|open| open.is_about(subtask)).for_each(|open| open.is_over = true);
    }
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
    let (subtask, asking) = (question.subtask.id, question.asking);
    let mut known = draft.project.questions.values().filter(|open| open.is_about(subtask));
    if known.any(|open| open.is_newer_than(asking)) {
        return Err(Decision::Nothing("a newer question about the subtask is known"));
    }
    let is_before_cancel = asking.is_some_and(|asking| !asking.after_cancel);
    if is_before_cancel && draft.project.told.values().any(|told| told.word.cancels(subtask)) {
        return Err(Decision::Nothing("the subtask is being cancelled"));
    }
    let (at, error) = (draft.context.now, cut(&question.error));
    let subtask = Some(question.subtask.clone());
    draft.record(Event::Asked { at, question: question.id, phase, subtask, error, asking });
    set_alarm(draft, false);
    Ok(())
}

pub(super) fn on_decide(draft: &mut Draft<'_>, question: MessageId, answer: Answer) -> Result<(), Decision<Event>> {
    let open = match draft.project.questions.get(&question) {
        None => return Err(Decision::Nothing("nobody has asked that, or it is over")),
        Some(open) if open.answer.is_some() => return Err(Decision::Nothing("that was answered before")),
        Some(open) if open.is_over => return Err(Decision::Nothing("nobody asks that any more")),
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
