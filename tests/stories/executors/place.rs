//! A broker, and executors on it whose attempts the test begins and ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trireme::domain::expand::SkillDefaults;
use trireme::runtime::executor::{ExecutorOptions, OfferedSkill, run};
use trireme::runtime::port::{Assignment, QueueKind, Report, Runner, SystemClock, Transport};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::runtime::{Fatal, Ground, Identity, SkillOptions, Stop, Timing};
use trireme::transport::memory::MemoryBroker;
use trireme::transport::rabbit::{Claim, RabbitOptions, RabbitTransport, claim};
use trireme::wire::address::{Namespace, Queue};
use trireme::wire::content::Layer;
use trireme::wire::{AgentId, Raw};

/// Until something that is waited for has to have happened.
pub const WITHIN: Duration = Duration::from_secs(30);
/// Their queues have a delivery limit of their own, so no other test may have skills that are called like this.
pub const HELD: &str = "held_twice";
pub const LEASED: &str = "leased_twice";

pub enum Place {
    Memory(MemoryBroker),
    Rabbit(Box<Claim>),
}

fn options(namespace: &Namespace) -> TopologyOptions {
    TopologyOptions {
        namespace: namespace.clone(),
        partitions: 1,
        skills: vec![HELD.into(), LEASED.into()],
        requests_max: 100,
        skill_delivery_limit: 2,
        queue_kind: QueueKind::Quorum,
    }
}

impl Place {
    pub async fn in_memory() -> Self {
        let namespace = Namespace::new("executors").expect("a word");
        let broker = MemoryBroker::new(namespace.clone());
        broker.connect("admin").declare(&topology(&options(&namespace))).await.expect("declared");
        Self::Memory(broker)
    }

    pub async fn on_rabbitmq() -> Self {
        let urls = std::env::var("TRIREME_TEST_AMQP_URLS");
        let urls = urls.as_deref().unwrap_or("amqp://guest:guest@127.0.0.1:5672/%2f");
        let url = urls.split(',').next().unwrap_or_default();
        let shape = |namespace: &Namespace| topology(&options(namespace));
        Self::Rabbit(Box::new(
            claim(url, "trireme_test", shape).await.expect("a namespace on RabbitMQ: is it running?"),
        ))
    }

    pub async fn leave(self) {
        if let Self::Rabbit(claim) = self {
            claim.release().await;
        }
    }

    fn namespace(&self) -> Namespace {
        match self {
            Self::Memory(_) => Namespace::new("executors").expect("a word"),
            Self::Rabbit(claim) => claim.namespace().clone(),
        }
    }

    /// Somebody deletes the queue of the only partition.
    pub async fn delete_the_partition(&self) {
        let mut gone = topology(&options(&self.namespace()));
        gone.queues.retain(|spec| spec.queue == Queue::Coordination(0));
        gone.exchanges.clear();
        self.connect("admin").delete(&gone).await.expect("deleted");
    }

    pub fn connect(&self, name: &str) -> Arc<dyn Transport> {
        match self {
            Self::Memory(broker) => Arc::new(broker.connect(name)),
            Self::Rabbit(claim) => {
                let options = RabbitOptions { connection_name: name.into(), ..claim.options.clone() };
                Arc::new(RabbitTransport::new(options).expect("the URL was read before"))
            }
        }
    }

    /// An executor whose attempts are begun and ended by the test: so many of a skill at once.
    pub fn executor(&self, name: &str, concurrency: u32) -> Worker {
        self.executor_of(name, concurrency, 16)
    }

    /// The same with so many slots for all skills together.
    pub fn executor_of(&self, name: &str, concurrency: u32, slots: u32) -> Worker {
        let (began, beginning) = mpsc::unbounded_channel();
        let gate = Arc::new(Gate { began, open: Semaphore::new(0) });
        self.executor_with(name, (concurrency, slots), gate.clone(), Some((gate, beginning)))
    }

    pub fn executor_with(
        &self,
        name: &str,
        (concurrency, slots): (u32, u32),
        runner: Arc<dyn Runner>,
        gate: Option<(Arc<Gate>, mpsc::UnboundedReceiver<u32>)>,
    ) -> Worker {
        let offered = |lease_ms| OfferedSkill {
            options: SkillOptions {
                concurrency,
                prefetch: 8,
                is_external: false,
                batch: None,
                defaults: SkillDefaults { lease_ms, ..SkillDefaults::new(60_000, 3) },
            },
            runner: runner.clone(),
        };
        let skills = BTreeMap::from([(HELD.to_owned(), offered(None)), (LEASED.to_owned(), offered(Some(30_000)))]);
        let ground = Ground {
            transport: self.connect(name),
            clock: Arc::new(SystemClock),
            topology: Arc::new(options(&self.namespace())),
            timing: Timing {
                heartbeat: Duration::from_millis(500),
                grace: Duration::from_millis(500),
                ..Timing::default()
            },
        };
        let identity =
            Identity { agent_id: agent(name), name: name.into(), layer: Layer::Execution, host: "here".into(), pid: 1 };
        let stop = Stop::new();
        let task = tokio::spawn(run(ground, identity, ExecutorOptions { slots, skills }, stop.clone()));
        Worker { stop, task, gate }
    }
}

pub fn agent(name: &str) -> AgentId {
    AgentId::new(name).expect("a word")
}

/// Begins attempts and ends them when it is told to.
pub struct Gate {
    began: mpsc::UnboundedSender<u32>,
    open: Semaphore,
}

#[async_trait]
impl Runner for Gate {
    async fn run(&self, assignment: &Assignment, stop: CancellationToken) -> Report {
        let _ = self.began.send(assignment.command.subtask_id.ordinal);
        tokio::select! {
            () = stop.cancelled() => {}
            permit = self.open.acquire() => permit.expect("the gate stays").forget(),
        }
        Report::completed(Raw::null())
    }
}

/// An executor that runs.
pub struct Worker {
    pub stop: Stop,
    task: JoinHandle<Result<(), Fatal>>,
    gate: Option<(Arc<Gate>, mpsc::UnboundedReceiver<u32>)>,
}

impl Worker {
    /// The ordinal of the next subtask that is begun.
    pub async fn begun(&mut self) -> u32 {
        let (_, beginning) = self.gate.as_mut().expect("it has a gate");
        tokio::time::timeout(WITHIN, beginning.recv()).await.expect("one is begun in time").expect("the gate stays")
    }

    /// Whether something was begun that nobody asked about.
    pub fn has_begun(&mut self) -> bool {
        self.gate.as_mut().is_some_and(|(_, beginning)| beginning.try_recv().is_ok())
    }

    /// Ends so many attempts.
    pub fn open(&self, attempts: usize) {
        self.gate.as_ref().expect("it has a gate").0.open.add_permits(attempts);
    }

    pub async fn ended(self) {
        let ended = tokio::time::timeout(WITHIN, self.task).await.expect("it ends in time");
        assert_eq!(ended.expect("no executor panics"), Ok(()));
    }

    pub async fn drained(self) {
        self.stop.drain();
        self.ended().await;
    }
}
