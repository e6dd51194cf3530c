//! What can come to a project.

use uuid::Uuid;

use crate::domain::phase::Refusal;
use crate::wire::content::{NewProject, PlaybookRef};
use crate::wire::{Counts, GoalPlan, ProjectId, Status, Timestamp};

/// An input of the project machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Request(Box<Request>),
    Report(PhaseReport),
    Alarm {
        number: u64,
    },
    /// The broker, or a coordinator, gave up what belongs to a phase.
    DeadPhase(DeadPhase),
    /// The broker refused a publish.
    Refused(Refusal),
    /// Everything that may have got lost is to be sent anew.
    Recover,
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
}

/// The start of a phase, or its alarm, became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadPhase {
    pub phase: u32,
    pub reason: String,
}

/// What a decision may look at beside the state and the input.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    pub now: Timestamp,
    /// The shares into which phases are dealt.
    pub partitions: u32,
}
