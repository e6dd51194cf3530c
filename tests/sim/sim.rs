//! What all parts of one seed share: the broker, the store, the weather, the steps that were taken, and the first
//! rule that was broken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;
use trireme::runtime::port::Outgoing;
use trireme::store::memory::MemoryStore;
use trireme::transport::memory::{MemoryBroker, ReturnOrder};
use trireme::wire::address::{Exchange, Namespace};
use trireme::wire::content::ExecuteSubtask;
use trireme::wire::{MessageId, ProjectId, StreamId};
use uuid::Uuid;

use crate::agent::Agent;
use crate::clock::SimClock;
use crate::faults::Chaos;
use crate::random::Random;
use crate::sights::Sight;
use crate::store::brief;
use crate::watch::Watch;

/// So many steps are shown of a seed that failed.
const STEPS_SHOWN: usize = 30;
/// More steps than any seed takes that goes anywhere.
const STEPS_MAX: u64 = 300_000;

pub struct Sim {
    pub seed: u64,
    pub broker: MemoryBroker,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<SimClock>,
    /// How long calls take at the most, in milliseconds.
    pub latency_ms: u32,
    /// How many deliveries are taken at once at the most.
    pub batch: usize,
    /// How often a command may come back before the broker gives it up.
    pub delivery_limit: u32,
    /// Many small projects that are open at once.
    pub is_crowded: bool,
    /// What executors say of themselves between two heartbeats does not get through.
    pub is_terse: bool,
    /// Every step is printed as it happens.
    pub is_loud: bool,
    random: Mutex<Random>,
    chaos: Mutex<Chaos>,
    watch: Mutex<Watch>,
    excused: Mutex<Excused>,
    steps: Mutex<Steps>,
    /// Messages that wait for the next one to their queue.
    held_back: Mutex<BTreeMap<Place, Vec<oneshot::Sender<()>>>>,
    /// Those that are alive.
    agents: Mutex<BTreeMap<String, Arc<Agent>>>,
}

/// What decides which queue a message gets into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Exchange, String);

impl Place {
    pub fn of(message: &Outgoing) -> Self {
        Self(message.address.exchange, message.address.key.clone())
    }
}

/// What went wrong in ways that nobody can make good.
#[derive(Default)]
struct Excused {
    /// They may end in ERROR.
    projects: BTreeSet<ProjectId>,
    /// They are gone; their deadline is what is left of them.
    commands: BTreeSet<MessageId>,
}

struct Steps {
    count: u64,
    last: VecDeque<String>,
    hash: DefaultHasher,
    sights: [u32; Sight::COUNT],
    broken: Option<Breach>,
    is_over: bool,
}

/// A rule that did not hold, and where.
#[derive(Debug, Clone)]
pub struct Breach {
    pub rule: &'static str,
    pub detail: String,
    /// The last steps before it.
    pub steps: Vec<String>,
}

impl Sim {
    pub fn new(seed: u64) -> Arc<Self> {
        let mut random = Random::new(seed);
        let order = random.pick(&[ReturnOrder::Head, ReturnOrder::AfterHandover, ReturnOrder::Tail]);
        let namespace = Namespace::new("sim").expect("a word");
        Arc::new(Self {
            seed,
            broker: MemoryBroker::with_return_order(namespace, order),
            store: Arc::new(MemoryStore::new(Uuid::from_u128(seed.into()))),
            clock: Arc::new(SimClock::new(seed)),
            latency_ms: random.pick(&[0, 0, 2, 10, 50]),
            batch: random.pick(&[1, 2, 5, usize::MAX]),
            delivery_limit: random.pick(&[1, 2, 1_000, 1_000, 1_000]),
            is_crowded: random.percent(5),
            is_terse: random.percent(80),
            is_loud: std::env::var_os("TRIREME_SIM_TRACE").is_some(),
            chaos: Mutex::new(Chaos::draw(&mut random)),
            watch: Mutex::default(),
            excused: Mutex::default(),
            steps: Mutex::new(Steps {
                count: 0,
                last: VecDeque::new(),
                hash: DefaultHasher::new(),
                sights: [0; Sight::COUNT],
                broken: None,
                is_over: false,
            }),
            held_back: Mutex::default(),
            agents: Mutex::default(),
            random: Mutex::new(random),
        })
    }

    pub fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut lock(&self.random))
    }

    pub fn chaos<T>(&self, act: impl FnOnce(&mut Chaos, &mut Random) -> T) -> T {
        act(&mut lock(&self.chaos), &mut lock(&self.random))
    }

    pub fn watch(&self) -> MutexGuard<'_, Watch> {
        lock(&self.watch)
    }

    /// A step was taken: all rules are looked at.
    pub fn step(&self, who: &str, what: impl Into<String>) {
        self.note(who, what.into());
        if self.broken().is_some() {
            return;
        }
        let looked = self.watch().look(self);
        if let Err((rule, detail)) = looked {
            self.fail(rule, detail);
        }
    }

    /// Something that is worth a line.
    pub fn note(&self, who: &str, what: impl Into<String>) {
        let line = format!("{:>9} ms  {who}: {}", self.clock.ms(), what.into());
        if self.is_loud {
            crate::report::say(&line);
        }
        let mut steps = lock(&self.steps);
        line.hash(&mut steps.hash);
        steps.count += 1;
        if steps.last.len() == STEPS_SHOWN {
            steps.last.pop_front();
        }
        steps.last.push_back(line);
        let count = steps.count;
        drop(steps);
        if count == STEPS_MAX {
            self.fail("it_does_not_go_in_circles", format!("{STEPS_MAX} steps and no end"));
        }
    }

    /// This project may end in ERROR, whatever its plan says.
    pub fn excuse(&self, project: ProjectId) {
        lock(&self.excused).projects.insert(project);
    }

    pub fn is_excused(&self, project: ProjectId) -> bool {
        lock(&self.excused).projects.contains(&project)
    }

    /// This command is in nobody's hands any more.
    pub fn vanish(&self, command: MessageId) {
        lock(&self.excused).commands.insert(command);
    }

    pub fn has_vanished(&self, command: MessageId) -> bool {
        lock(&self.excused).commands.contains(&command)
    }

    /// Fires when the next message has got to this place.
    pub fn next_to(&self, place: Place) -> oneshot::Receiver<()> {
        let (tell, next) = oneshot::channel();
        lock(&self.held_back).entry(place).or_default().push(tell);
        next
    }

    pub fn has_gone_to(&self, place: &Place) {
        let waiting = lock(&self.held_back).remove(place);
        // One that has waited for long enough does not listen any more.
        waiting.into_iter().flatten().for_each(|tell| _ = tell.send(()));
    }

    pub fn see(&self, sight: Sight) {
        lock(&self.steps).sights[sight as usize] += 1;
    }

    /// Remembers the first rule that was broken. From here on nobody does anything any more.
    pub fn fail(&self, rule: &'static str, detail: impl Into<String>) {
        let mut steps = lock(&self.steps);
        let last = steps.last.iter().cloned().collect();
        steps.broken.get_or_insert_with(|| Breach { rule, detail: detail.into(), steps: last });
    }

    pub fn broken(&self) -> Option<Breach> {
        lock(&self.steps).broken.clone()
    }

    pub fn has_failed(&self) -> bool {
        lock(&self.steps).broken.is_some()
    }

    pub fn sights(&self) -> [u32; Sight::COUNT] {
        lock(&self.steps).sights
    }

    /// How many steps, and what they were, as one number.
    pub fn steps(&self) -> (u64, u64) {
        let steps = lock(&self.steps);
        (steps.count, steps.hash.finish())
    }

    /// An executor begins to run a command.
    pub fn ran(&self, who: &str, stream: StreamId, command: &ExecuteSubtask) {
        self.note(who, format!("runs {} {} attempt {}", brief(stream), command.task_name, command.attempt));
        if let Err((rule, detail)) = self.watch().on_run(stream, command) {
            self.fail(rule, detail);
        }
    }

    /// Everything has ended: nobody comes any more.
    pub fn close(&self) {
        lock(&self.steps).is_over = true;
        self.agents().iter().for_each(|agent| agent.stop.drain());
    }

    pub fn is_over(&self) -> bool {
        let steps = lock(&self.steps);
        steps.is_over || steps.broken.is_some()
    }

    // Who is alive.

    pub fn join(&self, agent: &Arc<Agent>) {
        lock(&self.agents).insert(agent.name.clone(), agent.clone());
    }

    pub fn leave(&self, agent: &Agent) {
        lock(&self.agents).remove(&agent.name);
    }

    pub fn agents(&self) -> Vec<Arc<Agent>> {
        lock(&self.agents).values().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while it is held")
}
