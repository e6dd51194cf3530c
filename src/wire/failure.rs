//! The ways in which an attempt can fail: a closed set.

use serde::{Deserialize, Serialize};

/// Why an attempt failed. Only what may pass by itself is worth another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// It may work next time: a service away, a limit of rate.
    Transient,
    /// It will fail the same way every time.
    Permanent,
    /// It ran, or waited, for longer than it may.
    Timeout,
    /// The executor does not have the skill.
    Unsupported,
    /// The process that ran it died.
    Crashed,
    /// Somebody no longer wanted it.
    Cancelled,
    /// Given back unfinished by an executor that stops. Never charged.
    Released,
}

impl FailureKind {
    /// The name on the wire and in every report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Timeout => "timeout",
            Self::Unsupported => "unsupported",
            Self::Crashed => "crashed",
            Self::Cancelled => "cancelled",
            Self::Released => "released",
        }
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed attempt, in the words of whoever saw it fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// The wish of a service that said when to come back, in milliseconds; more than a day counts as a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The executor that answers is at fault and not the work: another one is to have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub avoid: bool,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_ms: None, avoid: false }
    }

    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Permanent, message)
    }
}
