//! What goes up with a phase that failed, or asks: the subtasks that failed for good, how each attempt at them
//! went, and what was done all the same. It is bounded: it travels in a message.

use serde::{Deserialize, Serialize};

use crate::wire::{FailureKind, Raw, SubtaskId};

/// So many failed subtasks are told of; the others are counted.
pub const SUBTASKS_MAX: usize = 20;
/// So many attempts of each, the newest.
pub const ATTEMPTS_MAX: usize = 10;
/// The longest error of an attempt, in bytes.
pub const ERROR_BYTES_MAX: usize = 512;
/// So many completed subtasks of the same goals are named.
pub const COMPLETED_MAX: usize = 50;

/// The dossier of a phase.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Dossier {
    pub failed: Vec<FailedSubtask>,
    /// How many more have failed.
    #[serde(default)]
    pub more: u32,
    /// What was completed in the goals of those that failed: the results are in the store.
    #[serde(default)]
    pub completed: Vec<PartialResult>,
}

/// A subtask that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedSubtask {
    pub subtask_id: SubtaskId,
    pub name: String,
    pub goal_name: String,
    /// The one that was planned.
    pub skill: String,
    pub attempts: Vec<FailedAttempt>,
}

/// How one attempt went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    pub attempt: u32,
    /// What it ran on, where that is not the subtask's own skill: its fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    #[serde(default)]
    pub agent_id: Option<String>,
    pub kind: FailureKind,
    pub error: String,
    /// The agent was at fault and not the work.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub avoid: bool,
}

/// A result that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialResult {
    pub subtask_id: SubtaskId,
    pub name: String,
    /// The length of its JSON.
    pub bytes: u32,
}

impl Dossier {
    /// As a message carries it.
    pub fn to_raw(&self) -> Raw {
        Raw::from_serialize(self).unwrap_or_default()
    }
}
