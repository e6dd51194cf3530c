//! Leased attempts: their executor has acked them, so nothing about them is in the broker any more, and being
//! heard of is all that tells that it lives.
//!
//! ```text
//!   Dispatched --SubtaskAccepted--> leased until T --heard of--> until T' --...--> answer
//!                                       `--not heard of, by an owner that listened all the time--> crashed
//! ```
//!
//! An owner that was deaf (it has just taken over, or its inbox was gone) grants a full lease from when it began to
//! listen. The last executor that accepted a command has it; what the other answers is fenced only by the command.

use super::answer::{Told, current, record};
use super::draft::Draft;
use super::escalate::charged;
use super::event::{Budget, agent_name};
use super::{Accepted, Event};
use crate::domain::decision::Decision;
use crate::wire::{Failure, FailureKind, Timestamp};

pub(super) fn on_accepted(draft: &mut Draft<'_>, accepted: &Accepted) -> Result<(), Decision<Event>> {
    let (ordinal, at) = (accepted.ordinal, draft.context.now);
    let attempt = current(draft, ordinal, accepted.in_reply_to)?;
    let Some(lease_ms) = draft.phase.terms(ordinal).lease_ms else {
        return Err(Decision::Nothing("its skill is not leased"));
    };
    let agent = agent_name(&accepted.agent);
    draft.record(Event::Accepted { at, ordinal, attempt, agent, until: at.plus_ms(lease_ms) });
    super::dispatch::set_alarm(draft, false);
    Ok(())
}

/// What becomes of a leased attempt whose lease is over by now: the end of its next lease, or none.
pub(super) fn renewed(draft: &Draft<'_>, ordinal: u32) -> Option<Timestamp> {
    let (lease_ms, command) = (draft.phase.terms(ordinal).lease_ms?, draft.phase.command_id(ordinal)?);
    let team = draft.context.team;
    let heard = team.heard_of(command).unwrap_or_default().max(team.listening_since());
    Some(heard.plus_ms(lease_ms)).filter(|&until| until > draft.context.now)
}

/// Its executor is counted as dead.
pub(super) fn expire(draft: &mut Draft<'_>, ordinal: u32) {
    let lease_ms = draft.phase.terms(ordinal).lease_ms.unwrap_or_default();
    let failure = Failure::new(FailureKind::Crashed, format!("its executor was not heard of for {lease_ms} ms"));
    let outcome = charged(draft, ordinal, &failure, Budget::Crashes);
    let attempt = draft.phase.subtasks[ordinal as usize].attempt;
    record(draft, ordinal, attempt, &failure, Told::BY_NOBODY, outcome);
}
