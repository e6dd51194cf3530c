//! What happened to a project, stored for ever. A field may be added with a default; none may change its meaning.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::questions::{Answer, AskedSubtask};
use super::words::Word;
use crate::domain::alarm::CurrentAlarm;
use crate::wire::content::{Asking, Former, PlaybookRef};
use crate::wire::{Counts, GoalPlan, MessageId, Raw, Status, SubtaskId, Timestamp};

/// One event of the stream `project/<id>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A manager took the request.
    Accepted(Accepted),
    /// A goal of the plan, in the plan's order.
    GoalPlanned { goal: GoalPlan },
    /// A phase was handed to the coordinators; the same one again when the first time may not have arrived.
    PhaseStarted { at: Timestamp, cause: MessageId, phase: u32, partition: u32 },
    /// A phase could not be handed over: its queue refused it.
    StartRefused { at: Timestamp, phase: u32, again_at: Timestamp, error: String },
    /// A phase ended, or was given up.
    PhaseReported { at: Timestamp, phase: u32, status: Status, counts: Counts, error: Option<String> },
    /// A phase that was given up is passed over: the project goes on without it.
    PhaseSkipped { at: Timestamp, phase: u32 },
    /// A goal was planned anew after its phase had failed; `replaces` is what it was called.
    GoalReplanned { at: Timestamp, replaces: String, goal: GoalPlan },
    /// A phase that takes the place of another.
    PhaseAdded { at: Timestamp, phase: u32, why: Added, former: Former },
    /// The stream's alarm from now on.
    AlarmSet { at: Timestamp, alarm: CurrentAlarm },
    /// The project is to end before it is done: its current phase closes everything, then it ends with this status.
    /// Of a project that nobody knows yet it is the first event.
    CancelAsked { at: Timestamp, cause: MessageId, status: Status, reason: String },
    /// A person does not want this subtask of a phase that has not begun, or of the one whose place that takes.
    SubtaskUnwanted {
        at: Timestamp,
        cause: MessageId,
        subtask: SubtaskId,
        reason: String,
        /// The phases that he said it of first and last, where they are not the subtask's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said_of: Option<(u32, u32)>,
    },
    /// No further phase is started, and the deadline stands still. Of a project that nobody knows yet it is the
    /// first event.
    Paused { at: Timestamp, cause: MessageId },
    /// A pause is over.
    Resumed { at: Timestamp, cause: MessageId },
    /// A phase was told something; the same number again when the first time may not have arrived.
    Told { at: Timestamp, cause: MessageId, number: u32, phase: u32, word: Word },
    /// A word could not be handed over.
    TellRefused { at: Timestamp, number: u32, again_at: Timestamp, error: String },
    /// A message came once more: what it had sent, and still counts, is sent once more too.
    SentAgain { at: Timestamp, cause: MessageId },
    /// Everything was to be sent anew, and is.
    Recovered { at: Timestamp, cause: MessageId },
    /// A person is to say what is to become of a subtask, or of a phase that was given up.
    Asked {
        at: Timestamp,
        question: MessageId,
        phase: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subtask: Option<AskedSubtask>,
        error: String,
        /// When its phase asked; one of before does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asking: Option<Asking>,
    },
    /// Somebody said.
    Decided { at: Timestamp, cause: MessageId, question: MessageId, answer: Answer },
    /// An ended project is open again.
    RunStarted {
        at: Timestamp,
        cause: MessageId,
        run: u32,
        requester: String,
        /// What a person had cancelled is wanted again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        wants_all: bool,
    },
    /// Nothing more will happen here by itself.
    Ended { at: Timestamp, cause: MessageId, status: Status, error: Option<String> },
}

/// Why a phase takes the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Added {
    /// A new run.
    Retry,
    /// Goals of it were planned anew.
    Replan,
    /// It was given up, and somebody said that it is to be tried again.
    Decided,
}

/// The request as it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    pub at: Timestamp,
    pub cause: MessageId,
    pub name: String,
    pub description: String,
    /// The agent to be told of the end.
    pub requester: String,
    pub run: u32,
    pub id_namespace: Uuid,
    /// The blake3 hash of the request, in hexadecimal: another request under the same id is refused by it.
    pub fingerprint: String,
    pub partitions: u32,
    pub parameters: Raw,
    pub policy: Raw,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookRef>,
    /// How long a run may take; a pause does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}
