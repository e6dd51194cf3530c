//! What is printed of a run.

use serde::Serialize;

use crate::breaking::Done;
use crate::faults::Fault;
use crate::verdict::Verdict;

/// At the least, a minute.
const KILLS_MIN: u64 = 100;
const RESTARTS_MIN: usize = 2;

/// The last four have to be 0.
#[derive(Debug, Serialize)]
pub struct Report {
    pub projects: usize,
    pub subtasks: usize,
    pub kills: usize,
    pub broker_restarts: usize,
    pub db_restarts: usize,
    pub executions_per_subtask: f64,
    pub lost: usize,
    pub recorded_twice: usize,
    pub stuck: usize,
    pub wrong: usize,
}

impl Report {
    pub fn new(verdict: &Verdict, done: &Done) -> Self {
        let count = |which: fn(Fault) -> bool| done.faults.iter().filter(|fault| which(**fault)).count();
        Self {
            projects: verdict.projects,
            subtasks: verdict.subtasks,
            kills: done.strikes,
            broker_restarts: count(Fault::restarts_broker),
            db_restarts: count(Fault::restarts_database),
            executions_per_subtask: per(verdict.executions, verdict.subtasks),
            lost: verdict.lost,
            recorded_twice: verdict.recorded_twice,
            stuck: verdict.stuck,
            wrong: verdict.wrong,
        }
    }

    /// Why it was not the run that it had to be.
    pub fn shortfalls(&self, done: &Done) -> Vec<String> {
        let mut found = Vec::new();
        let (kills, seconds) = (u64::try_from(self.kills).unwrap_or(0), done.took.as_secs());
        if kills * 60 < seconds * KILLS_MIN {
            found.push(format!("{kills} kills in {seconds} s are fewer than {KILLS_MIN} a minute"));
        }
        for (what, count) in [("broker", self.broker_restarts), ("database", self.db_restarts)] {
            if count < RESTARTS_MIN {
                found.push(format!("the {what} was restarted {count} times, not {RESTARTS_MIN}"));
            }
        }
        found
    }
}

/// To a thousandth.
pub fn per(executions: usize, subtasks: usize) -> f64 {
    let thousandths = (executions * 1_000).checked_div(subtasks).unwrap_or(0);
    f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1_000.0
}
