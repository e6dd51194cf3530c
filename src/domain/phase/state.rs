//! A phase as a coordinator holds it: what decisions need, and no more. Who did what and when is folded from the
//! stream when somebody asks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Opened;
use crate::domain::alarm::{Alarms, CurrentAlarm};
use crate::domain::decision::{Effect, effect_id};
use crate::domain::dossier::FailedAttempt;
use crate::domain::expand::{Spec, Terms};
use crate::domain::ready::Ready;
use crate::wire::{AgentId, Counts, FailureKind, MessageId, Policy, Status, SubtaskId, SubtaskStatus, Timestamp};

/// The format of a stored [`Phase`]; snapshots of another are ignored.
pub const SNAPSHOT_FORMAT: u32 = 7;
/// So many agents are named to be avoided.
const AVOIDED_MAX: usize = 8;

/// The fold of a phase's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub(super) version: u64,
    pub(super) opened: Option<Opened>,
    pub(super) policy: Policy,
    pub(super) specs: Vec<Spec>,
    /// By spec: those that depend on it, how many of them are still to be dispatched, its remaining path, and how
    /// many of its dependencies are open.
    pub(super) dependants: Vec<Vec<u32>>,
    pub(super) askers: Vec<u32>,
    pub(super) paths: Vec<u32>,
    pub(super) open: Vec<u32>,
    pub(super) skills: Vec<String>,
    pub(super) spec_skills: Vec<u32>,
    pub(super) spec_fallbacks: Vec<u32>,
    #[serde(with = "runs")]
    pub(super) subtasks: Vec<Subtask>,
    pub(super) ready: Ready,
    /// What the broker has, by ordinal.
    pub(super) flights: BTreeMap<u32, Flight>,
    /// Who has accepted a leased command, by ordinal, as long as it flies.
    pub(super) lessees: BTreeMap<u32, String>,
    /// The ordinals that a message had dispatched; some may have moved on since.
    pub(super) caused: BTreeMap<MessageId, Caused>,
    /// By skill: how many commands the broker has, and until when none is sent because it refused one.
    pub(super) in_flight: Vec<u32>,
    pub(super) held: Vec<Timestamp>,
    /// When each subtask that waits for a time may go on; one that waits for an answer is not among them.
    pub(super) waits: BTreeMap<u32, Timestamp>,
    /// When flights are looked at next, and the ends of waits, in their order.
    pub(super) due: BTreeSet<(Timestamp, u32)>,
    pub(super) counts: Counts,
    pub(super) alarms: Alarms,
    /// What is to become of these? The managers were asked.
    pub(super) questions: BTreeMap<u32, Question>,
    /// How attempts failed of those that have not ended, and of the first that failed for good.
    pub(super) notes: BTreeMap<u32, Vec<FailedAttempt>>,
    /// The first that failed for good, in their order, and how many there are.
    pub(super) failed: Vec<u32>,
    pub(super) failed_count: u32,
    /// Where results are that were made in another phase.
    pub(super) kept: BTreeMap<u32, SubtaskId>,
    /// What a person has cancelled, one by one, and has not wanted again since.
    pub(super) by_hand: BTreeSet<u32>,
    /// What a person does not want of a phase that has not opened, and why.
    pub(super) never_wanted: BTreeMap<u32, Option<String>>,
    /// Commands that were given up and may be run all the same.
    pub(super) unwanted: BTreeMap<MessageId, Unwanted>,
    /// Words that name no version and were heard: each means something once.
    pub(super) heard: BTreeSet<MessageId>,
    /// The version of the project that handed it over, the last time.
    pub(super) handed_over: u64,
    /// The version of the newest word of cancel, pause and resume.
    pub(super) word_version: Option<u64>,
    pub(super) paused: Option<Timestamp>,
    /// Nobody wants this phase any more.
    pub(super) cancelled: Option<Cancelled>,
    /// The error of the subtask that failed for good: nothing new is started but cleanups.
    pub(super) failing: Option<String>,
    /// Cleanups that have not ended.
    pub(super) cleanups: u32,
    /// Specs that were skipped because nothing had failed: cleanups, and what depends on those.
    pub(super) unneeded: BTreeSet<u32>,
    /// What is over since the event that is being applied: cleanups that waited for it are released at its end.
    #[serde(skip)]
    pub(super) over: Vec<u32>,
    pub(super) ended: Option<Ended>,
    pub(super) report_refused: bool,
}

/// One subtask: a few words, because there may be a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Its attempts are its fallback's now.
    pub fell_back: bool,
}

impl Subtask {
    pub(super) fn new(spec: u32, status: SubtaskStatus) -> Self {
        Self { status, spec, attempt: 0, failures: 0, crashes: 0, postponed: 0, bytes: 0, fell_back: false }
    }
}

/// Subtasks as a snapshot has them: those beside each other that are alike are written once. Of a large phase most have
/// not begun, or were completed at the first attempt.
mod runs {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Subtask;
    use crate::wire::SubtaskStatus;

    /// Status, spec, attempt, failures, crashes, postponed, bytes, whether it fell back.
    type Row = (SubtaskStatus, u32, u32, u32, u32, u32, u32, bool);

    pub fn serialize<S: Serializer>(subtasks: &[Subtask], serializer: S) -> Result<S::Ok, S::Error> {
        let row = |of: &Subtask| -> Row {
            (of.status, of.spec, of.attempt, of.failures, of.crashes, of.postponed, of.bytes, of.fell_back)
        };
        let runs = subtasks.chunk_by(|one, other| one == other);
        serializer.collect_seq(runs.map(|run| (run.len(), row(&run[0]))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Subtask>, D::Error> {
        let runs = Vec::<(usize, Row)>::deserialize(deserializer)?;
        let mut subtasks = Vec::with_capacity(runs.iter().map(|(count, _)| count).sum());
        for (count, (status, spec, attempt, failures, crashes, postponed, bytes, fell_back)) in runs {
            let of = Subtask { status, spec, attempt, failures, crashes, postponed, bytes, fell_back };
            subtasks.extend(std::iter::repeat_n(of, count));
        }
        Ok(subtasks)
    }
}

/// A command that the broker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    pub attempt: u32,
    pub cause: MessageId,
    pub not_after: Timestamp,
    /// The last moment for an answer.
    pub deadline: Timestamp,
    /// When it is to be seen whether it has begun, where its wait is bounded and that is not known yet.
    pub begin_by: Option<Timestamp>,
    /// Until when its executor counts as alive, where it has told us that it has it.
    pub lease: Option<Timestamp>,
}

impl Flight {
    /// When it is to be looked at next.
    pub fn due(&self) -> Timestamp {
        self.lease.or(self.begin_by).map_or(self.deadline, |at| at.min(self.deadline))
    }
}

/// A question to the managers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub cause: MessageId,
    pub attempt: u32,
    /// The phase's version when it was asked, the last time.
    pub version: u64,
}

/// A command that is not wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwanted {
    pub ordinal: u32,
    /// From then on nobody runs it any more.
    pub until: Timestamp,
}

/// That nobody wants a phase any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    pub reason: Option<String>,
}

/// What one message had dispatched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Caused {
    /// Those that have landed since are among them still.
    pub(super) ordinals: Vec<u32>,
    pub(super) live: u32,
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
            (Some(_), None) if self.paused.is_some() => Status::Paused,
            (Some(_), None) if !self.questions.is_empty() && self.flights.is_empty() => Status::Waiting,
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

    /// An open phase has its alarm out; an ended one only while its report is still to be sent, or executors are
    /// still to be told of what is not wanted any more.
    pub(super) fn wants_alarm(&self) -> bool {
        self.opened.is_some() && (self.ended.is_none() || self.report_refused || !self.unwanted.is_empty())
    }

    /// The id of the question about a subtask: that of the message that asks it.
    pub fn question_id(&self, ordinal: u32) -> Option<MessageId> {
        let question = self.questions.get(&ordinal)?;
        self.id_of(question.cause, Effect::Ask { ordinal, attempt: question.attempt })
    }

    pub fn questions(&self) -> &BTreeMap<u32, Question> {
        &self.questions
    }

    /// The terms of the next attempt of a subtask, or of the current one.
    pub fn terms(&self, ordinal: u32) -> Terms<'_> {
        self.spec(ordinal).terms(self.subtasks[ordinal as usize].fell_back)
    }

    /// The skill of its next attempt, or the current one, where that is not its own: its fallback's.
    pub fn other_skill(&self, ordinal: u32) -> Option<&str> {
        Some(self.terms(ordinal).skill).filter(|skill| *skill != self.spec(ordinal).skill)
    }

    /// When a subtask that waits for a time may go on.
    pub fn waits_until(&self, ordinal: u32) -> Option<Timestamp> {
        self.waits.get(&ordinal).copied()
    }

    /// Where the result of a subtask is that was made in another phase.
    pub fn kept_from(&self, ordinal: u32) -> Option<SubtaskId> {
        self.kept.get(&ordinal).copied()
    }

    /// Commands that were given up and may be run all the same.
    pub fn unwanted(&self) -> &BTreeMap<MessageId, Unwanted> {
        &self.unwanted
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_some()
    }

    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether a person has cancelled this subtask, and has not said since that it is to be tried again.
    pub fn is_cancelled_by_hand(&self, ordinal: u32) -> bool {
        self.by_hand.contains(&ordinal)
    }

    /// Whether a subtask of it has failed for good, so that nothing new is started but cleanups.
    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// Whether it was skipped because nothing had failed that it was to run after.
    pub fn is_unneeded(&self, ordinal: u32) -> bool {
        self.unneeded.contains(&self.subtasks[ordinal as usize].spec)
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Agents that failed at a subtask, and should leave it to others: the newest.
    pub fn avoided(&self, ordinal: u32) -> Vec<AgentId> {
        let mut avoided: Vec<AgentId> = Vec::new();
        for note in self.notes.get(&ordinal).into_iter().flatten().rev() {
            let is_theirs = note.avoid || !matches!(note.kind, FailureKind::Released | FailureKind::Cancelled);
            let agent = note.agent_id.as_deref().filter(|_| is_theirs).and_then(|agent| AgentId::new(agent).ok());
            if let Some(agent) = agent.filter(|agent| avoided.len() < AVOIDED_MAX && !avoided.contains(agent)) {
                avoided.push(agent);
            }
        }
        avoided
    }

    /// Whether nothing will ask for this subtask's result any more, but for attempts that are made again.
    pub fn is_used_up(&self, ordinal: u32) -> bool {
        self.askers[self.subtasks[ordinal as usize].spec as usize] == 0
    }

    /// When the next wait is over or flight is to be looked at. While the phase is paused waits stand still.
    pub(super) fn next_due(&self, after: Timestamp) -> Option<Timestamp> {
        match self.paused {
            None => self.due.range((after, u32::MAX)..).next().map(|&(at, _)| at),
            Some(_) => self.flights.values().map(Flight::due).filter(|&due| due > after).min(),
        }
    }

    /// What is due by now, in its order.
    pub(super) fn due_by(&self, now: Timestamp) -> Vec<u32> {
        let due = self.due.iter().take_while(|&&(at, _)| at <= now).map(|&(_, ordinal)| ordinal);
        due.filter(|ordinal| self.paused.is_none() || self.flights.contains_key(ordinal)).collect()
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
            Some(error) => {
                (self.flights.is_empty() && self.cleanups == 0).then(|| (Status::Error, Some(error.clone())))
            }
            None => (self.counts.ended() == self.counts.total).then_some((Status::Completed, None)),
        }
    }

    fn is_waiting(&self, ordinal: u32) -> bool {
        self.subtask(ordinal).is_some_and(|subtask| subtask.status == SubtaskStatus::Waiting)
    }

    /// What must hold after every event, and the last after every decision, by name; the first that does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let busy = self.subtasks.iter().filter(|subtask| subtask.status == SubtaskStatus::Busy).count();
        let flying = |(ordinal, flight): (&u32, &Flight)| {
            let subtask = &self.subtasks[*ordinal as usize];
            subtask.status == SubtaskStatus::Busy && subtask.attempt == flight.attempt
        };
        let cleanups = (0..).zip(&self.subtasks).filter(|(_, subtask)| !subtask.status.is_ended());
        let cleanups = cleanups.filter(|&(ordinal, _)| self.spec(ordinal).is_cleanup()).count();
        let rules = [
            (self.counts.add_up(), "counts_add_up"),
            (self.cleanups as usize == cleanups && self.over.is_empty(), "cleanups_are_counted"),
            (self.flights.len() == busy && self.flights.iter().all(flying), "no_attempt_is_current_twice"),
            (self.in_flight.iter().sum::<u32>() as usize == busy, "in_flight_is_counted"),
            (self.ready.len() == self.counts.ready, "ready_is_queued"),
            (self.due.len() == self.flights.len() + self.waits.len(), "every_attempt_has_a_deadline"),
            (self.ended.is_none() || self.flights.is_empty(), "nothing_runs_after_the_end"),
            (self.questions.keys().all(|&ordinal| self.is_waiting(ordinal)), "a_question_is_about_what_waits"),
            (self.waits.keys().all(|&ordinal| self.is_waiting(ordinal)), "what_waits_is_waiting"),
            (!self.wants_alarm() || self.alarm().is_some(), "an_open_stream_has_an_alarm"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, name)| Err(name))
    }
}
