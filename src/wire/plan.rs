//! What a plan says: goals, and the subtasks of each. The same shape in a project file, in a playbook, in a
//! request and in a planner's answer.

use serde::{Deserialize, Serialize};

use super::{FailureKind, Raw};

/// A strategic goal. Goals of one priority make a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalPlan {
    /// Unique in its project.
    pub goal_name: String,
    /// From 1; 1 goes first.
    pub priority: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// An object: what every subtask of this goal has in its input unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Raw>,
    /// Without them a planner is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtasks: Option<Vec<SubtaskPlan>>,
}

/// One atomic piece of work, or `repeat` copies of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskPlan {
    /// Unique in its phase.
    pub name: String,
    pub skill: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Names of subtasks of the same phase. The name of a repeated one stands for all its copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// Handed to the executor as it is, merged into the goal's input when both are objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Raw>,
    /// This many copies, named `<name> 1` to `<name> N`, each with its number as `index` in its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// How long one attempt may run, in milliseconds. Without it the skill's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How many charged failures end it. Without it the skill's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How long it may wait in its skill's queue before that is a charged failure, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_wait_ms: Option<u64>,
    /// The longest wait before the second attempt, in milliseconds; what each further one multiplies it by; and
    /// the longest of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_factor: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_max_ms: Option<u64>,
    /// The kinds of failure that are worth another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<Vec<FailureKind>>,
    /// How its dependencies have to end before it runs.
    #[serde(default, skip_serializing_if = "RunAfter::is_success")]
    pub run_after: RunAfter,
}

/// How the dependencies of a subtask have to end before it runs. One that runs after `failure` or `always` is a
/// cleanup: it also runs in a phase that is failing, and leaves the phase's verdict as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunAfter {
    /// When all of them have a result, or the project's policy says that it runs without.
    #[default]
    Success,
    /// When all of them are over and one of them has no result; it is skipped when all have one.
    Failure,
    /// When all of them are over, whichever way they ended.
    Always,
}

impl RunAfter {
    pub const NAMES: [&str; 3] = ["success", "failure", "always"];

    pub fn is_success(&self) -> bool {
        *self == Self::Success
    }
}

impl SubtaskPlan {
    /// How many subtasks there are of it.
    pub fn copies(&self) -> u32 {
        self.repeat.unwrap_or(1)
    }

    /// A subtask without dependencies, input or bounds of its own.
    pub fn new(name: impl Into<String>, skill: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            skill: skill.into(),
            description: String::new(),
            dependencies: Vec::new(),
            input: None,
            repeat: None,
            timeout_ms: None,
            max_attempts: None,
            queue_wait_ms: None,
            backoff_ms: None,
            backoff_factor: None,
            backoff_max_ms: None,
            retry_on: None,
            run_after: RunAfter::Success,
        }
    }
}
