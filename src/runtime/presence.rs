//! Who is there: what an agent says of itself, what it hears of others, and its inbox for directed and broadcast
//! messages. All of it may get lost: nothing that must happen depends on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::inbox::{Inbox, NoInbox, Reply};
use super::letter::{self, Letter, Pen};
use super::options::{Ground, Identity, World};
use super::outage::Outages;
use super::port::Publisher;
use super::stop::Stop;
use super::supervise::{Ended, Fatal, supervise};
use super::watch::{Watch, watched};
use crate::domain::bad_input::quote;
use crate::wire::address::{ALL_KEY, Address, Exchange, Queue, agent_key, layer_key};
use crate::wire::content::{Layer, Ping, Presence, RunningCommand, UnableSkill};
use crate::wire::{AgentId, AgentStatus, Content, MessageId, ProjectId, Timestamp};

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

/// A clock that differs by more than this from the owners' is told of.
const CLOCK_DIFFERENCE_MS: i64 = 1_000;
/// An answer to a ping that took longer says nothing of clocks.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(5);
/// Interval between two questions of an executor to the owners, whose heartbeats it does not get.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// The same when it has met an owner whose clock it does not know.
const ASK_AGAIN: Duration = Duration::from_millis(200);

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
}

/// What an agent can say of coordinators that it does not hear of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Listening {
    pub(crate) since: Timestamp,
    pub(crate) coordinator_heard: Option<Timestamp>,
}

/// The clocks of owners of streams, as far as they were compared with this agent's.
#[derive(Debug, Default)]
struct Clocks {
    /// When the others were last asked.
    asked: Option<tokio::time::Instant>,
    /// By owner: by how much this agent's clock is ahead, in milliseconds.
    ahead_ms: BTreeMap<AgentId, i64>,
    /// The difference that was told last.
    told_ms: Option<i64>,
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
        let own = AgentId::new(owner).ok().and_then(|owner| clocks.ahead_ms.get(&owner));
        if own.is_none() {
            self.unknown_clock.notify_one();
        }
        let ahead_ms = own.or_else(|| clocks.ahead_ms.values().next())?;
        Some(Timestamp(self.ground.clock.now().0 - ahead_ms))
    }

    /// An owner has answered a ping: its clock is compared with this agent's, half of the way there and back apart.
    fn compare_clocks(&self, owner: &Presence, now: Timestamp) {
        let mut clocks = lock(&self.clocks);
        let Some(round_trip) = clocks.asked.map(|asked| asked.elapsed()).filter(|took| *took < ROUND_TRIP_MAX) else {
            return;
        };
        let half_ms = i64::try_from(round_trip.as_millis() / 2).unwrap_or_default();
        let ahead_ms = now.0 - owner.last_seen.0 - half_ms;
        clocks.ahead_ms.insert(owner.agent_id.clone(), ahead_ms);
        if clocks.ahead_ms.len() > REMEMBERED_MAX {
            clocks.ahead_ms.pop_first();
        }
    }

    /// How far this agent's machine is ahead of the owners' clock, where that is worth a word; in the log it is said once.
    fn clock_ahead_ms(&self) -> Option<i64> {
        let mut clocks = lock(&self.clocks);
        let of_machine = self.ground.clock.machine_ahead_ms().unwrap_or_default();
        // Owners go by their store's clock themselves; others have heard of it from them.
        let of_owners = match self.identity.layer {
            Layer::Execution => clocks.ahead_ms.values().copied().min_by_key(|ahead| ahead.abs()).unwrap_or_default(),
            _ => 0,
        };
        let ahead_ms = Some(of_machine + of_owners).filter(|ahead| ahead.abs() > CLOCK_DIFFERENCE_MS);
        let is_told = |ahead: i64| clocks.told_ms.is_some_and(|told| (told - ahead).abs() <= CLOCK_DIFFERENCE_MS);
        match ahead_ms {
            Some(ahead_ms) if !is_told(ahead_ms) => {
                tracing::warn!(
                    ahead_ms,
                    "this machine's clock differs from the store's; nothing is judged by it; hint: synchronise it (NTP)"
                );
                clocks.told_ms = Some(ahead_ms);
            }
            Some(_) => {}
            None => clocks.told_ms = None,
        }
        ahead_ms
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
            clock_ahead_ms: self.clock_ahead_ms(),
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

    async fn session(&self, layer: &dyn Inbox, done: &Stop) -> Result<(), Ended> {
        let id = &self.identity.agent_id;
        let bindings = [agent_key(id), layer_key(self.identity.layer), ALL_KEY.to_owned()];
        let bindings = bindings.map(|key| (Exchange::Agents, key));
        let mut inbox = self.ground.transport.subscribe(&Queue::Agent(id.clone()), &bindings).await?;
        let publisher = self.ground.transport.publisher().await?;
        self.consumes(INBOX);
        *lock(&self.listening_since) = self.ground.clock.now();
        // Who is there already? The answers fill the roster before the first heartbeats come.
        self.ask(&*publisher, Address::everybody()).await?;
        let (mut next, mut told_leaving) = (tokio::time::Instant::now(), false);
        loop {
            tokio::select! {
                biased;
                () = done.draining() => {
                    // Its work may have been over before the drain was told.
                    if self.stop.is_draining() && !told_leaving {
                        self.tell(&*publisher, layer).await?;
                    }
                    return Ok(());
                }
                () = self.unbound.notified() => return Ok(()),
                // Nothing more is to be expected of this agent, but it is there until its work is finished.
                () = self.stop.draining(), if !told_leaving => {
                    self.tell(&*publisher, layer).await?;
                    told_leaving = true;
                }
                letters = inbox.next(64) => {
                    for delivery in letters? {
                        for letter in letter::open(&delivery).letters {
                            self.on_letter(&*publisher, layer, letter).await?;
                        }
                    }
                }
                () = self.saying.notified() => {
                    let said = std::mem::take(&mut *lock(&self.said));
                    for (to, content) in said {
                        self.send(&*publisher, to, content).await?;
                    }
                }
                () = tokio::time::sleep_until(next) => {
                    self.tell(&*publisher, layer).await?;
                    let is_unknown = lock(&self.clocks).ahead_ms.is_empty();
                    self.ask_owners(&*publisher, if is_unknown { ASK_AGAIN } else { ASK_EVERY }).await?;
                    next = tokio::time::Instant::now() + self.ground.timing.heartbeat;
                    self.heard.notify_one();
                }
                () = self.unknown_clock.notified() => self.ask_owners(&*publisher, ASK_AGAIN).await?,
                () = self.changed.notified() => next = next.min(tokio::time::Instant::now() + TELL_PAUSE),
            }
        }
    }

    async fn ask(&self, publisher: &dyn Publisher, to: Address) -> Result<(), Ended> {
        lock(&self.clocks).asked = Some(tokio::time::Instant::now());
        self.send(publisher, to, Content::Ping(Ping::default())).await
    }

    /// An executor asks the coordinators for the time, unless it has done so within `pause`.
    async fn ask_owners(&self, publisher: &dyn Publisher, pause: Duration) -> Result<(), Ended> {
        let is_due = lock(&self.clocks).asked.is_none_or(|asked| asked.elapsed() >= pause);
        match self.identity.layer == Layer::Execution && is_due {
            true => self.ask(publisher, Address::layer(Layer::Coordination)).await,
            false => Ok(()),
        }
    }

    async fn on_letter(&self, publisher: &dyn Publisher, layer: &dyn Inbox, letter: Letter) -> Result<(), Ended> {
        let sender = letter.envelope.sender_id.as_str();
        if sender == self.identity.agent_id.as_str() {
            // Nobody gets its own broadcast.
            return Ok(());
        }
        let is_known = self.hear_letter(publisher, layer, &letter).await?;
        match layer.on_letter(&letter) {
            Some(replies) => {
                for (to, content) in replies {
                    self.send(publisher, to, content).await?;
                }
            }
            None if is_known => {}
            None => {
                let kind = letter.envelope.content.name();
                tracing::debug!(sender, kind, "a message for this agent has no meaning here");
            }
        }
        Ok(())
    }

    /// Whether a letter says or asks who is there.
    async fn hear_letter(&self, publisher: &dyn Publisher, layer: &dyn Inbox, letter: &Letter) -> Result<bool, Ended> {
        match &letter.envelope.content {
            Content::Ping(_) => {
                if let Ok(sender) = AgentId::new(&*letter.envelope.sender_id) {
                    // It may be the first owner: one asks who is there when it starts.
                    if lock(&self.clocks).ahead_ms.is_empty() {
                        self.ask_owners(publisher, ASK_AGAIN).await?;
                    }
                    let peers = self.remembered();
                    let pong = Presence { peers, ..self.presence(layer.commands()) };
                    self.send(publisher, Address::agent(&sender), Content::Pong(pong)).await?;
                }
            }
            content @ (Content::Heartbeat(presence) | Content::Pong(presence)) => {
                if presence.layer != Layer::Client {
                    if matches!(content, Content::Pong(_)) {
                        self.check_store(presence)?;
                        if matches!(presence.layer, Layer::Coordination | Layer::Management) {
                            self.compare_clocks(presence, self.ground.clock.now());
                        }
                    }
                    self.hear(presence.clone(), self.ground.clock.now());
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A heartbeat, to those who need to know. What an agent runs is the coordinators' matter.
    async fn tell(&self, publisher: &dyn Publisher, layer: &dyn Inbox) -> Result<(), Ended> {
        // Nobody hears of it before it is over: heartbeats wait too. But the log says why.
        match self.ground.transport.hindrance() {
            Some(why) => _ = self.watch.outages.broke(BROKER, &why),
            None => self.watch.outages.works(BROKER),
        }
        let own = self.facts().holds;
        self.watch.set_held(self.alive().into_iter().flat_map(|other| other.holds).chain(own).collect());
        let [brief, whole] = [Vec::new(), layer.commands()].map(|commands| self.presence(commands));
        for (layer, presence) in [(Layer::Coordination, whole), (Layer::Management, brief)] {
            self.send(publisher, Address::layer(layer), Content::Heartbeat(presence)).await?;
        }
        Ok(())
    }

    async fn send(&self, publisher: &dyn Publisher, to: Address, content: Content) -> Result<(), Ended> {
        let id = MessageId(self.ground.clock.fresh_id());
        let nobody = ProjectId(Uuid::nil());
        if let Some(outgoing) = self.pen().best_effort(id, to, nobody, content, self.ground.clock.now()) {
            drop(publisher.publish(outgoing).await?);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while it held the lock left whole values behind: every change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
