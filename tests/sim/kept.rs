//! What a phase keeps of the one whose place it takes, worked out anew: completed work with the same name, skill and
//! input, all of whose dependencies are kept too or stay cancelled, and nothing else.

use std::collections::BTreeMap;

use trireme::domain::phase::Phase;
use trireme::wire::content::Former;
use trireme::wire::{StreamId, SubtaskId, SubtaskStatus};

use crate::store::brief;
use crate::watch::{Verdict, Watch};

/// A phase has just opened: it keeps all that it may keep, and no more.
pub fn check(watch: &mut Watch, stream: StreamId, new: &Phase) -> Verdict {
    let Some((former, old)) = former(watch, stream) else { return Ok(()) };
    let by_name = (0..old.counts().total).map(|ordinal| (old.spec(ordinal).name_of(ordinal), ordinal)).collect();
    let mut work = Work { old, new, former, by_name, known: BTreeMap::new() };
    let total = new.counts().total;
    let expected: Vec<_> = (0..total).filter_map(|ordinal| Some((ordinal, work.kept_from(ordinal)?))).collect();
    let kept: Vec<_> = (0..total).filter_map(|ordinal| Some((ordinal, new.kept_from(ordinal)?))).collect();
    watch.rule("only_what_was_completed_is_kept", kept.iter().all(|kept| expected.contains(kept)), || {
        format!("{} keeps {kept:?}, and may keep {expected:?}", brief(stream))
    })?;
    watch.rule("completed_work_is_not_run_again", expected.iter().all(|kept| kept_is(&kept.0, new)), || {
        format!("{} keeps {kept:?}, and should keep {expected:?}", brief(stream))
    })
}

fn kept_is(ordinal: &u32, new: &Phase) -> bool {
    new.kept_from(*ordinal).is_some()
}

/// Whether the cancel of a subtask came when it had ended in the phase that it was said of, or in one that took the place of
/// that: then it was none.
pub fn was_too_late(watch: &Watch, stream: StreamId, subtask: SubtaskId, name: &str) -> bool {
    let Some((former, old)) = planned_before(watch, stream) else { return false };
    let project = watch.projects.get(&stream.project()).map(|project| &project.state);
    let unwanted = project.and_then(|project| project.unwanted_in(subtask.phase).find(|(id, _)| *id == subtask));
    let is_heard = unwanted.is_none_or(|(_, unwanted)| unwanted.said_last <= former.phase);
    let ended_of_itself = |ordinal: u32| {
        let status = old.subtask(ordinal).map(|subtask| subtask.status).filter(|status| status.is_ended());
        status.is_some_and(|status| status != SubtaskStatus::Cancelled) && !old.is_cancelled_by_hand(ordinal)
    };
    is_heard && (0..old.counts().total).any(|other| old.spec(other).name_of(other) == name && ended_of_itself(other))
}

/// The phase that it keeps from: the one whose place it takes, or the one before that where it came to nothing. None of one
/// that was given up, and may open yet, or go on for a while: what it completes when nobody looks is not ours to say.
fn former(watch: &Watch, stream: StreamId) -> Option<(Former, &Phase)> {
    planned_before(watch, stream).filter(|(_, old)| old.ended().is_some())
}

fn planned_before(watch: &Watch, stream: StreamId) -> Option<(Former, &Phase)> {
    let StreamId::Phase(id, number) = stream else { return None };
    let project = &watch.projects.get(&id)?.state;
    let mut former = project.phase(number)?.former?;
    loop {
        let old = watch.phases.get(&StreamId::Phase(id, former.phase)).map(|followed| &followed.state);
        match old.filter(|old| !old.specs().is_empty()) {
            Some(old) => return Some((former, old)),
            None => former = project.phase(former.phase)?.former?,
        }
    }
}

struct Work<'a> {
    old: &'a Phase,
    new: &'a Phase,
    former: Former,
    by_name: BTreeMap<String, u32>,
    known: BTreeMap<u32, Option<SubtaskId>>,
}

impl Work<'_> {
    /// Where the result is that a subtask of the new phase is to keep.
    fn kept_from(&mut self, ordinal: u32) -> Option<SubtaskId> {
        if let Some(known) = self.known.get(&ordinal) {
            return *known;
        }
        let (old, new) = (self.old, self.new);
        let spec = new.spec(ordinal);
        let needs: Vec<u32> = spec.dependencies.iter().flat_map(|span| span.ordinals()).collect();
        let is_whole = needs.into_iter().all(|other| self.kept_from(other).is_some() || self.stays_cancelled(other));
        let same = self.by_name.get(&spec.name_of(ordinal)).copied().filter(|&other| {
            let theirs = old.spec(other);
            let is_completed = old.subtask(other).is_some_and(|other| other.status == SubtaskStatus::Completed);
            let is_same = theirs.skill == spec.skill && theirs.input_of(other) == spec.input_of(ordinal);
            is_completed && is_same && self.former.redo != Some(other)
        });
        let place = |other| old.kept_from(other).unwrap_or(SubtaskId { phase: self.former.phase, ordinal: other });
        let kept = same.filter(|_| is_whole).map(place);
        self.known.insert(ordinal, kept);
        kept
    }

    /// What depends on it was completed without it, and has nothing new to wait for.
    fn stays_cancelled(&self, ordinal: u32) -> bool {
        let is_cancelled = |phase: &Phase, ordinal| {
            let status = phase.subtask(ordinal).map(|subtask| subtask.status);
            status.is_some_and(SubtaskStatus::is_ended) && phase.is_cancelled_by_hand(ordinal)
        };
        let old = self.by_name.get(&self.new.spec(ordinal).name_of(ordinal));
        is_cancelled(self.new, ordinal) && old.is_some_and(|&other| is_cancelled(self.old, other))
    }
}
