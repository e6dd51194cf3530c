//! What an alarm or an operator wakes: waits that are over, attempts past their deadline, leases, refused publishes,
//! and executors that are to be told again of what is not wanted any more.

use super::answer::{Told, fail, postponed, record};
use super::dispatch::{REFUSED_WAIT_MS, set_alarm, settle};
use super::draft::Draft;
use super::escalate::charged;
use super::event::Budget;
use super::{Event, Flight, Offer, Refusal, Start, lease};
use crate::domain::decision::{Decision, Effect};
use crate::wire::{Failure, FailureKind};

/// The phase's alarm came back. A newer number than the state knows sweeps too: a store that forgot its last
/// events, a backup say, must not leave the stream without an alarm.
pub(super) fn on_alarm(draft: &mut Draft<'_>, number: u64) -> Result<(), Decision<Event>> {
    if draft.phase.alarms.is_stale(number) {
        return Err(Decision::Nothing("the alarm is stale"));
    }
    let at = draft.context.now;
    let has_caught_up = at >= draft.context.caught_up_at();
    let mut leases = Vec::new();
    for ordinal in draft.phase.due_by(at) {
        let Some(flight) = draft.phase.flights.get(&ordinal).copied() else {
            match draft.phase.questions.contains_key(&ordinal) {
                true => draft.record(Event::AskedAgain { at, cause: draft.cause, ordinal }),
                false => draft.record(Event::WaitEnded { at, ordinal }),
            }
            continue;
        };
        match (flight.lease, flight.begin_by) {
            _ if flight.deadline <= at => {
                if has_caught_up {
                    on_deadline(draft, ordinal);
                }
            }
            (Some(_), _) => match lease::renewed(draft, ordinal) {
                Some(until) => leases.push((ordinal, until)),
                None => lease::expire(draft, ordinal),
            },
            (None, Some(_)) => on_begin_by(draft, ordinal, has_caught_up),
            (None, None) => {}
        }
    }
    if !leases.is_empty() {
        draft.record(Event::LeasesRenewed { at, leases });
    }
    withdraw_lost(draft);
    repeat_cancels(draft);
    settle(draft, true);
    Ok(())
}

/// What waited in a queue that was deleted is sent anew: what had been dispatched before, and no executor says it runs.
fn withdraw_lost(draft: &mut Draft<'_>) {
    let (phase, team, at) = (&*draft.phase, draft.context.team, draft.context.now);
    let is_lost = |(&ordinal, flight): (&u32, &Flight)| {
        let terms = phase.terms(ordinal);
        let waits_ms = terms.queue_wait_ms.unwrap_or(draft.context.start_within_ms);
        let dispatched_at = flight.not_after.minus_ms(waits_ms);
        let is_running = || phase.command_id(ordinal).is_some_and(|command| team.heard_of(command).is_some());
        let is_before = team.queue_lost_at(terms.skill).is_some_and(|lost_at| dispatched_at <= lost_at);
        is_before && flight.lease.is_none() && !is_running()
    };
    let lost: Vec<u32> = phase.flights.iter().filter(|flight| is_lost(*flight)).map(|(&ordinal, _)| ordinal).collect();
    // Each goes to the head of its queue: the last one first, so that they keep their order.
    for ordinal in lost.into_iter().rev() {
        draft.record(Event::Withdrawn { at, ordinal });
    }
}

/// Nobody answered in time. It is charged where somebody should have: an executor that had it hung or lied. Where
/// nobody offers the skill it waits, and is not charged.
fn on_deadline(draft: &mut Draft<'_>, ordinal: u32) {
    let (phase, failure) = (&*draft.phase, Failure::new(FailureKind::Timeout, "no answer by its deadline"));
    let (attempt, terms) = (phase.subtasks[ordinal as usize].attempt, phase.terms(ordinal));
    let is_leased = phase.flights.get(&ordinal).is_some_and(|flight| flight.lease.is_some());
    let is_charged =
        is_leased || terms.queue_wait_ms.is_some() || draft.context.team.offer(terms.skill) != Offer::Nobody;
    let outcome = match is_charged {
        true => charged(draft, ordinal, &failure, Budget::Failures),
        false => postponed(draft, ordinal),
    };
    record(draft, ordinal, attempt, &failure, Told::BY_NOBODY, outcome);
}

/// Its wait in the queue has a bound, which is over. Has it begun? Executors say what they run; of programs that say
/// nothing the answer has to be waited for.
fn on_begin_by(draft: &mut Draft<'_>, ordinal: u32, has_caught_up: bool) {
    let (team, at) = (draft.context.team, draft.context.now);
    let is_external = team.offer(draft.phase.terms(ordinal).skill) == Offer::External;
    let is_running = draft.phase.command_id(ordinal).is_some_and(|command| team.heard_of(command).is_some());
    if is_external || is_running {
        draft.record(Event::Begun { at, ordinal });
        return;
    }
    if !has_caught_up {
        return;
    }
    let wait_ms = draft.phase.terms(ordinal).queue_wait_ms.unwrap_or_default();
    let failure = Failure::new(FailureKind::Timeout, format!("it waited in its queue for longer than {wait_ms} ms"));
    fail(draft, ordinal, &failure, Told::BY_NOBODY);
}

fn repeat_cancels(draft: &mut Draft<'_>) {
    if !draft.phase.unwanted.is_empty() {
        draft.record(Event::CancelRepeated { at: draft.context.now });
    }
}

/// Everything in flight is dispatched again as a new attempt, questions are asked again, and the alarm goes out anew.
pub(super) fn on_recover(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    let at = draft.context.now;
    draft.record(Event::Recovered { at, cause: draft.cause });
    let in_flight: Vec<u32> = draft.phase.flights.keys().copied().collect();
    // Each goes to the head of its queue: the last one first, so that they keep their order.
    for ordinal in in_flight.into_iter().rev() {
        draft.record(Event::Withdrawn { at, ordinal });
    }
    let asked: Vec<u32> = draft.phase.questions.keys().copied().collect();
    for ordinal in asked {
        draft.record(Event::AskedAgain { at, cause: draft.cause, ordinal });
    }
    settle(draft, true);
    Ok(())
}

/// Its start is on its way, or comes back from the dead, and nothing of it is out. That it was said is remembered: whoever
/// has lost the word, and does not know it yet, must not act on it once the phase is open.
pub(super) fn on_early_recover(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    draft.record(Event::Recovered { at: draft.context.now, cause: draft.cause });
    Ok(())
}

pub(super) fn on_recover_after_end(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    draft.record(Event::Recovered { at: draft.context.now, cause: draft.cause });
    report_again(draft);
    Ok(())
}

fn report_again(draft: &mut Draft<'_>) {
    draft.record(Event::ReportAgain { at: draft.context.now, cause: draft.cause });
    set_alarm(draft, true);
}

/// The phase was handed over again. A newer word is remembered: whoever decides on the same message later, because he
/// does not know that he has lost it, must not have the report sent because of it. An open phase knows that it is open;
/// whether its alarm is still out is worth a look.
pub(super) fn on_start_again(draft: &mut Draft<'_>, start: &Start) -> Result<(), Decision<Event>> {
    let has_ended = draft.phase.ended.is_some();
    if start.project_version > draft.phase.handed_over {
        draft.record(Event::HandedOverAgain { at: draft.context.now, project_version: start.project_version });
        if has_ended {
            // A manager has not heard of its end.
            report_again(draft);
        }
    }
    if !has_ended {
        set_alarm(draft, false);
    }
    match (draft.is_empty(), has_ended) {
        (false, _) => Ok(()),
        (true, true) => Err(Decision::Nothing("the phase has ended")),
        (true, false) => Err(Decision::Nothing("the phase is open")),
    }
}

/// The report of an ended phase could not be sent: the alarm will try again.
pub(super) fn on_report_refused(draft: &mut Draft<'_>, refusal: &Refusal) -> Result<(), Decision<Event>> {
    if refusal.effect != Effect::Report || draft.phase.report_id() != Some(refusal.id) || draft.phase.report_refused {
        return Err(Decision::Nothing("the refused message is not current"));
    }
    let now = draft.context.now;
    draft.record(Event::ReportRefused { at: now });
    super::dispatch::set_alarm_for(draft, true, Some(now.plus_ms(REFUSED_WAIT_MS)));
    Ok(())
}

pub(super) fn on_alarm_after_end(draft: &mut Draft<'_>, number: u64) -> Result<(), Decision<Event>> {
    if !draft.phase.wants_alarm() || draft.phase.alarms.is_stale(number) {
        return Err(Decision::Nothing("the phase has ended"));
    }
    if draft.phase.report_refused {
        draft.record(Event::ReportAgain { at: draft.context.now, cause: draft.cause });
    }
    repeat_cancels(draft);
    set_alarm(draft, true);
    Ok(())
}
