//! The clocks of owners of streams, as far as an agent has compared them with its own. What travels with a time of another
//! machine is judged by that machine's clock.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::content::{Layer, Presence};
use crate::wire::{AgentId, Timestamp};

/// A clock that differs by more than this from the owners' is told of.
const DIFFERENCE_MS: i64 = 1_000;
/// An answer to a ping that took longer says nothing of clocks.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(5);
/// So many owners are remembered.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// When the others were last asked.
    asked: Option<Instant>,
    /// By owner: by how much this agent's clock is ahead, in milliseconds.
    ahead_ms: BTreeMap<AgentId, i64>,
    /// The difference that was told last.
    told_ms: Option<i64>,
}

impl Clocks {
    pub(super) fn is_empty(&self) -> bool {
        self.ahead_ms.is_empty()
    }

    /// The others are asked for the time now.
    pub(super) fn ask(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// Whether they were not asked within `pause`.
    pub(super) fn is_due(&self, pause: Duration) -> bool {
        self.asked.is_none_or(|asked| asked.elapsed() >= pause)
    }

    /// By how much this agent is ahead of an owner, where that is known.
    pub(super) fn ahead_of(&self, owner: &str) -> Option<i64> {
        self.ahead_ms.get(&AgentId::new(owner).ok()?).copied()
    }

    /// The same of any owner: all go by their store's clock.
    pub(super) fn ahead_of_any(&self) -> Option<i64> {
        self.ahead_ms.values().next().copied()
    }

    /// An owner has answered at `now` by this agent's clock: half of the way there and back is not the clocks'.
    pub(super) fn compare(&mut self, owner: &Presence, now: Timestamp) {
        let round_trip = self.asked.map(|asked| asked.elapsed()).filter(|took| *took < ROUND_TRIP_MAX);
        let Some(round_trip) = round_trip else { return };
        let half_ms = i64::try_from(round_trip.as_millis() / 2).unwrap_or_default();
        self.ahead_ms.insert(owner.agent_id.clone(), now.0 - owner.last_seen.0 - half_ms);
        if self.ahead_ms.len() > REMEMBERED_MAX {
            self.ahead_ms.pop_first();
        }
    }

    /// How far the machine of an agent of this layer is ahead of the owners' clock, where that is worth a word; in the log
    /// it is said once.
    pub(super) fn difference_ms(&mut self, layer: Layer, machine_ahead_ms: Option<i64>) -> Option<i64> {
        // Owners go by their store's clock themselves.
        let of_owners = match layer {
            Layer::Execution => self.ahead_ms.values().copied().min_by_key(|ahead| ahead.abs()).unwrap_or_default(),
            Layer::Management | Layer::Coordination | Layer::Client => 0,
        };
        let ahead_ms = of_owners + machine_ahead_ms.unwrap_or_default();
        if ahead_ms.abs() <= DIFFERENCE_MS {
            self.told_ms = None;
            return None;
        }
        if self.told_ms.is_none_or(|told| (told - ahead_ms).abs() > DIFFERENCE_MS) {
            tracing::warn!(
                ahead_ms,
                "this machine's clock differs from the store's; nothing is judged by it; hint: synchronise it (NTP)"
            );
            self.told_ms = Some(ahead_ms);
        }
        Some(ahead_ms)
    }
}
