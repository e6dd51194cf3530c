//! The simulator: the shipped runtime (managers, coordinators, executors) on the in-memory broker and store, one
//! thread, one seed a schedule. Nothing in this folder decides, dispatches, acks or commits: it wraps ports to let
//! things go wrong, starts and ends processes, submits projects, says operators' words about them, and checks rules.
//!
//! ```text
//! seed -> weather (which faults, how often), team, projects, words
//!   shipped runtime --port call--> wrapper: a fault may strike --> memory broker, memory store
//!                                     `--> a step: every rule of `watch` is looked at
//!   storm ... heal ... every project has to end, as its plan, its policy and the words about it say, with every
//!   result, and empty queues
//! ```
//!
//! `TRIREME_SIM_SEEDS=n` runs n seeds, from `TRIREME_SIM_FROM=n` on, `TRIREME_SIM_SEED=n` one, `TRIREME_SIM_TRACE=1`
//! prints every step.
//!
//! It needs the switches of builds with debug assertions: elsewhere there is nothing here.

#![cfg(debug_assertions)]

mod agent;
mod clock;
mod ending;
mod faults;
mod kept;
mod letters;
mod log;
mod lost;
mod operator;
mod out;
mod phases;
mod planning;
mod projects;
mod random;
mod report;
mod runs;
mod seed;
mod sights;
mod sim;
mod store;
mod team;
mod transport;
mod watch;
mod work;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::{available_parallelism, scope};

use trireme::broken::Broken;
use trireme::runtime::port::Planner;

use report::{Report, failure, say};
use seed::{Outcome, run};
use sim::Breach;

/// Seeds that are run by default.
const SEEDS: u64 = 1_000;
/// From this many seeds on every fault has to have struck.
const SEEDS_FOR_ALL_FAULTS: u64 = 500;
/// A rule of the protocol that is left out is missed within this many seeds, or nothing here bites.
const SEEDS_TO_BITE: u64 = 150;

fn live(seed: u64, without: Option<Broken>) -> Outcome {
    static PLANNERS: OnceLock<Arc<[Arc<dyn Planner>]>> = OnceLock::new();
    let planners = PLANNERS.get_or_init(|| trireme::planner::planners(None).expect("playbooks that ship").into());
    run(seed, without, planners.clone())
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, not a number")))
}

#[test]
fn every_seed_ends_well() {
    let seeds = match from_environment("TRIREME_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let from = from_environment("TRIREME_SIM_FROM").unwrap_or(0);
            from..from + from_environment("TRIREME_SIM_SEEDS").unwrap_or(SEEDS)
        }
    };
    let count = seeds.end - seeds.start;
    let (report, broken) = live_all(seeds);
    if let Some((seed, breach)) = broken.first_key_value() {
        panic!("{}", failure(*seed, breach));
    }
    say(&report.text());
    let missing = report.missing();
    assert!(count < SEEDS_FOR_ALL_FAULTS || missing.is_empty(), "never seen in {count} seeds: {missing:?}");
}

/// Lives seeds on all cores, each on one thread, until one breaks a rule.
fn live_all(seeds: Range<u64>) -> (Report, BTreeMap<u64, Breach>) {
    let (next, report) = (AtomicU64::new(seeds.start), Mutex::new(Report::default()));
    let broken: Mutex<BTreeMap<u64, Breach>> = Mutex::default();
    let live_some = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = live(seed, None);
            lock(&report).add(&outcome);
            if let Some(breach) = outcome.broken {
                next.store(seeds.end, Ordering::Relaxed);
                lock(&broken).insert(seed, breach);
            }
        }
    };
    let cores = available_parallelism().map_or(1, usize::from);
    scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(live_some))));
    (report.into_inner().expect("no thread panics"), broken.into_inner().expect("no thread panics"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics")
}

#[test]
fn the_same_seed_takes_the_same_steps() {
    for seed in 0..10 {
        let [first, second] = [(); 2].map(|()| live(seed, None));
        assert_eq!((first.steps, first.hash), (second.steps, second.hash), "seed {}", first.seed);
    }
}

/// Leaves a rule of the protocol out until a rule of the simulator is broken by it: one of those that say what the
/// other is for.
fn bites(without: Broken, by: &[&str]) {
    let caught = (0..SEEDS_TO_BITE).find_map(|seed| Some((seed, live(seed, Some(without)).broken?.rule)));
    let Some((seed, rule)) = caught else {
        panic!("`{}` goes through {SEEDS_TO_BITE} seeds unnoticed", without.name());
    };
    say(&format!("without a rule: {:<24} is caught by {rule}, seed {seed}", without.name()));
    assert!(by.contains(&rule), "{rule}");
}

/// What was lost is missed at once.
const LOSSES: [&str; 5] =
    ["something_is_out", "its_alarm_is_out", "every_attempt_is_out", "the_current_phase_is_out", "every_word_is_out"];

/// What was written on a state that never was.
const CONTRADICTIONS: [&str; 7] = [
    "it_ends_as_planned",
    "a_run_ends_once",
    "an_outcome_is_recorded_once",
    "only_the_current_attempt_counts",
    "an_attempt_is_current_once",
    "streams_can_be_folded",
    "the_phase's_own_rules",
];

#[test]
fn it_bites_acks_before_confirms() {
    // A request that is acked before anybody knows its project is missed at the end.
    bites(Broken::AcksBeforeConfirms, &[&LOSSES[..], &["every_project_ends"]].concat());
}

#[test]
fn it_bites_publishes_before_commits() {
    bites(Broken::PublishesBeforeCommits, &["only_what_was_dispatched_runs", "nothing_is_set_aside"]);
}

#[test]
fn it_bites_no_version_check() {
    bites(Broken::NoVersionCheck, &CONTRADICTIONS);
}

#[test]
fn it_bites_nothing_to_do_on_a_stale_state() {
    bites(Broken::StaleNothing, &LOSSES);
}

#[test]
fn it_bites_no_floor() {
    bites(Broken::NoFloor, &["ready_work_goes_out"]);
}

#[test]
fn it_bites_causes_of_commands_only() {
    bites(Broken::CausesOfCommandsOnly, &LOSSES);
}

#[test]
fn it_bites_sending_again_by_the_flag_only() {
    bites(Broken::AgainByFlagOnly, &LOSSES);
}

#[test]
fn it_bites_never_sending_again() {
    bites(Broken::NeverAgain, &LOSSES);
}

#[test]
fn it_bites_random_ids() {
    bites(Broken::RandomIds, &LOSSES);
}

#[test]
fn it_bites_forgotten_alarms() {
    bites(Broken::AlarmsForgotten, &LOSSES);
}

#[test]
fn it_bites_a_fence_of_numbers() {
    // Who was not asked answers, and that is taken.
    bites(Broken::FencedByNumber, &["only_what_was_run_counts", "every_result_is_there"]);
}

#[test]
fn it_bites_an_answer_to_another_question() {
    bites(Broken::AnswersUnnamed, &["an_open_question_is_asked"]);
}

#[test]
fn it_bites_clocks_of_two_machines_that_are_compared() {
    bites(Broken::ClocksTrusted, &["every_project_ends"]);
}
