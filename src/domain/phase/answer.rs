//! What came of an attempt: a result, a failure, or a command that the broker gave up.

use super::dispatch::settle;
use super::draft::Draft;
use super::event::{Budget, agent_name};
use super::{Answer, AnswerBody, DeadCommand, Event, Outcome};
use crate::domain::decision::{Decision, cut};
use crate::wire::{Failure, FailureKind, Timestamp};

/// So many crashes end a subtask. Small, because each may have taken an executor with it; more than one,
/// because the neighbours of a poison come back with it.
const MAX_CRASHES: u32 = 3;
/// The first and the longest wait of an attempt that is not charged. Without a wait an executor that always
/// gives back, or whose clock is wrong, would be asked in a tight loop.
const POSTPONE_MS_FIRST: u64 = 250;
const POSTPONE_MS_MAX: u64 = 60_000;

pub(super) fn on_answer(draft: &mut Draft<'_>, answer: &Answer) -> Result<(), Decision<Event>> {
    let attempt = current(draft, answer.ordinal, answer.in_reply_to)?;
    match &answer.body {
        AnswerBody::Completed { bytes, usage } => {
            let at = draft.context.now;
            draft.record(Event::Completed {
                at,
                ordinal: answer.ordinal,
                attempt,
                agent: agent_name(&answer.agent),
                started_at: answer.started_at.unwrap_or(at),
                finished_at: answer.finished_at.unwrap_or(at),
                bytes: *bytes,
                usage: usage.clone(),
            });
        }
        AnswerBody::Failed(failure) => {
            let (started_at, finished_at) = (answer.started_at, answer.finished_at);
            fail(draft, answer.ordinal, Some(&answer.agent), failure, started_at, finished_at);
        }
    }
    settle(draft, false);
    Ok(())
}

/// The broker gave a command up: it came back too often, so its executors died of it, or beside it.
pub(super) fn on_dead_command(draft: &mut Draft<'_>, dead: &DeadCommand) -> Result<(), Decision<Event>> {
    let attempt = current(draft, dead.ordinal, dead.id)?;
    let crashes = draft.phase.subtasks[dead.ordinal as usize].crashes + 1;
    let budget = Budget::Crashes;
    let outcome = match crashes >= MAX_CRASHES {
        true => Outcome::Exhausted { budget },
        false => Outcome::Again { budget },
    };
    draft.record(Event::Failed {
        at: draft.context.now,
        ordinal: dead.ordinal,
        attempt,
        agent: None,
        kind: FailureKind::Crashed,
        error: format!("the broker gave the command up: {}", cut(&dead.reason)),
        started_at: None,
        finished_at: None,
        outcome,
    });
    settle(draft, false);
    Ok(())
}

/// The attempt that `command` is of, when it is the current one of that subtask.
fn current(draft: &Draft<'_>, ordinal: u32, command: crate::wire::MessageId) -> Result<u32, Decision<Event>> {
    let Some(subtask) = draft.phase.subtasks.get(ordinal as usize) else {
        return Err(Decision::Refuse("unknown_subtask"));
    };
    match draft.phase.command_id(ordinal) == Some(command) {
        true => Ok(subtask.attempt),
        false => Err(Decision::Nothing("it answers a command that is not current")),
    }
}

/// Records a failure of the current attempt, and what follows from it for the subtask.
pub(super) fn fail(
    draft: &mut Draft<'_>,
    ordinal: u32,
    agent: Option<&str>,
    failure: &Failure,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
) {
    let subtask = &draft.phase.subtasks[ordinal as usize];
    let (budget, at) = (Budget::Failures, draft.context.now);
    let never_began = failure.kind == FailureKind::Timeout && started_at.is_none();
    let outcome = match failure.kind {
        FailureKind::Permanent | FailureKind::Unsupported => Outcome::Exhausted { budget },
        FailureKind::Released => Outcome::Wait { until: at.plus_ms(postpone_ms(subtask.postponed)) },
        FailureKind::Timeout if never_began => Outcome::Wait { until: at.plus_ms(postpone_ms(subtask.postponed)) },
        FailureKind::Transient | FailureKind::Timeout | FailureKind::Crashed | FailureKind::Cancelled => {
            match subtask.failures + 1 >= draft.phase.spec(ordinal).max_attempts {
                true => Outcome::Exhausted { budget },
                false => Outcome::Again { budget },
            }
        }
    };
    let (attempt, kind, error) = (subtask.attempt, failure.kind, cut(&failure.message));
    let agent = agent.map(agent_name);
    draft.record(Event::Failed { at, ordinal, attempt, agent, kind, error, started_at, finished_at, outcome });
}

fn postpone_ms(postponed: u32) -> u64 {
    POSTPONE_MS_FIRST.saturating_mul(1 << postponed.min(16)).min(POSTPONE_MS_MAX)
}
