//! The simulator: the shipped runtime on in-memory adapters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trireme::runtime::client::Client;
use trireme::runtime::executor::{ExecutorOptions, OfferedSkill};
use trireme::runtime::port::{Assignment, Report, Runner, Store, SummaryQuery, SystemClock, Transport};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::runtime::{Identity, SkillOptions, Stop, Timing, World};
use trireme::store::memory::MemoryStore;
use trireme::transport::memory::MemoryBroker;
use trireme::wire::address::Namespace;
use trireme::wire::content::{Layer, NewProject};
use trireme::wire::{AgentId, GoalPlan, ProjectId, Raw, SubtaskPlan};

struct Noop;

#[async_trait::async_trait]
impl Runner for Noop {
    async fn run(&self, _: &Assignment, _: tokio_util::sync::CancellationToken) -> Report {
        Report::completed(Raw::null())
    }
    fn is_instant(&self) -> bool {
        true
    }
}

fn identity(name: &str, layer: Layer) -> Identity {
    Identity { agent_id: AgentId::new(name).expect("a word"), name: name.into(), layer, host: "sim".into(), pid: 1 }
}

#[tokio::test(start_paused = true)]
async fn a_project_runs_to_its_end() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let namespace = Namespace::new("sim").expect("a word");
    let broker = MemoryBroker::new(namespace.clone());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(uuid::Uuid::from_u128(9)));
    let options = TopologyOptions {
        namespace,
        partitions: 2,
        skills: vec!["noop".into()],
        requests_max: 100,
        skill_delivery_limit: 5,
    };
    let identity_of_store = store.identity(2).await.expect("store");
    let skill = SkillOptions { concurrency: 4, prefetch: 512, timeout: Duration::from_secs(60), max_attempts: 3 };
    let world = |name: &str| World {
        transport: Arc::new(broker.connect(name)) as Arc<dyn Transport>,
        store: store.clone(),
        store_id: identity_of_store.id,
        clock: Arc::new(SystemClock),
        planners: trireme::planner::planners(None).expect("planners").into(),
        skills: Arc::new(BTreeMap::from([("noop".to_owned(), skill.clone())])),
        topology: Arc::new(options.clone()),
        timing: Timing::default(),
    };
    world("admin").transport.declare(&topology(&options)).await.expect("declared");
    let stop = Stop::new();
    let run = trireme::runtime::manager::run(world("m1"), identity("m1", Layer::Management), stop.clone());
    tokio::spawn(async move { eprintln!("manager {:?}", run.await) });
    let run = trireme::runtime::coordinator::run(world("c1"), identity("c1", Layer::Coordination), stop.clone());
    tokio::spawn(async move { eprintln!("coordinator {:?}", run.await) });
    let offered = OfferedSkill { options: skill.clone(), runner: Arc::new(Noop) };
    let executor = ExecutorOptions { slots: 4, skills: BTreeMap::from([("noop".to_owned(), offered)]) };
    let run = trireme::runtime::executor::run(world("e1"), identity("e1", Layer::Execution), executor, stop.clone());
    tokio::spawn(async move { eprintln!("executor {:?}", run.await) });
    let mut client = Client::connect(&*world("client").transport, Arc::new(SystemClock)).await.expect("client");
    let n: u32 = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let goal = GoalPlan {
        goal_name: "g".into(),
        priority: 1,
        description: String::new(),
        input: None,
        subtasks: Some(vec![
            SubtaskPlan { repeat: Some(n), ..SubtaskPlan::new("work", "noop") },
            SubtaskPlan { dependencies: vec!["work".into()], ..SubtaskPlan::new("join", "noop") },
        ]),
    };
    let request = NewProject {
        project_name: "p".into(),
        description: String::new(),
        plan: Some(vec![goal]),
        planner: None,
        playbook: None,
        parameters: Raw::empty_object(),
        policy: Raw::empty_object(),
        deadline_ms: None,
    };
    let id = ProjectId(uuid::Uuid::from_u128(1));
    let began = std::time::Instant::now();
    client.submit(id, request).await.expect("submitted");
    let completion = tokio::time::timeout(Duration::from_secs(3), client.completion()).await;
    for queue in [trireme::wire::address::Queue::Management, trireme::wire::address::Queue::Requests] {
        eprintln!("{queue:?} {:?}", world("x").transport.depth(&queue).await);
    }
    for message in broker.inspect().messages {
        eprintln!("{message:?}");
    }
    eprintln!("{completion:?} {:?}", began.elapsed());
    eprintln!("{:?}", store.summaries(&SummaryQuery::default()).await);
}
