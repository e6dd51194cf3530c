//! Time and fresh ids by port, so that a simulation can own both.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::wire::Timestamp;

/// Where the runtime gets the time and its random numbers from. Waiting is tokio's, which tests can pause.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// A new id that nobody else has.
    fn fresh_id(&self) -> Uuid;

    /// How far the machine's own clock is ahead of this one, in milliseconds, where the two may differ.
    fn machine_ahead_ms(&self) -> Option<i64> {
        None
    }
}

/// The machine's own clock; ids are UUIDv7.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }

    fn fresh_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// A clock that follows a reference and never jumps. Owners of streams follow their store, so that the times in a stream
/// mean the same to whoever takes it over, whatever the clocks of their machines say; an executor follows its machine.
///
/// In between it goes as fast as time since the machine's start, which nobody sets. A reference that differs by more than
/// [`STEP_MS`] has been set, or is another one since a failover: it is followed at [`SLEW_PERCENT`], because a jump forward
/// would end every attempt, and a jump backward would have every wait begin again.
#[derive(Debug)]
pub struct SteadyClock {
    /// What is added to the time since the machine's start.
    base_ms: AtomicI64,
    /// The time since the machine's start when the reference was last asked.
    asked_at_ms: AtomicI64,
    /// The latest time that was given.
    latest_ms: AtomicI64,
}

/// Interval between two questions to the reference.
pub const FOLLOW_EVERY: Duration = Duration::from_secs(30);
/// A difference up to this is drift, or the way of the question.
const STEP_MS: i64 = 1_000;
/// How much faster or slower it goes towards a reference that was set.
const SLEW_PERCENT: i64 = 5;

impl SteadyClock {
    /// A clock that shows `reference` now.
    pub fn at(reference: Timestamp) -> Self {
        let since_start = since_start_ms();
        Self {
            base_ms: AtomicI64::new(reference.0 - since_start),
            asked_at_ms: AtomicI64::new(since_start),
            latest_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// The reference shows this now. True when it has been set since it was asked last.
    pub fn follow(&self, reference: Timestamp) -> bool {
        let since_start = since_start_ms();
        let elapsed = since_start - self.asked_at_ms.swap(since_start, Ordering::AcqRel);
        let base = self.base_ms.load(Ordering::Acquire);
        let (difference, was_set) = followed(reference.0 - (base + since_start), elapsed);
        self.base_ms.store(base + difference, Ordering::Release);
        was_set
    }
}

/// By how much a clock is corrected that differs by `difference` ms, `elapsed` ms after the last time; and whether it
/// differs by more than clocks do that nobody sets.
fn followed(difference: i64, elapsed: i64) -> (i64, bool) {
    let most = (elapsed * SLEW_PERCENT / 100).max(0);
    match difference.abs() <= STEP_MS {
        true => (difference, false),
        false => (difference.clamp(-most, most), true),
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let now = self.base_ms.load(Ordering::Acquire) + since_start_ms();
        // A correction backward stands still for a moment.
        Timestamp(self.latest_ms.fetch_max(now, Ordering::AcqRel).max(now))
    }

    fn fresh_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn machine_ahead_ms(&self) -> Option<i64> {
        Some(SystemClock.now().0 - self.now().0)
    }
}

/// Milliseconds since the machine's start, the time in which it slept included.
#[cfg(target_os = "linux")]
fn since_start_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn since_start_ms() -> i64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_corrected_at_once_and_a_clock_that_was_set_is_followed_slowly() {
        let half_a_minute = 30_000;
        for (difference, expected) in [
            (0, (0, false)),
            (-900, (-900, false)),
            (1_000, (1_000, false)),
            (1_001, (1_001, true)),
            (3_600_000, (1_500, true)),
            (-3_600_000, (-1_500, true)),
        ] {
            assert_eq!(followed(difference, half_a_minute), expected, "{difference}");
        }
    }

    #[test]
    fn time_never_goes_back() {
        let clock = SteadyClock::at(Timestamp(1_000_000_000));
        let before = clock.now();
        assert!(!clock.follow(Timestamp(1_000_000_000 - 500)), "half a second is drift");
        assert!(clock.now() >= before);
        assert!(clock.follow(Timestamp(1_000_000_000 + 3_600_000)), "an hour is not");
        assert!(clock.now().0 < 1_000_000_000 + 60_000, "and does not come at once");
    }
}
