//! What nobody wants any more, as far as this executor has heard: it may still lie in a queue, or come back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::wire::content::{Control, RunningCommand};
use crate::wire::{MessageId, ProjectId, StreamId, SubtaskId, Timestamp};

/// So many are remembered at the most, the newest: the inbox is open to whoever may publish there. What is forgotten
/// runs in vain, and changes nothing.
const REMEMBERED_MAX: usize = 10_000;
/// Each is remembered for an hour: commands do not wait longer in a queue.
const REMEMBERED_MS: u64 = 60 * 60 * 1_000;

/// What a cancel means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Command(MessageId),
    Phase(StreamId),
    Subtask(ProjectId, SubtaskId),
}

impl Target {
    /// What a cancel names: commands, and a subtask of a phase or all of it.
    pub(crate) fn of(control: &Control) -> Vec<Self> {
        let stream = match (control.stream, control.subtask_id) {
            (Some(StreamId::Phase(project, phase)), Some(subtask)) if subtask.phase == phase => {
                Some(Self::Subtask(project, subtask))
            }
            (Some(phase @ StreamId::Phase(..)), None) => Some(Self::Phase(phase)),
            _ => None,
        };
        control.commands.iter().copied().map(Self::Command).chain(stream).collect()
    }

    /// Everything that a cancel of this command may name.
    pub(crate) fn of_command(told: &RunningCommand) -> [Self; 3] {
        [
            Self::Command(told.command),
            Self::Phase(StreamId::Phase(told.project_id, told.subtask_id.phase)),
            Self::Subtask(told.project_id, told.subtask_id),
        ]
    }
}

/// The memory of cancels.
#[derive(Default)]
pub(crate) struct Cancelled {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    heard_at: BTreeMap<Target, Timestamp>,
    /// In the order in which they were heard; an entry that was heard again is there twice.
    order: VecDeque<(Timestamp, Target)>,
}

impl Cancelled {
    pub(crate) fn remember(&self, targets: &[Target], now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for target in targets {
            if known.heard_at.insert(*target, now) != Some(now) {
                known.order.push_back((now, *target));
            }
        }
        while let Some((heard_at, target)) = known.order.front().copied() {
            let is_old = now.ms_since(heard_at) > REMEMBERED_MS;
            if !is_old && known.order.len() <= REMEMBERED_MAX {
                break;
            }
            known.order.pop_front();
            // One that was heard again has a newer entry behind this one.
            if known.heard_at.get(&target) == Some(&heard_at) {
                known.heard_at.remove(&target);
            }
        }
    }

    pub(crate) fn covers(&self, told: &RunningCommand, now: Timestamp) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            |target| known.heard_at.get(target).is_some_and(|heard_at| now.ms_since(*heard_at) <= REMEMBERED_MS);
        !known.heard_at.is_empty() && Target::of_command(told).iter().any(is_known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const PROJECT: ProjectId = ProjectId(Uuid::from_u128(7));

    fn told(command: u128, phase: u32, ordinal: u32) -> RunningCommand {
        let subtask_id = SubtaskId { phase, ordinal };
        RunningCommand { command: MessageId(Uuid::from_u128(command)), project_id: PROJECT, subtask_id }
    }

    fn cancel(stream: Option<StreamId>, subtask: Option<SubtaskId>, commands: &[u128]) -> Vec<Target> {
        let commands = commands.iter().map(|id| MessageId(Uuid::from_u128(*id))).collect();
        Target::of(&Control { stream, subtask_id: subtask, commands, ..Control::about(PROJECT) })
    }

    #[test]
    fn a_cancel_means_what_it_names_and_nothing_else() {
        let phase = Some(StreamId::Phase(PROJECT, 2));
        let subtask = Some(SubtaskId { phase: 2, ordinal: 5 });
        for (targets, covered) in [
            (cancel(phase, None, &[]), [true, true, false]),
            (cancel(phase, subtask, &[]), [true, false, false]),
            (cancel(phase, None, &[2]), [true, true, false]),
            (cancel(None, None, &[3]), [false, false, true]),
            // A word about the project, or about nothing: its next run may have begun.
            (cancel(None, None, &[]), [false; 3]),
            (cancel(Some(StreamId::Project(PROJECT)), None, &[]), [false; 3]),
            (cancel(Some(StreamId::Phase(PROJECT, 3)), subtask, &[]), [false; 3]),
        ] {
            let cancelled = Cancelled::default();
            cancelled.remember(&targets, Timestamp(1));
            let found = [told(1, 2, 5), told(2, 2, 6), told(3, 3, 5)].map(|told| cancelled.covers(&told, Timestamp(2)));
            assert_eq!(found, covered, "{targets:?}");
        }
    }

    #[test]
    fn the_newest_are_remembered_for_an_hour_since_they_were_last_heard() {
        let cancelled = Cancelled::default();
        cancelled.remember(&cancel(None, None, &[1, 2]), Timestamp(0));
        cancelled.remember(&cancel(None, None, &[1]), Timestamp(3_000_000));
        let knows = |id, now| cancelled.covers(&told(id, 1, 1), Timestamp(now));
        assert_eq!((knows(1, 3_600_000), knows(2, 3_600_000)), (true, true));
        assert_eq!((knows(1, 3_600_001), knows(2, 3_600_001)), (true, false));
        let others: Vec<u128> = (10..10 + REMEMBERED_MAX as u128 - 1).collect();
        cancelled.remember(&cancel(None, None, &others), Timestamp(3_600_001));
        assert!(knows(1, 3_600_001), "it is the oldest of {REMEMBERED_MAX}");
        cancelled.remember(&cancel(None, None, &[5]), Timestamp(3_600_001));
        assert!(!knows(1, 3_600_001));
        assert!(cancelled.known.lock().expect("whole").heard_at.len() <= REMEMBERED_MAX);
    }
}
