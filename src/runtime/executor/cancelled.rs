//! The commands that nobody wants any more, as far as this executor has heard: they may still lie in a queue, or come
//! back. They are known by their ids: a project that is forgotten and submitted anew has other ones.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::wire::{MessageId, Timestamp};

/// So many are remembered at the most, the newest: the inbox is open to whoever may publish there. What is forgotten
/// runs in vain, and changes nothing.
const REMEMBERED_MAX: usize = 10_000;
/// Each is remembered for an hour: commands do not wait longer in a queue.
const REMEMBERED_MS: u64 = 60 * 60 * 1_000;

/// The memory of cancels.
#[derive(Default)]
pub(crate) struct Cancelled {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    heard_at: BTreeMap<MessageId, Timestamp>,
    /// In the order in which they were heard; an entry that was heard again is there twice.
    order: VecDeque<(Timestamp, MessageId)>,
}

impl Cancelled {
    pub(crate) fn remember(&self, commands: &[MessageId], now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for command in commands {
            if known.heard_at.insert(*command, now) != Some(now) {
                known.order.push_back((now, *command));
            }
        }
        while let Some((heard_at, command)) = known.order.front().copied() {
            let is_old = now.ms_since(heard_at) > REMEMBERED_MS;
            if !is_old && known.order.len() <= REMEMBERED_MAX {
                break;
            }
            known.order.pop_front();
            // One that was heard again has a newer entry behind this one.
            if known.heard_at.get(&command) == Some(&heard_at) {
                known.heard_at.remove(&command);
            }
        }
    }

    pub(crate) fn covers(&self, command: MessageId, now: Timestamp) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.heard_at.get(&command).is_some_and(|heard_at| now.ms_since(*heard_at) <= REMEMBERED_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn command(id: u128) -> MessageId {
        MessageId(Uuid::from_u128(id))
    }

    #[test]
    fn the_newest_are_remembered_for_an_hour_since_they_were_last_heard() {
        let cancelled = Cancelled::default();
        cancelled.remember(&[command(1), command(2)], Timestamp(0));
        cancelled.remember(&[command(1)], Timestamp(3_000_000));
        let knows = |id, now| cancelled.covers(command(id), Timestamp(now));
        assert_eq!((knows(1, 3_600_000), knows(2, 3_600_000), knows(3, 3_600_000)), (true, true, false));
        assert_eq!((knows(1, 3_600_001), knows(2, 3_600_001)), (true, false));
        let others: Vec<MessageId> = (10..10 + REMEMBERED_MAX as u128 - 1).map(command).collect();
        cancelled.remember(&others, Timestamp(3_600_001));
        assert!(knows(1, 3_600_001), "it is the oldest of {REMEMBERED_MAX}");
        cancelled.remember(&[command(5)], Timestamp(3_600_001));
        assert!(!knows(1, 3_600_001));
        assert!(cancelled.known.lock().expect("whole").heard_at.len() <= REMEMBERED_MAX);
    }
}
