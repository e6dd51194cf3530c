//! What goes out: ready subtasks within the allowance, and what follows when the broker refuses one.

use super::answer::fail;
use super::draft::Draft;
use super::{Event, Refusal, Why};
use crate::domain::alarm::next_alarm;
use crate::domain::decision::{Decision, Effect, cut};
use crate::wire::Failure;

/// So many commands an event, for the same reason as specs.
const COMMANDS_PER_EVENT: usize = 1_000;
/// How long a refused command waits for its queue: a full one drains, a missing one is declared.
pub(super) const REFUSED_WAIT_MS: u64 = 5_000;

/// The end of every decision about an open phase: dispatch, end the phase when nothing is left, see to the alarm.
pub(super) fn settle(draft: &mut Draft<'_>, alarm_came_back: bool) {
    dispatch(draft);
    if let Some((status, error)) = draft.phase.verdict() {
        draft.record(Event::Ended { at: draft.context.now, cause: draft.cause, status, error });
        return;
    }
    set_alarm(draft, alarm_came_back);
}

pub(super) fn set_alarm(draft: &mut Draft<'_>, came_back: bool) {
    let now = draft.context.now;
    let next = next_alarm(draft.phase.alarm(), came_back, now, draft.phase.next_due(), draft.cause);
    if let Some(alarm) = next {
        draft.record(Event::AlarmSet { at: now, alarm });
    }
}

/// Hands out what the allowance lets out, the longest remaining path of a skill first. A phase with ready work
/// and nothing in flight hands out one whatever the allowance says: else nothing would ever wake it. A skill that
/// was refused is left alone until its wait is over: else a whole phase would be offered to a queue that is not
/// there.
fn dispatch(draft: &mut Draft<'_>) {
    if draft.phase.failing.is_some() {
        return;
    }
    let phase = &*draft.phase;
    let open_skills = || phase.ready.skills().filter(|&(skill, _)| !phase.is_held(skill, draft.context.now));
    let mut chosen = Vec::new();
    for (skill, _) in open_skills() {
        let room = (draft.context.allowance)(phase.skill_name(skill)).saturating_sub(phase.in_flight_of(skill));
        chosen.extend(phase.ready.walk(skill).take(room as usize));
    }
    if chosen.is_empty() && phase.flights.is_empty() {
        let first = open_skills().max_by_key(|&(_, path)| path);
        chosen.extend(first.and_then(|(skill, _)| phase.ready.walk(skill).next()));
    }
    let not_after = draft.context.now.plus_ms(draft.context.start_within_ms);
    let commands: Vec<_> = chosen.into_iter().map(|ordinal| (ordinal, phase.next_attempt(ordinal))).collect();
    for chunk in commands.chunks(COMMANDS_PER_EVENT) {
        let (at, cause) = (draft.context.now, draft.cause);
        draft.record(Event::Dispatched { at, cause, not_after, commands: chunk.to_vec() });
    }
}

/// The broker refused what an open phase sent.
pub(super) fn on_refused(draft: &mut Draft<'_>, refusal: &Refusal) -> Result<(), Decision<Event>> {
    let Effect::Execute { ordinal, attempt } = refusal.effect else {
        return Err(Decision::Nothing("only commands are refused while a phase is open"));
    };
    let Some(command) = draft.phase.command_id(ordinal) else {
        return Err(Decision::Nothing("the refused command is not current"));
    };
    if command != refusal.id {
        return Err(Decision::Nothing("the refused command is not current"));
    }
    let at = draft.context.now;
    match &refusal.why {
        Why::Unsendable(why) => fail(draft, ordinal, None, &Failure::permanent(why.clone()), None, None),
        Why::Nacked | Why::Returned => draft.record(Event::DispatchRefused {
            at,
            ordinal,
            attempt,
            again_at: at.plus_ms(REFUSED_WAIT_MS),
            error: cut(&refusal.why.to_string()),
        }),
    }
    settle(draft, false);
    Ok(())
}
