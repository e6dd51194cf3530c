//! The rules of a project's stream, and of a project with its phases.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::phase::differ;
use super::{Found, Row, Violation};
use crate::domain::phase::Phase;
use crate::domain::project::{Event, Open, PhaseState, Project};
use crate::wire::{Counts, MessageId, ProjectId, Status, StreamId, SubtaskId};

/// What a phase's stream says about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseEnd {
    /// It was opened, and nothing more is expected of it.
    pub has_ended: bool,
    pub status: Status,
    pub counts: Counts,
}

impl PhaseEnd {
    /// None while the stream has not opened the phase.
    pub fn of(phase: &Phase) -> Option<Self> {
        phase.opened()?;
        Some(Self { has_ended: phase.ended().is_some(), status: phase.status(), counts: phase.counts() })
    }
}

/// The number of a phase that goes on although its project has ended. One that was given up is told to stop, and may
/// not have heard it.
pub fn an_ended_project_has_no_open_phase(
    project: &Project,
    phases: &BTreeMap<u32, PhaseEnd>,
    given_up: &BTreeSet<u32>,
) -> Result<(), u32> {
    let is_over = project.ended().is_some();
    let goes_on = |(number, end): &(&u32, &PhaseEnd)| is_over && !end.has_ended && !given_up.contains(number);
    phases.iter().find(goes_on).map_or(Ok(()), |(&number, _)| Err(number))
}

/// The number of a phase that ended otherwise than as its project knows it to be completed.
pub fn a_completed_phase_was_reported_so(project: &Project, phases: &BTreeMap<u32, PhaseEnd>) -> Result<(), u32> {
    let completed = project.phases().iter().filter(|phase| phase.status == Status::Completed);
    let fits = |phase: &&crate::domain::project::PhaseState| {
        let end = PhaseEnd { has_ended: true, status: Status::Completed, counts: phase.counts };
        phases.get(&phase.number) != Some(&end)
    };
    completed.into_iter().find(fits).map_or(Ok(()), |phase| Err(phase.number))
}

/// The open question about a subtask that its phase asks nothing about, although it is open. `asked` has the subtasks
/// that an open phase asks about, by the phase's number. Under which id it asks is not looked at: a newer question may be
/// under way.
pub fn an_open_question_is_asked(
    project: &Project,
    asked: &BTreeMap<u32, BTreeSet<u32>>,
) -> Result<(), (MessageId, SubtaskId)> {
    let about = |(id, open): (MessageId, &Open)| Some((id, open.subtask.as_ref()?.id));
    let is_unasked = |&(_, subtask): &(MessageId, SubtaskId)| {
        asked.get(&subtask.phase).is_some_and(|asked| !asked.contains(&subtask.ordinal))
    };
    project.open_questions().filter_map(about).find(is_unasked).map_or(Ok(()), Err)
}

/// Folds a project's stream, and looks at every event.
#[derive(Debug)]
pub struct ProjectAudit {
    state: Project,
    found: Found,
    /// Phases that were not the current one any more when they were told to stop.
    given_up: BTreeSet<u32>,
    is_lost: bool,
}

impl ProjectAudit {
    pub fn new(project: ProjectId) -> Self {
        let stream = StreamId::Project(project);
        Self { state: Project::new(project), found: Found::new(stream), given_up: BTreeSet::new(), is_lost: false }
    }

    /// The stream.
    pub fn id(&self) -> StreamId {
        self.found.stream
    }

    /// The fold so far.
    pub fn state(&self) -> &Project {
        &self.state
    }

    /// Whether it can not be folded any further.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// The next event of the stream.
    pub fn event(&mut self, event: &Event) {
        if self.is_lost {
            return;
        }
        let (before, was) = (self.state.version(), self.state.ended().cloned());
        if let Event::Told { phase, .. } = event
            && self.state.current().is_none_or(|current| current.number != *phase)
        {
            self.given_up.insert(*phase);
        }
        if let Event::PhaseStarted { phase, .. } = event {
            let is_known = self.state.phase(*phase).is_some();
            self.found
                .rule("a_started_phase_is_planned", before + 1, is_known, || format!("there is no phase {phase}"));
        }
        let folded = catch_unwind(AssertUnwindSafe(|| self.state.apply(event)));
        self.is_lost = folded.is_err();
        self.found.rule("events_can_be_folded", before + 1, folded.is_ok(), || "it does not fit the state".into());
        let version = self.state.version();
        self.found.rule("versions_rise_by_one", version, version == before + 1, || format!("after {before}"));
        let ends_again = was.is_some() && matches!(event, Event::Ended { .. });
        self.found.rule("an_outcome_is_recorded_once", version, !ends_again, || format!("it had ended: {was:?}"));
    }

    /// The events so far are all of a commit.
    pub fn committed(&mut self) {
        if self.is_lost {
            return;
        }
        if let Err(rule) = self.state.check() {
            let phase = |phase: &PhaseState| format!("phase {} is {}", phase.number, phase.status);
            let phases = || self.state.phases().iter().map(phase).collect::<Vec<_>>().join(", ");
            self.found.rule(rule, self.state.version(), false, phases);
        }
    }

    /// The stream's row on the read side, which is of the same moment.
    pub fn summary(&mut self, row: Option<&Row>) {
        let fold = Row::of_project(&self.state);
        self.found.rule("the_summary_is_the_fold", self.state.version(), fold.as_ref() == row, || differ(&fold, row));
    }

    /// What came of its phases, as their streams say, which were read after the project's own.
    pub fn phases(&mut self, phases: &BTreeMap<u32, PhaseEnd>) {
        let version = self.state.version();
        let open = an_ended_project_has_no_open_phase(&self.state, phases, &self.given_up);
        self.found.rule("an_ended_project_has_no_open_phase", version, open.is_ok(), || {
            format!("phase {} is open", open.err().unwrap_or_default())
        });
        let other = a_completed_phase_was_reported_so(&self.state, phases);
        self.found.rule("a_completed_phase_was_reported_so", version, other.is_ok(), || {
            let number = other.err().unwrap_or_default();
            format!("phase {number} is {:?}, the project has {:?}", phases.get(&number), self.state.phase(number))
        });
        let is_known = self.state.accepted().is_some() || phases.is_empty();
        self.found.rule("a_phase_has_a_project", version, is_known, || {
            format!("nobody has accepted the project of the phases {:?}", phases.keys())
        });
    }

    /// What its open phases ask about, as their streams say. The project's own was read before and after them, and
    /// `before` is how it stood before: a question that was open both times was open all the time.
    pub fn questions(&mut self, before: &Project, asked: &BTreeMap<u32, BTreeSet<u32>>) {
        let unasked = an_open_question_is_asked(before, asked).err();
        let still = unasked.filter(|(question, _)| self.state.open_questions().any(|(id, _)| id == *question));
        self.found.rule("an_open_question_is_asked", self.state.version(), still.is_none(), || {
            let subtask = still.map(|(_, subtask)| subtask.to_string()).unwrap_or_default();
            format!("it waits for an answer about subtask {subtask}, and its phase asks nothing about it")
        });
    }

    /// Something that is wrong with the stream as it is stored.
    pub fn stored(&mut self, rule: &'static str, version: u64, detail: String) {
        self.found.rule(rule, version, false, || detail);
        self.is_lost = true;
    }

    pub fn violations(self) -> Vec<Violation> {
        self.found.violations
    }
}
