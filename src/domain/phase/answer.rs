//! What came of an attempt: a result, a failure, or a command that the broker gave up.

use super::dispatch::settle;
use super::draft::Draft;
use super::escalate::charged;
use super::event::{Budget, agent_name};
use super::{Answer, AnswerBody, DeadCommand, Event, Outcome};
use crate::broken;
use crate::domain::decision::{Decision, cut};
use crate::wire::{AgentId, Failure, FailureKind, MessageId, Timestamp};

/// The first and the longest wait of an attempt that is not charged. Without a wait an executor that always
/// gives back, or whose clock is wrong, would be asked in a tight loop.
const POSTPONE_MS_FIRST: u64 = 250;
const POSTPONE_MS_MAX: u64 = 60_000;
/// What comes too late more often than this is charged: executors that do nothing else must not keep a project open. What
/// is given back never is: a stop uses up no attempt, however often there is one.
const POSTPONED_MAX: u32 = 100;

pub(super) fn on_answer(draft: &mut Draft<'_>, answer: &Answer) -> Result<(), Decision<Event>> {
    let attempt = match current(draft, answer.ordinal, answer.in_reply_to) {
        Ok(attempt) => attempt,
        Err(otherwise) => return on_unwanted_answer(draft, answer.in_reply_to).map_err(|_| otherwise),
    };
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
            if draft.context.is_one_of_many {
                return Ok(());
            }
        }
        AnswerBody::Failed(failure) => {
            let (started_at, finished_at) = (answer.started_at, answer.finished_at);
            let told = Told { agent: Some(&answer.agent), started_at, finished_at };
            fail(draft, answer.ordinal, failure, told);
        }
    }
    settle(draft, false);
    Ok(())
}

pub(super) fn on_answer_after_end(draft: &mut Draft<'_>, answer: &Answer) -> Result<(), Decision<Event>> {
    on_unwanted_answer(draft, answer.in_reply_to).map_err(|_| Decision::Nothing("the phase has ended"))
}

/// Whoever had a command that is not wanted any more is done with it: it need not be told again.
fn on_unwanted_answer(draft: &mut Draft<'_>, command: MessageId) -> Result<(), Decision<Event>> {
    match draft.phase.unwanted.contains_key(&command) {
        true => {
            draft.record(Event::Hushed { at: draft.context.now, command });
            Ok(())
        }
        false => Err(Decision::Nothing("it answers a command that is not current")),
    }
}

/// The broker gave a command up: it came back too often, so its executors died of it, or beside it.
pub(super) fn on_dead_command(draft: &mut Draft<'_>, dead: &DeadCommand) -> Result<(), Decision<Event>> {
    let attempt = current(draft, dead.ordinal, dead.id)?;
    let failure = Failure::new(FailureKind::Crashed, format!("the broker gave the command up: {}", cut(&dead.reason)));
    let outcome = charged(draft, dead.ordinal, &failure, Budget::Crashes);
    record(draft, dead.ordinal, attempt, &failure, Told::BY_NOBODY, outcome);
    settle(draft, false);
    Ok(())
}

/// The attempt that `command` is of, when it is the current one of that subtask.
pub(super) fn current(draft: &Draft<'_>, ordinal: u32, command: MessageId) -> Result<u32, Decision<Event>> {
    let Some(subtask) = draft.phase.subtasks.get(ordinal as usize) else {
        return Err(Decision::Refuse("unknown_subtask"));
    };
    let current = draft.phase.command_id(ordinal).map(|id| broken::fence(id.0, subtask.attempt));
    match current == Some(command.0) {
        true => Ok(subtask.attempt),
        false => Err(Decision::Nothing("it answers a command that is not current")),
    }
}

/// Who told of a failure, and when the attempt ran.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) agent: Option<&'a str>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
}

impl Told<'_> {
    /// No executor said so itself.
    pub(super) const BY_NOBODY: Self = Self { agent: None, started_at: None, finished_at: None };
}

/// Records a failure of the current attempt, and what follows from it for the subtask. What never began is not
/// charged, unless its wait has a bound; what crashed and never began did so on the way, as if the broker had given it up.
pub(super) fn fail(draft: &mut Draft<'_>, ordinal: u32, failure: &Failure, told: Told<'_>) {
    let subtask = draft.phase.subtasks[ordinal as usize];
    let is_bounded = draft.phase.terms(ordinal).queue_wait_ms.is_some();
    let (never_began, is_patient) = (told.started_at.is_none(), subtask.postponed < POSTPONED_MAX);
    let outcome = match failure.kind {
        FailureKind::Released if failure.avoid && !(is_patient && another_can(draft, ordinal, told.agent)) => {
            // No other executor can do it: it fails as a skill that the team lacks, after its attempts.
            let failure = Failure { kind: FailureKind::Unsupported, ..failure.clone() };
            let outcome = charged(draft, ordinal, &failure, Budget::Failures);
            return record(draft, ordinal, subtask.attempt, &failure, told, outcome);
        }
        FailureKind::Released => postponed(draft, ordinal),
        FailureKind::Timeout if never_began && !is_bounded && is_patient => postponed(draft, ordinal),
        FailureKind::Crashed if never_began => charged(draft, ordinal, failure, Budget::Crashes),
        _ => charged(draft, ordinal, failure, Budget::Failures),
    };
    record(draft, ordinal, subtask.attempt, failure, told, outcome);
}

/// Whether an executor is known that can do it, beside the one that has just said that it can not, and those before it.
fn another_can(draft: &Draft<'_>, ordinal: u32, agent: Option<&str>) -> bool {
    let mut others = draft.phase.avoided(ordinal);
    others.extend(agent.and_then(|agent| AgentId::new(agent).ok()));
    draft.context.team.is_able(draft.phase.terms(ordinal).skill, &others)
}

/// Not charged: once more, a little later each time.
pub(super) fn postponed(draft: &Draft<'_>, ordinal: u32) -> Outcome {
    let postponed = draft.phase.subtasks[ordinal as usize].postponed;
    let wait_ms = POSTPONE_MS_FIRST.saturating_mul(1 << postponed.min(16)).min(POSTPONE_MS_MAX);
    Outcome::Wait { until: draft.context.now.plus_ms(wait_ms) }
}

pub(super) fn record(
    draft: &mut Draft<'_>,
    ordinal: u32,
    attempt: u32,
    failure: &Failure,
    told: Told<'_>,
    outcome: Outcome,
) {
    draft.record(Event::Failed {
        at: draft.context.now,
        ordinal,
        attempt,
        agent: told.agent.map(agent_name),
        kind: failure.kind,
        error: cut(&failure.message),
        avoid: failure.avoid,
        started_at: told.started_at,
        finished_at: told.finished_at,
        outcome,
    });
}
