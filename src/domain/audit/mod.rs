//! Whether a stream is what it may be: rules by name over its events, in the order in which they were recorded.
//!
//! The machines keep these rules by themselves. Whoever wants to be sure folds a stream through an auditor: the
//! command that checks a store, and the simulator at the end of each seed. An auditor trusts nothing that a machine
//! says of itself where the events say it too; it never repairs, and never reads anything but what it is handed.
//!
//! | rule | what it says |
//! | --- | --- |
//! | `versions_rise_by_one` | the events are there without a gap, and the stream's version is their number |
//! | `events_can_be_read`, `events_can_be_folded` | each event is one of ours, and fits what came before it |
//! | `an_attempt_is_current_once` | a dispatch has the next number, and no older one is out |
//! | `only_the_current_attempt_counts` | a result or failure is of the attempt that is out |
//! | `an_outcome_is_recorded_once`, `an_outcome_is_final` | a subtask ends once, and stays as it ended |
//! | `dependencies_come_first` | nothing goes out before its dependencies are completed, or may be missing |
//! | `a_result_for_every_completion`, `a_completion_for_every_result` | the rows beside the stream are its own |
//! | `the_summary_is_the_fold`, `the_snapshot_is_the_fold` | what is read instead of the stream says the same |
//! | `an_ended_project_has_no_open_phase` | and every phase has a project |
//! | `a_completed_phase_was_reported_so` | what a project knows of its phase is what the phase ended with |
//! | `an_open_question_is_asked` | what a project waits for an answer to is asked by its phase |
//!
//! Beside them stand the rules of [`Phase::check`](super::phase::Phase::check) and
//! [`Project::check`](super::project::Project::check), under their own names.

mod phase;
mod project;

use serde::Serialize;

pub use phase::{
    PhaseAudit, an_attempt_is_current_once, an_outcome_is_recorded_once, cleanups_end_before_their_phase,
    dependencies_come_first, is_over, only_the_current_attempt_counts,
};
pub use project::{
    PhaseEnd, ProjectAudit, a_completed_phase_was_reported_so, an_ended_project_has_no_open_phase,
    an_open_question_is_asked,
};

use crate::domain::phase::Phase;
use crate::domain::project::Project;
use crate::wire::{Counts, Status, StreamId, Timestamp};

/// A rule that a stream breaks. Of each rule only the first is told of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub stream: StreamId,
    /// The version at which it was seen.
    pub version: u64,
    pub rule: &'static str,
    pub detail: String,
}

/// What a stream's row on the read side has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub status: Status,
    pub counts: Counts,
    pub submitted_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

impl Row {
    /// None when the stream has not opened the phase: it has no row then.
    pub fn of_phase(phase: &Phase) -> Option<Self> {
        let opened = phase.opened()?;
        Some(Self {
            name: opened.project_name.clone(),
            status: phase.status(),
            counts: phase.counts(),
            submitted_at: opened.at,
            finished_at: phase.ended().map(|ended| ended.at),
        })
    }

    pub fn of_project(project: &Project) -> Option<Self> {
        let accepted = project.accepted()?;
        Some(Self {
            name: accepted.name.clone(),
            status: project.status(),
            counts: project.counts(),
            submitted_at: accepted.at,
            finished_at: project.ended().map(|ended| ended.at),
        })
    }
}

/// The violations of one stream: each rule once.
#[derive(Debug)]
struct Found {
    stream: StreamId,
    violations: Vec<Violation>,
}

impl Found {
    fn new(stream: StreamId) -> Self {
        Self { stream, violations: Vec::new() }
    }

    fn rule(&mut self, rule: &'static str, version: u64, holds: bool, detail: impl FnOnce() -> String) {
        if !holds && self.violations.iter().all(|known| known.rule != rule) {
            self.violations.push(Violation { stream: self.stream, version, rule, detail: detail() });
        }
    }
}

#[cfg(test)]
mod tests;
