//! How a phase opens: its plan becomes a graph, and what is ready goes out.

use super::dispatch::settle;
use super::draft::Draft;
use super::words::{cancel_unwanted, end_cancelled};
use super::{Event, Opened, Start};
use crate::domain::decision::{Decision, cut};
use crate::domain::expand::{Spec, dependants, remaining_paths};
use crate::wire::Status;

/// So many specs an event: an event stays far below what a store takes in one piece.
const SPECS_PER_EVENT: usize = 1_000;

pub(super) fn on_start(draft: &mut Draft<'_>, start: &Start) -> Result<(), Decision<Event>> {
    let (at, cause) = (draft.context.now, draft.cause);
    draft.record(Event::Opened(Opened {
        at,
        cause,
        project_id: start.project_id,
        project_name: start.project_name.clone(),
        project_version: start.project_version,
        run: start.run,
        phase: start.phase,
        priority: start.priority,
        partition: start.partition,
        goals: start.goals.clone(),
        parameters: start.parameters.clone(),
        policy: start.policy.clone(),
        id_namespace: start.id_namespace,
        playbook: start.playbook.clone(),
        former: start.former,
    }));
    if draft.phase.cancelled.is_some() {
        // The word came before its start.
        end_cancelled(draft);
        return Ok(());
    }
    if draft.phase.paused.is_some() && draft.phase.word_version.is_some_and(|said| said < start.project_version) {
        // Whoever hands a phase over means it to run: what was said before that is of the past.
        draft.record(Event::Resumed { at, project_version: start.project_version });
    }
    match start.plan.as_ref().map_err(Clone::clone).and_then(|specs| checked(specs)) {
        Err(error) => {
            let (status, error) = (Status::Error, Some(cut(&error)));
            draft.record(Event::Ended { at, cause, status, error, laid_down: true });
        }
        Ok(specs) => {
            for chunk in specs.chunks(SPECS_PER_EVENT) {
                draft.record(Event::SubtasksAdded { specs: chunk.to_vec() });
            }
            draft.record(Event::Planned {});
            for chunk in start.kept.chunks(SPECS_PER_EVENT) {
                draft.record(Event::Kept { at, subtasks: chunk.to_vec() });
            }
            cancel_unwanted(draft, &start.left_out);
            settle(draft, false);
        }
    }
    Ok(())
}

/// Whatever a planner says, a graph that is run has no circle.
fn checked(specs: &[Spec]) -> Result<&[Spec], String> {
    remaining_paths(specs, &dependants(specs)).map(|_| specs)
}
