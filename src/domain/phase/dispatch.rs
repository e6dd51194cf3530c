//! What goes out: ready subtasks within the allowance, and what follows when the broker refuses one.

use std::collections::BTreeMap;

use super::answer::{Told, fail};
use super::draft::Draft;
use super::words::cancel_running;
use super::{Event, Refusal, Why};
use crate::broken::{self, Broken};
use crate::domain::alarm::next_alarm;
use crate::domain::decision::{Decision, Effect, cut};
use crate::wire::policy::Running;
use crate::wire::{Failure, Timestamp};

/// So many commands an event, for the same reason as specs.
const COMMANDS_PER_EVENT: usize = 1_000;
/// How long a refused command waits for its queue: a full one drains, a missing one is declared.
pub(super) const REFUSED_WAIT_MS: u64 = 5_000;

/// The end of every decision about an open phase: dispatch, end the phase when nothing is left, see to the alarm.
/// What is cancelled comes first: cleanups may have waited for it.
pub(super) fn settle(draft: &mut Draft<'_>, alarm_came_back: bool) {
    if draft.phase.failing.is_some() && draft.phase.policy.running == Running::Cancel {
        cancel_running(draft);
    }
    dispatch(draft);
    if let Some((status, error)) = draft.phase.verdict() {
        let (at, cause) = (draft.context.now, draft.cause);
        draft.record(Event::Ended { at, cause, status, error, laid_down: true });
    }
    set_alarm(draft, alarm_came_back);
}

/// The alarm that the stream needs now: for what is due next, or, after the end, for what is still to be told.
pub(super) fn set_alarm(draft: &mut Draft<'_>, came_back: bool) {
    let due = due(draft).filter(|_| draft.phase.ended.is_none());
    set_alarm_for(draft, came_back, due);
}

/// When something is next to be done. What is overdue while its owner catches up waits for that.
fn due(draft: &Draft<'_>) -> Option<Timestamp> {
    let (now, caught_up_at) = (draft.context.now, draft.context.caught_up_at());
    let first = draft.phase.next_due(Timestamp::default())?;
    match first > now || caught_up_at <= now {
        true => Some(first),
        false => draft.phase.next_due(now).into_iter().chain([caught_up_at]).min(),
    }
}

pub(super) fn set_alarm_for(draft: &mut Draft<'_>, came_back: bool, due: Option<Timestamp>) {
    if !draft.phase.wants_alarm() {
        return;
    }
    let now = draft.context.now;
    let next = next_alarm(draft.phase.alarm(), came_back, now, due, draft.cause);
    if let Some(alarm) = next {
        draft.record(Event::AlarmSet { at: now, alarm });
    }
}

/// Hands out what the allowance lets out, the longest remaining path of a skill first. A phase with ready work
/// and nothing in flight hands out one whatever the allowance says: else nothing would ever wake it. A skill that
/// was refused is left alone until its wait is over: else a whole phase would be offered to a queue that is not
/// there. In a phase that is failing nothing is ready but cleanups.
fn dispatch(draft: &mut Draft<'_>) {
    if draft.phase.failing.is_some() && draft.phase.cleanups == 0 || draft.phase.paused.is_some() {
        return;
    }
    let phase = &*draft.phase;
    let open_skills = || phase.ready.skills().filter(|&(skill, _)| !phase.is_held(skill, draft.context.now));
    let mut chosen = Vec::new();
    for (skill, _) in open_skills() {
        let room = draft.context.team.allowance(phase.skill_name(skill)).saturating_sub(phase.in_flight_of(skill));
        chosen.extend(phase.ready.walk(skill).take(room as usize));
    }
    if chosen.is_empty() && phase.flights.is_empty() && !broken::is(Broken::NoFloor) {
        let first = open_skills().max_by_key(|&(_, path)| path);
        chosen.extend(first.and_then(|(skill, _)| phase.ready.walk(skill).next()));
    }
    // Those with the same bound on their wait share an event.
    let mut commands: BTreeMap<u64, Vec<(u32, u32)>> = BTreeMap::new();
    for ordinal in chosen {
        let wait_ms = phase.terms(ordinal).queue_wait_ms.unwrap_or(draft.context.start_within_ms);
        commands.entry(wait_ms).or_default().push((ordinal, phase.next_attempt(ordinal)));
    }
    for (wait_ms, commands) in commands {
        for chunk in commands.chunks(COMMANDS_PER_EVENT) {
            let (at, cause) = (draft.context.now, draft.cause);
            let (not_after, answer_within_ms) = (at.plus_ms(wait_ms), Some(draft.context.answer_within_ms));
            draft.record(Event::Dispatched { at, cause, not_after, commands: chunk.to_vec(), answer_within_ms });
        }
    }
}

/// The broker refused what an open phase sent.
pub(super) fn on_refused(draft: &mut Draft<'_>, refusal: &Refusal) -> Result<(), Decision<Event>> {
    let (ordinal, attempt) = match refusal.effect {
        Effect::Execute { ordinal, attempt } => (ordinal, attempt),
        Effect::Ask { ordinal, .. } => return on_ask_refused(draft, refusal, ordinal),
        _ => return Err(Decision::Nothing("only commands and questions are refused while a phase is open")),
    };
    let Some(command) = draft.phase.command_id(ordinal) else {
        return Err(Decision::Nothing("the refused command is not current"));
    };
    if command != refusal.id {
        return Err(Decision::Nothing("the refused command is not current"));
    }
    let at = draft.context.now;
    match &refusal.why {
        Why::Unsendable(why) => fail(draft, ordinal, &Failure::permanent(why.clone()), Told::BY_NOBODY),
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

/// A question could not be handed over: the alarm asks it again.
fn on_ask_refused(draft: &mut Draft<'_>, refusal: &Refusal, ordinal: u32) -> Result<(), Decision<Event>> {
    let is_waiting = draft.phase.waits_until(ordinal).is_some();
    if draft.phase.question_id(ordinal) != Some(refusal.id) || is_waiting {
        return Err(Decision::Nothing("the refused question is not current"));
    }
    let at = draft.context.now;
    let (again_at, error) = (at.plus_ms(REFUSED_WAIT_MS), cut(&refusal.why.to_string()));
    draft.record(Event::AskRefused { at, ordinal, again_at, error });
    settle(draft, false);
    Ok(())
}
