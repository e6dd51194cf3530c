//! What was done in a run, by its ledger, and what it lacks of what a run has to be: one that broke too little proves
//! nothing, however clean its verdict is.
//!
//! | what | at the least |
//! | --- | --- |
//! | projects that the broker confirmed | 200, in a run of a minute or more; fewer in a shorter one |
//! | SIGKILLs and SIGSTOPs | 100 a minute, some of each at each layer, and a SIGCONT for every SIGSTOP |
//! | restarts of the broker, and of the database | 2 each, after which it answered |
//! | failovers of the database to its replica | 1 in a run of a minute, after which the next commit came within 5 s |
//! | executors without their program, out of files, and processes whose clock differs | 1 each in a run of a minute |
//! | signs of life of programs whose executor was killed | none later than 2 s after that |
//! | connections closed | once, so that the watcher was cut off |
//! | subtasks outstanding at each fault | 200: of the projects confirmed by then, what no executor had answered |
//! | ends of projects that somebody heard of | all: events are best effort, so that of the others the client asks; 75 % by the watcher alone |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trireme::wire::{GoalPlan, ProjectId};
use uuid::Uuid;

use crate::breaking::OUTSTANDING_MIN;
use crate::condition::Condition;
use crate::crew::{CONTINUE, KILL, STOP};
use crate::faults::Fault;
use crate::ledger::{Broken, Submission, Watched, Work};
use crate::plan;
use crate::scene::CREW;
use crate::verdict::{self, Evidence};

const PROJECTS_MIN: u64 = 200;
const MINUTE: Duration = Duration::from_secs(60);
/// A third of what is meant: while servers are away and fail over there may be no process to strike at, or too little load.
const KILLS_A_MINUTE: u64 = 60;
const RESTARTS_MIN: usize = 2;
const FAILED_OVER_WITHIN_MS: u64 = 5_000;
const OUTLIVED_MS_MAX: u64 = 2_000;
/// What the watcher has to hear by itself.
const HEARD_PERCENT_MIN: usize = 75;
/// A connection that somebody closes is noticed within this.
const NOTICED_WITHIN_US: u64 = 5_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deeds {
    pub kills: usize,
    pub broker_restarts: usize,
    pub db_restarts: usize,
    pub failovers: usize,
    /// The longest time from a failover to the next commit, in milliseconds.
    pub failover_ms: u64,
    pub without_program: usize,
    /// The longest time until an executor without its program said so, in milliseconds.
    pub alert_ms: u64,
    pub out_of_files: usize,
    pub clocks: usize,
    /// How long a program of a killed executor was there after it, at the most, in milliseconds.
    pub outlived_ms: u64,
}

/// Whether a run that was to take `asked`, and took `took`, did what it claims; a line for each thing that it did not.
pub fn judge(evidence: &Evidence, asked: Duration, took: Duration) -> Result<(Deeds, Vec<String>), String> {
    let done = Done::by(&evidence.faults);
    let deeds = Deeds {
        kills: done.strikes.len(),
        broker_restarts: done.restarts(Fault::OF_BROKER),
        db_restarts: done.restarts(Fault::OF_DATABASE),
        failovers: done.failovers_ms.len(),
        failover_ms: done.failovers_ms.iter().copied().max().unwrap_or(0),
        without_program: done.born(Condition::LACKS_PROGRAM),
        alert_ms: evidence.alerts_ms.iter().copied().max().unwrap_or(0),
        out_of_files: done.born(Condition::FEW_FILES),
        clocks: done.born(Condition::CLOCK),
        outlived_ms: done.outlived_ms(&evidence.last_lines),
    };
    let mut lacking = Vec::new();
    lacking.extend(deeds.few_conditions(asked));
    lacking.extend(deeds.too_long());
    lacking.extend(few_projects(evidence, asked));
    lacking.extend(done.few_strikes(took));
    for (what, count) in [("broker", deeds.broker_restarts), ("database", deeds.db_restarts)] {
        if count < RESTARTS_MIN {
            lacking.push(format!("the {what} was restarted {count} times, not {RESTARTS_MIN}"));
        }
    }
    if !done.was_cut_off(&evidence.watched) {
        lacking.push("no connection was closed: the watcher was never cut off by it".into());
    }
    lacking.extend(done.idle_faults(evidence)?);
    lacking.extend(unheard_ends(evidence));
    Ok((deeds, lacking))
}

impl Deeds {
    fn few_conditions(&self, asked: Duration) -> Vec<String> {
        let all = [
            ("failover of the database", self.failovers),
            ("executor without its program", self.without_program),
            ("alert of an executor without its program", usize::from(self.alert_ms > 0)),
            ("executor out of files", self.out_of_files),
            ("process whose clock differs", self.clocks),
        ];
        let none = all.iter().filter(|(_, count)| *count == 0 && asked >= MINUTE);
        none.map(|(what, _)| format!("there was no {what}")).collect()
    }

    fn too_long(&self) -> Vec<String> {
        let bounds = [
            ("the next commit after a failover came", self.failover_ms, FAILED_OVER_WITHIN_MS),
            ("a program was there although its executor was killed", self.outlived_ms, OUTLIVED_MS_MAX),
        ];
        let over = bounds.iter().filter(|(_, took, most)| took > most);
        over.map(|(what, took, most)| format!("{what} {took} ms later, more than {most}")).collect()
    }
}

/// The projects that have ended, by the store, and of whose end nobody has heard: neither the watcher nor the client,
/// with what was asked for.
pub fn unheard(evidence: &Evidence) -> BTreeMap<ProjectId, Vec<GoalPlan>> {
    let told = evidence.submissions.iter().filter_map(|line| match line {
        Submission::Told { project, .. } => Some(*project),
        Submission::Asked { .. } | Submission::Confirmed { .. } => None,
    });
    let heard: BTreeSet<ProjectId> = watched(evidence).chain(told).collect();
    let has_ended = |id: &ProjectId| {
        let stored = evidence.stored.get(id).and_then(|stored| stored.status);
        stored.is_some_and(|status| status.is_ended())
    };
    let plans = verdict::confirmed(&evidence.submissions).into_iter();
    plans.filter(|(id, _)| has_ended(id) && !heard.contains(id)).map(|(id, plan)| (id, plan.clone())).collect()
}

/// Those whose end the watcher heard of.
fn watched(evidence: &Evidence) -> impl Iterator<Item = ProjectId> {
    evidence.watched.iter().filter_map(|line| match line {
        Watched::Ended { project, .. } => Some(*project),
        Watched::CutOff { .. } => None,
    })
}

fn few_projects(evidence: &Evidence, asked: Duration) -> Option<String> {
    let (count, seconds) = (verdict::confirmed(&evidence.submissions).len(), asked.min(MINUTE).as_secs());
    let wanted = usize::try_from(PROJECTS_MIN * seconds / MINUTE.as_secs()).unwrap_or(usize::MAX);
    (count < wanted).then(|| format!("{count} projects are fewer than {wanted}"))
}

fn unheard_ends(evidence: &Evidence) -> Vec<String> {
    let mut lacking = Vec::new();
    let unheard = unheard(evidence);
    if let Some(first) = unheard.keys().next() {
        let count = unheard.len();
        lacking.push(format!("of the end of {count} projects nobody heard, and nobody would tell: {first} ..."));
    }
    let ends = evidence.stored.values().filter(|stored| stored.status.is_some_and(|status| status.is_ended())).count();
    let heard = watched(evidence).collect::<BTreeSet<_>>().len();
    if heard * 100 < ends * HEARD_PERCENT_MIN {
        lacking.push(format!("the watcher heard of {heard} of {ends} ends, less than {HEARD_PERCENT_MIN} %"));
    }
    lacking
}

/// The faults of a ledger.
#[derive(Default)]
struct Done<'a> {
    /// What processes were sent, and which.
    strikes: Vec<(&'a str, &'a str)>,
    /// When each of all faults was.
    at_us: Vec<u64>,
    /// What was mended, and when.
    mended: Vec<(&'a str, &'a str, u64)>,
    /// When connections began to be closed.
    closed_at_us: Vec<u64>,
    /// How long each failover took until the next commit.
    failovers_ms: Vec<u64>,
    /// In which conditions processes began.
    born: Vec<&'a str>,
    /// When which process was killed.
    killed_at_us: BTreeMap<&'a str, u64>,
}

impl<'a> Done<'a> {
    fn by(faults: &'a [Broken]) -> Self {
        let mut done = Self::default();
        for line in faults {
            match line {
                Broken::Fault { at_us, kind, target } => {
                    done.at_us.push(*at_us);
                    if kind == KILL {
                        done.killed_at_us.insert(target, *at_us);
                    }
                    match kind.as_str() {
                        KILL | STOP => done.strikes.push((kind, target)),
                        other if other == Fault::CloseConnections.word() => done.closed_at_us.push(*at_us),
                        _ => {}
                    }
                }
                Broken::Mended { kind, target, .. } if kind == Fault::FailOver.word() => {
                    done.failovers_ms.extend(target.parse::<u64>());
                }
                Broken::Mended { at_us, kind, target } => done.mended.push((kind, target, *at_us)),
                Broken::Born { kind, .. } => done.born.push(kind),
            }
        }
        done
    }

    fn restarts(&self, of: [Fault; 2]) -> usize {
        self.mended.iter().filter(|(kind, ..)| of.iter().any(|fault| fault.word() == *kind)).count()
    }

    fn born(&self, condition: &str) -> usize {
        self.born.iter().filter(|kind| **kind == condition).count()
    }

    fn outlived_ms(&self, last_lines: &BTreeMap<String, u64>) -> u64 {
        let killed = self.killed_at_us.iter().filter_map(|(name, at_us)| Some((last_lines.get(*name)?, at_us)));
        killed.map(|(last_us, at_us)| last_us.saturating_sub(*at_us) / 1_000).max().unwrap_or(0)
    }

    fn few_strikes(&self, took: Duration) -> Vec<String> {
        let mut lacking = Vec::new();
        let (kills, seconds) = (u64::try_from(self.strikes.len()).unwrap_or(0), took.as_secs());
        if kills * MINUTE.as_secs() < seconds * KILLS_A_MINUTE {
            lacking.push(format!("{kills} kills in {seconds} s are fewer than {KILLS_A_MINUTE} a minute"));
        }
        for (layer, _) in CREW {
            let is_of = |target: &str| target.split('-').next() == Some(layer);
            for kind in [KILL, STOP] {
                if !self.strikes.iter().any(|(other, target)| *other == kind && is_of(target)) {
                    lacking.push(format!("no {layer} was sent {kind}"));
                }
            }
        }
        let stopped = self.strikes.iter().filter(|(kind, _)| *kind == STOP).count();
        let continued = self.mended.iter().filter(|(kind, ..)| *kind == CONTINUE).count();
        if continued < stopped {
            lacking.push(format!("{stopped} processes were sent {STOP}, and {continued} {CONTINUE}"));
        }
        lacking
    }

    /// Whether one closing of all connections is what the watcher lost its own by.
    fn was_cut_off(&self, watched: &[Watched]) -> bool {
        watched.iter().any(|line| match line {
            Watched::CutOff { at_us: cut } => self.closed_at_us.iter().any(|closed| {
                let over = self.mended.iter().filter(|(kind, ..)| *kind == Fault::CloseConnections.word());
                let over = over.map(|(.., at_us)| *at_us).find(|at_us| at_us >= closed);
                over.is_some_and(|over| (*closed..over + NOTICED_WITHIN_US).contains(cut))
            }),
            Watched::Ended { .. } => false,
        })
    }

    /// The faults that came while too little was outstanding.
    fn idle_faults(&self, evidence: &Evidence) -> Result<Option<String>, String> {
        let changes = changes(evidence)?;
        let (mut outstanding, mut next, mut few, mut least) = (0_i64, 0, 0_usize, i64::MAX);
        let mut faults = self.at_us.clone();
        faults.sort_unstable();
        for at_us in faults {
            while let Some((_, change)) = changes.get(next).filter(|(changed, _)| *changed <= at_us) {
                outstanding += change;
                next += 1;
            }
            least = least.min(outstanding);
            few += usize::from(outstanding < i64::try_from(OUTSTANDING_MIN).unwrap_or(i64::MAX));
        }
        let all = self.at_us.len();
        let said = || format!("{few} of {all} faults met fewer than {OUTSTANDING_MIN} outstanding subtasks: {least}");
        Ok((few > 0).then(said))
    }
}

/// By how much what is outstanding changes, and when: more when the broker has confirmed a project, one less when a
/// subtask of it is answered for the first time.
fn changes(evidence: &Evidence) -> Result<Vec<(u64, i64)>, String> {
    let plans = verdict::confirmed(&evidence.submissions);
    let mut confirmed: BTreeMap<ProjectId, u64> = BTreeMap::new();
    let mut changes = Vec::new();
    for line in &evidence.submissions {
        if let Submission::Confirmed { at_us, project } = line {
            let count = plans.get(project).map_or(Ok(0), |plan| plan::known(plan).map(|known| known.len()))?;
            changes.push((*at_us, i64::try_from(count).unwrap_or(i64::MAX)));
            confirmed.insert(*project, *at_us);
        }
    }
    let mut runs: BTreeMap<Uuid, (ProjectId, &str)> = BTreeMap::new();
    for line in &evidence.work {
        if let Work::Ran { run, project, name, .. } = line {
            runs.insert(*run, (*project, name));
        }
    }
    let mut answered: BTreeMap<(ProjectId, &str), u64> = BTreeMap::new();
    for line in &evidence.work {
        if let Work::Answered { at_us, run, .. } = line
            && let Some(subtask) = runs.get(run)
        {
            let first = answered.entry(*subtask).or_insert(*at_us);
            *first = (*first).min(*at_us);
        }
    }
    // A confirm may come after the first answers.
    let fewer = answered.iter().filter_map(|((project, _), at_us)| Some(((*at_us).max(*confirmed.get(project)?), -1)));
    changes.extend(fewer);
    changes.sort_unstable();
    Ok(changes)
}

#[cfg(test)]
#[path = "deeds_tests.rs"]
mod tests;
