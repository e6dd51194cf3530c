//! What an alarm or an operator wakes: waits that are over, attempts past their deadline, refused publishes.

use super::answer::fail;
use super::dispatch::{REFUSED_WAIT_MS, settle};
use super::draft::Draft;
use super::{Event, Refusal, Start};
use crate::domain::alarm::next_alarm;
use crate::domain::decision::{Decision, Effect};
use crate::wire::{Failure, FailureKind, SubtaskStatus};

/// The phase's alarm came back. A newer number than the state knows sweeps too: a store that forgot its last
/// events, a backup say, must not leave the stream without an alarm.
pub(super) fn on_alarm(draft: &mut Draft<'_>, number: u64) -> Result<(), Decision<Event>> {
    if draft.phase.alarms.is_stale(number) {
        return Err(Decision::Nothing("the alarm is stale"));
    }
    let at = draft.context.now;
    while let Some(ordinal) = draft.phase.due_by(at) {
        match draft.phase.subtasks[ordinal as usize].status {
            SubtaskStatus::Busy => {
                // Nobody was heard of it, so it is not known to have begun: it is not charged.
                let failure = Failure::new(FailureKind::Timeout, "no answer by its deadline");
                fail(draft, ordinal, None, &failure, None, None);
            }
            _ => draft.record(Event::WaitEnded { at, ordinal }),
        }
    }
    settle(draft, true);
    Ok(())
}

/// Everything in flight is dispatched again as a new attempt, and the alarm goes out anew.
pub(super) fn on_recover(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    let at = draft.context.now;
    let in_flight: Vec<u32> = draft.phase.flights.keys().copied().collect();
    // Each goes to the head of its queue: the last one first, so that they keep their order.
    for ordinal in in_flight.into_iter().rev() {
        draft.record(Event::WaitEnded { at, ordinal });
    }
    settle(draft, true);
    Ok(())
}

pub(super) fn on_recover_after_end(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    draft.record(Event::ReportAgain { at: draft.context.now, cause: draft.cause });
    Ok(())
}

/// The phase was handed over again by a manager that has not heard of its end.
pub(super) fn on_start_after_end(draft: &mut Draft<'_>, start: &Start) -> Result<(), Decision<Event>> {
    match draft.phase.opened.as_ref().is_some_and(|opened| start.project_version > opened.project_version) {
        true => on_recover_after_end(draft),
        false => Err(Decision::Nothing("the phase has ended")),
    }
}

/// The report of an ended phase could not be sent: the alarm will try again.
pub(super) fn on_report_refused(draft: &mut Draft<'_>, refusal: &Refusal) -> Result<(), Decision<Event>> {
    if refusal.effect != Effect::Report || draft.phase.report_id() != Some(refusal.id) || draft.phase.report_refused {
        return Err(Decision::Nothing("the refused message is not current"));
    }
    let now = draft.context.now;
    draft.record(Event::ReportRefused { at: now });
    let due = Some(now.plus_ms(REFUSED_WAIT_MS));
    if let Some(alarm) = next_alarm(draft.phase.alarm(), true, now, due, draft.cause) {
        draft.record(Event::AlarmSet { at: now, alarm });
    }
    Ok(())
}

pub(super) fn on_alarm_after_end(draft: &mut Draft<'_>, number: u64) -> Result<(), Decision<Event>> {
    if !draft.phase.report_refused || draft.phase.alarms.is_stale(number) {
        return Err(Decision::Nothing("the phase has ended"));
    }
    draft.record(Event::ReportAgain { at: draft.context.now, cause: draft.cause });
    Ok(())
}
