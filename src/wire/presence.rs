//! What agents say of themselves.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AgentId, AgentStatus, MessageId, ProjectId, SubtaskId, Timestamp};

/// Who is there?
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ping {
    /// A coordinator's ping through a partition: whoever gets it holds that partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
}

/// An agent says how it is: in a heartbeat, or in answer to a ping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    pub agent_id: AgentId,
    pub name: String,
    /// `management`, `coordination` or `execution`.
    pub layer: Layer,
    pub status: AgentStatus,
    #[serde(default)]
    pub skills: Vec<String>,
    pub slots: u32,
    pub busy: u32,
    pub version: String,
    pub host: String,
    pub pid: u32,
    pub last_seen: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_id: Option<Uuid>,
    /// The partitions that a coordinator holds, and those that it stands in line for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<u32>,
    /// Skills among `skills` that an executor can not perform just now. Its status is ERROR then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unable: Vec<UnableSkill>,
    /// Queues of its skills that were deleted within the last minute: what waited in them is lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues_lost: Vec<LostQueue>,
    /// The commands that an executor runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<RunningCommand>,
    /// What does not work there right now, in one line: its status is ERROR then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How far its machine's clock is ahead of the store's, in milliseconds, where that is more than a second. Nothing is
    /// judged by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<i64>,
    /// How many messages it has published since its start; several in one body count as one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub published: u64,
    /// It is about to leave.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
    /// In a pong: the agents that this one has heard of in the last minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Presence>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A skill's queue that was deleted under an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostQueue {
    pub skill: String,
    /// How often since the executor's start.
    pub times: u32,
    /// How long ago it noticed, the last time.
    pub ago_ms: u64,
}

/// A skill that an executor offers and can not perform just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnableSkill {
    pub skill: String,
    /// The executor's own words, in one line.
    pub reason: String,
}

/// A command that an executor runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningCommand {
    pub command: MessageId,
    pub project_id: ProjectId,
    pub subtask_id: SubtaskId,
    /// What its runner said last, if it says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// How far an attempt has come, by its runner's word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// In whatever the runner counts.
    pub done: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<f64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The three banks of oars, and the clients on the quay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    Management,
    Coordination,
    Execution,
    Client,
}

impl Layer {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Coordination => "coordination",
            Self::Execution => "execution",
            Self::Client => "client",
        }
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
