//! The contents, one struct a type. Unknown fields are ignored, so that an older process can read a newer
//! message; an unknown type is refused by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

pub use super::presence::{Layer, LostQueue, Ping, Presence, Progress, RunningCommand, UnableSkill};
use super::{
    AgentId, Counts, FailureKind, GoalPlan, MessageId, MessageType, ProjectId, Raw, Status, StreamId, SubtaskId,
    SubtaskStatus, Timestamp,
};

/// Everything that can be said. `type` on the wire is the variant's name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum Content {
    NewProject(NewProject),
    StartProjectPhase(StartProjectPhase),
    ExecuteSubtask(ExecuteSubtask),
    SubtaskAccepted(SubtaskAccepted),
    SubtaskProgress(SubtaskProgress),
    SubtaskCompletion(SubtaskCompletion),
    SubtaskFailure(SubtaskFailure),
    ProjectStatusUpdate(ProjectStatusUpdate),
    ProjectCompletion(ProjectCompletion),
    Cancel(Control),
    Pause(Control),
    Resume(Control),
    Retry(Control),
    Recover(Control),
    Decide(Control),
    Alarm(Alarm),
    Heartbeat(Presence),
    Ping(Ping),
    Pong(Presence),
}

impl Content {
    /// Its `type` on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NewProject(_) => "NewProject",
            Self::StartProjectPhase(_) => "StartProjectPhase",
            Self::ExecuteSubtask(_) => "ExecuteSubtask",
            Self::SubtaskAccepted(_) => "SubtaskAccepted",
            Self::SubtaskProgress(_) => "SubtaskProgress",
            Self::SubtaskCompletion(_) => "SubtaskCompletion",
            Self::SubtaskFailure(_) => "SubtaskFailure",
            Self::ProjectStatusUpdate(_) => "ProjectStatusUpdate",
            Self::ProjectCompletion(_) => "ProjectCompletion",
            Self::Cancel(_) => "Cancel",
            Self::Pause(_) => "Pause",
            Self::Resume(_) => "Resume",
            Self::Retry(_) => "Retry",
            Self::Recover(_) => "Recover",
            Self::Decide(_) => "Decide",
            Self::Alarm(_) => "Alarm",
            Self::Heartbeat(_) => "Heartbeat",
            Self::Ping(_) => "Ping",
            Self::Pong(_) => "Pong",
        }
    }

    /// The envelope's `message_type` for it.
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::NewProject(_) | Self::Ping(_) => MessageType::Request,
            Self::Pong(_) => MessageType::Response,
            Self::SubtaskAccepted(_) | Self::SubtaskProgress(_) | Self::Heartbeat(_) => MessageType::StatusUpdate,
            Self::SubtaskCompletion(_) => MessageType::Result,
            Self::SubtaskFailure(_) => MessageType::Error,
            Self::ProjectStatusUpdate(update) => ended_type(update.status, MessageType::StatusUpdate),
            Self::ProjectCompletion(completion) => ended_type(completion.status, MessageType::Result),
            Self::StartProjectPhase(_)
            | Self::ExecuteSubtask(_)
            | Self::Cancel(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Retry(_)
            | Self::Recover(_)
            | Self::Decide(_)
            | Self::Alarm(_) => MessageType::Command,
        }
    }

    /// Reads the content of type `name`; `None` when there is no such type.
    pub(super) fn read<'de, D: Deserializer<'de>>(name: &str, json: D) -> Option<Result<Self, D::Error>> {
        Some(match name {
            "NewProject" => NewProject::deserialize(json).map(Self::NewProject),
            "StartProjectPhase" => StartProjectPhase::deserialize(json).map(Self::StartProjectPhase),
            "ExecuteSubtask" => ExecuteSubtask::deserialize(json).map(Self::ExecuteSubtask),
            "SubtaskAccepted" => SubtaskAccepted::deserialize(json).map(Self::SubtaskAccepted),
            "SubtaskProgress" => SubtaskProgress::deserialize(json).map(Self::SubtaskProgress),
            "SubtaskCompletion" => SubtaskCompletion::deserialize(json).map(Self::SubtaskCompletion),
            "SubtaskFailure" => SubtaskFailure::deserialize(json).map(Self::SubtaskFailure),
            "ProjectStatusUpdate" => ProjectStatusUpdate::deserialize(json).map(Self::ProjectStatusUpdate),
            "ProjectCompletion" => ProjectCompletion::deserialize(json).map(Self::ProjectCompletion),
            "Cancel" => Control::deserialize(json).map(Self::Cancel),
            "Pause" => Control::deserialize(json).map(Self::Pause),
            "Resume" => Control::deserialize(json).map(Self::Resume),
            "Retry" => Control::deserialize(json).map(Self::Retry),
            "Recover" => Control::deserialize(json).map(Self::Recover),
            "Decide" => Control::deserialize(json).map(Self::Decide),
            "Alarm" => Alarm::deserialize(json).map(Self::Alarm),
            "Heartbeat" => Presence::deserialize(json).map(Self::Heartbeat),
            "Ping" => Ping::deserialize(json).map(Self::Ping),
            "Pong" => Presence::deserialize(json).map(Self::Pong),
            _ => return None,
        })
    }
}

fn ended_type(status: Status, otherwise: MessageType) -> MessageType {
    match status {
        Status::Completed => MessageType::Result,
        Status::Error | Status::Cancelled => MessageType::Error,
        Status::Idle | Status::Busy | Status::Waiting | Status::Paused => otherwise,
    }
}

/// A client asks for a project; the envelope's `task_id` is its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewProject {
    pub project_name: String,
    #[serde(default)]
    pub description: String,
    /// The goals that the request itself names, perhaps with their subtasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<GoalPlan>>,
    /// Which planner is to be asked for what the plan leaves open; without it the first that knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<String>,
    /// The playbook by name; without it the one that matches the description best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    /// An object: defaults of every goal's input.
    #[serde(default = "Raw::empty_object")]
    pub parameters: Raw,
    #[serde(default = "Raw::empty_object")]
    pub policy: Raw,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

impl NewProject {
    /// A project with this plan, and nothing said beside it.
    pub fn planned(name: impl Into<String>, goals: Vec<GoalPlan>) -> Self {
        Self {
            project_name: name.into(),
            description: String::new(),
            plan: Some(goals),
            planner: None,
            playbook: None,
            parameters: Raw::empty_object(),
            policy: Raw::empty_object(),
            deadline_ms: None,
        }
    }
}

/// A manager hands a phase to the coordinators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartProjectPhase {
    pub project_id: ProjectId,
    pub project_name: String,
    /// The version of the project's stream that this was decided at: the newest word wins.
    pub project_version: u64,
    pub run: u32,
    /// The store that the project lives in; an agent on another one refuses.
    pub store_id: Uuid,
    /// From 1, in the order of their priorities.
    pub phase: u32,
    pub priority: u32,
    /// The partition that all messages about this phase go through.
    pub partition: u32,
    pub strategic_goals: Vec<GoalPlan>,
    #[serde(default = "Raw::empty_object")]
    pub parameters: Raw,
    #[serde(default = "Raw::empty_object")]
    pub policy: Raw,
    /// The namespace of the ids of this project's messages.
    pub id_namespace: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookRef>,
    /// The phase that this one takes the place of: what was done there is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// Whose places that one took, the newest first: of the first that had a plan what was done is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Former>,
    /// What a person had cancelled of this phase, or of the one whose place it takes, when it was handed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A subtask that a person has cancelled before its phase began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub ordinal: u32,
    /// The phase that he said it of first, and the one that he said it of last: this one, or ones whose places it has taken.
    #[serde(default)]
    pub said_of: u32,
    #[serde(default)]
    pub said_last: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A phase whose completed subtasks keep their results in the one that takes its place, where name, skill and
/// input are the same and all that they depend on is kept too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    pub phase: u32,
    /// A subtask of it that is done again all the same, with everything that depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redo: Option<u32>,
    /// What a person has cancelled in it stays cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed_only: bool,
}

/// A playbook by name and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybookRef {
    pub name: String,
    /// The blake3 hash of its file, in hexadecimal.
    pub blake3: String,
}

/// A coordinator asks for one attempt of one subtask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecuteSubtask {
    pub project_id: ProjectId,
    pub project_name: String,
    pub phase: u32,
    pub goal_name: String,
    pub subtask_id: SubtaskId,
    pub task_name: String,
    pub skill: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// From 1: it counts dispatches, and tells them apart.
    pub attempt: u32,
    pub max_attempts: u32,
    #[serde(default)]
    pub input: Raw,
    /// The results of the direct dependencies by name.
    #[serde(default = "Raw::empty_object")]
    pub deps: Raw,
    /// Of a cleanup: how its direct dependencies stand, by name; empty when there are more than 256 of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub deps_status: BTreeMap<String, SubtaskStatus>,
    pub timeout_ms: u64,
    /// Too late to begin: such a command is answered `timeout` without `started_at`.
    pub not_after: Timestamp,
    /// Agents that failed at it, and should leave it to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub avoid: Vec<AgentId>,
    /// It may outlast what a broker lets a delivery be held: the executor accepts it, acks it, and is heard of at
    /// least this often while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// An executor took on a leased command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtaskAccepted {
    pub subtask_id: SubtaskId,
    pub attempt: u32,
    pub in_reply_to: MessageId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// How far a running attempt has come. Executors say it in their heartbeats; nobody has to hear it by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtaskProgress {
    pub subtask_id: SubtaskId,
    pub attempt: u32,
    pub in_reply_to: MessageId,
    #[serde(flatten)]
    pub progress: Progress,
}

/// An attempt's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtaskCompletion {
    pub subtask_id: SubtaskId,
    pub attempt: u32,
    /// The command that this answers: it fences.
    pub in_reply_to: MessageId,
    /// Any JSON. Required: a result that says nothing says `null`.
    pub result: Raw,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// The attempt's log, its last 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Raw>,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtaskFailure {
    pub subtask_id: SubtaskId,
    pub attempt: u32,
    /// The command that this answers: it fences.
    pub in_reply_to: MessageId,
    pub kind: FailureKind,
    pub error_message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// With `released`: the executor itself can not do it, and another one is to have it. Charged only where no executor
    /// is known that can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub avoid: bool,
    /// Null when it never began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// The attempt's log, its last 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// A coordinator reports on a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectStatusUpdate {
    pub project_id: ProjectId,
    pub run: u32,
    pub phase: u32,
    pub status: Status,
    pub counts: Counts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Raw>,
    /// What a failed phase has to say for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// What there is to say of the subtasks that failed: see `domain::dossier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dossier: Option<Raw>,
    /// The subtask that this is a question about: what is to become of it? The message's id is the question's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<SubtaskId>,
    /// When that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Asking>,
}

/// When a phase asked a question: its questions may come in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// The phase's version then: of two questions about one subtask the higher one is the newer.
    pub version: u64,
    /// It had heard by then that the subtask is cancelled.
    #[serde(default)]
    pub after_cancel: bool,
}

/// A manager tells the requester that its project ended, or how it stands when it is asked for again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectCompletion {
    pub project_id: ProjectId,
    pub status: Status,
    pub final_report: FinalReport,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// What came of a project: counts, never every result; results are read from the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinalReport {
    pub project_name: String,
    pub counts: Counts,
    pub submitted_at: Timestamp,
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
}

/// A word of an operator, or of the layer above: what it means is the content's type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    pub project_id: ProjectId,
    /// The stream that it is for; without it the project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtask_id: Option<SubtaskId>,
    /// The question that a `Decide` answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Uuid>,
    /// The answer of a `Decide`: `retry`, `skip` or `fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// In a `Cancel` to an executor: the commands that are not current any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<MessageId>,
    /// In a `Retry`: what was cancelled stays cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed_only: bool,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Control {
    /// A word about a project, and nothing said beside it.
    pub fn about(project_id: ProjectId) -> Self {
        Self {
            project_id,
            stream: None,
            project_version: None,
            subtask_id: None,
            question: None,
            answer: None,
            commands: Vec::new(),
            failed_only: false,
            reason: None,
        }
    }
}

/// Wakes an open stream when nothing else does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub stream: StreamId,
    pub number: u64,
    pub not_before: Timestamp,
    /// The store that had the stream when this was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_id: Option<Uuid>,
}
