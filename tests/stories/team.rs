//! A whole team in one process, on the in-memory transport and store.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use trireme::domain::expand::SkillDefaults;
use trireme::runtime::client::Client;
use trireme::runtime::executor::{ExecutorOptions, OfferedSkill};
use trireme::runtime::port::{Clock, QueueKind, Store, Transport};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::runtime::{Fatal, Identity, SkillOptions, Stop, Timing, World, coordinator, executor, manager};
use trireme::store::memory::MemoryStore;
use trireme::transport::memory::MemoryBroker;
use trireme::wire::address::Namespace;
use trireme::wire::content::{Layer, NewProject};
use trireme::wire::{AgentId, GoalPlan, SubtaskPlan, Timestamp};
use uuid::Uuid;

/// Stands still when tokio's time does: what is due by the one is due by the other.
struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        /// When this is first asked.
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        const NOON: Timestamp = Timestamp(1_763_800_000_000);
        NOON.plus(tokio::time::Instant::now().into_std().saturating_duration_since(*BEGAN))
    }

    fn fresh_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// One manager, one coordinator, one executor with `noop` and `sleep`, or some of them.
pub struct Team {
    pub store: Arc<dyn Store>,
    pub broker: MemoryBroker,
    options: TopologyOptions,
    agents: Vec<Agent>,
}

struct Agent {
    layer: Layer,
    stop: Stop,
    task: tokio::task::JoinHandle<Result<(), Fatal>>,
}

impl Team {
    pub async fn start() -> Self {
        let broker = MemoryBroker::new(Namespace::new("stories").expect("a word"));
        Self::start_on(broker, Arc::new(MemoryStore::new(uuid::Uuid::from_u128(1)))).await
    }

    /// New processes on what others have left.
    pub async fn start_on(broker: MemoryBroker, store: Arc<dyn Store>) -> Self {
        let mut team = Self::of_nobody(broker, store).await;
        for layer in [Layer::Management, Layer::Coordination, Layer::Execution] {
            team.join(layer).await;
        }
        team
    }

    pub async fn of_nobody(broker: MemoryBroker, store: Arc<dyn Store>) -> Self {
        let namespace = Namespace::new("stories").expect("a word");
        let skills = ["noop", "sleep"].map(str::to_owned).to_vec();
        let options = TopologyOptions {
            namespace,
            partitions: 2,
            skills,
            requests_max: 100,
            skill_delivery_limit: 5,
            queue_kind: QueueKind::Quorum,
        };
        let team = Self { store, broker, options, agents: Vec::new() };
        team.declare().await;
        team
    }

    pub async fn declare(&self) {
        self.world("admin").await.transport.declare(&topology(&self.options)).await.expect("declared");
    }

    /// An agent of this layer comes.
    pub async fn join(&mut self, layer: Layer) {
        let stop = Stop::new();
        let task = match layer {
            Layer::Management => tokio::spawn(manager::run(self.world("m").await, identity("m", layer), stop.clone())),
            Layer::Coordination => {
                tokio::spawn(coordinator::run(self.world("c").await, identity("c", layer), stop.clone()))
            }
            Layer::Execution => {
                let offered = |kind: &str| OfferedSkill {
                    options: skill(),
                    runner: trireme::runner::build(kind, None).expect("a runner without options"),
                };
                let skills = BTreeMap::from(["noop", "sleep"].map(|kind| (kind.to_owned(), offered(kind))));
                let options = ExecutorOptions { slots: 4, skills };
                tokio::spawn(executor::run(self.world("e").await.ground(), identity("e", layer), options, stop.clone()))
            }
            Layer::Client => panic!("a client is no agent of a team"),
        };
        self.agents.push(Agent { layer, stop, task });
    }

    /// The agents of this layer drain and go.
    pub async fn dismiss(&mut self, layer: Layer) {
        let (going, staying) = self.agents.drain(..).partition(|agent| agent.layer == layer);
        self.agents = staying;
        leave(going).await;
    }

    /// The world as one more process sees it.
    pub async fn world(&self, name: &str) -> World {
        World {
            transport: Arc::new(self.broker.connect(name)) as Arc<dyn Transport>,
            store: self.store.clone(),
            store_id: self.store.identity(self.options.partitions).await.expect("a store").id,
            clock: Arc::new(FrozenClock),
            planners: trireme::planner::planners(None).expect("the shipped planners").into(),
            skills: Arc::new(["noop", "sleep"].map(|name| (name.to_owned(), skill())).into()),
            topology: Arc::new(self.options.clone()),
            timing: Timing::default(),
        }
    }

    pub async fn client(&self) -> Client {
        Client::connect(&*self.world("client").await.transport, Arc::new(FrozenClock)).await.expect("a client")
    }

    /// Whether every agent is still at work.
    pub fn is_whole(&self) -> bool {
        self.agents.iter().all(|agent| !agent.task.is_finished())
    }

    /// Drains all, and waits until they have left.
    pub async fn leave(self) {
        leave(self.agents).await;
    }
}

async fn leave(agents: Vec<Agent>) {
    agents.iter().for_each(|agent| agent.stop.drain());
    for agent in agents {
        assert_eq!(agent.task.await.expect("no agent panics"), Ok(()));
    }
}

fn identity(name: &str, layer: Layer) -> Identity {
    Identity { agent_id: AgentId::new(name).expect("a word"), name: name.into(), layer, host: "here".into(), pid: 1 }
}

fn skill() -> SkillOptions {
    SkillOptions {
        concurrency: 4,
        prefetch: 4,
        is_external: false,
        batch: None,
        defaults: SkillDefaults::new(60_000, 3),
    }
}

/// A request with one goal of these subtasks.
pub fn request(name: &str, subtasks: Vec<SubtaskPlan>) -> NewProject {
    let goal = GoalPlan {
        goal_name: "goal".into(),
        priority: 1,
        description: String::new(),
        input: None,
        subtasks: Some(subtasks),
    };
    NewProject::planned(name, vec![goal])
}
