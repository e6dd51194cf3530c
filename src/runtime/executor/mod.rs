//! The executor process: does the work.
//!
//! A command is acked when its result is confirmed, so the broker itself redelivers the work of a process that
//! died. Attempts outlive the connection that brought them: a command that is delivered again while it still runs
//! here is not begun a second time, it waits for the same answer.

mod answer;
mod attempt;
mod intake;
mod outbox;
mod running;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::options::{Ground, Identity, SkillOptions};
use super::port::Runner;
use super::presence::{Facts, Post};
use super::stop::Stop;
use super::supervise::Fatal;
use outbox::Outbox;
use running::Running;

/// How long the attempts that a stop cuts off have to end: what a runner may take, and a little.
const ENDED_WITHIN: Duration = attempt::END_WITHIN.saturating_add(Duration::from_secs(1));

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
    /// One permit an attempt that runs.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) running: Running,
    /// The attempts' tasks: nothing that they started may outlive the process.
    pub(crate) attempts: TaskTracker,
    pub(crate) outbox: Outbox,
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
        slots: Arc::new(Semaphore::new(options.slots as usize)),
        running: Running::default(),
        attempts: TaskTracker::new(),
        outbox,
        stop: stop.clone(),
        ground,
    });
    let work = async {
        let intakes = try_join_all(shop.skills.keys().map(|skill| intake::serve(&shop, skill)));
        tokio::select! {
            biased;
            done = intakes => done.map(|_| ()),
            done = outbox::serve(&shop, finished) => done,
        }
    };
    let done = tokio::select! {
        biased;
        () = stop.out_of_time(shop.ground.timing.grace) => Ok(()),
        done = shop.post.beside(work) => done,
    };
    // Whatever still runs is ended; its commands go back to the broker with the channel, and are not charged.
    shop.running.abort_all();
    shop.attempts.close();
    if tokio::time::timeout(ENDED_WITHIN, shop.attempts.wait()).await.is_err() {
        tracing::warn!(attempts = shop.attempts.len(), "left behind: runners that do not end");
    }
    done
}
