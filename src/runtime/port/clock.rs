//! Time and fresh ids by port, so that a simulation can own both.

use uuid::Uuid;

use crate::wire::Timestamp;

/// Where the runtime gets the time and its random numbers from. Waiting is tokio's, which tests can pause.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// A new id that nobody else has.
    fn fresh_id(&self) -> Uuid;
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
