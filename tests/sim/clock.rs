//! Time that follows tokio's paused clock, and ids that are drawn from the seed.

use std::sync::Mutex;

use tokio::time::Instant;
use trireme::runtime::port::Clock;
use trireme::wire::Timestamp;
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
