//! The simulator: the shipped runtime (managers, coordinators, executors) on the in-memory broker and store, one
//! thread, one seed a schedule. Nothing in this folder decides, dispatches, acks or commits: it wraps ports to let
//! things go wrong, starts and ends processes, submits projects, and checks rules.
//!
//! ```text
//! seed -> weather (which faults, how often), team, projects
//!   shipped runtime --port call--> wrapper: a fault may strike --> memory broker, memory store
//!                                     `--> a step: every rule of `watch` is looked at
//!   storm ... heal ... every project has to end, as its plan says, with every result, and empty queues
//! ```
//!
//! `TRIREME_SIM_SEEDS=n` runs n seeds, `TRIREME_SIM_SEED=n` one, `TRIREME_SIM_TRACE=1` prints every step.
//!
//! It needs the switches of builds with debug assertions: elsewhere there is nothing here.

#![cfg(debug_assertions)]

mod agent;
mod clock;
mod faults;
mod letters;
mod log;
mod out;
mod phases;
mod planning;
mod projects;
mod random;
mod report;
mod seed;
mod sim;
mod store;
mod team;
mod transport;
mod watch;
mod work;

use std::sync::{Arc, OnceLock};

use trireme::broken::Broken;
use trireme::runtime::port::Planner;

use report::{Report, failure, say};
use seed::{Outcome, run};

/// Seeds that are run by default.
const SEEDS: u64 = 200;
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
        None => 0..from_environment("TRIREME_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    let mut report = Report::default();
    for seed in seeds {
        let outcome = live(seed, None);
        report.add(&outcome);
        if let Some(breach) = &outcome.broken {
            panic!("{}", failure(seed, breach));
        }
    }
    say(&report.text());
    let missing = report.missing();
    assert!(count < SEEDS_FOR_ALL_FAULTS || missing.is_empty(), "never seen in {count} seeds: {missing:?}");
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
const LOSSES: [&str; 4] = ["something_is_out", "its_alarm_is_out", "every_attempt_is_out", "the_current_phase_is_out"];

/// What was written on a state that never was.
const CONTRADICTIONS: [&str; 5] = [
    "an_outcome_is_recorded_once",
    "only_the_current_attempt_counts",
    "no_attempt_is_current_twice",
    "streams_can_be_folded",
    "the_phase's_own_rules",
];

#[test]
fn it_bites_acks_before_confirms() {
    bites(Broken::AcksBeforeConfirms, &LOSSES);
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
    bites(Broken::FencedByNumber, &["only_what_was_run_counts"]);
}
