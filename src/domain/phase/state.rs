//! A phase as a coordinator holds it: what decisions need, and no more. Who did what and when is folded from the
//! stream when somebody asks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::event::Budget;
use super::{Event, Opened, Outcome};
use crate::domain::alarm::{Alarms, CurrentAlarm};
use crate::domain::decision::{Effect, effect_id};
use crate::domain::expand::{Spec, dependants, remaining_paths, specs_of};
use crate::domain::ready::Ready;
use crate::wire::{Counts, MessageId, Status, SubtaskStatus, Timestamp};

/// The format of a stored [`Phase`]; snapshots of another are ignored.
pub const SNAPSHOT_FORMAT: u32 = 1;
/// How long after its last moment an answer may take to arrive.
const ANSWER_WITHIN_MS: u64 = 30_000;

/// The fold of a phase's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub(super) version: u64,
    pub(super) opened: Option<Opened>,
    specs: Vec<Spec>,
    /// By spec: those that depend on it, how many of them are still to be dispatched, its remaining path, and how
    /// many of its dependencies are open.
    dependants: Vec<Vec<u32>>,
    askers: Vec<u32>,
    paths: Vec<u32>,
    open: Vec<u32>,
    skills: Vec<String>,
    spec_skills: Vec<u32>,
    pub(super) subtasks: Vec<Subtask>,
    pub(super) ready: Ready,
    /// What the broker has, by ordinal.
    pub(super) flights: BTreeMap<u32, Flight>,
    /// The ordinals that a message had dispatched; some may have moved on since.
    pub(super) caused: BTreeMap<MessageId, Caused>,
    /// By skill: how many commands the broker has, and until when none is sent because it refused one.
    in_flight: Vec<u32>,
    held: Vec<Timestamp>,
    /// When each subtask that waits may go on.
    waits: BTreeMap<u32, Timestamp>,
    /// The deadlines of flights and the ends of waits, in their order.
    due: BTreeSet<(Timestamp, u32)>,
    counts: Counts,
    pub(super) alarms: Alarms,
    /// The error of the subtask that failed for good: nothing new is started.
    pub(super) failing: Option<String>,
    pub(super) ended: Option<Ended>,
    pub(super) report_refused: bool,
}

/// One subtask: a few words, because there may be a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtask {
    pub status: SubtaskStatus,
    pub spec: u32,
    /// The newest dispatch, from 1; 0 when there was none.
    pub attempt: u32,
    /// Charged failures, crashes, and attempts that were not charged.
    pub failures: u32,
    pub crashes: u32,
    pub postponed: u32,
    /// The length of its result.
    pub bytes: u32,
}

/// A command that the broker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    pub attempt: u32,
    pub cause: MessageId,
    pub not_after: Timestamp,
    pub deadline: Timestamp,
}

/// What one message had dispatched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Caused {
    /// Those that have landed since are among them still.
    pub(super) ordinals: Vec<u32>,
    live: u32,
}

/// How a phase ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub at: Timestamp,
    /// What has the report sent.
    pub cause: MessageId,
    pub status: Status,
    pub error: Option<String>,
}

impl Phase {
    /// How many events this is the fold of.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    pub fn alarm(&self) -> Option<&CurrentAlarm> {
        self.alarms.current()
    }

    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn subtask(&self, ordinal: u32) -> Option<&Subtask> {
        self.subtasks.get(ordinal as usize)
    }

    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    pub fn flights(&self) -> &BTreeMap<u32, Flight> {
        &self.flights
    }

    /// Commands of this skill that the broker has.
    pub fn in_flight(&self, skill: &str) -> u32 {
        let index = self.skills.iter().position(|other| other == skill);
        index.map_or(0, |index| self.in_flight[index])
    }

    /// The skills of its subtasks.
    pub fn skills(&self) -> &[String] {
        &self.skills
    }

    pub fn status(&self) -> Status {
        match (&self.opened, &self.ended) {
            (None, _) => Status::Idle,
            (Some(_), None) => Status::Busy,
            (Some(_), Some(ended)) => ended.status,
        }
    }

    /// The spec of a subtask that there is.
    pub fn spec(&self, ordinal: u32) -> &Spec {
        &self.specs[self.subtasks[ordinal as usize].spec as usize]
    }

    /// The id of the current command of a subtask: what an answer has to name.
    pub fn command_id(&self, ordinal: u32) -> Option<MessageId> {
        let flight = self.flights.get(&ordinal)?;
        self.id_of(flight.cause, Effect::Execute { ordinal, attempt: flight.attempt })
    }

    /// The id that an effect caused by `cause` has.
    pub fn id_of(&self, cause: MessageId, effect: Effect) -> Option<MessageId> {
        let opened = self.opened.as_ref()?;
        Some(effect_id(opened.id_namespace, cause, opened.phase, effect))
    }

    pub(super) fn report_id(&self) -> Option<MessageId> {
        self.id_of(self.ended.as_ref()?.cause, Effect::Report)
    }

    /// An open phase has its alarm out; an ended one only while its report is still to be sent.
    pub(super) fn wants_alarm(&self) -> bool {
        self.ended.is_none() || self.report_refused
    }

    /// Whether nothing will ask for this subtask's result any more, but for attempts that are made again.
    pub fn is_used_up(&self, ordinal: u32) -> bool {
        self.askers[self.subtasks[ordinal as usize].spec as usize] == 0
    }

    /// When the next wait or deadline is over.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|&(at, _)| at)
    }

    /// A subtask whose wait or deadline is over by now.
    pub(super) fn due_by(&self, now: Timestamp) -> Option<u32> {
        self.due.first().filter(|&&(at, _)| at <= now).map(|&(_, ordinal)| ordinal)
    }

    pub(super) fn skill_name(&self, skill: u32) -> &str {
        &self.skills[skill as usize]
    }

    pub(super) fn in_flight_of(&self, skill: u32) -> u32 {
        self.in_flight[skill as usize]
    }

    /// Whether the broker has just refused a command of this skill: the one that was refused will wake it.
    pub(super) fn is_held(&self, skill: u32, now: Timestamp) -> bool {
        now < self.held[skill as usize]
    }

    pub(super) fn next_attempt(&self, ordinal: u32) -> u32 {
        self.subtasks[ordinal as usize].attempt + 1
    }

    /// The status and error that the phase is to end with, once nothing of it runs and nothing will be started.
    pub(super) fn verdict(&self) -> Option<(Status, Option<String>)> {
        match &self.failing {
            Some(error) => self.flights.is_empty().then(|| (Status::Error, Some(error.clone()))),
            None => (self.counts.ended() == self.counts.total).then_some((Status::Completed, None)),
        }
    }

    /// What must hold after every event, and the last after every decision, by name; the first that does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let busy = self.subtasks.iter().filter(|subtask| subtask.status == SubtaskStatus::Busy).count();
        let flying = |(ordinal, flight): (&u32, &Flight)| {
            let subtask = &self.subtasks[*ordinal as usize];
            subtask.status == SubtaskStatus::Busy && subtask.attempt == flight.attempt
        };
        let rules = [
            (self.counts.add_up(), "counts_add_up"),
            (self.flights.len() == busy && self.flights.iter().all(flying), "no_attempt_is_current_twice"),
            (self.in_flight.iter().sum::<u32>() as usize == busy, "in_flight_is_counted"),
            (self.ready.len() == self.counts.ready, "ready_is_queued"),
            (self.due.len() == self.flights.len() + self.waits.len(), "every_attempt_has_a_deadline"),
            (self.ended.is_none() || self.flights.is_empty(), "nothing_runs_after_the_end"),
            (self.opened.is_none() || self.ended.is_some() || self.alarm().is_some(), "an_open_stream_has_an_alarm"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, name)| Err(name))
    }

    /// Moves the state on by one event.
    pub fn apply(&mut self, event: &Event) {
        self.version += 1;
        match event {
            Event::Opened(opened) => self.opened = Some(opened.clone()),
            Event::SubtasksAdded { specs } => self.specs.extend_from_slice(specs),
            Event::Planned {} => self.plan(),
            Event::Dispatched { cause, not_after, commands, .. } => {
                commands.iter().for_each(|&(ordinal, attempt)| self.dispatch(ordinal, attempt, *cause, *not_after));
            }
            Event::DispatchRefused { ordinal, again_at, .. } => {
                let skill = self.spec_skills[self.subtasks[*ordinal as usize].spec as usize];
                self.held[skill as usize] = *again_at;
                self.wait(*ordinal, *again_at);
            }
            Event::Completed { ordinal, bytes, .. } => {
                self.subtasks[*ordinal as usize].bytes = *bytes;
                self.set_status(*ordinal, SubtaskStatus::Completed);
                self.release_dependants(*ordinal);
            }
            Event::Failed { ordinal, outcome, error, kind, .. } => {
                self.fail(*ordinal, *outcome, || format!("{kind}: {error}"))
            }
            Event::WaitEnded { ordinal, .. } => self.set_status(*ordinal, SubtaskStatus::Ready),
            Event::AlarmSet { alarm, .. } => self.alarms.set(*alarm),
            Event::Ended { at, cause, status, error } => {
                let error = error.clone();
                self.ended = Some(Ended { at: *at, cause: *cause, status: *status, error });
            }
            Event::ReportRefused { .. } => self.report_refused = true,
            Event::ReportAgain { cause, .. } => {
                self.report_refused = false;
                if let Some(ended) = &mut self.ended {
                    ended.cause = *cause;
                }
            }
        }
    }

    /// The plan is complete: the graph's indexes are built, once, and what has no dependencies is ready.
    fn plan(&mut self) {
        self.dependants = dependants(&self.specs);
        self.askers = self.dependants.iter().map(|list| u32::try_from(list.len()).unwrap_or(u32::MAX)).collect();
        self.paths = remaining_paths(&self.specs, &self.dependants).unwrap_or_else(|_| vec![1; self.specs.len()]);
        self.open = self.specs.iter().map(|spec| spec.dependencies.iter().map(|span| span.count).sum()).collect();
        for spec in &self.specs {
            let known = self.skills.iter().position(|skill| *skill == spec.skill);
            let skill = known.unwrap_or_else(|| {
                self.skills.push(spec.skill.clone());
                self.skills.len() - 1
            });
            self.spec_skills.push(u32::try_from(skill).expect("fewer skills than subtasks"));
        }
        self.in_flight = vec![0; self.skills.len()];
        self.held = vec![Timestamp::default(); self.skills.len()];
        for at in 0..self.specs.len() {
            let spec = u32::try_from(at).expect("fewer specs than subtasks");
            for _ in self.specs[at].span().ordinals() {
                let status = SubtaskStatus::Idle;
                let none = Subtask { status, spec, attempt: 0, failures: 0, crashes: 0, postponed: 0, bytes: 0 };
                self.subtasks.push(none);
                self.counts.add(status);
            }
        }
        for at in 0..self.specs.len() {
            self.ready_if_free(at);
        }
    }

    fn ready_if_free(&mut self, spec: usize) {
        if self.open[spec] == 0 {
            self.specs[spec].span().ordinals().for_each(|ordinal| self.set_status(ordinal, SubtaskStatus::Ready));
        }
    }

    fn release_dependants(&mut self, ordinal: u32) {
        let spec = self.subtasks[ordinal as usize].spec as usize;
        for at in 0..self.dependants[spec].len() {
            let dependant = self.dependants[spec][at] as usize;
            self.open[dependant] -= 1;
            self.ready_if_free(dependant);
        }
    }

    fn dispatch(&mut self, ordinal: u32, attempt: u32, cause: MessageId, not_after: Timestamp) {
        let deadline = not_after.plus_ms(self.spec(ordinal).timeout_ms).plus_ms(ANSWER_WITHIN_MS);
        self.set_status(ordinal, SubtaskStatus::Busy);
        if self.subtasks[ordinal as usize].attempt == 0 {
            self.ask(ordinal);
        }
        self.subtasks[ordinal as usize].attempt = attempt;
        self.flights.insert(ordinal, Flight { attempt, cause, not_after, deadline });
        self.due.insert((deadline, ordinal));
        let caused = self.caused.entry(cause).or_default();
        caused.ordinals.push(ordinal);
        caused.live += 1;
    }

    /// When the last copy of a spec is dispatched for the first time, its dependencies have one asker less.
    fn ask(&mut self, ordinal: u32) {
        let spec = &self.specs[self.subtasks[ordinal as usize].spec as usize];
        if spec.span().ordinals().next_back() == Some(ordinal) {
            for span in &spec.dependencies {
                self.askers[specs_of(&self.specs, *span)].iter_mut().for_each(|askers| *askers -= 1);
            }
        }
    }

    fn wait(&mut self, ordinal: u32, until: Timestamp) {
        self.set_status(ordinal, SubtaskStatus::Waiting);
        self.waits.insert(ordinal, until);
        self.due.insert((until, ordinal));
        self.subtasks[ordinal as usize].postponed += 1;
    }

    fn fail(&mut self, ordinal: u32, outcome: Outcome, error: impl Fn() -> String) {
        let subtask = &mut self.subtasks[ordinal as usize];
        match outcome {
            Outcome::Again { budget: Budget::Failures } | Outcome::Exhausted { budget: Budget::Failures } => {
                subtask.failures += 1;
            }
            Outcome::Again { budget: Budget::Crashes } | Outcome::Exhausted { budget: Budget::Crashes } => {
                subtask.crashes += 1;
            }
            Outcome::Wait { .. } => {}
        }
        match outcome {
            Outcome::Again { .. } => self.set_status(ordinal, SubtaskStatus::Ready),
            Outcome::Wait { until } => self.wait(ordinal, until),
            Outcome::Exhausted { .. } => {
                self.set_status(ordinal, SubtaskStatus::Error);
                let name = self.spec(ordinal).name_of(ordinal);
                self.failing.get_or_insert_with(|| format!("subtask `{name}` failed: {}", error()));
            }
        }
    }

    /// The one place where a subtask's status changes, with every index that follows from it.
    fn set_status(&mut self, ordinal: u32, status: SubtaskStatus) {
        let Subtask { status: old, spec, attempt, .. } = self.subtasks[ordinal as usize];
        let (skill, path) = (self.spec_skills[spec as usize], self.paths[spec as usize]);
        match old {
            SubtaskStatus::Ready => self.ready.remove(skill, path, ordinal),
            SubtaskStatus::Busy => self.land(ordinal, skill),
            SubtaskStatus::Waiting => {
                if let Some(until) = self.waits.remove(&ordinal) {
                    self.due.remove(&(until, ordinal));
                }
            }
            _ => {}
        }
        match status {
            SubtaskStatus::Ready if attempt > 0 => self.ready.push_first(skill, path, ordinal),
            SubtaskStatus::Ready => self.ready.push(skill, path, ordinal),
            SubtaskStatus::Busy => self.in_flight[skill as usize] += 1,
            _ => {}
        }
        *self.counts.of(old) -= 1;
        *self.counts.of(status) += 1;
        self.subtasks[ordinal as usize].status = status;
    }

    /// The broker no longer has a current command of this subtask.
    fn land(&mut self, ordinal: u32, skill: u32) {
        self.in_flight[skill as usize] -= 1;
        if let Some(flight) = self.flights.remove(&ordinal) {
            self.due.remove(&(flight.deadline, ordinal));
            if let Some(caused) = self.caused.get_mut(&flight.cause) {
                caused.live -= 1;
                if caused.live == 0 {
                    self.caused.remove(&flight.cause);
                }
            }
        }
    }
}
