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

mod agent;
mod clock;
mod faults;
mod letters;
mod log;
mod out;
mod phases;
mod projects;
mod random;
mod report;
mod seed;
mod sim;
mod store;
mod team;
mod transport;
mod variants;
mod watch;
mod work;

use std::sync::{Arc, OnceLock};

use trireme::runtime::port::Planner;

use report::{Report, failure, say};
use seed::{Outcome, run};
use variants::Variant;

/// Seeds that are run by default.
const SEEDS: u64 = 200;
/// From this many seeds on every fault has to have struck.
const SEEDS_FOR_ALL_FAULTS: u64 = 200;

fn live(seed: u64, variant: Variant) -> Outcome {
    static PLANNERS: OnceLock<Arc<[Arc<dyn Planner>]>> = OnceLock::new();
    let planners = PLANNERS.get_or_init(|| trireme::planner::planners(None).expect("playbooks that ship").into());
    run(seed, variant, planners.clone())
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
        let outcome = live(seed, Variant::Shipped);
        report.add(&outcome);
        if let Some(broken) = &outcome.broken {
            panic!("{}", failure(seed, broken));
        }
    }
    say(&report.text());
    let missing = report.missing();
    assert!(count < SEEDS_FOR_ALL_FAULTS || missing.is_empty(), "never seen in {count} seeds: {missing:?}");
}

#[test]
fn the_same_seed_takes_the_same_steps() {
    for seed in 0..10 {
        let [first, second] = [(); 2].map(|()| live(seed, Variant::Shipped));
        assert_eq!((first.steps, first.hash), (second.steps, second.hash), "seed {}", first.seed);
    }
}

/// Runs a broken variant until a rule catches it.
fn caught(variant: Variant) -> &'static str {
    /// A rule that needs more seeds than this to find it does not bite.
    const SEEDS_MAX: u64 = 100;
    let broken = (0..SEEDS_MAX).find_map(|seed| live(seed, variant).broken);
    broken.unwrap_or_else(|| panic!("{variant:?} is not caught in {SEEDS_MAX} seeds")).rule
}

/// What was lost is missed at once.
const LOSSES: [&str; 4] = ["something_is_out", "its_alarm_is_out", "every_attempt_is_out", "the_current_phase_is_out"];

#[test]
fn it_bites_an_ack_before_the_confirm() {
    let rule = caught(Variant::AckOnDelivery);
    assert!(LOSSES.contains(&rule), "{rule}");
}

#[test]
fn it_bites_a_store_without_versions() {
    assert_eq!(caught(Variant::NoVersionCheck), "versions_rise_by_one");
}

#[test]
fn it_bites_a_forgotten_alarm() {
    let rule = caught(Variant::AlarmForgotten);
    assert!(LOSSES.contains(&rule), "{rule}");
}

#[test]
fn it_bites_when_nothing_is_sent_again() {
    let rule = caught(Variant::NeverAgain);
    assert!(LOSSES.contains(&rule), "{rule}");
}
