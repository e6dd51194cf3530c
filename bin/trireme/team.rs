//! A whole team in this one process: a manager, a coordinator and an executor with every skill that is not
//! external, on a broker in memory. The same agents as the worker processes are, wired to each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use trireme::config::Settings;
use trireme::runtime::executor::ExecutorOptions;
use trireme::runtime::port::{Planner, Store, Transport};
use trireme::runtime::topology::topology;
use trireme::runtime::{Fatal, Identity, Stop, World, coordinator, executor, manager};
use trireme::transport::memory::{MemoryBroker, Place};
use trireme::wire::AgentId;
use trireme::wire::address::Queue;
use trireme::wire::content::Layer;

use crate::failure::Failure;
use crate::{process, wiring};

/// How long what executors have answered may take to be recorded, when the team is told to end.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether it is. A look goes through what is in the broker, which is little.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long agents have to end when nothing is to be waited for.
const LEFT_WITHIN: Duration = Duration::from_secs(8);

/// A team at work.
pub struct Team {
    broker: MemoryBroker,
    agents: JoinSet<(Layer, Result<(), Fatal>)>,
    /// Each layer is told by itself: a team drains from below.
    owners: Stop,
    workers: Stop,
}

impl Team {
    /// Starts a team on this store; the projects in it stay dealt as they are.
    pub async fn start(
        settings: &Settings,
        planners: Vec<Arc<dyn Planner>>,
        offered: ExecutorOptions,
        store: Arc<dyn Store>,
    ) -> Result<Self, Failure> {
        let store_identity = store.identity(settings.broker.partitions).await?;
        let broker = MemoryBroker::new(settings.broker.namespace.clone());
        let clock = wiring::clock(Some(store.clone())).await?;
        let world = |name: &str| {
            let transport = Arc::new(broker.connect(name));
            wiring::world(settings, planners.clone(), transport, store.clone(), store_identity, clock.clone())
        };
        let any: World = world("topology");
        any.transport.declare(&topology(&any.topology)).await?;
        let (owners, workers) = (Stop::new(), Stop::new());
        let mut agents = JoinSet::new();
        let run = manager::run(world(MANAGER), identity(MANAGER, Layer::Management)?, owners.clone());
        agents.spawn(async move { (Layer::Management, run.await) });
        let run = coordinator::run(world(COORDINATOR), identity(COORDINATOR, Layer::Coordination)?, owners.clone());
        agents.spawn(async move { (Layer::Coordination, run.await) });
        let run =
            executor::run(world(EXECUTOR).ground(), identity(EXECUTOR, Layer::Execution)?, offered, workers.clone());
        agents.spawn(async move { (Layer::Execution, run.await) });
        Ok(Self { broker, agents, owners, workers })
    }

    /// The broker as somebody outside the team sees it.
    pub fn transport(&self) -> impl Transport {
        self.broker.connect("client")
    }

    /// Waits until an agent ends, which none does by itself unless something is wrong.
    pub async fn failed(&mut self) -> Failure {
        match self.agents.join_next().await {
            Some(Ok((_, Err(fatal)))) => fatal.into(),
            Some(Ok((layer, Ok(())))) => Failure::bug(format!("the {layer} agent has ended")),
            Some(Err(error)) => Failure::bug(format!("an agent is gone: {error}")),
            None => Failure::bug("no agent is left"),
        }
    }

    /// Begins nothing new, finishes what runs within the grace period, and records what came of it; `now` cuts
    /// that short.
    pub async fn drain(mut self, now: impl Future<Output = ()>) {
        let calmly = async {
            self.workers.drain();
            // The executor is the only one that was told.
            let _ = self.agents.join_next().await;
            self.settled().await;
            self.owners.drain();
            while self.agents.join_next().await.is_some() {}
        };
        tokio::select! {
            biased;
            () = now => self.leave().await,
            () = calmly => {}
        }
    }

    /// Ends everything that runs, at once.
    pub async fn leave(mut self) {
        self.workers.leave();
        self.owners.leave();
        let until = Instant::now() + LEFT_WITHIN;
        while let Ok(Some(_)) = timeout_at(until, self.agents.join_next()).await {}
    }

    /// Waits until the owners have taken what is in their queues. Nobody tells, so it is looked; and not for
    /// ever, because what is not recorded now is done again.
    async fn settled(&self) {
        let until = Instant::now() + SETTLED_WITHIN;
        let is_open = |queue: &Queue| matches!(queue, Queue::Coordination(_) | Queue::Management | Queue::Requests);
        let is_held = |place: &Place| matches!(place, Place::Ready | Place::Unacked { .. });
        while Instant::now() < until {
            let messages = self.broker.inspect().messages;
            if !messages.iter().any(|message| is_open(&message.queue) && is_held(&message.place)) {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

const MANAGER: &str = "manager";
const COORDINATOR: &str = "coordinator";
const EXECUTOR: &str = "executor";

fn identity(name: &str, layer: Layer) -> Result<Identity, Failure> {
    let agent_id = AgentId::new(name).map_err(Failure::bug)?;
    Ok(Identity { agent_id, name: name.into(), layer, host: process::host(), pid: std::process::id() })
}
