//! A project as a manager sees it: the fold of its stream.

use super::{Accepted, Event};
use crate::domain::alarm::{Alarms, CurrentAlarm};
use crate::domain::decision::{Effect, effect_id};
use crate::wire::{Counts, GoalPlan, MessageId, ProjectId, Status, Timestamp};

/// The fold of a project's stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Project {
    id: Option<ProjectId>,
    version: u64,
    pub(super) accepted: Option<Accepted>,
    goals: Vec<GoalPlan>,
    /// One for each priority, in their order.
    phases: Vec<PhaseState>,
    current: Option<usize>,
    pub(super) alarms: Alarms,
    refused_until: Option<Timestamp>,
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
    /// Dealt when it is first started.
    pub partition: Option<u32>,
    /// The message that had it started, the last time.
    pub started_by: Option<MessageId>,
    /// The project's version when it was started, the last time.
    pub started_version: u64,
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

    pub fn alarm(&self) -> Option<&CurrentAlarm> {
        self.alarms.current()
    }

    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    pub fn run(&self) -> u32 {
        self.accepted.as_ref().map_or(0, |accepted| accepted.run)
    }

    pub fn phases(&self) -> &[PhaseState] {
        &self.phases
    }

    pub fn phase(&self, number: u32) -> Option<&PhaseState> {
        self.phases.iter().find(|phase| phase.number == number)
    }

    /// The phase that the coordinators have.
    pub fn current(&self) -> Option<&PhaseState> {
        self.phases.get(self.current?)
    }

    /// The goals of a phase, in the plan's order.
    pub fn goals_of(&self, phase: &PhaseState) -> impl Iterator<Item = &GoalPlan> {
        let priority = phase.priority;
        self.goals.iter().filter(move |goal| goal.priority == priority)
    }

    pub fn status(&self) -> Status {
        match (&self.accepted, &self.ended) {
            (None, _) => Status::Idle,
            (Some(_), None) => Status::Busy,
            (Some(_), Some(ended)) => ended.status,
        }
    }

    /// What the phases that ended have reported, added up.
    pub fn counts(&self) -> Counts {
        self.phases.iter().fold(Counts::default(), |sum, phase| sum.plus(&phase.counts))
    }

    /// When a start that was refused is to be tried again.
    pub(super) fn refused_until(&self) -> Option<Timestamp> {
        self.refused_until
    }

    /// The id that an effect caused by `cause` has.
    pub fn id_of(&self, cause: MessageId, effect: Effect) -> Option<MessageId> {
        Some(effect_id(self.accepted.as_ref()?.id_namespace, cause, 0, effect))
    }

    pub(super) fn start_id(&self, phase: u32) -> Option<MessageId> {
        let current = self.current().filter(|current| current.number == phase)?;
        self.id_of(current.started_by?, Effect::StartPhase { phase })
    }

    /// Moves the state on by one event.
    pub fn apply(&mut self, event: &Event) {
        self.version += 1;
        match event {
            Event::Accepted(accepted) => self.accepted = Some(accepted.clone()),
            Event::GoalPlanned { goal } => {
                self.goals.push(goal.clone());
                self.add_phase(goal.priority);
            }
            Event::PhaseStarted { cause, phase, partition, .. } => {
                self.current = self.phases.iter().position(|other| other.number == *phase);
                self.refused_until = None;
                if let Some(phase) = self.current.and_then(|at| self.phases.get_mut(at)) {
                    phase.status = Status::Busy;
                    phase.partition = Some(*partition);
                    phase.started_by = Some(*cause);
                    phase.started_version = self.version;
                }
            }
            Event::StartRefused { again_at, .. } => {
                self.refused_until = Some(*again_at);
            }
            Event::PhaseReported { phase, status, counts, .. } => {
                if let Some(phase) = self.phases.iter_mut().find(|other| other.number == *phase) {
                    phase.status = *status;
                    phase.counts = *counts;
                }
            }
            Event::AlarmSet { alarm, .. } => self.alarms.set(*alarm),
            Event::Ended { at, status, error, .. } => {
                self.ended = Some(Ended { at: *at, status: *status, error: error.clone() });
                self.current = None;
            }
        }
    }

    /// Goals of one priority make a phase; phases are numbered in the order of their priorities.
    fn add_phase(&mut self, priority: u32) {
        let Err(at) = self.phases.binary_search_by_key(&priority, |phase| phase.priority) else { return };
        let phase = PhaseState {
            number: 0,
            priority,
            status: Status::Idle,
            counts: Counts::default(),
            partition: None,
            started_by: None,
            started_version: 0,
        };
        self.phases.insert(at, phase);
        (1..).zip(&mut self.phases).for_each(|(number, phase)| phase.number = number);
    }

    /// What must hold after every decision, by name; the first that does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let open = self.accepted.is_some() && self.ended.is_none();
        let busy = self.phases.iter().filter(|phase| phase.status == Status::Busy).count();
        let rules = [
            (self.counts().add_up(), "counts_add_up"),
            (!open || busy == 1, "an_open_project_has_one_phase_out"),
            (!open || self.alarm().is_some(), "an_open_stream_has_an_alarm"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, name)| Err(name))
    }
}
