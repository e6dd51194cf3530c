//! The team: which processes there are, and that a new one comes for each that goes. A new one has a new id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use trireme::domain::expand::{Fallback, SkillDefaults};
use trireme::domain::retry::Retry;
use trireme::runtime::executor::{ExecutorOptions, OfferedSkill};
use trireme::runtime::port::{Planner, QueueKind, Store, Transport};
use trireme::runtime::topology::TopologyOptions;
use trireme::runtime::{Fatal, Identity, SkillOptions, Timing, World, coordinator, executor, manager};
use trireme::wire::AgentId;
use trireme::wire::address::Namespace;
use trireme::wire::content::Layer;

use crate::agent::Agent;
use crate::clock::Skewed;
use crate::planning::Sabotage;
use crate::projects::{FRAIL, INSTANT, LEASED, LEASED_TIMEOUT_MS, MAX_ATTEMPTS, SLOW, TIMEOUT_MS};
use crate::sim::Sim;
use crate::store::FaultyStore;
use crate::transport::FaultyTransport;
use crate::work::Work;

/// What all processes of a seed agree on.
pub struct Terms {
    sim: Arc<Sim>,
    planners: Arc<[Arc<dyn Planner>]>,
    skills: Arc<BTreeMap<String, SkillOptions>>,
    pub topology: Arc<TopologyOptions>,
    timing: Timing,
}

impl Terms {
    pub fn draw(sim: &Arc<Sim>, planners: Arc<[Arc<dyn Planner>]>) -> Self {
        let first_ms = sim.draw(|random| random.pick(&[0, 300, 1_000, 10_000]));
        let retry = Retry { first_ms, ..Retry::default() };
        let skill = |prefetch, defaults| SkillOptions {
            concurrency: sim.draw(|random| random.between(1, 4)),
            prefetch,
            is_external: false,
            batch: sim.draw(|random| random.pick(&[None, Some(1), Some(2), Some(8)])),
            defaults,
        };
        let usual = SkillDefaults { retry: retry.clone(), ..SkillDefaults::new(TIMEOUT_MS, MAX_ATTEMPTS) };
        let fallback = Fallback {
            skill: SLOW.into(),
            after: None,
            timeout_ms: TIMEOUT_MS,
            max_attempts: MAX_ATTEMPTS,
            retry,
            queue_wait_ms: None,
            lease_ms: None,
        };
        let frail = SkillDefaults { max_attempts: 1, fallback: Some(fallback), ..usual.clone() };
        let heartbeat = Duration::from_secs(sim.draw(|random| random.pick(&[10, 20])));
        let lease_ms = u64::try_from(3 * heartbeat.as_millis()).ok();
        let leased = SkillDefaults { timeout_ms: LEASED_TIMEOUT_MS, lease_ms, ..usual.clone() };
        let skills = [
            (INSTANT, skill(64, usual.clone())),
            (SLOW, skill(4, usual)),
            (FRAIL, skill(4, frail)),
            (LEASED, skill(1, leased)),
        ];
        let skills: BTreeMap<String, SkillOptions> =
            skills.into_iter().map(|(name, skill)| (name.to_owned(), skill)).collect();
        let topology = TopologyOptions {
            namespace: Namespace::new("sim").expect("a word"),
            partitions: if sim.is_crowded { 1 } else { sim.draw(|random| random.between(2, 4)) },
            skills: skills.keys().cloned().collect(),
            requests_max: 100,
            skill_delivery_limit: sim.delivery_limit,
            queue_kind: QueueKind::Quorum,
        };
        let timing = Timing {
            heartbeat,
            grace: Duration::from_secs(10),
            start_within: Duration::from_secs(sim.draw(|random| random.pick(&[5, 60, 600]))),
            ..Timing::default()
        };
        let sabotage: Arc<dyn Planner> = Arc::new(Sabotage(sim.clone()));
        let planners = std::iter::once(sabotage).chain(planners.iter().cloned()).collect();
        Self { sim: sim.clone(), planners, skills: skills.into(), topology: topology.into(), timing }
    }

    /// The world of somebody to whom nothing happens.
    pub fn calm_world(&self, name: &str) -> World {
        self.world(Arc::new(self.sim.broker.connect(name)), self.sim.store.clone())
    }

    fn world(&self, transport: Arc<dyn Transport>, store: Arc<dyn Store>) -> World {
        World {
            transport,
            store,
            store_id: uuid::Uuid::from_u128(self.sim.seed.into()),
            clock: self.sim.clock.clone(),
            planners: self.planners.clone(),
            skills: self.skills.clone(),
            topology: self.topology.clone(),
            timing: self.timing,
        }
    }

    async fn run(&self, agent: &Arc<Agent>, place: &Place) -> Result<(), Fatal> {
        let transport = FaultyTransport { agent: agent.clone(), inner: self.sim.broker.connect(&agent.name) };
        let store = FaultyStore { agent: agent.clone(), inner: self.sim.store.clone() };
        let clock = self.sim.draw(|random| Skewed::of(&self.sim.clock, agent.layer, random));
        let world = World { clock: Arc::new(clock), ..self.world(Arc::new(transport), Arc::new(store)) };
        let identity = Identity {
            agent_id: AgentId::new(&*agent.name).expect("a word"),
            name: agent.name.clone(),
            layer: agent.layer,
            host: "sim".into(),
            pid: 1,
        };
        let stop = agent.stop.clone();
        match agent.layer {
            Layer::Management => manager::run(world, identity, stop).await,
            Layer::Coordination => coordinator::run(world, identity, stop).await,
            Layer::Execution => executor::run(world.ground(), identity, self.executor(agent, place), stop).await,
            Layer::Client => unreachable!("clients are not of the team"),
        }
    }

    fn executor(&self, agent: &Arc<Agent>, place: &Place) -> ExecutorOptions {
        let offered = |(name, options): (&String, &SkillOptions)| {
            let work = Work { agent: agent.clone(), is_instant: name == INSTANT };
            (name.clone(), OfferedSkill { options: options.clone(), runner: Arc::new(work) })
        };
        let skills = self.skills.iter().filter(|(name, _)| place.skill.is_none_or(|only| only == name.as_str()));
        ExecutorOptions { slots: place.slots, skills: skills.map(offered).collect() }
    }
}

/// A place in the team, held by one process after the other.
#[derive(Clone)]
struct Place {
    name: String,
    layer: Layer,
    /// Executors: the only skill that is offered here, and how many attempts are run at once.
    skill: Option<&'static str>,
    slots: u32,
    /// When the first comes.
    comes_after: Duration,
}

/// Starts everybody. The tasks end when the seed does.
pub fn start(terms: &Arc<Terms>) -> Vec<JoinHandle<()>> {
    let sim = &terms.sim;
    let place = |layer: Layer, number: u32| {
        let skills = [None, None, Some(INSTANT), Some(SLOW), Some(LEASED)];
        sim.draw(|random| Place {
            name: format!("{layer}-{number}"),
            layer,
            // The first offers everything, so that nothing waits for ever.
            skill: if number == 1 { None } else { random.pick(&skills) },
            slots: random.between(1, 4),
            comes_after: if number == 1 { Duration::ZERO } else { random.ms(0, 20_000) },
        })
    };
    let coordinators = sim.draw(|random| random.between(2, 3));
    let executors = sim.draw(|random| random.between(2, 3));
    let layers = [(Layer::Management, 2), (Layer::Coordination, coordinators), (Layer::Execution, executors)];
    let places = layers.into_iter().flat_map(|(layer, count)| (1..=count).map(move |number| (layer, number)));
    places.map(|(layer, number)| tokio::spawn(fill(terms.clone(), place(layer, number)))).collect()
}

/// Keeps a place filled.
async fn fill(terms: Arc<Terms>, place: Place) {
    let sim = &terms.sim;
    sleep(place.comes_after).await;
    for life in 1.. {
        if sim.is_over() {
            return;
        }
        let agent = Agent::new(sim, format!("{}-{life}", place.name), place.layer);
        sim.join(&agent);
        sim.note(&agent.name, "comes");
        let process = {
            let (terms, agent, place) = (terms.clone(), agent.clone(), place.clone());
            tokio::spawn(async move { terms.run(&agent, &place).await })
        };
        agent.is_run_by(process.abort_handle());
        let ended = process.await;
        sim.leave(&agent);
        sim.broker.disconnect(&agent.name);
        match ended {
            Ok(Ok(())) => sim.step(&agent.name, "has left"),
            Ok(Err(fatal)) => sim.fail("agents_go_on", format!("{} gave up: {fatal}", agent.name)),
            Err(error) if error.is_panic() => sim.fail("nobody_panics", format!("{} panicked", agent.name)),
            Err(_) => sim.step(&agent.name, "is gone"),
        }
        sleep(sim.draw(|random| random.ms(50, 10_000))).await;
    }
}
