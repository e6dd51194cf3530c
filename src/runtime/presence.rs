//! Who is there: what an agent says of itself, what it hears of others, and its inbox for directed and broadcast
//! messages. All of it may get lost: nothing that must happen depends on it.

mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::clocks::Clocks;
use super::inbox::{Inbox, NoInbox, Reply};
use super::letter::Pen;
use super::options::{Ground, Identity, World};
use super::outage::Outages;
use super::stop::Stop;
use super::supervise::{Ended, Fatal, supervise};
use super::watch::{Watch, watched};
use crate::domain::bad_input::quote;
use crate::wire::address::Address;
use crate::wire::content::{Layer, LostQueue, Presence, RunningCommand, UnableSkill};
use crate::wire::{AgentId, AgentStatus, Content, Timestamp};

/// Changes are told at once, but not more often than this.
const TELL_PAUSE: Duration = Duration::from_millis(200);
/// An agent that missed this many heartbeats is not counted on.
const MISSED_MAX: u32 = 3;
/// Agents are remembered for this long after they were last heard of.
pub(crate) const REMEMBERED_MS: u64 = 60_000;
/// So many agents are remembered at the most: the inbox is open to whoever may publish there.
const REMEMBERED_MAX: usize = 10_000;

/// A fresh manager or coordinator compares its store with those of the agents that answer its first ping: they
/// were there before it. After this time a difference is the newcomer's matter.
const FRESH: Duration = Duration::from_secs(5);

/// The part of an agent that others speak to.
const INBOX: &str = "the agent's inbox";
/// So many messages wait to be said while the broker is away.
const SAID_MAX: usize = 1_000;

/// What the broker is called when it takes no messages.
const BROKER: &str = "the broker";

/// So many of them are told of in a pong.
const TOLD_MAX: usize = 1_000;

/// The changing facts of an agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) skills: Vec<String>,
    pub(crate) slots: u32,
    pub(crate) busy: u32,
    pub(crate) holds: Vec<u32>,
    pub(crate) waits_for: Vec<u32>,
    /// The skills that it offers and can not perform just now.
    pub(crate) unable: Vec<UnableSkill>,
    /// By skill: how often its queue was deleted under this agent, and when it noticed last.
    pub(crate) queues_lost: BTreeMap<String, (u32, tokio::time::Instant)>,
}

impl Facts {
    /// The queues that were lost within the last minute.
    fn queues_lost(&self) -> Vec<LostQueue> {
        let ago_ms = |at: &tokio::time::Instant| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let lost = self.queues_lost.iter();
        lost.map(|(skill, (times, at))| LostQueue { skill: skill.clone(), times: *times, ago_ms: ago_ms(at) })
            .filter(|lost| lost.ago_ms <= REMEMBERED_MS)
            .collect()
    }
}

/// What an agent can say of coordinators that it does not hear of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Listening {
    pub(crate) since: Timestamp,
    pub(crate) coordinator_heard: Option<Timestamp>,
}

/// One agent's place among the others.
pub(crate) struct Post {
    identity: Identity,
    ground: Ground,
    /// The store that it works on, where it works on one.
    store_id: Option<Uuid>,
    /// When it fires, this agent is leaving.
    stop: Stop,
    facts: Mutex<Facts>,
    watch: Arc<Watch>,
    changed: Notify,
    /// The exchanges may be new ones, which know nothing of the inbox.
    unbound: Notify,
    /// What other parts of this agent have to say.
    said: Mutex<VecDeque<Reply>>,
    clocks: Mutex<Clocks>,
    /// An owner was met whose clock is not known.
    unknown_clock: Notify,
    saying: Notify,
    others: Mutex<BTreeMap<AgentId, Presence>>,
    /// Somebody came, left or said something new.
    heard: Notify,
    /// When a coordinator was last heard of.
    coordinator_heard: Mutex<Option<Timestamp>>,
    since: tokio::time::Instant,
    /// Since when the inbox is open without a gap.
    listening_since: Mutex<Timestamp>,
    /// When something was last brought that an owner is to decide.
    worked: Mutex<Option<tokio::time::Instant>>,
    /// The parts that have consumed; all of them once, and the agent is ready.
    consuming: Mutex<BTreeSet<String>>,
    parts: usize,
}

impl Post {
    /// The place of an agent that consumes through so many `parts`.
    pub(crate) fn new(
        identity: Identity,
        ground: Ground,
        store_id: Option<Uuid>,
        facts: Facts,
        parts: usize,
        stop: Stop,
    ) -> Self {
        // Before its inbox is open it can not say that anybody is silent.
        let listening_since = Mutex::new(ground.clock.now());
        let watch = Arc::new(Watch::default());
        Self {
            identity,
            ground: watched(ground, &watch),
            store_id,
            stop,
            facts: Mutex::new(facts),
            watch,
            changed: Notify::new(),
            unbound: Notify::new(),
            said: Mutex::default(),
            clocks: Mutex::default(),
            unknown_clock: Notify::new(),
            saying: Notify::new(),
            others: Mutex::default(),
            heard: Notify::new(),
            coordinator_heard: Mutex::default(),
            since: tokio::time::Instant::now(),
            listening_since,
            worked: Mutex::default(),
            consuming: Mutex::default(),
            // And the inbox.
            parts: parts + 1,
        }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its consumers are watched.
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The same world, on this agent's ground.
    pub(crate) fn watched(&self, world: World) -> World {
        World { transport: self.ground.transport.clone(), ..world }
    }

    pub(crate) fn outages(&self) -> Arc<Outages> {
        self.watch.outages.clone()
    }

    /// A part of this agent does not work; true when everything did before. The others are told soon.
    pub(crate) fn broke(&self, part: &str, why: &str) -> bool {
        let is_first = self.watch.outages.broke(part, why);
        self.changed.notify_one();
        is_first
    }

    /// A part of this agent works.
    pub(crate) fn works(&self, part: &str) {
        self.watch.outages.works(part);
        self.changed.notify_one();
    }

    /// The topology was declared again: the inbox is opened anew.
    pub(crate) fn bind_again(&self) {
        self.unbound.notify_one();
    }

    /// Whether every part has consumed once.
    pub(crate) fn was_ready(&self) -> bool {
        lock(&self.consuming).len() == self.parts
    }

    pub(crate) fn pen(&self) -> Pen {
        Pen { agent: self.identity.agent_id.clone() }
    }

    /// Changes what this agent says of itself; the others are told soon.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut lock(&self.facts));
        self.changed.notify_one();
    }

    /// Something was brought that is to be decided. An owner at work is told of when it had been idle.
    pub(crate) fn at_work(&self) {
        let was_busy = self.is_at_work();
        *lock(&self.worked) = Some(tokio::time::Instant::now());
        if !was_busy {
            self.changed.notify_one();
        }
    }

    /// Whether an owner decided something within the last heartbeat: the streams that it holds move. Those that wait
    /// for a slow subtask do not, and their owner has nothing to do.
    fn is_at_work(&self) -> bool {
        lock(&self.worked).is_some_and(|worked| worked.elapsed() < self.ground.timing.heartbeat)
    }

    pub(crate) fn facts(&self) -> Facts {
        lock(&self.facts).clone()
    }

    /// A part of this agent consumes. When all have done so for the first time it says that it is ready.
    pub(crate) fn consumes(&self, part: &str) {
        self.works(part);
        let mut consuming = lock(&self.consuming);
        if consuming.len() < self.parts && consuming.insert(part.to_owned()) && consuming.len() == self.parts {
            tracing::info!(layer = %self.identity.layer, agent = %self.identity.agent_id, "ready");
        }
    }

    /// Since when others are listened to without a gap.
    pub(crate) fn listening_since(&self) -> Timestamp {
        *lock(&self.listening_since)
    }

    pub(crate) fn listening(&self) -> Listening {
        Listening { since: self.listening_since(), coordinator_heard: *lock(&self.coordinator_heard) }
    }

    /// The time by the clock of an owner of streams: of this one, else of any, which all go by their store's. None before
    /// an owner has answered.
    pub(crate) fn owners_now(&self, owner: &str) -> Option<Timestamp> {
        let clocks = lock(&self.clocks);
        let own = clocks.ahead_of(owner);
        if own.is_none() {
            self.unknown_clock.notify_one();
        }
        let ahead_ms = own.or_else(|| clocks.ahead_of_any())?;
        Some(Timestamp(self.ground.clock.now().0 - ahead_ms))
    }

    /// Sends a message that may get lost, soon.
    pub(crate) fn say(&self, to: Address, content: Content) {
        let mut said = lock(&self.said);
        if said.len() < SAID_MAX {
            said.push_back((to, content));
        }
        self.saying.notify_one();
    }

    /// Waits until something was heard of others.
    pub(crate) async fn heard(&self) {
        self.heard.notified().await;
    }

    /// The others that are alive as far as heartbeats tell.
    pub(crate) fn alive(&self) -> Vec<Presence> {
        let patience = self.ground.timing.heartbeat * MISSED_MAX;
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let now = self.ground.clock.now();
        let others = lock(&self.others);
        others.values().filter(|other| !other.leaving && now.ms_since(other.last_seen) <= patience).cloned().collect()
    }

    /// What this agent says of itself now.
    fn presence(&self, commands: Vec<RunningCommand>) -> Presence {
        let facts = self.facts();
        let unable = facts.unable.iter().map(|unable| format!("skill {}: {}", quote(&unable.skill), unable.reason));
        let trouble: Vec<String> = self.watch.outages.describe().into_iter().chain(unable).collect();
        let trouble = (!trouble.is_empty()).then(|| trouble.join("; "));
        let status = match (&trouble, facts.busy > 0 || self.is_at_work()) {
            (Some(_), _) => AgentStatus::Error,
            (None, false) => AgentStatus::Idle,
            (None, true) => AgentStatus::Busy,
        };
        Presence {
            agent_id: self.identity.agent_id.clone(),
            name: self.identity.name.clone(),
            layer: self.identity.layer,
            status,
            queues_lost: facts.queues_lost(),
            skills: facts.skills,
            slots: facts.slots,
            busy: facts.busy,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.identity.host.clone(),
            pid: self.identity.pid,
            last_seen: self.ground.clock.now(),
            store_id: self.store_id,
            holds: facts.holds,
            waits_for: facts.waits_for,
            unable: facts.unable,
            commands,
            trouble,
            clock_ahead_ms: lock(&self.clocks).difference_ms(self.identity.layer, self.ground.clock.machine_ahead_ms()),
            published: self.watch.published.load(Ordering::Relaxed),
            leaving: self.stop.is_draining(),
            peers: Vec::new(),
        }
    }

    fn hear(&self, mut presence: Presence, now: Timestamp) {
        presence.last_seen = now;
        presence.peers = Vec::new();
        if presence.layer == Layer::Coordination {
            *lock(&self.coordinator_heard) = Some(now);
        }
        let mut others = lock(&self.others);
        others.retain(|_, other| now.ms_since(other.last_seen) <= REMEMBERED_MS);
        if others.len() < REMEMBERED_MAX || others.contains_key(&presence.agent_id) {
            others.insert(presence.agent_id.clone(), presence);
        }
        drop(others);
        self.heard.notify_one();
    }

    /// This agent must not go on when one that was there before it works on another store.
    fn check_store(&self, other: &Presence) -> Result<(), Ended> {
        let is_fresh = self.since.elapsed() < FRESH;
        match (self.store_id, other.store_id) {
            (Some(own), Some(theirs)) if is_fresh && !other.leaving && theirs != own => {
                Err(Ended::Fatal(Fatal::WrongStore(format!(
                    "agent `{}` on `{}` works on the store {theirs}, this process on {own}",
                    other.agent_id, other.host
                ))))
            }
            _ => Ok(()),
        }
    }

    /// The others, as a pong tells of them: who they are, not what they hold. A pong has to fit a message.
    fn remembered(&self) -> Vec<Presence> {
        let now = self.ground.clock.now();
        let is_recent = |other: &&Presence| now.ms_since(other.last_seen) <= REMEMBERED_MS;
        let brief = |other: &Presence| Presence {
            commands: Vec::new(),
            holds: Vec::new(),
            waits_for: Vec::new(),
            ..other.clone()
        };
        lock(&self.others).values().filter(is_recent).take(TOLD_MAX).map(brief).collect()
    }

    /// Does `work` with the inbox open and the heart beating. A drain is told at once; the agent answers until its work
    /// is finished.
    pub(crate) async fn beside(&self, work: impl Future<Output = Result<(), Fatal>>) -> Result<(), Fatal> {
        self.attended_by(&NoInbox, work).await
    }

    /// The same, with somebody to whom letters are handed.
    pub(crate) async fn attended_by(
        &self,
        layer: &dyn Inbox,
        work: impl Future<Output = Result<(), Fatal>>,
    ) -> Result<(), Fatal> {
        let done = Stop::new();
        let inbox = supervise(INBOX, self, &done, || self.session(layer, &done));
        let work = async {
            let ended = work.await;
            done.drain();
            ended
        };
        tokio::try_join!(work, inbox).map(|_| ())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while it held the lock left whole values behind: every change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
