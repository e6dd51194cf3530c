//! One agent as the simulator sees it: a process that can crash, stand still, and lose its connection. What it
//! does is the shipped runtime's affair; here is only what is done to it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};
use trireme::runtime::Stop;
use trireme::runtime::port::{Clock, Outgoing, Properties, Transport};
use trireme::wire::address::{Address, Exchange};
use trireme::wire::content::{Layer, Presence};
use trireme::wire::{AgentId, AgentStatus, Content, Envelope, MessageId, ProjectId, codec};
use uuid::Uuid;

use crate::faults::{Act, Fault, Point};
use crate::sim::Sim;

pub struct Agent {
    pub name: String,
    pub layer: Layer,
    pub sim: Arc<Sim>,
    pub stop: Stop,
    life: Mutex<Life>,
}

struct Life {
    is_dead: bool,
    task: Option<AbortHandle>,
    still_until: Instant,
    no_store_until: Instant,
    /// When it was last heard of.
    told: Option<Instant>,
}

/// A terse executor is not heard of again before this time.
const TOLD_PAUSE: Duration = Duration::from_secs(4);

impl Agent {
    pub fn new(sim: &Arc<Sim>, name: String, layer: Layer) -> Arc<Self> {
        let now = Instant::now();
        let life = Life { is_dead: false, task: None, still_until: now, no_store_until: now, told: None };
        Arc::new(Self { name, layer, sim: sim.clone(), stop: Stop::new(), life: Mutex::new(life) })
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().expect("nobody panics while it is held")
    }

    /// What is aborted when it crashes.
    pub fn is_run_by(&self, task: AbortHandle) {
        self.life().task = Some(task);
    }

    pub fn has_no_store(&self) -> bool {
        self.life().no_store_until > Instant::now()
    }

    /// An executor that has just been heard of: that it has begun or ended something it says at the next heartbeat.
    pub fn is_too_talkative(&self, message: &Outgoing) -> bool {
        if self.layer != Layer::Execution || message.properties.kind.as_deref() != Some("Heartbeat") {
            return false;
        }
        let now = Instant::now();
        let mut life = self.life();
        // One at the same moment is the same, to another layer.
        let is_too_soon = life.told.is_some_and(|told| told != now && now - told < TOLD_PAUSE);
        if !is_too_soon {
            life.told = Some(now);
        }
        is_too_soon
    }

    pub fn is_gone(&self) -> bool {
        self.life().is_dead
    }

    /// It can reach everything again.
    pub fn heal(&self) {
        let now = Instant::now();
        let mut life = self.life();
        (life.still_until, life.no_store_until) = (now, now);
        drop(life);
        self.sim.broker.rejoin(&self.name);
    }

    /// Gone, at this very call: its tasks end where they wait, and others get what it held.
    pub fn crash(&self) {
        let mut life = self.life();
        life.is_dead = true;
        if let Some(task) = &life.task {
            task.abort();
        }
        drop(life);
        self.sim.leave(self);
        self.sim.broker.disconnect(&self.name);
    }

    /// Every call of a wrapped port comes through here. Calls of the dead never return.
    pub async fn pass(&self) {
        loop {
            let until = {
                let life = self.life();
                match life.is_dead || self.sim.has_failed() {
                    true => None,
                    false => Some(life.still_until),
                }
            };
            match until {
                None => std::future::pending().await,
                Some(until) if until > Instant::now() => sleep_until(until).await,
                Some(_) => return,
            }
        }
    }

    /// A call takes its time, and others get theirs.
    async fn take_time(&self) {
        let latency = self.sim.latency_ms;
        match self.sim.draw(|random| (random.percent(50), random.ms(0, latency))) {
            (true, Duration::ZERO) => tokio::task::yield_now().await,
            (true, time) => sleep(time).await,
            (false, _) => {}
        }
    }

    /// Passes a point. What strikes there and concerns the call is the answer; the rest has happened.
    pub async fn at(self: &Arc<Self>, point: Point, exchange: Option<Exchange>) -> Option<Act> {
        self.pass().await;
        if point != Point::BestEffort {
            self.take_time().await;
            self.pass().await;
            self.strike_somebody().await;
        }
        let fault = self.sim.chaos(|chaos, random| chaos.strike(random, point, exchange))?;
        self.suffer(fault).await
    }

    /// At any call somebody may be struck, whatever he is doing.
    async fn strike_somebody(self: &Arc<Self>) {
        let Some(fault) = self.sim.chaos(|chaos, random| chaos.strike(random, Point::AnyTime, None)) else { return };
        let agents = self.sim.agents();
        if !agents.is_empty() {
            let at = self.sim.draw(|random| random.below(agents.len() as u64));
            agents[usize::try_from(at).expect("an index")].suffer_quietly(fault).await;
        }
        self.pass().await;
    }

    async fn suffer(self: &Arc<Self>, fault: &Fault) -> Option<Act> {
        match fault.act {
            Act::Overtaken => {
                self.sim.broker.disconnect(&self.name);
                self.sim.step(&self.name, format!("FAULT {}", fault.name));
                sleep(self.sim.draw(|random| random.ms(0, 8_000))).await;
            }
            Act::Crash | Act::Cut | Act::Isolate | Act::Freeze | Act::Drain | Act::Ghosts => {
                self.suffer_quietly(fault).await;
            }
            Act::Unreachable => {
                self.life().no_store_until = Instant::now() + self.sim.draw(|random| random.ms(100, 20_000));
                self.sim.note(&self.name, format!("FAULT {}", fault.name));
            }
            act => {
                self.sim.note(&self.name, format!("FAULT {}", fault.name));
                return Some(act);
            }
        }
        self.pass().await;
        None
    }

    /// What can happen to an agent that is not the caller.
    async fn suffer_quietly(self: &Arc<Self>, fault: &Fault) {
        let sim = &self.sim;
        match fault.act {
            Act::Crash => self.crash(),
            Act::Cut => sim.broker.disconnect(&self.name),
            Act::Isolate => {
                sim.broker.isolate(&self.name);
                let (agent, time) = (self.clone(), sim.draw(|random| random.ms(100, 40_000)));
                tokio::spawn(async move {
                    sleep(time).await;
                    agent.sim.broker.rejoin(&agent.name);
                });
            }
            Act::Freeze => self.life().still_until = Instant::now() + sim.draw(|random| random.ms(100, 40_000)),
            Act::Drain => self.stop.drain(),
            Act::Ghosts => ghosts(sim).await,
            act => unreachable!("{act:?} does not happen to an agent"),
        }
        sim.step(&self.name, format!("FAULT {}", fault.name));
    }
}

/// Heartbeats of coordinators that wait for every partition and are not there.
async fn ghosts(sim: &Sim) {
    let publisher = sim.broker.connect("ghosts").publisher().await.expect("the broker is there");
    for name in ["ghost-1", "ghost-2", "ghost-3"] {
        let presence = Presence {
            agent_id: AgentId::new(name).expect("a word"),
            name: name.into(),
            layer: Layer::Coordination,
            status: AgentStatus::Idle,
            skills: Vec::new(),
            slots: 0,
            busy: 0,
            version: "0".into(),
            host: "sim".into(),
            pid: 0,
            last_seen: sim.clock.now(),
            store_id: None,
            holds: Vec::new(),
            waits_for: (0..8).collect(),
            unable: Vec::new(),
            queues_lost: Vec::new(),
            clock_ahead_ms: None,
            commands: Vec::new(),
            trouble: None,
            published: 0,
            leaving: false,
            peers: Vec::new(),
        };
        let address = Address::layer(Layer::Coordination);
        let content = Content::Heartbeat(presence);
        let envelope = Envelope {
            message_id: MessageId(sim.clock.fresh_id()),
            sender_id: name.into(),
            receiver_id: address.key.clone(),
            message_type: content.message_type(),
            content,
            timestamp: sim.clock.now(),
            task_id: ProjectId(Uuid::nil()),
        };
        let body = codec::encode(&envelope).expect("a small message");
        let sent = publisher.publish(Outgoing { address, mandatory: false, properties: Properties::default(), body });
        drop(sent.await.expect("the broker is there"));
    }
}
