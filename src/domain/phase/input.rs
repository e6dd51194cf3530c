//! What can come to a phase.

use uuid::Uuid;

use super::event::{Answered, Kept};
use crate::domain::decision::Effect;
use crate::domain::expand::Spec;
use crate::wire::content::{Former, PlaybookRef};
use crate::wire::{AgentId, Failure, MessageId, ProjectId, Raw, Timestamp};

/// An input of the phase machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Start(Box<Start>),
    Answer(Answer),
    /// An executor took on a leased command.
    Accepted(Accepted),
    /// The project's word.
    Word(Word),
    Alarm {
        number: u64,
    },
    /// The broker gave a command up.
    DeadCommand(DeadCommand),
    /// The broker refused a publish.
    Refused(Refusal),
    /// Everything that may have got lost is to be sent anew.
    Recover,
}

/// What a manager says of a phase, and what the planners made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub project_id: ProjectId,
    pub project_name: String,
    pub project_version: u64,
    pub run: u32,
    pub phase: u32,
    pub priority: u32,
    pub partition: u32,
    pub goals: Vec<String>,
    pub parameters: Raw,
    pub policy: Raw,
    pub id_namespace: Uuid,
    pub playbook: Option<PlaybookRef>,
    /// The graph, or why there is none.
    pub plan: Result<Vec<Spec>, String>,
    /// The phase whose place this one takes.
    pub former: Option<Former>,
    /// Whose places that one took, the newest first.
    pub before: Vec<Former>,
    /// What is kept of the first of them that had a plan, by the ordinals of the new one.
    pub kept: Vec<Kept>,
    /// What a person does not want.
    pub left_out: Vec<LeftOut>,
}

/// A subtask that a person had cancelled before this phase was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub ordinal: u32,
    /// The phases that he said it of first and last: this one, or ones whose places it has taken.
    pub said_of: u32,
    pub said_last: u32,
    pub reason: Option<String>,
    /// The phase before has heard of it, and what the policy says has happened there. Else it is news, as any cancel.
    pub is_settled: bool,
}

/// That an executor took on a leased command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub ordinal: u32,
    pub in_reply_to: MessageId,
    pub agent: String,
}

/// A project's word to its phase. Of those with a version the newest wins, in whatever order they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Cancel { project_version: u64, reason: Option<String> },
    Pause { project_version: u64 },
    Resume { project_version: u64 },
    CancelSubtask { ordinal: u32, reason: Option<String> },
    Decide { question: MessageId, answer: Answered },
}

/// An executor's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub ordinal: u32,
    pub in_reply_to: MessageId,
    pub agent: String,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub body: AnswerBody,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AnswerBody {
    /// The result is this long; it is kept beside the stream.
    Completed {
        bytes: u32,
        usage: Option<Raw>,
    },
    Failed(Failure),
}

/// A command that came back as a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadCommand {
    pub ordinal: u32,
    pub id: MessageId,
    /// The broker's word: `delivery_limit`, `rejected`, ...
    pub reason: String,
}

/// A publish that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub effect: Effect,
    pub id: MessageId,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The queue is full.
    Nacked,
    /// There is no such queue.
    Returned,
    /// It can never be sent: too big, say.
    Unsendable(String),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nacked => f.write_str("the queue is full"),
            Self::Returned => f.write_str("there is no such queue"),
            Self::Unsendable(why) => f.write_str(why),
        }
    }
}

/// What a decision may look at beside the state and the input.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// How long a command may wait to begin before it is dispatched anew.
    pub start_within_ms: u64,
    /// How much later than its last moment an answer may arrive.
    pub answer_within_ms: u64,
    /// How long an owner that begins to listen takes until it has heard of every executor, and read what waited for it.
    pub catch_up_ms: u64,
    pub team: &'a dyn Team,
    /// It is one of several inputs that are decided together: what its answer frees is handed out by
    /// [`settle`](super::settle), with what the others free.
    pub is_one_of_many: bool,
}

impl Context<'_> {
    /// Before that nothing is given up for want of a word: it may just not have been heard.
    pub(super) fn caught_up_at(&self) -> Timestamp {
        self.team.listening_since().plus_ms(self.catch_up_ms)
    }
}

/// What is known of the executors: hearsay, on which no promise rests.
pub trait Team {
    /// How many commands of a skill this phase may have in flight now. A soft bound: a phase with ready work and
    /// nothing in flight always dispatches one.
    fn allowance(&self, skill: &str) -> u32;
    fn offer(&self, skill: &str) -> Offer;
    /// Whether an executor is known that can perform a skill, beside these.
    fn is_able(&self, skill: &str, beside: &[AgentId]) -> bool;
    /// When an executor last said that it runs this command.
    fn heard_of(&self, command: MessageId) -> Option<Timestamp>;
    /// When the queue of a skill was deleted, with whatever waited in it, where that has just come out.
    fn queue_lost_at(&self, skill: &str) -> Option<Timestamp>;
    /// Since when executors are listened to without a gap.
    fn listening_since(&self) -> Timestamp;
}

/// Who offers a skill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Executors that say what they run.
    Announced,
    /// Programs that are none of ours: nothing is heard of them but their answers.
    External,
    Nobody,
}
