//! A project as a manager sees it: the fold of its stream. How events move it on is in `apply`.

use std::collections::{BTreeMap, BTreeSet};

use super::Accepted;
use super::questions::Open;
use super::words::Told;
use crate::domain::alarm::{Alarms, CurrentAlarm};
use crate::domain::decision::{Effect, effect_id};
use crate::wire::content::{Former, LeftOut};
use crate::wire::{Counts, GoalPlan, MessageId, Policy, ProjectId, Status, SubtaskId, Timestamp};

/// So many subtasks that are not wanted a start names, and so many bytes of reasons beside them: what is longer stands in
/// the project's own stream. With [`START_ROOM`](crate::domain::check::START_ROOM) they fit into its message.
const LEFT_OUT_MAX: usize = 1_500;
const REASONS_BYTES_MAX: usize = 8 * 1024;
/// So many phases are looked back at, one after the other, for one that had a plan.
const BEFORE_MAX: usize = 100;

/// The fold of a project's stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Project {
    pub(super) id: Option<ProjectId>,
    pub(super) version: u64,
    pub(super) accepted: Option<Accepted>,
    pub(super) run: u32,
    /// Who is told of the end of this run.
    pub(super) requester: String,
    pub(super) goals: Vec<GoalPlan>,
    /// The latest of each priority, in their order.
    pub(super) phases: Vec<PhaseState>,
    /// Those whose place another has taken.
    pub(super) superseded: Vec<PhaseState>,
    /// The number of the phase that the coordinators have.
    pub(super) current: Option<u32>,
    pub(super) alarms: Alarms,
    /// When a start that was refused is to be tried again.
    pub(super) refused_until: Option<Timestamp>,
    pub(super) cancel: Option<CancelAsked>,
    pub(super) paused_at: Option<Timestamp>,
    /// When its last pause was over.
    pub(super) resumed_at: Option<Timestamp>,
    pub(super) deadline: Option<Timestamp>,
    /// What phases were told and may not have heard, by number.
    pub(super) told: BTreeMap<u32, Told>,
    pub(super) told_last: u32,
    /// What a person does not want: also of phases that have begun, for the sake of the ones that may take their places.
    pub(super) unwanted: BTreeMap<SubtaskId, Unwanted>,
    /// The questions of the current phase, or about the one that was given up.
    pub(super) questions: BTreeMap<MessageId, Open>,
    /// Words that were heard: each means something once.
    pub(super) heard: BTreeSet<MessageId>,
    /// How often phases of this run were planned anew.
    pub(super) replans: u32,
    pub(super) ended: Option<Ended>,
}

/// A phase as its project knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseState {
    /// From 1.
    pub number: u32,
    pub priority: u32,
    pub status: Status,
    pub counts: Counts,
    pub error: Option<String>,
    /// The run in which it was reported, or given up; 0 before.
    pub reported_in: u32,
    /// It was given up, and the project went on without it.
    pub is_skipped: bool,
    /// Whose place it takes.
    pub former: Option<Former>,
    /// Dealt when it is first started.
    pub partition: Option<u32>,
    /// The message that had it started, the last time.
    pub started_by: Option<MessageId>,
    /// When it was first handed over to the coordinators, and when the last time.
    pub started_at: Timestamp,
    pub handed_over_at: Timestamp,
    /// The project's version when it was started, the last time.
    pub started_version: u64,
}

impl PhaseState {
    pub(super) fn new(number: u32, priority: u32, former: Option<Former>) -> Self {
        Self {
            number,
            priority,
            status: Status::Idle,
            counts: Counts::default(),
            error: None,
            reported_in: 0,
            is_skipped: false,
            former,
            partition: None,
            started_by: None,
            started_at: Timestamp::default(),
            handed_over_at: Timestamp::default(),
            started_version: 0,
        }
    }

    /// Nobody has begun it.
    pub(super) fn is_to_come(&self) -> bool {
        self.started_by.is_none() && !self.is_skipped
    }

    /// The project has no more to wait for here.
    pub(super) fn is_done(&self) -> bool {
        self.is_skipped || self.status == Status::Completed
    }
}

/// That a person has cancelled a subtask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwanted {
    /// Empty: he did not say why.
    pub reason: String,
    /// The phases that he said it of first and last: the subtask's own, or ones whose places that has taken.
    pub said_of: u32,
    pub said_last: u32,
}

/// How a project is to end before it is done.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelAsked {
    pub status: Status,
    pub reason: String,
}

/// How a project ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub at: Timestamp,
    pub status: Status,
    pub error: Option<String>,
}

impl Project {
    /// A project of which nothing is known yet.
    pub fn new(id: ProjectId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }

    pub(super) fn id_or_nil(&self) -> ProjectId {
        self.id.unwrap_or(ProjectId(uuid::Uuid::nil()))
    }

    /// How many events this is the fold of.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_ref()
    }

    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    pub fn is_open(&self) -> bool {
        self.accepted.is_some() && self.ended.is_none()
    }

    pub fn alarm(&self) -> Option<&CurrentAlarm> {
        self.alarms.current()
    }

    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// From 1; 0 when nobody has accepted it.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// Who is told of the end of this run.
    pub fn requester(&self) -> &str {
        &self.requester
    }

    /// The latest phase of each priority, in their order.
    pub fn phases(&self) -> &[PhaseState] {
        &self.phases
    }

    /// Phases whose place another has taken.
    pub fn superseded(&self) -> &[PhaseState] {
        &self.superseded
    }

    /// A phase by its number, also one whose place another has taken.
    pub fn phase(&self, number: u32) -> Option<&PhaseState> {
        self.phases.iter().chain(&self.superseded).find(|phase| phase.number == number)
    }

    /// The phase that the coordinators have.
    pub fn current(&self) -> Option<&PhaseState> {
        let number = self.current?;
        self.phases.iter().find(|phase| phase.number == number)
    }

    /// The goals of a phase, in the plan's order.
    pub fn goals_of(&self, phase: &PhaseState) -> impl Iterator<Item = &GoalPlan> {
        let priority = phase.priority;
        self.goals.iter().filter(move |goal| goal.priority == priority)
    }

    /// What was reported of a phase; before anything was, what the plan has of it.
    pub fn known_counts(&self, phase: &PhaseState) -> Counts {
        let subtasks = self.goals_of(phase).flat_map(|goal| goal.subtasks.iter().flatten());
        let planned = subtasks.fold(0, |sum: u32, subtask| sum.saturating_add(subtask.copies()));
        match phase.counts.total {
            0 => Counts { total: planned, idle: planned, ..Counts::default() },
            _ => phase.counts,
        }
    }

    pub fn status(&self) -> Status {
        match (&self.accepted, &self.ended) {
            (None, _) => Status::Idle,
            (Some(_), Some(ended)) => ended.status,
            (Some(_), None) if self.cancel.is_some() => Status::Busy,
            (Some(_), None) if self.paused_at.is_some() => Status::Paused,
            (Some(_), None) if self.open_questions().next().is_some() => Status::Waiting,
            (Some(_), None) => Status::Busy,
        }
    }

    pub fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// Somebody said that it is to end, and its phase has not answered yet.
    pub fn cancel(&self) -> Option<&CancelAsked> {
        self.cancel.as_ref()
    }

    /// The questions that are asked, and that nobody has answered.
    pub fn open_questions(&self) -> impl Iterator<Item = (MessageId, &Open)> {
        let open = self.questions.iter().filter(|(_, open)| open.answer.is_none() && !open.is_over);
        open.map(|(&id, open)| (id, open))
    }

    /// What the current phase was told, and may not have heard.
    pub fn told(&self) -> &BTreeMap<u32, Told> {
        &self.told
    }

    /// The subtasks of a phase that a person does not want, and why: what the phase makes of it stands in its own
    /// stream.
    pub fn unwanted_in(&self, phase: u32) -> impl Iterator<Item = (SubtaskId, &Unwanted)> {
        let of_phase = SubtaskId { phase, ordinal: 0 }..=SubtaskId { phase, ordinal: u32::MAX };
        self.unwanted.range(of_phase).map(|(&id, unwanted)| (id, unwanted))
    }

    /// Whose places the phase that `former` names has taken, the newest first.
    pub fn before(&self, former: Option<Former>) -> Vec<Former> {
        let older = |former: &Former| self.phase(former.phase)?.former;
        std::iter::successors(former, older).skip(1).take(BEFORE_MAX).collect()
    }

    /// What a phase is handed over without, as far as its start has room for it; the [rest](Self::too_much_for_a_start) it
    /// is told.
    pub fn left_out(&self, phase: u32) -> Vec<LeftOut> {
        let mut room = REASONS_BYTES_MAX;
        let left_out = self.unwanted_in(phase).take(LEFT_OUT_MAX).map(|(id, unwanted)| {
            let Unwanted { reason, said_of, said_last } = unwanted;
            let (said_of, said_last) = (*said_of, *said_last);
            let is_told = !reason.is_empty() && reason.len() <= room;
            room -= if is_told { reason.len() } else { 0 };
            LeftOut { ordinal: id.ordinal, said_of, said_last, reason: is_told.then(|| reason.clone()) }
        });
        left_out.collect()
    }

    /// What a person does not want of a phase beyond what its start has room for, and why.
    pub(super) fn too_much_for_a_start(&self, phase: u32) -> impl Iterator<Item = (SubtaskId, &str)> {
        self.unwanted_in(phase).skip(LEFT_OUT_MAX).map(|(id, unwanted)| (id, unwanted.reason.as_str()))
    }

    /// Whether this word was heard.
    pub fn has_heard(&self, word: MessageId) -> bool {
        self.heard.contains(&word)
    }

    /// What is to become of it when something fails. It was checked when the project was accepted.
    pub fn policy(&self) -> Policy {
        self.accepted.as_ref().and_then(|accepted| Policy::read(&accepted.policy).ok()).unwrap_or_default()
    }

    /// What the latest phases that ended have reported, added up.
    pub fn counts(&self) -> Counts {
        self.phases.iter().fold(Counts::default(), |sum, phase| sum.plus(&phase.counts))
    }

    /// The id that an effect caused by `cause` has.
    pub fn id_of(&self, cause: MessageId, effect: Effect) -> Option<MessageId> {
        Some(effect_id(self.accepted.as_ref()?.id_namespace, cause, 0, effect))
    }

    pub(super) fn start_id(&self, phase: u32) -> Option<MessageId> {
        let current = self.current().filter(|current| current.number == phase)?;
        self.id_of(current.started_by?, Effect::StartPhase { phase })
    }

    pub(super) fn tell_id(&self, number: u32) -> Option<MessageId> {
        self.id_of(self.told.get(&number)?.cause, Effect::Tell { number })
    }

    /// What must hold after every decision, by name; the first that does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_open = self.is_open();
        let all = || self.phases.iter().chain(&self.superseded);
        let out = all().filter(|phase| phase.status == Status::Busy).count();
        // Between two phases it stands only when somebody has to say something first.
        let may_stand = self.cancel.is_none()
            && (self.is_paused() || self.open_questions().any(|(_, open)| open.subtask.is_none()));
        let is_current = |told: &Told| Some(told.phase) == self.current || told.is_farewell;
        let numbers: BTreeSet<u32> = all().map(|phase| phase.number).collect();
        let asked: Vec<SubtaskId> =
            self.open_questions().filter_map(|(_, open)| Some(open.subtask.as_ref()?.id)).collect();
        let rules = [
            (self.counts().add_up(), "counts_add_up"),
            (out <= 1 && (out == 1) == self.current.is_some(), "at_most_one_phase_is_out"),
            (!is_open || out == 1 || may_stand, "an_open_project_has_a_phase_out_or_waits_for_a_person"),
            (is_open || out == 0, "an_ended_project_has_no_phase_out"),
            (!is_open || self.alarm().is_some(), "an_open_stream_has_an_alarm"),
            (self.told.values().all(is_current), "only_the_current_phase_is_told"),
            (self.ended.is_none() || self.open_questions().next().is_none(), "an_ended_project_asks_nothing"),
            (asked.iter().collect::<BTreeSet<_>>().len() == asked.len(), "a_subtask_is_asked_about_once"),
            (numbers.len() == all().count(), "no_two_phases_have_one_number"),
            (self.superseded.iter().all(|phase| phase.status != Status::Busy), "what_is_superseded_is_not_out"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, name)| Err(name))
    }
}
