//! The skills that this executor can not perform just now, although it offers them: why, and when it looks again.
//!
//! An executor that lacks a program answers at once, and so would take nearly all the work from those that have it. So
//! what fails by the executor's own fault is never the work's failure: the command is answered `released` with `avoid`,
//! and the skill *rests*: nothing of it is consumed, for a growing time. Only while no other executor can perform the
//! skill either is it consumed all the same and every command answered at once, so that a project learns the reason
//! instead of waiting for ever (the phase machine charges such an answer only then).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::intake::part;
use super::{OfferedSkill, Shop};
use crate::runtime::port::ExecutorFault;
use crate::runtime::supervise::jittered;
use crate::wire::content::UnableSkill;

/// The rest after the first fault of a skill, the longest one, and what each further fault multiplies it by.
const REST_FIRST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);
const REST_FACTOR: u32 = 2;
/// How long an attempt that met a fault that may pass is begun again, before its command goes to another executor: the
/// other attempts of this executor have to end first, when it is out of files or memory.
pub(super) const BEGIN_AGAIN_WITHIN: Duration = Duration::from_secs(30);
pub(super) const BEGIN_AGAIN_EVERY: Duration = Duration::from_millis(250);

/// The faults of this executor, by skill.
#[derive(Default)]
pub(crate) struct Capability {
    faults: Mutex<BTreeMap<String, Resting>>,
    /// False when there are none, to be asked for every command.
    any: AtomicBool,
    rests: Notify,
}

struct Resting {
    fault: ExecutorFault,
    /// Until then the skill rests; then it is looked again.
    until: Instant,
    rest: Duration,
    /// The rest is over, and nothing has shown yet whether the fault is.
    is_tried: bool,
}

/// How a skill is served now.
#[derive(Debug, Clone, Copy)]
pub(super) enum Service {
    /// Its commands are taken and performed, until the skill rests.
    Perform,
    /// Until then its commands are taken and answered, for no other executor can perform them either.
    Answer(Instant),
}

impl Service {
    /// Waits until the skill is to be served in another way.
    pub(super) async fn over(self, shop: &Shop, skill: &str) {
        match self {
            Self::Perform => shop.capability.until_it_rests(skill).await,
            Self::Answer(until) => tokio::time::sleep_until(until).await,
        }
    }
}

impl Capability {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Resting>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault for which commands of a skill are answered without a try.
    pub(crate) fn refusal(&self, skill: &str) -> Option<ExecutorFault> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let faults = self.lock();
        let resting = faults.get(skill).filter(|resting| !resting.is_tried && !resting.fault.may_pass)?;
        Some(resting.fault.clone())
    }

    /// A command was performed: whatever the fault was, it is over.
    pub(crate) fn performed(&self, shop: &Shop, skill: &str) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut faults = self.lock();
        if faults.remove(skill).is_some() {
            tracing::info!(skill, "this executor can perform the skill again");
            self.any.store(!faults.is_empty(), Ordering::Release);
            tell(shop, &faults);
        }
    }

    /// This executor can not perform a skill. The first time that is said in the log; every time the rest grows.
    pub(crate) fn rest(&self, shop: &Shop, skill: &str, fault: ExecutorFault) {
        let mut faults = self.lock();
        let before = faults.get(skill);
        if before.is_some_and(|before| !before.is_tried && before.until > Instant::now()) {
            return;
        }
        let rest = before.map_or(REST_FIRST, |before| (before.rest * REST_FACTOR).min(REST_MAX));
        match before.is_some_and(|before| before.fault == fault) {
            true => tracing::debug!(skill, reason = fault.reason, "this executor still can not perform the skill"),
            false => tracing::error!(
                skill,
                reason = fault.reason,
                "this executor can not perform the skill; its commands go to others, and it looks again by itself"
            ),
        }
        // At least half of it, so that executors with the same fault do not come back together.
        let until = Instant::now() + rest / 2 + jittered(rest / 2, shop.ground.clock.as_ref());
        faults.insert(skill.to_owned(), Resting { fault, until, rest, is_tried: false });
        self.any.store(true, Ordering::Release);
        tell(shop, &faults);
        drop(faults);
        self.rests.notify_waiters();
    }

    /// Waits until the skill rests.
    pub(super) async fn until_it_rests(&self, skill: &str) {
        loop {
            let notified = self.rests.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.resting_until(skill).is_some() {
                return;
            }
            notified.await;
        }
    }

    fn resting_until(&self, skill: &str) -> Option<Instant> {
        self.lock().get(skill).filter(|resting| !resting.is_tried).map(|resting| resting.until)
    }

    /// The rest is over: the next command shows whether the fault is.
    fn try_again(&self, shop: &Shop, skill: &str) {
        let mut faults = self.lock();
        if let Some(resting) = faults.get_mut(skill) {
            resting.is_tried = true;
        }
        tell(shop, &faults);
    }
}

/// Looks at every skill when the executor starts: what is missing is said before a command needs it.
pub(super) fn look_at_all(shop: &Shop) {
    for (skill, offered) in &shop.skills {
        if let Err(fault) = offered.runner.look() {
            shop.capability.rest(shop, skill, fault);
        }
    }
}

/// Waits for as long as the skill rests, and says how it is to be served then; not at all when this process is to stop.
pub(super) async fn service(shop: &Arc<Shop>, skill: &str, offered: &OfferedSkill) -> Option<Service> {
    while let Some(until) = shop.capability.resting_until(skill) {
        // An executor that can not do all that it offers is ready for the rest.
        shop.post.consumes(&part(skill));
        tokio::select! {
            biased;
            () = shop.stop.draining() => return None,
            () = tokio::time::sleep_until(until) => {}
        }
        let Err(fault) = offered.runner.look() else {
            shop.capability.try_again(shop, skill);
            break;
        };
        let may_pass = fault.may_pass;
        shop.capability.rest(shop, skill, fault);
        if !may_pass && !shop.peers.can(shop, skill).await {
            return shop.capability.resting_until(skill).map(Service::Answer);
        }
    }
    Some(Service::Perform)
}

/// What heartbeats say of it.
fn tell(shop: &Shop, faults: &BTreeMap<String, Resting>) {
    let resting = faults.iter().filter(|(_, resting)| !resting.is_tried);
    let unable = resting
        .map(|(skill, resting)| UnableSkill { skill: skill.clone(), reason: resting.fault.reason.clone() })
        .collect();
    shop.post.update(|facts| facts.unable = unable);
}
