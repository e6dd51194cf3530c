//! Runners: how an executor performs a skill.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::wire::content::ExecuteSubtask;
use crate::wire::{Failure, Raw};

/// Performs one skill. It is foreign code as far as the executor is concerned: it may hang, panic or lie, and
/// is timed out, caught and validated.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Runs one attempt to its end. When `stop` fires (its time is up, or nobody wants it any more) the work is
    /// to be ended, with everything that it started; what is returned then is not looked at.
    async fn run(&self, assignment: &Assignment, stop: CancellationToken) -> Report;

    /// Whether it ends at once, without waiting for anything: such work is not worth a task of its own.
    fn is_instant(&self) -> bool {
        false
    }
}

/// One attempt, as it was commanded.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub command: ExecuteSubtask,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Any JSON, or how it failed.
    pub outcome: Result<Raw, Failure>,
    /// What the attempt had to say on the way, its last 64 KiB.
    pub log: Option<String>,
}

impl Report {
    pub fn completed(result: Raw) -> Self {
        Self { outcome: Ok(result), log: None }
    }

    pub fn failed(failure: Failure) -> Self {
        Self { outcome: Err(failure), log: None }
    }
}
