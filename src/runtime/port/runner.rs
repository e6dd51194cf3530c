//! Runners: how an executor performs a skill.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::domain::bad_input::cut;
use crate::wire::content::{ExecuteSubtask, Progress};
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
#[derive(Clone)]
pub struct Assignment {
    pub command: ExecuteSubtask,
    heard: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Assignment {
    /// `heard` is told how far the attempt is, whenever its runner says so.
    pub fn new(command: ExecuteSubtask, heard: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { command, heard: Arc::new(heard) }
    }

    /// Says how far the attempt is. It may be said as often as one likes: what is shown, in this executor's heartbeats,
    /// is the newest word. One that is no number, or less than nothing, is not heard; a long note is cut.
    pub fn report(&self, progress: Progress) {
        let is_number = |number: f64| number.is_finite() && number >= 0.0;
        if is_number(progress.done) && progress.of.is_none_or(is_number) {
            (self.heard)(Progress { note: cut(&progress.note), ..progress });
        }
    }
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
