//! Runners: how an executor performs a skill.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::domain::bad_input::cut;
use crate::wire::content::{ExecuteSubtask, Progress};
use crate::wire::{Failure, FailureKind, Raw};

/// A condition of the executor, and not of the work, for which it can not perform a skill: another executor may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorFault {
    /// In one line, for the log, heartbeats and the attempt's error.
    pub reason: String,
    /// It may pass by itself within seconds: too many open files, no memory, a full disk. Else somebody has to mend it.
    pub may_pass: bool,
}

/// Performs one skill. It is foreign code as far as the executor is concerned: it may hang, panic or lie, and
/// is timed out, caught and validated.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Runs one attempt to its end. When `stop` fires (its time is up, or nobody wants it any more) the work is
    /// to be ended, with everything that it started; what is returned then is not looked at.
    async fn run(&self, assignment: &Assignment, stop: CancellationToken) -> Report;

    /// Looks, without a command, whether this executor could perform the skill now: is its program there?
    ///
    /// # Errors
    /// The executor's own fault for which it could not.
    fn look(&self) -> Result<(), ExecutorFault> {
        Ok(())
    }

    /// The most files that one attempt keeps open in this process.
    fn files_per_attempt(&self) -> u32 {
        0
    }

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
    /// Set when the attempt came to nothing by a fault of this executor; `outcome` says so to the owner.
    pub fault: Option<ExecutorFault>,
}

impl Report {
    pub fn completed(result: Raw) -> Self {
        Self { outcome: Ok(result), log: None, fault: None }
    }

    pub fn failed(failure: Failure) -> Self {
        Self { outcome: Err(failure), log: None, fault: None }
    }

    /// The attempt came to nothing by a fault of this executor: another one is to have the command.
    pub fn unable(fault: ExecutorFault) -> Self {
        let failure = Failure { avoid: true, ..Failure::new(FailureKind::Released, fault.reason.clone()) };
        Self { outcome: Err(failure), log: None, fault: Some(fault) }
    }
}
