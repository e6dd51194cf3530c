//! What people and programs are shown of a project: folded from its streams when somebody asks.
//!
//! The shape is that of `--json` of `run`, `submit --wait` and `status`.

mod attempts;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::expand::Spec;
use super::to_come::ToCome;
use super::{phase, project};
use crate::wire::{
    Counts, FailureKind, MessageId, ProjectId, Raw, RunAfter, Status, SubtaskId, SubtaskStatus, Timestamp,
};

/// A project, whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectView {
    pub project_id: ProjectId,
    pub name: String,
    pub status: Status,
    /// From 1; each retry of an ended project is another.
    pub run: u32,
    pub submitted_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person is asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<QuestionView>,
    /// Of the phases that have been planned.
    pub counts: Counts,
    /// The latest of each priority.
    pub phases: Vec<PhaseView>,
}

/// A question that nobody has answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuestionView {
    pub question: MessageId,
    pub asked_at: Timestamp,
    pub phase: u32,
    /// Null: it is about the whole phase, which was given up.
    pub subtask_id: Option<SubtaskId>,
    pub name: Option<String>,
    pub error: String,
    /// The subtask did not fail: it was cancelled, and others depend on it.
    #[serde(skip)]
    pub is_cancelled: bool,
}

impl QuestionView {
    fn new(question: MessageId, open: &project::Open) -> Self {
        Self {
            question,
            asked_at: open.at,
            phase: open.phase,
            subtask_id: open.subtask.as_ref().map(|subtask| subtask.id),
            name: open.subtask.as_ref().map(|subtask| subtask.name.clone()),
            error: open.error.clone(),
            is_cancelled: open.asking.is_some_and(|asking| asking.after_cancel),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseView {
    /// From 1.
    pub phase: u32,
    pub priority: u32,
    pub status: Status,
    pub counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub goals: Vec<GoalView>,
    /// What is cancelled as soon as it has begun; when it has, what of that its plan does not have.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unwanted: BTreeSet<SubtaskId>,
    /// What its goals say of their subtasks, as long as no coordinator has opened it.
    #[serde(skip)]
    pub to_come: Option<ToCome>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoalView {
    pub name: String,
    pub status: Status,
    pub subtasks: Vec<SubtaskView>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubtaskView {
    pub id: SubtaskId,
    pub name: String,
    /// The one that was planned; the log says where an attempt ran on another.
    pub skill: String,
    pub status: SubtaskStatus,
    /// How often it was handed out.
    pub attempts: u32,
    /// When its next attempt may begin, as long as it waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// The question about it that waits for an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<MessageId>,
    /// The subtask of an earlier run, or plan, whose result this is; attempts, agent and times are those of there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<SubtaskId>,
    pub attempt_log: Vec<AttemptView>,
    /// Who ran the newest attempt, by its own word; none until it has said something.
    pub agent_id: Option<String>,
    /// By name.
    pub dependencies: Vec<String>,
    /// How these have to end before it runs, where that is not `success`.
    #[serde(skip_serializing_if = "RunAfter::is_success")]
    pub run_after: RunAfter,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Null until it is filled in, and when there is none.
    pub result: Option<Raw>,
    /// How its newest attempt failed; of one that was skipped without any, because of which dependency.
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptView {
    pub attempt: u32,
    /// The skill that it ran on, where that is not the subtask's own: its fallback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// When it was handed to its skill's queue, as long as it has not ended.
    #[serde(skip)]
    pub handed_over_at: Option<Timestamp>,
    pub agent_id: Option<String>,
    /// How it failed; null when it did not, or has not ended.
    pub kind: Option<FailureKind>,
    pub error: Option<String>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

impl ProjectView {
    /// Folds a project's stream, and those of its phases by number: with those that something is kept from.
    pub fn fold(project_id: ProjectId, project: &[project::Event], phases: &[(u32, Vec<phase::Event>)]) -> Self {
        let mut state = project::Project::new(project_id);
        project.iter().for_each(|event| state.apply(event));
        let mut views: Vec<_> = state
            .phases()
            .iter()
            .map(|known| match phases.iter().find(|(number, events)| *number == known.number && has_opened(events)) {
                // It was given up, and opened too late to have a plan.
                Some((_, events)) if known.status.is_ended() && !has_plan(events) => PhaseView::to_come(&state, known),
                Some((number, events)) => {
                    let view = PhaseView::known_as(known, *number, events);
                    let total = view.counts.total;
                    let is_missing = |id: &SubtaskId| total > 0 && id.ordinal >= total;
                    let unwanted = state.unwanted_in(*number).map(|(id, _)| id).filter(is_missing).collect();
                    PhaseView { unwanted, ..view }
                }
                None => PhaseView::to_come(&state, known),
            })
            .collect();
        tell_of_kept(&mut views, phases);
        Self {
            project_id,
            name: state.accepted().map(|accepted| accepted.name.clone()).unwrap_or_default(),
            status: state.status(),
            run: state.run(),
            waiting_for: state.open_questions().map(|(id, open)| QuestionView::new(id, open)).collect(),
            submitted_at: state.accepted().map(|accepted| accepted.at),
            finished_at: state.ended().map(|ended| ended.at),
            error: state.ended().and_then(|ended| ended.error.clone()),
            counts: views.iter().fold(Counts::default(), |sum, phase| sum.plus(&phase.counts)),
            phases: views,
        }
    }

    pub fn subtasks(&self) -> impl Iterator<Item = &SubtaskView> {
        self.phases.iter().flat_map(|phase| &phase.goals).flat_map(|goal| &goal.subtasks)
    }
}

impl PhaseView {
    /// A phase that no coordinator has taken yet.
    fn to_come(project: &project::Project, phase: &project::PhaseState) -> Self {
        let goal = |name: &str| GoalView { name: name.to_owned(), status: phase.status, subtasks: Vec::new() };
        Self {
            phase: phase.number,
            priority: phase.priority,
            status: phase.status,
            counts: phase.counts,
            error: phase.error.clone(),
            goals: project.goals_of(phase).map(|planned| goal(&planned.goal_name)).collect(),
            unwanted: project.unwanted_in(phase.number).map(|(id, _)| id).collect(),
            to_come: Some(ToCome::new(phase.number, project.goals_of(phase))),
        }
    }

    /// What its project has given up is over, whatever its own stream says.
    fn known_as(known: &project::PhaseState, number: u32, events: &[phase::Event]) -> Self {
        let is_over = known.status.is_ended();
        let view = Self::fold_until(number, events, is_over);
        match is_over && !view.status.is_ended() {
            true => {
                let view = Self { status: known.status, error: known.error.clone(), ..view };
                if known.is_skipped { view.passed_over() } else { view }
            }
            false => view,
        }
    }

    /// The project has gone on without what was left of it.
    fn passed_over(mut self) -> Self {
        let subtasks = self.goals.iter_mut().flat_map(|goal| &mut goal.subtasks);
        subtasks.filter(|subtask| !subtask.status.is_ended()).for_each(|subtask| {
            subtask.status = SubtaskStatus::Skipped;
        });
        self.goals.iter_mut().for_each(|goal| goal.status = goal_status(&goal.subtasks, self.status));
        Self { counts: self.counts.passed_over(), ..self }
    }

    /// Folds a phase's stream.
    pub fn fold(number: u32, events: &[phase::Event]) -> Self {
        Self::fold_until(number, events, false)
    }

    /// The same; where the phase is over nothing waits in it.
    fn fold_until(number: u32, events: &[phase::Event], is_over: bool) -> Self {
        let mut state = phase::Phase::default();
        let mut logs: Vec<Vec<AttemptView>> = Vec::new();
        let mut reasons: BTreeMap<u32, String> = BTreeMap::new();
        for event in events {
            state.apply(event);
            if let phase::Event::SubtaskCancelled { ordinal, reason: Some(reason), .. } = event {
                reasons.insert(*ordinal, reason.clone());
            }
            logs.resize_with(state.counts().total as usize, Vec::new);
            attempts::log(&mut logs, event, &state);
        }
        if is_over || state.ended().is_some() {
            state.lay_down();
        }
        let mut goals: Vec<GoalView> = state.opened().map_or_else(Vec::new, |opened| {
            let goal = |name: &String| GoalView { name: name.clone(), status: Status::Idle, subtasks: Vec::new() };
            opened.goals.iter().map(goal).collect()
        });
        for (ordinal, log) in (0..).zip(logs) {
            let spec = state.spec(ordinal);
            if let Some(goal) = goals.get_mut(spec.goal as usize) {
                let reason = reasons.remove(&ordinal).filter(|_| state.is_cancelled_by_hand(ordinal));
                goal.subtasks.push(SubtaskView::new(number, ordinal, spec, &state, log).with_reason(reason));
            }
        }
        for goal in &mut goals {
            goal.status = goal_status(&goal.subtasks, state.status());
        }
        Self {
            phase: number,
            priority: state.opened().map_or(number, |opened| opened.priority),
            status: state.status(),
            counts: state.counts(),
            error: state.ended().and_then(|ended| ended.error.clone()),
            goals,
            unwanted: BTreeSet::new(),
            to_come: None,
        }
    }
}

impl SubtaskView {
    fn new(phase: u32, ordinal: u32, spec: &Spec, state: &phase::Phase, attempt_log: Vec<AttemptView>) -> Self {
        let known = state.subtask(ordinal);
        let newest = attempt_log.last();
        let name_of = |other: u32| state.spec(other).name_of(other);
        Self {
            id: SubtaskId { phase, ordinal },
            name: spec.name_of(ordinal),
            skill: spec.skill.clone(),
            status: known.map_or(SubtaskStatus::Idle, |subtask| subtask.status),
            attempts: known.map_or(0, |subtask| subtask.attempt),
            next_attempt_at: state.waits_until(ordinal),
            question: state.question_id(ordinal),
            kept_from: state.kept_from(ordinal),
            agent_id: newest.and_then(|attempt| attempt.agent_id.clone()),
            dependencies: spec.dependencies.iter().flat_map(|span| span.ordinals()).map(name_of).collect(),
            run_after: spec.run_after,
            started_at: newest.and_then(|attempt| attempt.started_at),
            finished_at: newest.and_then(|attempt| attempt.finished_at),
            result: None,
            error: newest.and_then(|attempt| attempt.error.clone()).or_else(|| why_skipped(state, ordinal)),
            attempt_log,
        }
    }
}

impl SubtaskView {
    /// Why a person has cancelled it, where no attempt says so.
    fn with_reason(self, reason: Option<String>) -> Self {
        Self { error: self.error.or(reason), ..self }
    }
}

/// Whether a coordinator has taken it: before that there may be words that wait for it.
fn has_opened(events: &[phase::Event]) -> bool {
    events.iter().any(|event| matches!(event, phase::Event::Opened(_)))
}

fn has_plan(events: &[phase::Event]) -> bool {
    events.iter().any(|event| matches!(event, phase::Event::Planned {}))
}

/// The first dependency, in the plan's order, for whose sake a subtask was skipped; or that nothing has failed that it
/// was to run after.
fn why_skipped(state: &phase::Phase, ordinal: u32) -> Option<String> {
    state.subtask(ordinal).filter(|subtask| subtask.status == SubtaskStatus::Skipped)?;
    if state.is_unneeded(ordinal) && state.spec(ordinal).run_after == RunAfter::Failure {
        return Some("none of its dependencies has failed".into());
    }
    let mut needed = state.spec(ordinal).dependencies.iter().flat_map(|span| span.ordinals());
    needed.find_map(|other| {
        let needed = state.subtask(other)?;
        let what = match needed.status {
            SubtaskStatus::Error => "failed",
            SubtaskStatus::Cancelled => "was cancelled",
            SubtaskStatus::Skipped if state.is_cancelled_by_hand(other) => "was cancelled",
            // It was passed over after its last attempt.
            SubtaskStatus::Skipped if needed.attempt > 0 => "failed",
            SubtaskStatus::Skipped => "was skipped",
            SubtaskStatus::Completed
            | SubtaskStatus::Idle
            | SubtaskStatus::Ready
            | SubtaskStatus::Busy
            | SubtaskStatus::Waiting => return None,
        };
        Some(format!("its dependency `{}` {what}", state.spec(other).name_of(other)))
    })
}

/// The phases that something is kept from in a phase with these events.
pub fn kept_from(events: &[phase::Event]) -> BTreeSet<u32> {
    let kept = events.iter().filter_map(|event| match event {
        phase::Event::Kept { subtasks, .. } => Some(subtasks),
        _ => None,
    });
    kept.flatten().map(|kept| kept.from.phase).collect()
}

/// What is kept was done in an earlier phase: who did it, how often it was tried, and when, stands in that one's stream.
fn tell_of_kept(views: &mut [PhaseView], phases: &[(u32, Vec<phase::Event>)]) {
    let all = views.iter_mut().flat_map(|phase| &mut phase.goals).flat_map(|goal| &mut goal.subtasks);
    let kept: Vec<_> = all.filter_map(|subtask| Some((subtask.kept_from?, subtask))).collect();
    let sources: BTreeSet<u32> = kept.iter().map(|(from, _)| from.phase).collect();
    let sources = phases.iter().filter(|(number, _)| sources.contains(number));
    let done: BTreeMap<SubtaskId, SubtaskView> = sources
        .flat_map(|(number, events)| PhaseView::fold(*number, events).goals)
        .flat_map(|goal| goal.subtasks)
        .map(|subtask| (subtask.id, subtask))
        .collect();
    for (from, subtask) in kept {
        if let Some(done) = done.get(&from) {
            subtask.attempts = done.attempts;
            subtask.attempt_log.clone_from(&done.attempt_log);
            subtask.agent_id.clone_from(&done.agent_id);
            (subtask.started_at, subtask.finished_at) = (done.started_at, done.finished_at);
        }
    }
}

/// A goal that was begun has the status of what happens in it; when its phase has ended without it, the phase's.
fn goal_status(subtasks: &[SubtaskView], phase: Status) -> Status {
    let any = |status| subtasks.iter().any(|subtask| subtask.status == status);
    if subtasks.is_empty() {
        return phase;
    }
    let went_well = |status| matches!(status, SubtaskStatus::Completed | SubtaskStatus::Skipped);
    if subtasks.iter().all(|subtask| went_well(subtask.status)) {
        return Status::Completed;
    }
    if subtasks.iter().all(|subtask| subtask.status.is_ended()) && !any(SubtaskStatus::Error) {
        return Status::Cancelled;
    }
    let is_begun = subtasks.iter().any(|subtask| subtask.attempts > 0);
    match phase {
        _ if any(SubtaskStatus::Error) => Status::Error,
        ended if ended.is_ended() => {
            if is_begun {
                ended
            } else {
                Status::Idle
            }
        }
        _ if any(SubtaskStatus::Busy) || any(SubtaskStatus::Ready) => Status::Busy,
        _ if any(SubtaskStatus::Waiting) => Status::Waiting,
        // What is left of it depends on other goals.
        _ if is_begun => Status::Busy,
        _ => Status::Idle,
    }
}

#[cfg(test)]
mod tests;
