//! What happened in a phase, stored for ever. A field may be added with a default; none may change its meaning.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::alarm::CurrentAlarm;
use crate::domain::decision::cut;
use crate::domain::expand::Spec;
use crate::wire::content::PlaybookRef;
use crate::wire::{AgentId, FailureKind, MessageId, ProjectId, Raw, Status, Timestamp};

/// One event of the stream `phase/<project>/<n>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A manager handed the phase over.
    Opened(Opened),
    /// At most 1,000 specs of the plan, in the order of their ordinals.
    SubtasksAdded { specs: Vec<Spec> },
    /// The plan is complete: what has no dependencies is ready.
    Planned {},
    /// These attempts were handed to their skills' queues: pairs of ordinal and attempt.
    Dispatched { at: Timestamp, cause: MessageId, not_after: Timestamp, commands: Vec<(u32, u32)> },
    /// A command could not be handed over: its queue refused it, or there is none.
    DispatchRefused { at: Timestamp, ordinal: u32, attempt: u32, again_at: Timestamp, error: String },
    /// An attempt's result was taken; the result itself is beside the stream.
    Completed {
        at: Timestamp,
        ordinal: u32,
        attempt: u32,
        agent: String,
        started_at: Timestamp,
        finished_at: Timestamp,
        bytes: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Raw>,
    },
    /// An attempt failed.
    Failed {
        at: Timestamp,
        ordinal: u32,
        attempt: u32,
        /// Null when no executor said so itself.
        agent: Option<String>,
        kind: FailureKind,
        error: String,
        started_at: Option<Timestamp>,
        finished_at: Option<Timestamp>,
        outcome: Outcome,
    },
    /// A wait is over.
    WaitEnded { at: Timestamp, ordinal: u32 },
    /// The stream's alarm from now on.
    AlarmSet { at: Timestamp, alarm: CurrentAlarm },
    /// Nothing more will happen here by itself.
    Ended { at: Timestamp, cause: MessageId, status: Status, error: Option<String> },
    /// The report could not be sent.
    ReportRefused { at: Timestamp },
    /// The report is to be sent anew.
    ReportAgain { at: Timestamp, cause: MessageId },
}

/// What a phase knows of its project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    pub at: Timestamp,
    pub cause: MessageId,
    pub project_id: ProjectId,
    pub project_name: String,
    pub project_version: u64,
    pub run: u32,
    pub phase: u32,
    pub priority: u32,
    pub partition: u32,
    /// The names of its goals, in the order that specs point into.
    pub goals: Vec<String>,
    pub parameters: Raw,
    pub policy: Raw,
    pub id_namespace: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookRef>,
}

/// What a failed attempt means for its subtask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum Outcome {
    /// Charged; another attempt at once.
    Again { budget: Budget },
    /// Not charged; another attempt when it is due.
    Wait { until: Timestamp },
    /// Charged, and it was the last.
    Exhausted { budget: Budget },
}

/// What a failure is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// `max_attempts` of the subtask.
    Failures,
    /// The small one for commands that died with their executors, which may be poison or its neighbours.
    Crashes,
}

/// The agent's own id, as an event keeps it.
pub fn agent_name(agent: &str) -> String {
    AgentId::new(agent).map(|agent| agent.to_string()).unwrap_or_else(|_| cut(agent))
}
