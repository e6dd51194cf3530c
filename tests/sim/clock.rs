//! Time that follows tokio's paused clock, and ids that are drawn from the seed.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use trireme::runtime::port::Clock;
use trireme::wire::Timestamp;
use trireme::wire::content::Layer;
use uuid::Uuid;

use crate::random::Random;

/// Every seed begins at the same moment: 2026-01-01T00:00:00Z.
const BEGINNING_MS: u64 = 1_767_225_600_000;

pub struct SimClock {
    began: Instant,
    ids: Mutex<Random>,
}

impl SimClock {
    pub fn new(seed: u64) -> Self {
        Self { began: Instant::now(), ids: Mutex::new(Random::new(!seed)) }
    }

    pub fn ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).expect("a short time")
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(0).plus_ms(BEGINNING_MS + self.ms())
    }

    fn fresh_id(&self) -> Uuid {
        let mut ids = self.ids.lock().expect("nobody panics while it is held");
        Uuid::from_u64_pair(ids.next(), ids.next())
    }
}

/// One agent's clock, which differs from the others'.
pub struct Skewed {
    pub clock: Arc<SimClock>,
    pub ahead_ms: i64,
}

impl Skewed {
    /// Owners go by their store's clock, as well as its answers come: they differ by less than a second. An executor may
    /// differ by hours.
    pub fn of(clock: &Arc<SimClock>, layer: Layer, random: &mut Random) -> Self {
        let ahead_ms = match (layer, random.percent(60)) {
            (_, true) => 0,
            (Layer::Execution, false) => random.pick(&[-7_200_000, -660_000, -1_500, 1_500, 660_000, 7_200_000]),
            (_, false) => random.pick(&[-400, -50, 50, 400]),
        };
        Self { clock: clock.clone(), ahead_ms }
    }
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0 + self.ahead_ms)
    }

    fn fresh_id(&self) -> Uuid {
        self.clock.fresh_id()
    }
}
