//! The consumers of a process, watched: one that gets nothing from a queue that is not empty is ended, so that a
//! process is never alive but silent. Whoever works with them sees no difference.

mod consumer;
mod transport;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use super::options::Ground;
use super::outage::Outages;
use transport::WatchedTransport;

/// What is seen by watching, and what whoever watches has to know.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) outages: Arc<Outages>,
    /// How many messages the process has published, each body as one.
    pub(crate) published: AtomicU64,
    /// The partitions that some live coordinator says it holds.
    held: Mutex<BTreeSet<u32>>,
}

impl Watch {
    pub(crate) fn set_held(&self, held: BTreeSet<u32>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    fn is_held(&self, partition: u32) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(&partition)
    }
}

/// The same ground, with its consumers watched.
pub(crate) fn watched(ground: Ground, watch: &Arc<Watch>) -> Ground {
    let transport = WatchedTransport::new(ground.transport, watch.clone());
    Ground { transport: Arc::new(transport), ..ground }
}
