//! Random projects, each with what is wrong with its plan.

use std::collections::BTreeSet;

use serde_json::json;
use trireme::wire::content::NewProject;
use trireme::wire::policy::{OnFailure, Running};
use trireme::wire::{GoalPlan, Policy, ProjectId, Raw, RunAfter, SubtaskPlan};
use uuid::Uuid;

use crate::random::Random;

/// The skills that executors offer: one is done at once, the other takes its time.
pub const INSTANT: &str = "instant";
pub const SLOW: &str = "slow";
/// Has one attempt; then its fallback is asked, which is slow.
pub const FRAIL: &str = "frail";
/// Its commands are leased: who has one has acked it, and is heard of while it runs.
pub const LEASED: &str = "leased";
/// Nobody has it.
const NOBODYS: &str = "nobodys";
/// Attempts that a subtask has.
pub const MAX_ATTEMPTS: u32 = 3;
/// How long an attempt may take: less than what a late one sleeps, far more than any other.
pub const TIMEOUT_MS: u64 = 20_000;
/// The same for what is leased.
pub const LEASED_TIMEOUT_MS: u64 = 50_000;

pub struct PlannedProject {
    pub id: ProjectId,
    pub request: NewProject,
    pub policy: Policy,
    pub doom: Doom,
    pub subtasks: u32,
    /// How many of them run only after a failure.
    pub after_failures: u32,
}

/// What is wrong with a plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doom {
    /// A phase of it can not be planned.
    pub plan: bool,
    /// A subtask never goes well, however it is planned.
    pub incurable: bool,
    /// Phases of which a subtask never goes well until its goal is planned anew.
    pub curable: u32,
}

impl Doom {
    pub fn is_of_a_subtask(&self) -> bool {
        self.incurable || self.curable > 0
    }
}

impl PlannedProject {
    /// The projects of a seed: a few of any shape, or a crowd of small ones.
    pub fn draw_all(random: &mut Random, is_crowd: bool) -> Vec<Self> {
        let count = if is_crowd { random.between(18, 24) } else { random.pick(&[1, 1, 2, 3]) };
        let draw = |number: u32| match is_crowd {
            true => Self::small(random, number.into()),
            false => Self::draw(random, number.into()),
        };
        (1..=count).map(draw).collect()
    }

    /// One of a crowd: its work is slow enough that all are open at once.
    fn small(random: &mut Random, number: u128) -> Self {
        let mut subtask = SubtaskPlan::new("alone", SLOW);
        subtask.input = Some(json!({ "ms": random.pick(&[1_000, 3_000]), "fails": 0, "how": "transient" }).into());
        let goal = GoalPlan {
            goal_name: "goal".into(),
            priority: 1,
            description: String::new(),
            input: None,
            subtasks: Some(vec![subtask]),
        };
        let request = NewProject::planned(format!("project {number}"), vec![goal]);
        let (policy, doom) = (Policy::default(), Doom::default());
        Self { id: ProjectId(Uuid::from_u128(number)), request, policy, doom, subtasks: 1, after_failures: 0 }
    }

    /// The `number`-th project of a seed.
    fn draw(random: &mut Random, number: u128) -> Self {
        let mut doom = Doom::default();
        let mut goals = Vec::new();
        for priority in 1..=random.pick(&[1, 1, 2, 3]) {
            let mut subtasks = phase(random);
            match random.below(20) {
                0..=2 => {
                    let at = usize::try_from(random.below(subtasks.len() as u64)).expect("an index");
                    let is_cured = random.percent(50);
                    subtasks[at].input = Some(doomed(random, is_cured));
                    doom.incurable |= !is_cured;
                    doom.curable += u32::from(is_cured);
                }
                3 if random.percent(50) => {
                    subtasks[0].skill = NOBODYS.into();
                    doom.plan = true;
                }
                4 if random.percent(50) => {
                    let last = subtasks.len() - 1;
                    subtasks[0].dependencies = vec![subtasks[last].name.clone()];
                    subtasks[last].dependencies = vec![subtasks[0].name.clone()];
                    doom.plan = true;
                }
                _ => {}
            }
            clean_up(random, &mut subtasks);
            // A phase may have two goals, with dependencies between them.
            let second = subtasks.split_off(random.pick(&[subtasks.len(), subtasks.len() / 2]));
            for (at, subtasks) in [subtasks, second].into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
                goals.push(GoalPlan {
                    goal_name: format!("goal {priority}.{at}"),
                    priority: priority * 10,
                    description: String::new(),
                    input: None,
                    subtasks: Some(subtasks),
                });
            }
        }
        let all = goals.iter().flat_map(|goal| goal.subtasks.iter().flatten());
        let subtasks = all.clone().map(SubtaskPlan::copies).sum();
        let after_failures = all.filter(|subtask| subtask.run_after == RunAfter::Failure);
        let after_failures = after_failures.map(SubtaskPlan::copies).sum();
        let policy = policy(random);
        let request = NewProject {
            policy: Raw::from_serialize(&policy).expect("two words"),
            deadline_ms: random.percent(8).then(|| random.pick(&[5_000, 60_000, 300_000])),
            ..NewProject::planned(format!("project {number}"), goals)
        };
        Self { id: ProjectId(Uuid::from_u128(number)), request, policy, doom, subtasks, after_failures }
    }
}

fn policy(random: &mut Random) -> Policy {
    use OnFailure::{Ask, Continue, Fail, Replan, Skip};
    Policy {
        on_failure: random.pick(&[Fail, Fail, Fail, Skip, Continue, Replan, Ask, Ask]),
        running: random.pick(&[Running::Finish, Running::Cancel]),
    }
}

fn phase(random: &mut Random) -> Vec<SubtaskPlan> {
    let mut subtasks = match random.below(4) {
        0 => fan(random),
        1 => chain(random),
        _ => graph(random),
    };
    for subtask in &mut subtasks {
        subtask.skill = random.pick(&[INSTANT, INSTANT, INSTANT, SLOW, SLOW, FRAIL, LEASED]).into();
        subtask.input = Some(work(random));
        subtask.backoff_ms = random.percent(20).then(|| random.pick(&[1, 500, 8_000]));
    }
    subtasks
}

/// Some run after their dependencies whichever way these end, and of those that nobody depends on some only after a
/// failure. What never goes well is none of them: whether it fails is to be known beforehand.
fn clean_up(random: &mut Random, subtasks: &mut [SubtaskPlan]) {
    if !random.percent(40) {
        return;
    }
    let needed: BTreeSet<String> = subtasks.iter().flat_map(|subtask| subtask.dependencies.clone()).collect();
    for subtask in subtasks.iter_mut().filter(|subtask| !subtask.dependencies.is_empty()) {
        let is_doomed = subtask.input.as_ref().is_some_and(|input| input.get().contains(&u32::MAX.to_string()));
        if is_doomed || !random.percent(50) {
            continue;
        }
        subtask.run_after = match needed.contains(&subtask.name) {
            true => RunAfter::Always,
            false => random.pick(&[RunAfter::Always, RunAfter::Failure]),
        };
    }
}

fn fan(random: &mut Random) -> Vec<SubtaskPlan> {
    let copies = random.pick(&[2, 5, 10, 25]);
    let mut join = SubtaskPlan::new("join", INSTANT);
    join.dependencies = vec!["copy".into()];
    vec![SubtaskPlan { repeat: Some(copies), ..SubtaskPlan::new("copy", INSTANT) }, join]
}

fn chain(random: &mut Random) -> Vec<SubtaskPlan> {
    let links = random.between(1, 8);
    let link = |at: u32| {
        let dependencies = (at > 0).then(|| format!("link {}", at - 1)).into_iter().collect();
        SubtaskPlan { dependencies, ..SubtaskPlan::new(format!("link {at}"), INSTANT) }
    };
    (0..links).map(link).collect()
}

fn graph(random: &mut Random) -> Vec<SubtaskPlan> {
    let nodes = random.between(2, 12);
    let mut node = |at: u32| {
        let dependencies = (0..at).filter(|_| random.percent(25)).map(|other| format!("node {other}")).collect();
        let repeat = random.percent(10).then(|| random.between(1, 4));
        SubtaskPlan { dependencies, repeat, ..SubtaskPlan::new(format!("node {at}"), INSTANT) }
    };
    (0..nodes).map(&mut node).collect()
}

/// How an attempt goes: see the runner.
fn work(random: &mut Random) -> Raw {
    let fails = random.pick(&[0, 0, 0, 0, 0, 1, 2]);
    let how = random.pick(&["transient", "late", "panic"]);
    json!({ "ms": random.pick(&[0, 10, 300, 3_000]), "fails": fails, "how": how }).into()
}

/// An attempt that never goes well; unless its goal is planned anew, where that helps.
fn doomed(random: &mut Random, is_cured: bool) -> Raw {
    let how = random.pick(&["permanent", "transient"]);
    json!({ "ms": 10, "fails": u32::MAX, "how": how, "cure": is_cured }).into()
}
