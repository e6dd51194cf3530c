//! An agent's inbox while it is open: what it hears of others, what it answers, and its heartbeats.

use std::time::Duration;

use uuid::Uuid;

use super::{BROKER, INBOX, Post, TELL_PAUSE, lock};
use crate::runtime::inbox::Inbox;
use crate::runtime::letter::{self, Letter};
use crate::runtime::port::Publisher;
use crate::runtime::stop::Stop;
use crate::runtime::supervise::Ended;
use crate::wire::address::{ALL_KEY, Address, Exchange, Queue, agent_key, layer_key};
use crate::wire::content::{Layer, Ping, Presence};
use crate::wire::{AgentId, Content, MessageId, ProjectId};

/// Interval between two questions of an executor to the owners, whose heartbeats it does not get.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// The same when it has met an owner whose clock it does not know.
const ASK_AGAIN: Duration = Duration::from_millis(200);

impl Post {
    pub(super) async fn session(&self, layer: &dyn Inbox, done: &Stop) -> Result<(), Ended> {
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
                    let is_unknown = lock(&self.clocks).is_empty();
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
        lock(&self.clocks).ask();
        self.send(publisher, to, Content::Ping(Ping::default())).await
    }

    /// An executor asks the coordinators for the time, unless it has done so within `pause`.
    async fn ask_owners(&self, publisher: &dyn Publisher, pause: Duration) -> Result<(), Ended> {
        let is_due = lock(&self.clocks).is_due(pause);
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
                    if lock(&self.clocks).is_empty() {
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
                            lock(&self.clocks).compare(presence, self.ground.clock.now());
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
