//! The one durable, numbered alarm of an open stream: what wakes it when nothing else does.
//!
//! An open stream always has exactly one current alarm out. When it comes back the stream sweeps what is due
//! and sends the next. A nearer due time sends one with the next number; the older one is stale when it comes.
//! A delay is never cut short: an alarm goes through the longest tier that does not overshoot what is due, as
//! often as needed.

use serde::{Deserialize, Serialize};

use crate::wire::address::Tier;
use crate::wire::{MessageId, Timestamp};

/// An open stream's current alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentAlarm {
    /// From 1; only the newest counts.
    pub number: u64,
    pub not_before: Timestamp,
    pub tier: AlarmTier,
    /// The message that had it sent.
    pub cause: MessageId,
}

/// The tier as it is written down: its index, from the shortest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlarmTier(u8);

impl AlarmTier {
    pub fn tier(self) -> Tier {
        Tier::ALL.get(usize::from(self.0)).copied().unwrap_or(Tier::LONGEST)
    }
}

/// The tier for something due at `due`: the longest that does not overshoot it, else the shortest; the longest
/// of all when nothing is due.
pub fn tier_for(now: Timestamp, due: Option<Timestamp>) -> AlarmTier {
    let left_ms = due.map_or(u64::MAX, |due| due.ms_since(now));
    let fits = |tier: &Tier| u64::try_from(tier.delay().as_millis()).unwrap_or(u64::MAX) <= left_ms;
    let index = Tier::ALL.iter().rposition(fits).unwrap_or(0);
    AlarmTier(u8::try_from(index).unwrap_or(0))
}

/// The alarm that is to follow `current` (none yet when a stream opens). When the current one came back there
/// is always a next; otherwise only when it would come too late for what is due, and another would come sooner.
pub fn next_alarm(
    current: Option<&CurrentAlarm>,
    came_back: bool,
    now: Timestamp,
    due: Option<Timestamp>,
    cause: MessageId,
) -> Option<CurrentAlarm> {
    let in_time = |alarm: &CurrentAlarm| due.is_none_or(|due| alarm.not_before <= due);
    let tier = tier_for(now, due);
    let not_before = now.plus(tier.tier().delay());
    match current {
        Some(current) if !came_back && (in_time(current) || not_before >= current.not_before) => None,
        _ => Some(CurrentAlarm { number: current.map_or(1, |alarm| alarm.number + 1), not_before, tier, cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp(1_000_000);
    const CAUSE: MessageId = MessageId(Uuid::nil());

    fn tier_in(ms: u64) -> Tier {
        tier_for(NOW, Some(NOW.plus_ms(ms))).tier()
    }

    #[test]
    fn the_longest_tier_that_does_not_overshoot() {
        assert_eq!(tier_for(NOW, None).tier(), Tier::S60);
        assert_eq!([tier_in(0), tier_in(249), tier_in(250), tier_in(999)], [Tier::Ms250; 4]);
        assert_eq!([tier_in(1_000), tier_in(4_999), tier_in(5_000)], [Tier::S1, Tier::S1, Tier::S5]);
        assert_eq!([tier_in(15_000), tier_in(59_999), tier_in(86_400_000)], [Tier::S15, Tier::S15, Tier::S60]);
    }

    #[test]
    fn a_nearer_due_time_takes_over_and_a_later_one_waits() {
        let first = next_alarm(None, false, NOW, None, CAUSE).expect("a stream that opens has an alarm");
        assert_eq!((first.number, first.not_before), (1, NOW.plus_ms(60_000)));
        assert_eq!(next_alarm(Some(&first), false, NOW, Some(NOW.plus_ms(600_000)), CAUSE), None);
        let nearer = next_alarm(Some(&first), false, NOW, Some(NOW.plus_ms(7_000)), CAUSE).expect("nearer");
        assert_eq!((nearer.number, nearer.not_before), (2, NOW.plus_ms(5_000)));
        // It will be there in time: on the way to what is due no other is sent.
        assert_eq!(next_alarm(Some(&nearer), false, NOW.plus_ms(2_500), Some(NOW.plus_ms(7_000)), CAUSE), None);
        assert_eq!(next_alarm(Some(&nearer), false, NOW.plus_ms(4_990), Some(NOW.plus_ms(5_000)), CAUSE), None);
        assert_eq!(next_alarm(Some(&nearer), false, NOW.plus_ms(4_990), Some(NOW.plus_ms(4_995)), CAUSE), None);
        let later = NOW.plus_ms(5_000);
        let next = next_alarm(Some(&nearer), true, later, Some(NOW.plus_ms(7_000)), CAUSE).expect("came back");
        assert_eq!((next.number, next.not_before), (3, NOW.plus_ms(6_000)));
    }
}
