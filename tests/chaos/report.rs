//! What is printed of a run.

use serde::Serialize;

use crate::deeds::Deeds;
use crate::verdict::Verdict;

/// The last four have to be 0.
#[derive(Debug, Serialize)]
pub struct Report {
    pub projects: usize,
    pub subtasks: usize,
    pub kills: usize,
    pub broker_restarts: usize,
    pub db_restarts: usize,
    pub failovers: usize,
    pub failover_ms: u64,
    pub without_program: usize,
    pub alert_ms: u64,
    pub out_of_files: usize,
    pub clocks: usize,
    pub outlived_ms: u64,
    pub executions_per_subtask: f64,
    pub lost: usize,
    pub recorded_twice: usize,
    pub stuck: usize,
    pub wrong: usize,
}

impl Report {
    pub fn new(verdict: &Verdict, deeds: &Deeds) -> Self {
        Self {
            projects: verdict.projects,
            subtasks: verdict.subtasks,
            kills: deeds.kills,
            broker_restarts: deeds.broker_restarts,
            db_restarts: deeds.db_restarts,
            failovers: deeds.failovers,
            failover_ms: deeds.failover_ms,
            without_program: deeds.without_program,
            alert_ms: deeds.alert_ms,
            out_of_files: deeds.out_of_files,
            clocks: deeds.clocks,
            outlived_ms: deeds.outlived_ms,
            executions_per_subtask: per(verdict.executions, verdict.subtasks),
            lost: verdict.lost,
            recorded_twice: verdict.recorded_twice,
            stuck: verdict.stuck,
            wrong: verdict.wrong,
        }
    }
}

/// To a thousandth.
pub fn per(executions: usize, subtasks: usize) -> f64 {
    let thousandths = (executions * 1_000).checked_div(subtasks).unwrap_or(0);
    f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1_000.0
}
