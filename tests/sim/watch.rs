//! The rules that must hold after every step, by name, and how often each was looked at.
//!
//! Streams are followed with a cursor: each committed batch is folded once, when it is written. The broker is looked
//! into only when something in it, or in the store, has changed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use trireme::domain::{phase, project};
use trireme::wire::content::ExecuteSubtask;
use trireme::wire::{ProjectId, Raw, StreamId};

use crate::kept;
use crate::letters::Letters;
use crate::lost::everything_is_out;
use crate::out::Out;
use crate::phases::FollowedPhase;
use crate::runs::FollowedProject;
use crate::sim::Sim;
use crate::store::brief;

/// All rules: each is to be looked at in a run of many seeds.
pub const RULES: [&str; 36] = [
    "a_cancel_is_heard",
    "a_phase_ends_once",
    "a_run_ends_once",
    "an_attempt_is_current_once",
    "an_open_question_is_asked",
    "an_outcome_is_final",
    "an_outcome_is_recorded_once",
    "cleanups_end_before_their_phase",
    "completed_work_is_not_run_again",
    "dependencies_come_first",
    "every_attempt_is_out",
    "every_project_ends",
    "every_question_is_out",
    "every_result_is_there",
    "every_subtask_is_completed",
    "every_word_is_out",
    "it_ends_as_planned",
    "its_alarm_is_out",
    "nothing_goes_out_in_a_pause",
    "nothing_is_set_aside",
    "only_the_current_attempt_counts",
    "only_what_was_completed_is_kept",
    "only_what_was_dispatched_runs",
    "only_what_was_run_counts",
    "ready_work_goes_out",
    "results_reach_their_dependants",
    "something_is_out",
    "streams_can_be_folded",
    "the_audit_finds_nothing",
    "the_current_phase_is_out",
    "the_phase's_own_rules",
    "the_project's_own_rules",
    "the_queues_run_empty",
    "versions_rise_by_one",
    "what_is_over_stays_over",
    "what_was_cancelled_stays_cancelled",
];

/// What a rule says when it does not hold: its name, and where.
pub type Verdict = Result<(), (&'static str, String)>;

#[derive(Default)]
pub struct Watch {
    pub projects: BTreeMap<ProjectId, FollowedProject>,
    pub phases: BTreeMap<StreamId, FollowedPhase>,
    pub looked: BTreeMap<&'static str, u64>,
    letters: Letters,
    /// A rule that was broken while a commit was followed.
    broken: Option<(&'static str, String)>,
    /// Streams were written since the last look.
    is_new: bool,
    changes: u64,
}

impl Watch {
    /// Says that a rule was looked at, and whether it holds.
    pub fn rule(&mut self, name: &'static str, holds: bool, detail: impl FnOnce() -> String) -> Verdict {
        assert!(RULES.contains(&name), "`{name}` is not among the rules");
        *self.looked.entry(name).or_insert(0) += 1;
        if holds { Ok(()) } else { Err((name, detail())) }
    }

    /// A batch was written: `events` is the whole stream.
    pub fn committed(&mut self, sim: &Sim, stream: StreamId, expected: u64, added: usize, events: &[Raw]) {
        self.is_new = true;
        if self.broken.is_none() {
            self.broken = self.follow(sim, stream, expected, added, events).err();
        }
    }

    fn follow(&mut self, sim: &Sim, stream: StreamId, expected: u64, added: usize, events: &[Raw]) -> Verdict {
        let cursor = self.version(stream);
        let version = events.len() as u64;
        self.rule("versions_rise_by_one", cursor == expected && version == expected + added as u64, || {
            format!("{}: {added} events on {expected} made {version}, it was {cursor}", brief(stream))
        })?;
        if added == 0 {
            return Ok(());
        }
        let new = &events[usize::try_from(cursor).expect("an index")..];
        let mut verdict = Ok(());
        let folded = catch_unwind(AssertUnwindSafe(|| verdict = self.fold(sim, stream, new)));
        self.rule("streams_can_be_folded", folded.is_ok(), || {
            format!("{}: after {cursor} came {new:?}", brief(stream))
        })?;
        verdict
    }

    /// An executor begins to run a command.
    pub fn on_run(&mut self, stream: StreamId, command: &ExecuteSubtask) -> Verdict {
        let Some(mut phase) = self.phases.remove(&stream) else {
            return self.rule("only_what_was_dispatched_runs", false, || format!("{} is not known", brief(stream)));
        };
        let verdict = phase.on_run(self, stream, command);
        self.phases.insert(stream, phase);
        verdict
    }

    fn version(&self, stream: StreamId) -> u64 {
        match stream {
            StreamId::Project(project) => self.projects.get(&project).map_or(0, |project| project.version),
            StreamId::Phase(..) => self.phases.get(&stream).map_or(0, |phase| phase.state.version()),
        }
    }

    fn fold(&mut self, sim: &Sim, stream: StreamId, new: &[Raw]) -> Verdict {
        let holds = match stream {
            StreamId::Project(id) => {
                let mut followed = self.projects.remove(&id).unwrap_or_else(|| FollowedProject::new(id));
                for raw in new {
                    let event: project::Event = raw.read().expect("an event of a project");
                    followed.apply(self, stream, &event, sim)?;
                }
                let holds = followed.state.check();
                self.projects.insert(id, followed);
                holds
            }
            StreamId::Phase(..) => {
                let mut followed = self.phases.remove(&stream).unwrap_or_default();
                let had_plan = !followed.state.specs().is_empty();
                for raw in new {
                    let event: phase::Event = raw.read().expect("an event of a phase");
                    followed.apply(self, stream, &event, sim)?;
                }
                followed.check_floor(self, stream)?;
                if !had_plan && !followed.state.specs().is_empty() {
                    kept::check(self, stream, &followed.state)?;
                }
                let holds = followed.state.check();
                self.phases.insert(stream, followed);
                holds
            }
        };
        let name = match stream {
            StreamId::Project(_) => "the_project's_own_rules",
            StreamId::Phase(..) => "the_phase's_own_rules",
        };
        self.rule(name, holds.is_ok(), || format!("{}: {holds:?}", brief(stream)))
    }

    /// Looks at everything, if anything has changed.
    pub fn look(&mut self, sim: &Sim) -> Verdict {
        self.broken.clone().map_or(Ok(()), Err)?;
        let changes = sim.broker.changes();
        if !self.is_new && self.changes == changes {
            return Ok(());
        }
        (self.is_new, self.changes) = (false, changes);
        let inspection = sim.broker.inspect();
        let mut letters = std::mem::take(&mut self.letters);
        let out = Out::of(&inspection, &mut letters);
        self.letters = letters;
        for (reason, detail) in &out.dead {
            let given_up = sim.delivery_limit < 1_000 && *reason == "delivery_limit";
            self.rule("nothing_is_set_aside", given_up, || format!("{reason}: {detail}"))?;
        }
        self.rule("nothing_is_set_aside", true, String::new)?;
        everything_is_out(self, sim, &out)
    }
}
