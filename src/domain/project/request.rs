//! How a project begins.

use super::phases::{end, go_on};
use super::{Accepted, Draft, Event, Request};
use crate::domain::check;
use crate::domain::decision::{Decision, cut};
use crate::wire::{GoalPlan, Policy, Status};

/// The longest that a run may be given: a year.
pub const DEADLINE_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1_000;

pub(super) fn on_request(draft: &mut Draft<'_>, request: &Request) -> Result<(), Decision<Event>> {
    let (at, cause) = (draft.context.now, draft.cause);
    draft.record(Event::Accepted(Accepted {
        at,
        cause,
        name: request.request.project_name.clone(),
        description: request.request.description.clone(),
        requester: request.requester.clone(),
        run: 1,
        id_namespace: request.id_namespace,
        fingerprint: request.fingerprint.clone(),
        partitions: draft.context.partitions,
        parameters: request.request.parameters.clone(),
        policy: request.request.policy.clone(),
        playbook: request.playbook.clone(),
        deadline_ms: request.request.deadline_ms,
    }));
    match checked(request) {
        Err(error) => end(draft, Status::Error, Some(cut(&error))),
        Ok(goals) => {
            goals.iter().for_each(|goal| draft.record(Event::GoalPlanned { goal: goal.clone() }));
            // It may have been cancelled or paused before anybody knew it.
            go_on(draft);
        }
    }
    Ok(())
}

fn checked(request: &Request) -> Result<&[GoalPlan], String> {
    let goals = request.plan.as_ref().map_err(Clone::clone)?;
    let name = &request.request.project_name;
    check::check_name("project", name, check::NAME_BYTES_MAX).map_err(|error| error.in_one_line())?;
    Policy::read(&request.request.policy)?;
    if request.request.deadline_ms.is_some_and(|ms| !(1..=DEADLINE_MS_MAX).contains(&ms)) {
        return Err(format!("the `deadline_ms` of a project is not from 1 to {DEADLINE_MS_MAX}"));
    }
    if goals.is_empty() {
        return Err("the plan has no goals".into());
    }
    let shared = request.request.parameters.bytes() + request.request.policy.bytes();
    let is_good = check::check(goals).and_then(|()| check::check_sizes(goals, shared));
    is_good.map_err(|error| error.in_one_line())?;
    Ok(goals)
}

/// The same request again is the same project: whoever asks is told how it stands.
pub(super) fn on_request_again(draft: &Draft<'_>, request: &Request) -> Result<(), Decision<Event>> {
    match draft.project.accepted().is_some_and(|accepted| accepted.fingerprint == request.fingerprint) {
        true => Err(Decision::Nothing("the project is known")),
        false => Err(Decision::Refuse("another_request_under_this_id")),
    }
}
