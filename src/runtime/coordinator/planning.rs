//! From a phase's goals to its graph, and from a subtask to its command.

use std::collections::{BTreeMap, BTreeSet};

use super::window::Window;
use crate::domain::check;
use crate::domain::expand::{GENERIC_HINT, GENERIC_SKILL, SkillDefaults, Spec, expand};
use crate::domain::nearest;
use crate::domain::phase::{self, Event, Flight, LeftOut, Opened, Phase, Start};
use crate::runtime::options::World;
use crate::runtime::port::{PlanError, Store, StoreError, guarded};
use crate::runtime::states;
use crate::wire::content::{self, ExecuteSubtask, StartProjectPhase};
use crate::wire::{GoalPlan, ProjectId, Raw, StreamId, SubtaskId, SubtaskStatus};

/// What holds for a skill that somebody offers and nobody configured here.
const OFFERED_TIMEOUT_MS: u64 = 300_000;
const OFFERED_ATTEMPTS: u32 = 3;
/// Of more dependencies a cleanup is not told how each ended.
const DEPS_STATUS_MAX: usize = 256;

/// What a manager says of a phase, with what the planners make of it. Pure planners only: called in place.
pub(super) fn plan(world: &World, window: &Window, start: &StartProjectPhase) -> Start {
    Start {
        project_id: start.project_id,
        project_name: start.project_name.clone(),
        project_version: start.project_version,
        run: start.run,
        phase: start.phase,
        priority: start.priority,
        partition: start.partition,
        goals: start.strategic_goals.iter().map(|goal| goal.goal_name.clone()).collect(),
        parameters: start.parameters.clone(),
        policy: start.policy.clone(),
        id_namespace: start.id_namespace,
        playbook: start.playbook.clone(),
        plan: guarded(|| specs(world, window, start)),
        former: start.former,
        before: start.before.clone(),
        kept: Vec::new(),
        left_out: start.left_out.iter().map(left_out).collect(),
    }
}

/// Whether it is settled is seen in the phase before.
fn left_out(known: &content::LeftOut) -> LeftOut {
    let content::LeftOut { ordinal, said_of, said_last, reason } = known.clone();
    LeftOut { ordinal, said_of, said_last, reason, is_settled: false }
}

fn specs(world: &World, window: &Window, start: &StartProjectPhase) -> Result<Vec<Spec>, String> {
    let planned: Result<Vec<GoalPlan>, PlanError> =
        start.strategic_goals.iter().map(|goal| planned(world, start, goal)).collect();
    let goals = planned.map_err(|error| error.message)?;
    check::check(&goals).map_err(|error| error.in_one_line())?;
    expand(&goals, &|skill| defaults(world, window, skill))
}

fn planned(world: &World, start: &StartProjectPhase, goal: &GoalPlan) -> Result<GoalPlan, PlanError> {
    for planner in world.planners.iter() {
        if let Some(subtasks) = planner.subtasks(goal, start)? {
            return Ok(GoalPlan { subtasks: Some(subtasks), ..goal.clone() });
        }
    }
    Err(PlanError::new(format!("no planner knows the goal `{}`", goal.goal_name)))
}

fn defaults(world: &World, window: &Window, skill: &str) -> Result<SkillDefaults, String> {
    if let Some(options) = world.skills.get(skill) {
        return Ok(options.defaults());
    }
    if window.is_offered(skill) {
        return Ok(SkillDefaults::new(OFFERED_TIMEOUT_MS, OFFERED_ATTEMPTS));
    }
    let offered = window.offered();
    let known: BTreeSet<&str> = world.skills.keys().chain(&offered).map(String::as_str).collect();
    let hint = match skill {
        GENERIC_SKILL => Some(GENERIC_HINT.to_owned()),
        _ => nearest::hint(skill, known.iter().copied()),
    };
    let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    Err(format!("nobody has the skill `{skill}`{hint}"))
}

/// The command of an attempt.
pub(super) fn command(opened: &Opened, state: &Phase, ordinal: u32, flight: &Flight, deps: Raw) -> ExecuteSubtask {
    let (spec, terms) = (state.spec(ordinal), state.terms(ordinal));
    ExecuteSubtask {
        project_id: opened.project_id,
        project_name: opened.project_name.clone(),
        phase: opened.phase,
        goal_name: opened.goals.get(spec.goal as usize).cloned().unwrap_or_default(),
        subtask_id: SubtaskId { phase: opened.phase, ordinal },
        task_name: spec.name_of(ordinal),
        skill: terms.skill.to_owned(),
        description: spec.description.clone(),
        attempt: flight.attempt,
        max_attempts: terms.max_attempts,
        input: spec.input_of(ordinal),
        deps,
        deps_status: deps_status(state, spec),
        timeout_ms: terms.timeout_ms,
        not_after: flight.not_after,
        avoid: state.avoided(ordinal),
        lease_ms: terms.lease_ms,
    }
}

/// What a cleanup is told of how its dependencies ended; one that stands otherwise will not run any more.
fn deps_status(state: &Phase, spec: &Spec) -> BTreeMap<String, SubtaskStatus> {
    let ordinals: Vec<u32> = spec.dependencies.iter().flat_map(|span| span.ordinals()).collect();
    if !spec.is_cleanup() || ordinals.len() > DEPS_STATUS_MAX {
        return BTreeMap::new();
    }
    let status = |&ordinal: &u32| Some((state.spec(ordinal).name_of(ordinal), state.subtask(ordinal)?.status));
    ordinals.iter().filter_map(status).collect()
}

/// What the phase keeps of the one whose place it takes; where that came to nothing before it had a plan (it was never
/// opened, or cancelled before its start, or nobody could plan it), of the one before.
pub(super) async fn keep(store: &dyn Store, project: ProjectId, start: &mut Start) -> Result<(), StoreError> {
    let Ok(plan) = &start.plan else { return Ok(()) };
    for former in start.former.iter().chain(&start.before) {
        let Some(old) = load(store, StreamId::Phase(project, former.phase)).await? else { continue };
        if !old.specs().is_empty() {
            start.kept = phase::keep(&old, former, plan, &mut start.left_out);
            break;
        }
    }
    Ok(())
}

/// None of a phase that can not be read: nothing of it is kept, and its work is done again.
async fn load(store: &dyn Store, stream: StreamId) -> Result<Option<Phase>, StoreError> {
    let mut phase = Phase::default();
    for raw in &store.load_from_start(stream).await?.events {
        if let Err(error) = states::apply(raw, |event: Event| phase.apply(&event)) {
            tracing::error!(%stream, error, "a phase has an event that this version can not read: nothing of it is kept");
            return Ok(None);
        }
    }
    Ok(Some(phase))
}
