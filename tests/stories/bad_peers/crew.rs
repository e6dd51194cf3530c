//! The honest ones: a manager and a coordinator in this process, on RabbitMQ, with a store that can be looked into.

use std::sync::Arc;
use std::time::Duration;

use trireme::domain::expand::SkillDefaults;
use trireme::domain::view::{ProjectView, SubtaskView};
use trireme::runtime::client::Client;
use trireme::runtime::dead::{DeadLetters, Facts};
use trireme::runtime::port::{QueueKind, Store, SystemClock, Transport};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::runtime::{Fatal, Identity, SkillOptions, Stop, Timing, World, coordinator, manager, reader};
use trireme::store::memory::MemoryStore;
use trireme::transport::rabbit::{Claim, RabbitOptions, RabbitTransport, claim};
use trireme::wire::address::Namespace;
use trireme::wire::content::Layer;
use trireme::wire::{AgentId, ProjectId, StreamId, SubtaskPlan};
use uuid::Uuid;

use super::peer::Peer;
use crate::team::request;

/// Nothing here takes longer, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// The one skill, which only the bad peers have.
pub const SKILL: &str = "work";
const PARTITIONS: u32 = 2;

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {} s in vain: {what}", PATIENCE.as_secs()),
    }
}

pub struct Crew {
    claim: Claim,
    store: Arc<dyn Store>,
    client: Client,
    /// What a test looks at the broker through.
    transport: RabbitTransport,
    stop: Stop,
    agents: Vec<tokio::task::JoinHandle<Result<(), Fatal>>>,
}

fn options(namespace: &Namespace) -> TopologyOptions {
    TopologyOptions {
        namespace: namespace.clone(),
        partitions: PARTITIONS,
        skills: vec![SKILL.into()],
        requests_max: 100,
        skill_delivery_limit: 5,
        queue_kind: QueueKind::Quorum,
    }
}

impl Crew {
    pub async fn start() -> Self {
        Self::start_with(Timing::default()).await
    }

    pub async fn start_with(timing: Timing) -> Self {
        let urls = std::env::var("TRIREME_TEST_AMQP_URLS").unwrap_or_default();
        let url = match urls.split(',').next().map(str::trim) {
            Some(url) if !url.is_empty() => url,
            _ => "amqp://guest:guest@127.0.0.1:5672/%2f",
        };
        let claim = claim(url, "trireme_test", |namespace| topology(&options(namespace))).await;
        let claim = claim.expect("a namespace on RabbitMQ: is it running?");
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Uuid::from_u128(1)));
        let stop = Stop::new();
        let manager = manager::run(world(&claim, &store, timing).await, identity("m", Layer::Management), stop.clone());
        let coordinator =
            coordinator::run(world(&claim, &store, timing).await, identity("c", Layer::Coordination), stop.clone());
        let agents = vec![tokio::spawn(manager), tokio::spawn(coordinator)];
        let transport = connect(&claim);
        let client = Client::connect(&transport, Arc::new(SystemClock)).await.expect("a client");
        Self { claim, store, client, transport, stop, agents }
    }

    /// Another foreign executor.
    pub async fn peer(&self, name: &str) -> Peer {
        let RabbitOptions { url, namespace, .. } = &self.claim.options;
        Peer::connect(url, namespace.as_str(), name).await
    }

    /// Submits a project of these subtasks, all of the one skill.
    pub async fn submit(&self, number: u128, subtasks: Vec<SubtaskPlan>) -> ProjectId {
        let id = ProjectId(Uuid::from_u128(number));
        self.client.submit(id, request("bad peers", subtasks)).await.expect("submitted");
        id
    }

    /// How a project ended, with the results of its subtasks.
    pub async fn ended(&self, id: ProjectId) -> ProjectView {
        let ended = async {
            loop {
                let view = reader::project(&*self.store, id, true).await.expect("a store");
                match view {
                    Some(view) if view.finished_at.is_some() => return view,
                    // The answer to a question at the broker takes a while, in which the others work.
                    _ => drop(self.transport.depth(&trireme::wire::address::Queue::Dead).await),
                }
            }
        };
        within("the end of the project", ended).await
    }

    /// The events of a project's first phase that are called so, with the subtasks that they are about.
    pub async fn recorded(&self, id: ProjectId, event: &str) -> Vec<String> {
        let history = reader::history(&*self.store, id).await.expect("a store").expect("a project");
        let of_phase = history.iter().filter(|found| found.stream == StreamId::Phase(id, 1) && found.event == event);
        of_phase.flat_map(|found| found.subtask_ids.iter().map(ToString::to_string)).collect()
    }

    /// Waits for this many dead letters.
    pub async fn dead(&self, count: usize) -> Vec<Facts> {
        let gathered = async {
            loop {
                let namespace = self.claim.namespace().clone();
                let mut letters = DeadLetters::open(&self.transport, namespace).await.expect("the queue");
                let mut found = Vec::new();
                while let Some(letter) = letters.next().await.expect("open") {
                    found.push(letter.facts);
                }
                if found.len() >= count {
                    return found;
                }
            }
        };
        within(&format!("{count} dead letters"), gathered).await
    }

    /// Nobody died of it.
    pub async fn leave(self) {
        assert!(self.agents.iter().all(|agent| !agent.is_finished()), "an agent has ended");
        self.stop.drain();
        for agent in self.agents {
            assert_eq!(within("a drain", agent).await.expect("no agent panics"), Ok(()));
        }
        drop(self.client);
        self.transport.close().await;
        self.claim.release().await;
    }
}

/// Subtasks of the one skill; each but the first waits for the one before it.
pub fn chain(names: &[&str]) -> Vec<SubtaskPlan> {
    let mut before = None;
    names
        .iter()
        .map(|name| {
            let dependencies = before.replace((*name).to_owned()).into_iter().collect();
            SubtaskPlan { dependencies, ..SubtaskPlan::new(*name, SKILL) }
        })
        .collect()
}

/// A subtask by its name.
pub fn subtask<'a>(view: &'a ProjectView, name: &str) -> &'a SubtaskView {
    view.subtasks().find(|subtask| subtask.name == name).unwrap_or_else(|| panic!("no {name} in {view:?}"))
}

/// A subtask's result as it was recorded.
pub fn result(view: &ProjectView, name: &str) -> String {
    subtask(view, name).result.as_ref().map(|result| result.get().to_owned()).unwrap_or_default()
}

fn connect(claim: &Claim) -> RabbitTransport {
    RabbitTransport::new(claim.options.clone()).expect("the URL was read before")
}

async fn world(claim: &Claim, store: &Arc<dyn Store>, timing: Timing) -> World {
    World {
        transport: Arc::new(connect(claim)),
        store: store.clone(),
        store_id: store.identity(PARTITIONS).await.expect("a store").id,
        clock: Arc::new(SystemClock),
        planners: trireme::planner::planners(None).expect("the shipped planners").into(),
        skills: Arc::new([(SKILL.to_owned(), skill())].into()),
        topology: Arc::new(options(claim.namespace())),
        timing,
    }
}

fn skill() -> SkillOptions {
    SkillOptions {
        concurrency: 4,
        prefetch: 4,
        // The peers of these stories announce nothing.
        is_external: true,
        batch: None,
        defaults: SkillDefaults::new(60_000, 3),
    }
}

fn identity(name: &str, layer: Layer) -> Identity {
    Identity { agent_id: AgentId::new(name).expect("a word"), name: name.into(), layer, host: "here".into(), pid: 1 }
}
