//! The executor process: does the work.
//!
//! A held command is acked when its result is confirmed, so the broker itself redelivers the work of a process that
//! died. A leased one is acked when its owner knows who has it; from then on heartbeats list it. Attempts outlive the
//! connection that brought them: a command that is delivered again while it still runs here is not begun a second time,
//! it waits for the same answer. A stop answers what it does not finish: it uses up nobody's attempt.

mod answer;
mod attempt;
mod avoid;
mod cancelled;
mod capability;
mod channel;
mod halt;
mod inbox;
mod intake;
mod leased;
mod outbox;
mod place;
mod running;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio_util::task::TaskTracker;

use super::options::{Ground, Identity, SkillOptions};
use super::port::Runner;
use super::presence::{Facts, Post};
use super::stop::Stop;
use super::supervise::Fatal;
use avoid::Peers;
use cancelled::Cancelled;
use capability::Capability;
use halt::Reason;
use outbox::Outbox;
use place::Room;
use running::Running;

/// How long the attempts that a stop cuts off have to end: what a runner may take, and a little.
const ENDED_WITHIN: Duration = attempt::END_WITHIN.saturating_add(Duration::from_secs(1));
/// How long it may then take to tell their owners. A broker that is away must not keep the process: it gives back what
/// it can, and the leases of the rest run out.
const TOLD_WITHIN: Duration = ENDED_WITHIN.saturating_add(Duration::from_secs(2));

/// The same for a process that is to leave at once: answers that are ready, on a broker that is there.
const TOLD_AT_ONCE_WITHIN: Duration = Duration::from_secs(1);

/// What an executor offers.
pub struct ExecutorOptions {
    /// How many attempts it runs at once, of all skills together.
    pub slots: u32,
    pub skills: BTreeMap<String, OfferedSkill>,
}

/// A skill, and how it is done here.
#[derive(Clone)]
pub struct OfferedSkill {
    pub options: SkillOptions,
    pub runner: Arc<dyn Runner>,
}

/// What the parts of one executor share.
pub(crate) struct Shop {
    pub(crate) ground: Ground,
    pub(crate) post: Post,
    pub(crate) skills: BTreeMap<String, OfferedSkill>,
    pub(crate) room: Room,
    pub(crate) running: Running,
    /// The attempts' tasks: nothing that they started may outlive the process.
    pub(crate) attempts: TaskTracker,
    pub(crate) outbox: Outbox,
    pub(crate) cancelled: Cancelled,
    pub(crate) peers: Peers,
    pub(crate) capability: Capability,
    pub(crate) stop: Stop,
}

/// Runs an executor until it is told to stop. It works on no store: what it knows comes with its commands.
pub async fn run(ground: Ground, identity: Identity, options: ExecutorOptions, stop: Stop) -> Result<(), Fatal> {
    let facts = Facts { skills: options.skills.keys().cloned().collect(), slots: options.slots, ..Facts::default() };
    let (outbox, finished) = Outbox::new();
    let post = Post::new(identity, ground, None, facts, options.skills.len(), stop.clone());
    let ground = post.ground().clone();
    let shop = Arc::new(Shop {
        post,
        skills: options.skills,
        room: Room::new(options.slots),
        running: Running::default(),
        attempts: TaskTracker::new(),
        outbox,
        cancelled: Cancelled::default(),
        peers: Peers::default(),
        capability: Capability::default(),
        stop: stop.clone(),
        ground,
    });
    capability::look_at_all(&shop);
    let work = async {
        let intakes = async {
            let done = try_join_all(shop.skills.keys().map(|skill| intake::serve(&shop, skill))).await;
            // Also those whose channel broke meanwhile.
            shop.running.until_idle().await;
            done.map(|_| ())
        };
        tokio::select! {
            biased;
            done = intakes => done,
            done = outbox::serve(&shop, finished) => done,
        }
    };
    let done = tokio::select! {
        biased;
        () = overdue(&shop) => Ok(()),
        done = shop.post.attended_by(&*shop, work) => done,
    };
    shop.running.halt_all(Reason::Released);
    shop.attempts.close();
    if tokio::time::timeout(ENDED_WITHIN, shop.attempts.wait()).await.is_err() {
        tracing::warn!(attempts = shop.attempts.len(), "left behind: runners that do not end");
    }
    done
}

/// A stop's time is up. What still runs is ended and answered `released`, which is charged to nobody; what can not be
/// answered goes back with its channel.
async fn overdue(shop: &Shop) {
    shop.stop.out_of_time(shop.ground.timing.grace).await;
    shop.running.halt_all(Reason::Released);
    if !shop.stop.is_leaving() {
        let _ = tokio::time::timeout(TOLD_WITHIN, shop.stop.leaving()).await;
    }
    // Whoever can not wait waits for this much: what goes back untold counts as a death of whoever had it.
    tokio::time::sleep(TOLD_AT_ONCE_WITHIN).await;
}
