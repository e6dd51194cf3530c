//! The one durable, numbered alarm of an open stream: what wakes it when nothing else does.
//!
//! An open stream always has exactly one current alarm out. When it comes back the stream sweeps what is due
//! and sends the next. A nearer due time sends one with the next number. The older one is stale once a newer one
//! has come back, and not before: whoever set the newer one may have died before it went out, when the message
//! that it was caused by had been handled and acked by somebody else. (So it goes when an owner that has lost its
//! deliveries, and does not know it yet, records that a publish was refused.)
//! A delay is never cut short: an alarm goes through the longest tier that does not overshoot what is due, as
//! often as needed.

use serde::{Deserialize, Serialize};

use super::decision::Effect;
use crate::wire::address::Tier;
use crate::wire::{MessageId, Timestamp};

/// An alarm that has not come back so long after its time counts as lost: its queue was deleted, say. Whatever wakes
/// the stream then sets another.
const LATE_MS: u64 = 60_000;

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

impl CurrentAlarm {
    fn is_late(&self, now: Timestamp) -> bool {
        now.ms_since(self.not_before) > LATE_MS
    }

    fn set_at(&self) -> Timestamp {
        let delay = self.tier.tier().delay().as_millis();
        self.not_before.minus_ms(u64::try_from(delay).unwrap_or(u64::MAX))
    }
}

/// The alarms of a stream that wake it: the current one, and the one that is known to have gone out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms {
    current: Option<CurrentAlarm>,
    /// What the current one, or one before it, took over from, while none that is newer has come back.
    older: Option<CurrentAlarm>,
}

impl Alarms {
    pub fn current(&self) -> Option<&CurrentAlarm> {
        self.current.as_ref()
    }

    /// The oldest that still wakes the stream.
    pub fn oldest(&self) -> Option<&CurrentAlarm> {
        self.older.as_ref().or(self.current())
    }

    /// `alarm` is the current one from now on. One that follows another that came back is later than it; a
    /// nearer one took over, and so did one in the place of one that is late.
    pub fn set(&mut self, alarm: CurrentAlarm) {
        let takes_over =
            |current: &CurrentAlarm| alarm.not_before < current.not_before || current.is_late(alarm.set_at());
        let took_over = self.current.filter(takes_over);
        self.older = took_over.map(|current| self.older.unwrap_or(current));
        self.current = Some(alarm);
    }

    pub fn is_stale(&self, number: u64) -> bool {
        self.oldest().is_some_and(|oldest| number < oldest.number)
    }

    pub fn numbered(&self, number: u64) -> Option<&CurrentAlarm> {
        self.all().find(|alarm| alarm.number == number)
    }

    /// What `cause` is to have sent of them.
    pub fn caused_by(&self, cause: MessageId) -> impl Iterator<Item = Effect> {
        self.all().filter(move |alarm| alarm.cause == cause).map(|alarm| Effect::Alarm { number: alarm.number })
    }

    fn all(&self) -> impl Iterator<Item = &CurrentAlarm> {
        self.older.iter().chain(&self.current)
    }
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
/// is always a next; otherwise only when it would come too late for what is due, and another would come sooner, or
/// when it got lost.
pub fn next_alarm(
    current: Option<&CurrentAlarm>,
    came_back: bool,
    now: Timestamp,
    due: Option<Timestamp>,
    cause: MessageId,
) -> Option<CurrentAlarm> {
    let is_out = |alarm: &CurrentAlarm| !came_back && !alarm.is_late(now);
    let in_time = |alarm: &CurrentAlarm| due.is_none_or(|due| alarm.not_before <= due);
    let tier = tier_for(now, due);
    let not_before = now.plus(tier.tier().delay());
    match current {
        Some(current) if is_out(current) && (in_time(current) || not_before >= current.not_before) => None,
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
    fn the_older_alarm_wakes_until_a_newer_one_has_come_back() {
        let mut alarms = Alarms::default();
        assert!(!alarms.is_stale(0) && alarms.oldest().is_none());
        let mut set = |number, ms, cause: u128| {
            let cause = MessageId(Uuid::from_u128(cause));
            alarms.set(CurrentAlarm { number, not_before: NOW.plus_ms(ms), tier: tier_for(NOW, None), cause });
            alarms
        };
        let first = set(1, 60_000, 1);
        assert!(first.is_stale(0) && !first.is_stale(1) && !first.is_stale(2));
        // Two that are nearer, each: the first is kept, and whoever caused it sends it again.
        set(2, 15_000, 2);
        let third = set(3, 5_000, 3);
        assert_eq!([0, 1, 2, 3, 4].map(|number| third.is_stale(number)), [true, false, false, false, false]);
        let caused = |cause| third.caused_by(MessageId(Uuid::from_u128(cause))).collect::<Vec<_>>();
        assert_eq!(caused(1), [Effect::Alarm { number: 1 }]);
        assert_eq!((caused(2), caused(3)), (vec![], vec![Effect::Alarm { number: 3 }]));
        assert_eq!(third.numbered(1).map(|alarm| alarm.not_before), Some(NOW.plus_ms(60_000)));
        // The third came back, and was followed.
        let fourth = set(4, 65_000, 4);
        assert_eq!([1, 3, 4].map(|number| fourth.is_stale(number)), [true, true, false]);
        assert_eq!(fourth.numbered(1), None);
    }

    #[test]
    fn another_is_set_in_the_place_of_one_that_is_late_and_both_wake_the_stream() {
        let first = next_alarm(None, false, NOW, None, CAUSE).expect("a stream that opens has an alarm");
        let after = |ms| next_alarm(Some(&first), false, first.not_before.plus_ms(ms), None, CAUSE);
        assert_eq!(after(LATE_MS), None);
        let second = after(LATE_MS + 1).expect("it is late");
        assert_eq!((second.number, second.set_at()), (2, first.not_before.plus_ms(LATE_MS + 1)));
        let mut alarms = Alarms::default();
        alarms.set(first);
        alarms.set(second);
        assert_eq!([1, 2].map(|number| alarms.is_stale(number)), [false, false]);
        // Whichever comes back first is followed by one only.
        let third = next_alarm(alarms.current(), true, second.set_at().plus_ms(10), None, CAUSE).expect("came back");
        alarms.set(third);
        assert_eq!([1, 2, 3].map(|number| alarms.is_stale(number)), [true, true, false]);
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
