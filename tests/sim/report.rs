//! What a run of many seeds prints: how often each fault struck, what was seen, and how often each rule was
//! looked at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::faults::FAULTS;
use crate::seed::Outcome;
use crate::sights::Sight;
use crate::sim::Breach;
use crate::watch::RULES;

/// Prints a line although the test is not failing.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is there");
}

pub struct Report {
    began: Instant,
    seeds: u64,
    steps: u64,
    subtasks: u64,
    virtual_time: Duration,
    fired: [u32; FAULTS.len()],
    sights: [u32; Sight::COUNT],
    looked: BTreeMap<&'static str, u64>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            seeds: 0,
            steps: 0,
            subtasks: 0,
            virtual_time: Duration::ZERO,
            fired: [0; FAULTS.len()],
            sights: [0; Sight::COUNT],
            looked: BTreeMap::new(),
        }
    }
}

impl Report {
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.subtasks += u64::from(outcome.subtasks);
        self.virtual_time += outcome.virtual_time;
        self.fired.iter_mut().zip(outcome.fired).for_each(|(sum, fired)| *sum += fired);
        self.sights.iter_mut().zip(outcome.sights).for_each(|(sum, seen)| *sum += seen);
        for (rule, looked) in &outcome.looked {
            *self.looked.entry(rule).or_insert(0) += looked;
        }
    }

    /// Faults that never struck, things that were never seen, and rules that were never looked at.
    pub fn missing(&self) -> Vec<&'static str> {
        let faults = FAULTS.iter().zip(self.fired).map(|(fault, fired)| (fault.name, fired));
        let sights = Sight::ALL.iter().zip(self.sights).map(|(sight, seen)| (sight.name(), seen));
        let rules = RULES.iter().map(|rule| (*rule, self.looked.get(rule).map_or(0, |&looked| u32::from(looked > 0))));
        faults.chain(sights).chain(rules).filter(|&(_, count)| count == 0).map(|(name, _)| name).collect()
    }

    pub fn text(&self) -> String {
        let mut text = format!(
            "simulator: {} seeds, {} subtasks, {} steps, {} virtual hours, in {:.1} s\n",
            self.seeds,
            self.subtasks,
            self.steps,
            self.virtual_time.as_secs() / 3_600,
            self.began.elapsed().as_secs_f64()
        );
        let mut list = |title: &str, lines: &mut dyn Iterator<Item = (&'static str, u64)>| {
            writeln!(text, "  {title}").expect("a string takes everything");
            lines.for_each(|(name, count)| {
                writeln!(text, "    {count:>9}  {name}").expect("a string takes everything");
            });
        };
        list("faults", &mut FAULTS.iter().zip(self.fired).map(|(fault, fired)| (fault.name, fired.into())));
        list("seen", &mut Sight::ALL.iter().zip(self.sights).map(|(sight, seen)| (sight.name(), seen.into())));
        list("rules looked at", &mut self.looked.iter().map(|(&rule, &looked)| (rule, looked)));
        text
    }
}

/// What a failing seed says.
pub fn failure(seed: u64, broken: &Breach) -> String {
    let steps = broken.steps.join("\n");
    format!(
        "seed {seed} breaks the rule `{}`\n{}\nthe last {} steps:\n{steps}\nhint: alone, with every step: \
         TRIREME_SIM_SEED={seed} TRIREME_SIM_TRACE=1 cargo test --test sim every_seed",
        broken.rule,
        broken.detail,
        broken.steps.len(),
    )
}
