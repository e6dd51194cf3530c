//! Where a command waits for room to run in. It does not wait longer than it is wanted, nor for the end of this process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::attempt::{Task, too_late};
use super::halt::Reason;
use super::{OfferedSkill, Shop};
use crate::wire::Failure;

/// What bounds the attempts of one executor.
pub(crate) struct Room {
    /// One permit an attempt that runs, of all skills together.
    slots: Arc<Semaphore>,
    /// One permit a leased attempt.
    leases: Arc<Semaphore>,
}

/// Every heartbeat lists all leased commands, and has to fit a message: each takes some 150 bytes.
const LEASES_MAX: usize = 4_096;

/// How soon it is looked again whether an owner's clock is known.
const LOOK_AGAIN_MS: u64 = 1_000;

/// Room for one attempt, as long as this is kept.
pub(crate) struct Place {
    _permits: [OwnedSemaphorePermit; 2],
    _lease: Option<OwnedSemaphorePermit>,
}

/// Room for the attempts of one skill.
pub(crate) fn of_skill(offered: &OfferedSkill) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(offered.options.concurrency as usize))
}

impl Room {
    pub(crate) fn new(slots: u32) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots as usize)), leases: Arc::new(Semaphore::new(LEASES_MAX)) }
    }

    /// Whether a leased command that came now could begin.
    pub(crate) fn is_free(&self, skill: &Semaphore) -> bool {
        [skill, &self.slots, &self.leases].iter().all(|permits| permits.available_permits() > 0)
    }

    /// Waits until a leased command that came then could begin.
    pub(crate) async fn until_free(&self, skill: &Semaphore) {
        while !self.is_free(skill) {
            for permits in [skill, &self.slots, &self.leases] {
                // Nothing is kept: until the command is there, others may have the room.
                drop(permits.acquire().await);
            }
        }
    }

    async fn take(&self, skill: &Arc<Semaphore>, is_leased: bool) -> Option<Place> {
        let skill = skill.clone().acquire_owned().await.ok()?;
        let slot = self.slots.clone().acquire_owned().await.ok()?;
        let lease = match is_leased {
            true => Some(self.leases.clone().acquire_owned().await.ok()?),
            false => None,
        };
        Some(Place { _permits: [skill, slot], _lease: lease })
    }
}

/// Waits for room for a task; fails with what it is to be answered. `patience` is how long it may wait where others may
/// have room: then it is given back.
pub(crate) async fn wait(
    shop: &Shop,
    skill: &Arc<Semaphore>,
    task: &Task,
    patience: Option<Duration>,
) -> Result<Place, Failure> {
    let released = || Reason::Released.failure();
    tokio::select! {
        biased;
        reason = task.halt.fired() => Err(reason.failure()),
        // Answered, not returned: what comes back from a closed channel counts as if its executor had died of it.
        () = shop.stop.draining() => Err(released()),
        place = shop.room.take(skill, task.assignment.command.lease_ms.is_some()) => place.ok_or_else(released),
        () = until_too_late(shop, task) => Err(too_late(task)),
        () = async { tokio::time::sleep(patience.unwrap_or_default()).await }, if patience.is_some() => Err(released()),
    }
}

/// Until the command may not begin any more by its owner's clock, which need not go as fast as what sleeps; for ever while
/// that is not known.
async fn until_too_late(shop: &Shop, task: &Task) {
    let not_after = task.assignment.command.not_after;
    loop {
        let left_ms = match shop.post.owners_now(&task.owner) {
            Some(now) if now > not_after => return,
            Some(now) => not_after.ms_since(now) + 1,
            None => LOOK_AGAIN_MS,
        };
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
    }
}
