//! The verdict: what was asked, what was done and what is on record, held against each other.
//!
//! | word | what it counts |
//! | --- | --- |
//! | lost | subtasks that nobody answered, or whose answer is not on record, although all that they wait for is |
//! | recorded_twice | subtasks of which more than one answer was handed on or recorded, and projects that ended twice |
//! | stuck | projects that had not ended in time |
//! | wrong | answers, handed over values, orders and endings that are not the known ones |
//!
//! What is on record is seen twice: in the answers that dependants were handed, by their executors' own word, and in
//! the store at the end. Every answer has the number of its run, so a second recording shows even if it is equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::Serialize;
use trireme::wire::{ProjectId, Status};
use uuid::Uuid;

use crate::ledger::{Answer, Broken, Submission, Watched, Work};
use crate::plan::{self, Known};

/// What the store says of a project at the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stored {
    pub status: Option<Status>,
    pub results: BTreeMap<String, Answer>,
    /// How many completions of each subtask its streams have.
    pub completions: BTreeMap<String, usize>,
}

/// All that there is to judge.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub submissions: Vec<Submission>,
    pub work: Vec<Work>,
    pub watched: Vec<Watched>,
    pub faults: Vec<Broken>,
    pub stored: BTreeMap<ProjectId, Stored>,
    /// When programs of each executor process last wrote a line.
    pub last_lines: BTreeMap<String, u64>,
    /// How long each executor without its program took to say so, in milliseconds.
    pub alerts_ms: Vec<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Verdict {
    pub projects: usize,
    pub subtasks: usize,
    pub executions: usize,
    pub lost: usize,
    pub recorded_twice: usize,
    pub stuck: usize,
    pub wrong: usize,
    /// What was found, in words; the first of each kind.
    pub findings: Vec<String>,
}

/// So many findings of one kind are put into words.
const TOLD_MAX: usize = 20;

impl Verdict {
    pub fn is_clean(&self) -> bool {
        (self.lost, self.recorded_twice, self.stuck, self.wrong) == (0, 0, 0, 0)
    }

    fn found(&mut self, kind: Kind, project: ProjectId, what: impl Display) {
        let (count, word) = match kind {
            Kind::Lost => (&mut self.lost, "lost"),
            Kind::Twice => (&mut self.recorded_twice, "recorded twice"),
            Kind::Stuck => (&mut self.stuck, "stuck"),
            Kind::Wrong => (&mut self.wrong, "wrong"),
        };
        *count += 1;
        if *count <= TOLD_MAX {
            self.findings.push(format!("{word}: {project}: {what}"));
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Lost,
    Twice,
    Stuck,
    Wrong,
}

/// One execution.
struct Run<'a> {
    project: ProjectId,
    name: &'a str,
    deps: &'a BTreeMap<String, Answer>,
    ran_at_us: u64,
    answered: Option<(u64, &'a str)>,
}

/// What was answered, and what became of it, of one project.
struct Project<'a> {
    id: ProjectId,
    known: BTreeMap<String, Known>,
    runs: Vec<&'a Run<'a>>,
    stored: Stored,
    /// The runs whose answers were taken for a subtask's.
    taken: BTreeMap<String, BTreeSet<Uuid>>,
}

pub fn judge(evidence: &Evidence) -> Result<Verdict, String> {
    let mut verdict = Verdict::default();
    let plans = confirmed(&evidence.submissions);
    let runs = runs(&evidence.work);
    let mut of_project: BTreeMap<ProjectId, Vec<&Run>> = BTreeMap::new();
    runs.values().for_each(|run| of_project.entry(run.project).or_default().push(run));
    for (id, plan) in plans {
        let known = plan::known(plan)?;
        verdict.projects += 1;
        verdict.subtasks += known.len();
        let stored = evidence.stored.get(&id).cloned().unwrap_or_default();
        let mut project =
            Project { id, known, runs: of_project.remove(&id).unwrap_or_default(), stored, taken: BTreeMap::new() };
        verdict.executions += project.runs.len();
        project.judge_runs(&runs, &mut verdict);
        project.judge_record(&runs, &mut verdict);
        project.judge_order(&mut verdict);
        project.judge_loss(&runs, &mut verdict);
        project.judge_ending(evidence, &mut verdict);
    }
    // A request whose confirm was lost may have become a project all the same.
    let asked: BTreeSet<ProjectId> = evidence.submissions.iter().map(project_of).collect();
    for (id, runs) in of_project {
        if !asked.contains(&id) {
            verdict.found(Kind::Wrong, id, format_args!("{} runs of a project that nobody asked for", runs.len()));
        }
    }
    Ok(verdict)
}

fn project_of(submission: &Submission) -> ProjectId {
    match submission {
        Submission::Asked { project, .. }
        | Submission::Confirmed { project, .. }
        | Submission::Told { project, .. } => *project,
    }
}

/// The plans of the requests that the broker confirmed.
pub fn confirmed(submissions: &[Submission]) -> BTreeMap<ProjectId, &Vec<trireme::wire::GoalPlan>> {
    let confirmed: BTreeSet<ProjectId> =
        submissions.iter().filter(|line| matches!(line, Submission::Confirmed { .. })).map(project_of).collect();
    let asked = submissions.iter().filter_map(|line| match line {
        Submission::Asked { project, plan, .. } if confirmed.contains(project) => Some((*project, plan)),
        _ => None,
    });
    asked.collect()
}

fn runs(work: &[Work]) -> BTreeMap<Uuid, Run<'_>> {
    let mut runs: BTreeMap<Uuid, Run> = BTreeMap::new();
    for line in work {
        if let Work::Ran { at_us, run, project, name, deps, .. } = line {
            runs.insert(*run, Run { project: *project, name, deps, ran_at_us: *at_us, answered: None });
        }
    }
    for line in work {
        if let Work::Answered { at_us, run, value } = line
            && let Some(run) = runs.get_mut(run)
        {
            run.answered = Some((*at_us, value));
        }
    }
    runs
}

impl Project<'_> {
    /// Whether everybody was handed the right values, of answers that were there, and answered right.
    fn judge_runs(&mut self, all: &BTreeMap<Uuid, Run>, verdict: &mut Verdict) {
        for run in &self.runs {
            let name = run.name;
            let Some(known) = self.known.get(name) else {
                verdict.found(Kind::Wrong, self.id, format_args!("`{name}` is no subtask of it"));
                continue;
            };
            if !run.deps.keys().eq(known.deps.keys()) {
                let (handed, right) = (run.deps.keys(), known.deps.keys());
                verdict.found(Kind::Wrong, self.id, format_args!("`{name}` was handed {handed:?}, not {right:?}"));
            }
            for (of, answer) in run.deps {
                if known.deps.get(of).is_some_and(|right| *right != answer.value) {
                    verdict.found(Kind::Wrong, self.id, format_args!("`{name}` was handed a wrong value of `{of}`"));
                }
                if !was_answered(all, self.id, of, answer, run.ran_at_us) {
                    let what = format_args!("`{name}` was handed an answer of `{of}` that nobody had given");
                    verdict.found(Kind::Wrong, self.id, what);
                }
                self.taken.entry(of.clone()).or_default().insert(answer.run);
            }
            if run.answered.is_some_and(|(_, value)| value != known.value) {
                verdict.found(Kind::Wrong, self.id, format_args!("`{name}` answered a wrong value"));
            }
        }
    }

    /// Whether what is on record is one answer of each, the right one, and one that somebody gave.
    fn judge_record(&mut self, all: &BTreeMap<Uuid, Run>, verdict: &mut Verdict) {
        for (name, answer) in &self.stored.results {
            self.taken.entry(name.clone()).or_default().insert(answer.run);
            if self.known.get(name).is_none_or(|known| known.value != answer.value) {
                verdict.found(Kind::Wrong, self.id, format_args!("a wrong value of `{name}` is recorded"));
            }
            if !was_answered(all, self.id, name, answer, u64::MAX) {
                verdict.found(Kind::Wrong, self.id, format_args!("an answer of `{name}` is recorded that nobody gave"));
            }
        }
        for (name, taken) in self.taken.iter().filter(|(_, taken)| taken.len() > 1) {
            verdict.found(Kind::Twice, self.id, format_args!("{} answers of `{name}` were taken", taken.len()));
        }
        for (name, count) in self.stored.completions.iter().filter(|(_, count)| **count > 1) {
            verdict.found(Kind::Twice, self.id, format_args!("`{name}` is recorded as completed {count} times"));
        }
    }

    /// When a subtask was answered first.
    fn answered_at(&self, name: &str) -> Option<u64> {
        self.runs.iter().filter(|run| run.name == name).filter_map(|run| Some(run.answered?.0)).min()
    }

    /// No phase begins before the one before it has ended. (That nobody begins before what it depends on is in the
    /// answers that it was handed.)
    fn judge_order(&self, verdict: &mut Verdict) {
        let mut ended: BTreeMap<u32, Option<u64>> = BTreeMap::new();
        for (name, known) in &self.known {
            let at = self.answered_at(name);
            let latest = ended.entry(known.priority).or_insert(Some(0));
            *latest = latest.zip(at).map(|(latest, at)| latest.max(at));
        }
        for run in &self.runs {
            let Some(known) = self.known.get(run.name) else { continue };
            let before = ended.range(..known.priority);
            if before.into_iter().any(|(_, ended)| ended.is_none_or(|ended| ended > run.ran_at_us)) {
                let what = format_args!("`{}` ran before the phase before its own had ended", run.name);
                verdict.found(Kind::Wrong, self.id, what);
            }
        }
    }

    fn judge_loss(&self, all: &BTreeMap<Uuid, Run>, verdict: &mut Verdict) {
        let on_record = |name: &str| {
            let stored = self.stored.results.get(name);
            stored.is_some_and(|answer| was_answered(all, self.id, name, answer, u64::MAX))
        };
        let priority_is_over = |priority: u32| {
            self.known.iter().filter(|(_, known)| known.priority < priority).all(|(name, _)| on_record(name))
        };
        for (name, known) in &self.known {
            let is_due = priority_is_over(known.priority) && known.deps.keys().all(|name| on_record(name));
            if is_due && !on_record(name) {
                let how = match self.answered_at(name) {
                    Some(_) => "was answered, and is not on record",
                    None if self.runs.iter().any(|run| run.name == name) => "was begun and never answered",
                    None => "was never begun",
                };
                verdict.found(Kind::Lost, self.id, format_args!("`{name}` {how}"));
            }
        }
    }

    fn judge_ending(&self, evidence: &Evidence, verdict: &mut Verdict) {
        let heard = evidence.watched.iter().filter_map(|line| match line {
            Watched::Ended { project, status, .. } if *project == self.id => Some(*status),
            _ => None,
        });
        let heard: Vec<Status> = heard.collect();
        if heard.len() > 1 {
            verdict.found(Kind::Twice, self.id, format_args!("its end was told {} times", heard.len()));
        }
        match self.stored.status {
            Some(Status::Completed) => {}
            Some(status @ (Status::Error | Status::Cancelled)) => {
                verdict.found(Kind::Wrong, self.id, format_args!("it ended as {status}"));
            }
            other => verdict.found(Kind::Stuck, self.id, format_args!("it has not ended: {other:?}")),
        }
        let answered = evidence.submissions.iter().filter_map(|line| match line {
            Submission::Told { project, status, .. } if *project == self.id => Some(*status),
            _ => None,
        });
        if let Some(told) = heard.into_iter().chain(answered).find(|told| Some(*told) != self.stored.status) {
            verdict.found(Kind::Wrong, self.id, format_args!("it was told to have ended as {told}"));
        }
    }
}

/// Whether that answer was given, for that subtask, before `before_us`.
fn was_answered(all: &BTreeMap<Uuid, Run>, project: ProjectId, name: &str, answer: &Answer, before_us: u64) -> bool {
    all.get(&answer.run).is_some_and(|run| {
        let is_same = run.project == project && run.name == name;
        is_same && run.answered.is_some_and(|(at_us, value)| at_us <= before_us && value == answer.value)
    })
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
