//! A project's alarm: what is due, and what is done about it when it comes back.

use std::time::Duration;

use super::given_up::give_up;
use super::phases::start_phase;
use super::words::{Word, cancel_all, tell_again};
use super::{Draft, Event, Project};
use crate::domain::alarm::next_alarm;
use crate::domain::decision::Decision;
use crate::domain::duration;
use crate::wire::{Status, Timestamp};

/// So often a phase that has not ended is handed over again: its start, what it was told, or its report may have been
/// in a queue that somebody deleted.
const HAND_OVER_AGAIN_MS: u64 = 300_000;

pub(super) fn set_alarm(draft: &mut Draft<'_>, came_back: bool) {
    let now = draft.context.now;
    let due = due(draft);
    if let Some(alarm) = next_alarm(draft.project.alarm(), came_back, now, due, draft.cause) {
        draft.record(Event::AlarmSet { at: now, alarm });
    }
}

/// When the next thing is to be done without anybody's word. What is lost is looked for whenever the alarm comes back,
/// which is at least once a minute.
fn due(draft: &Draft<'_>) -> Option<Timestamp> {
    let project = &*draft.project;
    let told = project.told.values().filter_map(|told| told.again_at);
    let away = waits_for_coordinators(project).map(|(_, since)| draft.context.away_at(since));
    told.chain(project.refused_until).chain(running_deadline(draft)).chain(away).min()
}

/// While it is paused the deadline stands still, and once it is being cancelled it means nothing.
fn running_deadline(draft: &Draft<'_>) -> Option<Timestamp> {
    let is_running = draft.project.cancel.is_none() && !draft.project.is_paused();
    draft.project.deadline.filter(|_| is_running)
}

/// The project's alarm came back; see the phase machine for newer numbers.
pub(super) fn on_alarm(draft: &mut Draft<'_>, number: u64) -> Result<(), Decision<Event>> {
    if draft.project.alarms.is_stale(number) {
        return Err(Decision::Nothing("the alarm is stale"));
    }
    let now = draft.context.now;
    if draft.project.refused_until.is_some_and(|until| until <= now) {
        draft.project.current.into_iter().for_each(|phase| hand_over_again(draft, phase));
    }
    tell_again(draft, |told| told.again_at.is_some_and(|at| at <= now));
    if running_deadline(draft).is_some_and(|deadline| deadline <= now) {
        let allowed = draft.project.accepted().and_then(|accepted| accepted.deadline_ms).unwrap_or_default();
        let reason = format!("the deadline of {} passed", duration::print(Duration::from_millis(allowed)));
        cancel_all(draft, Status::Error, reason)?;
    }
    look_for_coordinators(draft);
    look_for_phase(draft);
    let is_set = draft.events.iter().any(|event| matches!(event, Event::AlarmSet { .. }));
    if draft.project.is_open() && !is_set {
        set_alarm(draft, true);
    }
    Ok(())
}

/// The phase that is with the coordinators, and since when they are to be heard of: while it is paused nobody needs them.
fn waits_for_coordinators(project: &Project) -> Option<(u32, Timestamp)> {
    let current = project.current().filter(|_| !project.is_paused())?;
    Some((current.number, current.started_at.max(project.resumed_at.unwrap_or_default())))
}

/// A phase that has been with coordinators whom nobody has heard of for long is given up.
fn look_for_coordinators(draft: &mut Draft<'_>) {
    let Some((number, since)) = waits_for_coordinators(draft.project) else { return };
    let silence_ms = draft.context.silence_ms(since);
    if silence_ms >= draft.context.away_ms {
        let silence = duration::print(Duration::from_secs(silence_ms / 1_000));
        give_up(draft, number, &format!("no coordinator has been heard of for {silence}"));
    }
}

/// The current phase is handed over again now and then, to coordinators that have been heard of since. One that is open
/// has nothing to say to it; one that has ended reports again; one that nobody knows opens.
fn look_for_phase(draft: &mut Draft<'_>) {
    let Some(current) = draft.project.current() else { return };
    let (at, heard) = (current.handed_over_at, draft.context.coordinator_heard);
    if draft.context.now.ms_since(at) >= HAND_OVER_AGAIN_MS && heard.is_some_and(|heard| heard > at) {
        hand_over_again(draft, current.number);
    }
}

/// A phase goes out anew, and what it was told: any of it may have got lost.
pub(super) fn hand_over_again(draft: &mut Draft<'_>, phase: u32) {
    start_phase(draft, phase);
    tell_again(draft, |told| told.word != Word::Recover);
}
