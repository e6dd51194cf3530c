//! How a project goes from phase to phase.

use std::collections::BTreeSet;

use super::alarm::set_alarm;
use super::runs::replan;
use super::words::tell;
use super::{Draft, Event, PhaseReport, Word};
use crate::domain::check::SUBTASKS_MAX;
use crate::domain::decision::{Decision, cut};
use crate::wire::policy::OnFailure;
use crate::wire::{Status, StreamId, SubtaskId};

pub(super) fn start_phase(draft: &mut Draft<'_>, phase: u32) {
    let Some(accepted) = draft.project.accepted() else { return };
    // The partition is dealt once, and used ever after.
    let dealt = draft.project.phase(phase).and_then(|phase| phase.partition);
    let partition =
        dealt.unwrap_or_else(|| StreamId::Phase(draft.project.id_or_nil(), phase).partition(accepted.partitions));
    draft.record(Event::PhaseStarted { at: draft.context.now, cause: draft.cause, phase, partition });
    let rest = draft.project.too_much_for_a_start(phase);
    let told: BTreeSet<SubtaskId> =
        draft.project.told().values().filter_map(|told| told.word.cancelled_subtask()).collect();
    let rest = rest.filter(|(id, _)| !told.contains(id)).map(|(id, reason)| (id, reason.to_owned()));
    let rest: Vec<(SubtaskId, String)> = rest.collect();
    rest.into_iter().for_each(|(id, reason)| tell(draft, Word::Cancel { subtask: Some(id), reason }));
}

/// A phase ended: on to the next one, or to the project's own end.
pub(super) fn on_report(draft: &mut Draft<'_>, report: &PhaseReport) -> Result<(), Decision<Event>> {
    let is_current = draft.project.current == Some(report.phase);
    if draft.project.run() != report.run || !is_current || !report.status.is_ended() {
        return Err(Decision::Nothing("the report is not of the current phase"));
    }
    if !report.counts.add_up() || report.counts.total > SUBTASKS_MAX {
        return Err(Decision::Refuse("absurd_counts"));
    }
    let at = draft.context.now;
    let PhaseReport { phase, status, counts, .. } = *report;
    let error = report.error.as_deref().map(cut);
    draft.record(Event::PhaseReported { at, phase, status, counts, error: error.clone() });
    let is_replanned = draft.project.policy().on_failure == OnFailure::Replan && draft.project.cancel.is_none();
    match status {
        Status::Error if is_replanned => {
            let error = error.unwrap_or_else(|| format!("phase {phase} failed"));
            match counts.failed == 0 && counts.cancelled > 0 {
                // Nothing has failed in it: a person has cancelled what it can not go on without.
                true => end(draft, status, Some(cut(&format!("{error} (what a person cancels is not planned anew)")))),
                false => replan(draft, phase, &report.dossier, error),
            }
        }
        Status::Error | Status::Cancelled if draft.project.cancel.is_none() => end(draft, status, error),
        _ => go_on(draft),
    }
    Ok(())
}

/// Starts what comes next, when no phase is out and nobody has said that it is to wait; ends the project when
/// nothing comes next.
pub(super) fn go_on(draft: &mut Draft<'_>) {
    let project = &*draft.project;
    if !project.is_open() {
        return;
    }
    let is_asking = project.open_questions().any(|(_, open)| open.subtask.is_none());
    if project.current.is_none() && !is_asking {
        let next = project.phases().iter().find(|phase| !phase.is_done());
        let (is_paused, cancel) = (project.is_paused(), project.cancel.clone());
        match (next.map(|next| (next.number, next.status)), cancel) {
            // Whatever was said meanwhile: all of it is done.
            (None, _) => return end(draft, Status::Completed, None),
            (Some(_), Some(cancel)) => return end(draft, cancel.status, Some(cancel.reason)),
            // What was cancelled in the run before stays so.
            (Some((_, status @ (Status::Cancelled | Status::Error))), None) => return end(draft, status, None),
            (Some(_), None) if is_paused => {}
            (Some((number, _)), None) => start_phase(draft, number),
        }
    }
    set_alarm(draft, false);
}

pub(super) fn end(draft: &mut Draft<'_>, status: Status, error: Option<String>) {
    draft.record(Event::Ended { at: draft.context.now, cause: draft.cause, status, error });
}
