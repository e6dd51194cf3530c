//! How a project goes from phase to phase.

use super::{DeadPhase, Draft, Event, PhaseReport};
use crate::domain::alarm::next_alarm;
use crate::domain::check::SUBTASKS_MAX;
use crate::domain::decision::{Decision, Effect, cut};
use crate::domain::phase::{Refusal, Why};
use crate::wire::{Status, StreamId};

/// How long a phase that was refused waits for its queue.
const REFUSED_WAIT_MS: u64 = 5_000;

pub(super) fn start_phase(draft: &mut Draft<'_>, phase: u32) {
    let Some(accepted) = draft.project.accepted() else { return };
    // The partition is dealt once, and used ever after.
    let dealt = draft.project.phase(phase).and_then(|phase| phase.partition);
    let partition =
        dealt.unwrap_or_else(|| StreamId::Phase(draft.project.id_or_nil(), phase).partition(accepted.partitions));
    draft.record(Event::PhaseStarted { at: draft.context.now, cause: draft.cause, phase, partition });
}

pub(super) fn set_alarm(draft: &mut Draft<'_>, came_back: bool) {
    let now = draft.context.now;
    let due = draft.project.refused_until();
    if let Some(alarm) = next_alarm(draft.project.alarm(), came_back, now, due, draft.cause) {
        draft.record(Event::AlarmSet { at: now, alarm });
    }
}

/// A phase ended: on to the next one, or to the project's own end.
pub(super) fn on_report(draft: &mut Draft<'_>, report: &PhaseReport) -> Result<(), Decision<Event>> {
    let is_current = draft.project.current().is_some_and(|current| current.number == report.phase);
    if draft.project.run() != report.run || !is_current || !report.status.is_ended() {
        return Err(Decision::Nothing("the report is not of the current phase"));
    }
    if !report.counts.add_up() || report.counts.total > SUBTASKS_MAX {
        return Err(Decision::Refuse("absurd_counts"));
    }
    end_phase(draft, report);
    Ok(())
}

fn end_phase(draft: &mut Draft<'_>, report: &PhaseReport) {
    let (at, cause) = (draft.context.now, draft.cause);
    let PhaseReport { phase, status, counts, .. } = *report;
    let error = report.error.as_deref().map(cut);
    draft.record(Event::PhaseReported { at, phase, status, counts, error: error.clone() });
    if status != Status::Completed {
        draft.record(Event::Ended { at, cause, status, error });
    } else if draft.project.phase(phase + 1).is_some() {
        start_phase(draft, phase + 1);
        set_alarm(draft, false);
    } else {
        draft.record(Event::Ended { at, cause, status, error: None });
    }
}

/// What belongs to the current phase was given up: it can not go on.
pub(super) fn on_dead_phase(draft: &mut Draft<'_>, dead: &DeadPhase) -> Result<(), Decision<Event>> {
    let Some(current) = draft.project.current().filter(|current| current.number == dead.phase) else {
        return Err(Decision::Nothing("the dead letter is not of the current phase"));
    };
    let error = format!("phase {} was given up: {}", dead.phase, dead.reason);
    let (run, counts) = (draft.project.run(), current.counts);
    end_phase(draft, &PhaseReport { run, phase: dead.phase, status: Status::Error, counts, error: Some(error) });
    Ok(())
}

/// The broker refused what this project sent.
pub(super) fn on_refused(draft: &mut Draft<'_>, refusal: &Refusal) -> Result<(), Decision<Event>> {
    let Effect::StartPhase { phase } = refusal.effect else {
        return Err(Decision::Nothing("the refused message is not current"));
    };
    if draft.project.start_id(phase) != Some(refusal.id) {
        return Err(Decision::Nothing("the refused message is not current"));
    }
    let at = draft.context.now;
    match &refusal.why {
        Why::Unsendable(why) => {
            let reason = format!("it can not be sent: {why}");
            return on_dead_phase(draft, &DeadPhase { phase, reason });
        }
        Why::Nacked | Why::Returned => {
            let error = refusal.why.to_string();
            draft.record(Event::StartRefused { at, phase, again_at: at.plus_ms(REFUSED_WAIT_MS), error });
        }
    }
    set_alarm(draft, false);
    Ok(())
}

/// The project's alarm came back; see the phase machine for newer numbers.
pub(super) fn on_alarm(draft: &mut Draft<'_>, number: u64) -> Result<(), Decision<Event>> {
    if draft.project.alarms.is_stale(number) {
        return Err(Decision::Nothing("the alarm is stale"));
    }
    if draft.project.refused_until().is_some_and(|until| until <= draft.context.now) {
        let current = draft.project.current().map(|current| current.number);
        current.into_iter().for_each(|phase| start_phase(draft, phase));
    }
    set_alarm(draft, true);
    Ok(())
}

/// The current phase is handed over again, and the alarm goes out anew.
pub(super) fn on_recover(draft: &mut Draft<'_>) -> Result<(), Decision<Event>> {
    let current = draft.project.current().map(|current| current.number);
    current.into_iter().for_each(|phase| start_phase(draft, phase));
    set_alarm(draft, true);
    Ok(())
}
