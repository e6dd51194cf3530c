//! What can come to a project.

use uuid::Uuid;

use super::questions::{Answer, Question};
use super::runs::Retry;
use super::words::Cancel;
use crate::domain::dossier::Dossier;
use crate::domain::phase::Refusal;
use crate::wire::content::{NewProject, PlaybookRef};
use crate::wire::{Counts, GoalPlan, MessageId, ProjectId, Status, Timestamp};

/// An input of the project machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Request(Box<Request>),
    Report(PhaseReport),
    /// A phase asks what is to become of a subtask.
    Question(Box<Question>),
    Alarm {
        number: u64,
    },
    /// The broker, or a coordinator, gave up what belongs to a phase.
    DeadPhase(DeadPhase),
    /// The broker refused a publish.
    Refused(Refusal),
    /// Everything that may have got lost is to be sent anew.
    Recover,
    Cancel(Cancel),
    Pause,
    Resume,
    Retry(Retry),
    Decide {
        question: MessageId,
        answer: Answer,
    },
}

/// A client's request, and what the planners made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub project_id: ProjectId,
    pub requester: String,
    pub request: NewProject,
    /// See [`super::Accepted::fingerprint`].
    pub fingerprint: String,
    /// The goals, or why there are none.
    pub plan: Result<Vec<GoalPlan>, String>,
    pub playbook: Option<PlaybookRef>,
    /// A random namespace for the ids of this project's messages.
    pub id_namespace: Uuid,
}

/// What tells one request from another: the blake3 hash of its JSON, in hexadecimal.
pub fn fingerprint(request: &NewProject) -> String {
    // A request is made of texts, numbers and raw JSON: serde has no reason to refuse it.
    let bytes = serde_json::to_vec(request).unwrap_or_default();
    blake3::hash(&bytes).to_hex().to_string()
}

/// A coordinator's report of a phase that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseReport {
    pub run: u32,
    pub phase: u32,
    pub status: Status,
    pub counts: Counts,
    pub error: Option<String>,
    /// What failed, where something did.
    pub dossier: Dossier,
}

/// The start of a phase, or its alarm, became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadPhase {
    pub phase: u32,
    pub reason: String,
}

/// What a decision may look at beside the state and the input.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// The shares into which phases are dealt.
    pub partitions: u32,
    /// When this manager last heard of a coordinator, and since when it has listened without a break.
    pub coordinator_heard: Option<Timestamp>,
    pub listening_since: Timestamp,
    /// Coordinators that have been silent for this long are away: the phase is given up.
    pub away_ms: u64,
    /// The planners, asked in place for a replacement of a goal that failed.
    pub replan: &'a dyn Fn(&GoalPlan, &Dossier) -> Result<GoalPlan, String>,
}

impl Context<'_> {
    /// For how long, since `since`, no coordinator has been heard of.
    pub fn silence_ms(&self, since: Timestamp) -> u64 {
        self.now.ms_since(self.silent_since(since))
    }

    /// When the coordinators are away for too long, if nothing more is heard of them.
    pub fn away_at(&self, since: Timestamp) -> Timestamp {
        self.silent_since(since).plus_ms(self.away_ms)
    }

    /// Whoever has not listened can not say.
    fn silent_since(&self, since: Timestamp) -> Timestamp {
        self.coordinator_heard.unwrap_or_default().max(self.listening_since).max(since)
    }
}
