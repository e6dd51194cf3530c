//! What is to become of a project when a subtask of it has failed for good.

use serde::{Deserialize, Serialize};

use super::Raw;

/// The policy of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    pub on_failure: OnFailure,
    pub running: Running,
}

/// What a subtask that failed for good, or was cancelled, means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing new is started, and the project ends in ERROR.
    #[default]
    Fail,
    /// It is skipped, with everything that depends on it.
    Skip,
    /// It is skipped; what depends on it runs, with `null` in the place of its result.
    Continue,
    /// The planner is asked for a replacement of its goal, told what failed.
    Replan,
    /// A person is asked.
    Ask,
}

/// What a failure means for what still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    #[default]
    Finish,
    Cancel,
}

impl Policy {
    /// What a message says; fails with a line for people.
    pub fn read(raw: &Raw) -> Result<Self, String> {
        raw.read().map_err(|error| format!("the `policy` of a project: {error}"))
    }
}

impl OnFailure {
    pub const NAMES: [&str; 5] = ["fail", "skip", "continue", "replan", "ask"];
}

impl Running {
    pub const NAMES: [&str; 2] = ["finish", "cancel"];
}
