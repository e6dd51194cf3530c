//! The clocks of owners of streams, as far as an agent has compared them with its own. What travels with a time of another
//! machine is judged by that machine's clock.
//!
//! ```text
//!   ping at a --> the owner reads its clock: T --> pong at b         (a and b by this agent's clock)
//!   the owner's clock was T between a and b: this agent's is ahead by between a - T and b - T
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::content::{Layer, Presence};
use crate::wire::{AgentId, Timestamp};

/// A clock that differs by more than this from the owners' is told of.
const DIFFERENCE_MS: i64 = 1_000;
/// A difference that was told is told again when it has changed by more than one part in this many.
const CHANGE: i64 = 4;
/// An answer to a ping that took longer says nothing of clocks.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(5);
/// An owner is asked again within this: the newer answer counts, also when it took longer.
const FRESH: Duration = Duration::from_secs(30);
/// An owner that has not answered for this long while others did is gone.
const REMEMBERED: Duration = Duration::from_secs(180);
/// So many owners are remembered.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// When the others were last asked.
    last_asked: Option<Instant>,
    /// When they were asked, as far as answers may still come.
    asked: VecDeque<Instant>,
    owners: BTreeMap<AgentId, Ahead>,
    /// The difference that was told last.
    told_ms: Option<i64>,
}

/// By how much this agent's clock is ahead of an owner's: between `most_ms - round_trip_ms` and `most_ms`.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    most_ms: i64,
    round_trip_ms: i64,
    at: Instant,
}

impl Ahead {
    /// The part of it that is certain.
    fn least_ms(self) -> i64 {
        let least = self.most_ms.saturating_sub(self.round_trip_ms);
        if least > 0 { least } else { self.most_ms.min(0) }
    }

    fn is_better_than(self, known: Self) -> bool {
        let is_earlier = self.most_ms < known.most_ms.saturating_sub(known.round_trip_ms);
        let is_later = self.most_ms.saturating_sub(self.round_trip_ms) > known.most_ms;
        // Both can not be true: a clock was set in between.
        let contradicts = is_earlier || is_later;
        contradicts || self.round_trip_ms <= known.round_trip_ms || known.at.elapsed() > FRESH
    }
}

impl Clocks {
    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// The others are asked for the time now.
    pub(super) fn ask(&mut self) {
        self.forget_questions();
        self.last_asked = Some(Instant::now());
        self.asked.push_back(Instant::now());
    }

    /// Whether they were not asked within `pause`.
    pub(super) fn is_due(&self, pause: Duration) -> bool {
        self.last_asked.is_none_or(|asked| asked.elapsed() >= pause)
    }

    /// By how much this agent is ahead of an owner at the most, where that is known.
    pub(super) fn ahead_of(&self, owner: &str) -> Option<i64> {
        self.owners.get(&AgentId::new(owner).ok()?).map(|ahead| ahead.most_ms)
    }

    /// The same of the owner that answered last: all go by their store's clock.
    pub(super) fn ahead_of_any(&self) -> Option<i64> {
        self.owners.values().max_by_key(|ahead| ahead.at).map(|ahead| ahead.most_ms)
    }

    /// An owner has answered at `now` by this agent's clock.
    pub(super) fn compare(&mut self, owner: &Presence, now: Timestamp) {
        self.forget_questions();
        // Of several questions that are out it may be the answer to the first.
        let Some(round_trip) = self.asked.front().map(Instant::elapsed) else { return };
        let round_trip_ms = i64::try_from(round_trip.as_millis()).unwrap_or_default();
        let most_ms = now.0.saturating_sub(owner.last_seen.0);
        let ahead = Ahead { most_ms, round_trip_ms, at: Instant::now() };
        self.owners.retain(|_, known| known.at.elapsed() < REMEMBERED);
        if self.owners.get(&owner.agent_id).is_none_or(|known| ahead.is_better_than(*known)) {
            self.owners.insert(owner.agent_id.clone(), ahead);
        }
        if self.owners.len() > REMEMBERED_MAX {
            self.owners.pop_first();
        }
    }

    fn forget_questions(&mut self) {
        while self.asked.front().is_some_and(|asked| asked.elapsed() > ROUND_TRIP_MAX) {
            self.asked.pop_front();
        }
    }

    /// How far the machine of an agent of this layer is ahead of the owners' clock, where that is worth a word; in the log
    /// it is said once.
    pub(super) fn difference_ms(&mut self, layer: Layer, machine_ahead_ms: Option<i64>) -> Option<i64> {
        // Owners go by their store's clock themselves.
        let of_owners = match layer {
            Layer::Execution => self.certainly_ahead_ms(),
            Layer::Management | Layer::Coordination | Layer::Client => 0,
        };
        let ahead_ms = of_owners.saturating_add(machine_ahead_ms.unwrap_or_default());
        if ahead_ms.saturating_abs() <= DIFFERENCE_MS {
            self.told_ms = None;
            return None;
        }
        if self.told_ms.is_none_or(|told| is_worth_a_word(told, ahead_ms)) {
            tracing::warn!(
                ahead_ms,
                "this machine's clock differs from the store's; nothing is judged by it; hint: synchronise it (NTP)"
            );
            self.told_ms = Some(ahead_ms);
        }
        Some(ahead_ms)
    }

    fn certainly_ahead_ms(&self) -> i64 {
        let ahead = self.owners.values().map(|ahead| ahead.least_ms());
        ahead.min_by_key(|ahead| ahead.saturating_abs()).unwrap_or_default()
    }
}

/// One that was set is followed slowly, for hours: that is not told at each step.
fn is_worth_a_word(told_ms: i64, ahead_ms: i64) -> bool {
    let change = told_ms.saturating_sub(ahead_ms).saturating_abs();
    change > DIFFERENCE_MS.max(told_ms.saturating_abs() / CHANGE)
}

#[cfg(test)]
mod tests;
