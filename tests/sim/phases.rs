//! A phase's stream as it is followed: what the machine itself does not remember, because it trusts itself.

use std::collections::{BTreeMap, BTreeSet};

use trireme::domain::audit::{
    an_attempt_is_current_once, cleanups_end_before_their_phase, is_over, only_the_current_attempt_counts,
};
use trireme::domain::phase::{Answered, Dependants, Event, Outcome, Phase, Then};
use trireme::wire::content::ExecuteSubtask;
use trireme::wire::{StreamId, SubtaskId, Timestamp};

use crate::kept;
use crate::sights::Sight;
use crate::sim::Sim;
use crate::store::brief;
use crate::watch::{Verdict, Watch};

#[derive(Default)]
pub struct FollowedPhase {
    pub state: Phase,
    /// Ordinal and attempt of what an executor has begun.
    runs: BTreeSet<(u32, u32)>,
    /// Until when nothing may go out, because a queue has just refused a command.
    held_until: Timestamp,
    /// Those with a recorded outcome: completed, failed for good, or passed over.
    outcomes: BTreeSet<u32>,
    completed: BTreeSet<u32>,
    /// Those without a result whose dependants run all the same.
    passed_over: BTreeSet<u32>,
    /// A command came back so often that the broker gave it up: an innocent subtask may fail by it.
    pub gave_up: bool,
    /// Its report could not be sent, and its alarm is to try again.
    pub report_waits: bool,
    /// A person has cancelled some subtask of it.
    pub was_cancelled_by_hand: bool,
    /// Something failed for good, and the phase with it.
    is_failing: bool,
    /// When the last decision was made after which ready work has to be out.
    settled_at: Option<Timestamp>,
}

impl FollowedPhase {
    pub fn is_open(&self) -> bool {
        self.state.opened().is_some() && self.state.ended().is_none()
    }

    /// It still wants its alarm: it is open, or executors are to be told of what is not wanted any more.
    pub fn is_awake(&self) -> bool {
        self.is_open() || self.state.ended().is_some() && !self.state.unwanted().is_empty()
    }

    pub fn apply(&mut self, watch: &mut Watch, stream: StreamId, event: &Event, sim: &Sim) -> Verdict {
        self.settled_at = settled_at(event).or(self.settled_at);
        let mut is_end = false;
        match event {
            Event::Dispatched { commands, .. } => {
                for &(ordinal, attempt) in commands {
                    self.on_dispatched(watch, stream, ordinal, attempt, sim)?;
                }
            }
            Event::Completed { ordinal, attempt, .. } => {
                let has_run = self.runs.contains(&(*ordinal, *attempt));
                watch.rule("only_what_was_run_counts", has_run, || {
                    format!("{} ordinal {ordinal} attempt {attempt} is completed, and nobody ran it", brief(stream))
                })?;
                self.completed.insert(*ordinal);
                self.on_outcome(watch, stream, *ordinal, *attempt, true)?;
            }
            Event::Failed { ordinal, attempt, outcome, agent, error, .. } => {
                if agent.is_none() && error.contains("gave the command up") {
                    sim.see(Sight::CommandGivenUp);
                }
                // Nobody says of itself that it failed, or somebody of those who had it before: an innocent subtask was
                // charged for it.
                let is_hearsay = agent.is_none() || error.contains("after it had come back");
                self.gave_up |= is_hearsay && !matches!(outcome, Outcome::Wait { .. });
                sim.see(match outcome {
                    Outcome::Wait { .. } => Sight::AttemptPostponed,
                    Outcome::Again { .. } | Outcome::Retry { .. } => Sight::AttemptFailed,
                    Outcome::FallBack { .. } => Sight::FellBack,
                    Outcome::Exhausted { .. } | Outcome::PassOver { .. } | Outcome::Ask { .. } => Sight::AttemptsUsedUp,
                });
                match outcome {
                    Outcome::PassOver { dependants, .. } => {
                        sim.see(Sight::PassedOver);
                        self.passed_over.extend((*dependants == Dependants::Run).then_some(*ordinal));
                    }
                    Outcome::Exhausted { .. } => self.is_failing = true,
                    _ => {}
                }
                if error.contains("its executor was not heard of") {
                    sim.see(Sight::LeaseOver);
                }
                let is_last = matches!(outcome, Outcome::Exhausted { .. } | Outcome::PassOver { .. });
                self.on_outcome(watch, stream, *ordinal, *attempt, is_last)?;
            }
            Event::DispatchRefused { again_at, .. } => {
                self.held_until = self.held_until.max(*again_at);
                sim.see(Sight::PublishRefused);
            }
            Event::ReportRefused { .. } => {
                self.report_waits = true;
                sim.see(Sight::PublishRefused);
            }
            Event::ReportAgain { .. } => self.report_waits = false,
            Event::Withdrawn { .. } => sim.see(Sight::AttemptWithdrawn),
            Event::Accepted { .. } => sim.see(Sight::Leased),
            Event::RunningCancelled { .. } => {
                let running = self.state.flights().keys().copied();
                self.outcomes.extend(running.filter(|&ordinal| !self.state.spec(ordinal).is_cleanup()));
                sim.see(Sight::CancelledRunning);
            }
            Event::SubtaskUnwanted { .. } => sim.see(Sight::EarlyWord),
            Event::SubtaskCancelled { cause, ordinal, then, .. } => {
                if self.state.opened().is_some_and(|opened| opened.cause == *cause) {
                    sim.see(Sight::NeverWanted);
                }
                self.was_cancelled_by_hand = true;
                self.is_failing |= *then == Then::Fail;
                self.passed_over.extend((*then == Then::Run).then_some(*ordinal));
                self.on_word(watch, stream, *ordinal, *then != Then::Ask)?;
            }
            Event::Decided { ordinal, answer, .. } => {
                self.is_failing |= *answer == Answered::Fail;
                self.on_word(watch, stream, *ordinal, *answer != Answered::Retry)?;
            }
            Event::Cancelled { .. } | Event::Paused { .. } if self.state.opened().is_none() => {
                sim.see(Sight::EarlyWord);
            }
            Event::Ended { status, .. } => {
                watch.rule("a_phase_ends_once", self.state.ended().is_none(), || {
                    format!("{} ends in {status}, and has ended before", brief(stream))
                })?;
                is_end = true;
            }
            Event::Kept { subtasks, .. } => {
                sim.see(Sight::Kept);
                self.completed.extend(subtasks.iter().map(|kept| kept.ordinal));
                self.outcomes.extend(subtasks.iter().map(|kept| kept.ordinal));
            }
            _ => {}
        }
        self.state.apply(event);
        let open = cleanups_end_before_their_phase(&self.state);
        watch.rule("cleanups_end_before_their_phase", !is_end || open.is_ok(), || {
            format!("{} has ended before its cleanup {open:?}", brief(stream))
        })
    }

    fn on_dispatched(&mut self, watch: &mut Watch, stream: StreamId, ordinal: u32, attempt: u32, sim: &Sim) -> Verdict {
        let is_free = an_attempt_is_current_once(&self.state, ordinal, attempt);
        watch.rule("an_attempt_is_current_once", is_free, || {
            format!("{} ordinal {ordinal}: attempt {attempt} after {:?}", brief(stream), self.state.subtask(ordinal))
        })?;
        watch.rule("an_outcome_is_final", !self.outcomes.contains(&ordinal), || {
            format!("{} ordinal {ordinal} goes out after its outcome", brief(stream))
        })?;
        let is_cleanup = self.state.spec(ordinal).is_cleanup();
        let is_late = self.is_failing && !is_cleanup || self.state.is_cancelled() || !self.is_open();
        watch.rule("what_is_over_stays_over", !is_late, || {
            format!("{} ordinal {ordinal} goes out after the end of its phase", brief(stream))
        })?;
        watch.rule("nothing_goes_out_in_a_pause", !self.state.is_paused(), || {
            format!("{} ordinal {ordinal} goes out while its phase is paused", brief(stream))
        })?;
        let is_unwanted = self.is_unwanted(watch, stream, ordinal);
        watch.rule("what_was_cancelled_stays_cancelled", !is_unwanted, || {
            format!("{} ordinal {ordinal} goes out, and was cancelled before its phase began", brief(stream))
        })?;
        let is_open = |other: &u32| match is_cleanup {
            true => !is_over(&self.state, *other),
            false => !self.completed.contains(other) && !self.passed_over.contains(other),
        };
        let missing = self.dependencies(ordinal).into_iter().find(is_open);
        if is_cleanup {
            sim.see(if self.is_failing { Sight::CleanedUp } else { Sight::RunAnyway });
        }
        watch.rule("dependencies_come_first", missing.is_none(), || {
            format!("{} ordinal {ordinal} goes out before {missing:?} is completed", brief(stream))
        })
    }

    fn is_unwanted(&self, watch: &Watch, stream: StreamId, ordinal: u32) -> bool {
        let (StreamId::Phase(id, phase), Some(opened)) = (stream, self.state.opened()) else { return false };
        let name = self.state.spec(ordinal).name_of(ordinal);
        let is_unwanted =
            watch.projects.get(&id).is_some_and(|project| project.is_unwanted(phase, opened.priority, &name));
        is_unwanted && !kept::was_too_late(watch, stream, SubtaskId { phase, ordinal }, &name)
    }

    fn on_outcome(
        &mut self,
        watch: &mut Watch,
        stream: StreamId,
        ordinal: u32,
        attempt: u32,
        is_final: bool,
    ) -> Verdict {
        let is_first = !self.outcomes.contains(&ordinal);
        watch.rule("an_outcome_is_recorded_once", is_first, || {
            format!("{} ordinal {ordinal} attempt {attempt}: a second outcome", brief(stream))
        })?;
        let is_current = only_the_current_attempt_counts(&self.state, ordinal, attempt);
        watch.rule("only_the_current_attempt_counts", is_current, || {
            let flight = self.state.flights().get(&ordinal).map(|flight| flight.attempt);
            format!("{} ordinal {ordinal}: attempt {attempt} is recorded while {flight:?} is out", brief(stream))
        })?;
        if is_final {
            self.outcomes.insert(ordinal);
        }
        Ok(())
    }

    /// A person has said what becomes of a subtask.
    fn on_word(&mut self, watch: &mut Watch, stream: StreamId, ordinal: u32, is_final: bool) -> Verdict {
        let is_first = !self.outcomes.contains(&ordinal);
        watch.rule("an_outcome_is_recorded_once", is_first, || {
            format!("{} ordinal {ordinal}: a word about it after its outcome", brief(stream))
        })?;
        self.outcomes.extend(is_final.then_some(ordinal));
        Ok(())
    }

    fn dependencies(&self, ordinal: u32) -> Vec<u32> {
        self.state.spec(ordinal).dependencies.iter().flat_map(|span| span.ordinals()).collect()
    }

    /// After a decision: where work is ready, some is out. Decisions hold at the moment that they were made at, and
    /// may be committed much later.
    pub fn check_floor(&mut self, watch: &mut Watch, stream: StreamId) -> Verdict {
        let Some(now) = self.settled_at.take() else { return Ok(()) };
        let is_still = !self.is_open() || self.state.is_paused();
        let is_out = is_still || self.state.counts().ready == 0 || !self.state.flights().is_empty();
        watch.rule("ready_work_goes_out", is_out || now < self.held_until, || {
            format!("{} has work that is ready, and nothing out: {:?}", brief(stream), self.state.counts())
        })
    }

    /// An executor begins to run a command.
    pub fn on_run(&mut self, watch: &mut Watch, stream: StreamId, command: &ExecuteSubtask) -> Verdict {
        let (ordinal, attempt) = (command.subtask_id.ordinal, command.attempt);
        self.runs.insert((ordinal, attempt));
        let newest = self.state.subtask(ordinal).map_or(0, |subtask| subtask.attempt);
        watch.rule("only_what_was_dispatched_runs", (1..=newest).contains(&attempt), || {
            format!("{} ordinal {ordinal} runs as attempt {attempt}, the newest is {newest}", brief(stream))
        })?;
        let deps: BTreeMap<String, Option<String>> = command.deps.read().unwrap_or_default();
        let needed = self.dependencies(ordinal).into_iter().map(|other| {
            let name = self.state.spec(other).name_of(other);
            (name.clone(), self.completed.contains(&other).then_some(name))
        });
        let needed: BTreeMap<_, _> = needed.collect();
        watch.rule("results_reach_their_dependants", deps == needed, || {
            format!("{} ordinal {ordinal} needs {needed:?} and got {:?}", brief(stream), command.deps)
        })
    }
}

/// When a decision was made that hands out what is ready. Others only take note: an alarm goes with the former too.
fn settled_at(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Dispatched { at, .. }
        | Event::DispatchRefused { at, .. }
        | Event::Completed { at, .. }
        | Event::Failed { at, .. }
        | Event::WaitEnded { at, .. }
        | Event::Withdrawn { at, .. }
        | Event::AskRefused { at, .. }
        | Event::SubtaskCancelled { at, .. }
        | Event::Decided { at, .. }
        | Event::Resumed { at, .. }
        | Event::AlarmSet { at, .. } => Some(*at),
        _ => None,
    }
}
