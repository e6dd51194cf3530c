//! The faults: what may go wrong, where, and how often. A new one is one line in [`FAULTS`].
//!
//! A schedule is drawn call by call: each call of a wrapped port is a point, and at each point one fault of those
//! that are listed for it may strike. A seed has some of the faults, at rates of its own, and a bounded number of
//! them; then the world heals.

use tokio::time::Instant;
use trireme::wire::address::Exchange;

use crate::random::Random;

/// Where in the life of an agent a fault may strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A channel is opened.
    Open,
    /// Step 1: deliveries are asked for.
    Take,
    /// An executor was given commands.
    TakeCommands,
    /// An attempt begins.
    Run,
    /// A leased attempt begins.
    RunLeased,
    /// A planner is asked for the goals of a project, or for the subtasks of a goal.
    PlanProject,
    Plan,
    /// Step 2: streams, or results, are loaded to decide with.
    Load,
    /// Step 3, before and after.
    BeforeAppend,
    AfterAppend,
    /// Step 4, for what must arrive, before and after.
    BeforePublish,
    AfterPublish,
    /// Step 5, before and after.
    BeforeAck,
    AfterAck,
    /// A publish that may get lost.
    BestEffort,
    /// Any call of any agent; it strikes some agent, whatever that one is doing.
    AnyTime,
}

/// What strikes: first what happens to an agent, then what happens to its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is gone at once, with all that it had in memory. Another takes its place later.
    Crash,
    /// Its connection is lost; its memory is not, and it goes on with what it was doing.
    Cut,
    /// The same, and before it goes on, others had some time with what it held: two owners.
    Overtaken,
    /// It can not reach the broker for a while.
    Isolate,
    /// It stands still for a while, with its connection open.
    Freeze,
    /// It is told to stop, and leaves when it has finished what it holds.
    Drain,
    /// Coordinators that do not exist say that they stand in line, so that partitions are let go.
    Ghosts,
    /// Its store can not be reached for a while.
    Unreachable,
    /// The store's answer is lost: before the append nothing is written, after it everything.
    Unknown,
    /// The channel is gone.
    Broken,
    Nack,
    Return,
    /// The message never arrives, and neither does its confirm.
    Lose,
    /// The message arrives, its confirm does not.
    Unconfirmed,
    /// The confirm takes its time.
    Slow,
    /// The message gets into its queue, and is confirmed, after a while.
    Delay,
    /// The same, and the next one to the same queue goes before it.
    Swap,
    /// The message arrives twice: at once, or the second time much later.
    Twice,
    Late,
    /// Somebody answers who was not asked.
    Lie,
    /// The delivery is acked, and whoever held it is gone, at once or soon.
    Vanish,
    /// An attempt does not end, and does not hear that its time is up.
    Hang,
    /// A planner has no plan.
    NoPlan,
    /// It has a bug.
    Panic,
}

#[derive(Debug)]
pub struct Fault {
    pub name: &'static str,
    pub point: Point,
    pub act: Act,
    /// Only for publishes to this exchange.
    only: Option<Exchange>,
    /// How often it strikes in 10,000 passes of its point, in a seed of middling weather.
    rate: u32,
}

const fn fault(name: &'static str, point: Point, act: Act, rate: u32) -> Fault {
    Fault { name, point, act, only: None, rate }
}

impl Fault {
    const fn of(self, exchange: Exchange) -> Self {
        Self { only: Some(exchange), ..self }
    }
}

pub const FAULTS: [Fault; 53] = [
    fault("crash before the take", Point::Take, Act::Crash, 20),
    fault("crash before the decision", Point::Load, Act::Crash, 60),
    fault("crash before the commit", Point::BeforeAppend, Act::Crash, 60),
    fault("crash between commit and publish", Point::AfterAppend, Act::Crash, 60),
    fault("crash before a publish", Point::BeforePublish, Act::Crash, 60),
    fault("crash after a publish", Point::AfterPublish, Act::Crash, 60),
    fault("crash between publish and ack", Point::BeforeAck, Act::Crash, 80),
    fault("crash after the ack", Point::AfterAck, Act::Crash, 40),
    fault("crash at any time", Point::AnyTime, Act::Crash, 10),
    fault("connection cut before the take", Point::Take, Act::Cut, 20),
    fault("connection cut before the decision", Point::Load, Act::Cut, 60),
    fault("connection cut between commit and publish", Point::AfterAppend, Act::Cut, 60),
    fault("connection cut after a publish", Point::AfterPublish, Act::Cut, 60),
    fault("connection cut between publish and ack", Point::BeforeAck, Act::Cut, 60),
    fault("connection cut at any time", Point::AnyTime, Act::Cut, 10),
    fault("two owners before the commit", Point::BeforeAppend, Act::Overtaken, 300),
    fault("two owners before the decision", Point::Load, Act::Overtaken, 80),
    fault("two owners before a publish", Point::BeforePublish, Act::Overtaken, 60),
    fault("two owners before the ack", Point::BeforeAck, Act::Overtaken, 80),
    fault("broker out of reach", Point::AnyTime, Act::Isolate, 10),
    fault("agent stands still", Point::AnyTime, Act::Freeze, 10),
    fault("agent told to stop", Point::AnyTime, Act::Drain, 10),
    fault("ghosts in line", Point::AnyTime, Act::Ghosts, 5),
    fault("channel can not be opened", Point::Open, Act::Broken, 100),
    fault("consumer's channel gone", Point::Take, Act::Broken, 20),
    fault("publisher's channel gone", Point::BeforePublish, Act::Broken, 60),
    fault("store out of reach at a load", Point::Load, Act::Unreachable, 40),
    fault("store out of reach at a commit", Point::BeforeAppend, Act::Unreachable, 40),
    fault("commit not written, answer lost", Point::BeforeAppend, Act::Unknown, 80),
    fault("commit written, answer lost", Point::AfterAppend, Act::Unknown, 150),
    fault("publish nacked", Point::BeforePublish, Act::Nack, 100),
    fault("publish returned", Point::BeforePublish, Act::Return, 100),
    fault("publish lost before its confirm", Point::BeforePublish, Act::Lose, 60),
    fault("message delayed before its queue", Point::BeforePublish, Act::Delay, 100),
    fault("two messages of a queue change places", Point::BeforePublish, Act::Swap, 150),
    fault("confirm lost", Point::AfterPublish, Act::Unconfirmed, 80),
    fault("confirm slow", Point::AfterPublish, Act::Slow, 150),
    fault("result twice", Point::AfterPublish, Act::Twice, 400).of(Exchange::Results),
    fault("result again much later", Point::AfterPublish, Act::Late, 200).of(Exchange::Results),
    fault("command twice", Point::AfterPublish, Act::Twice, 200).of(Exchange::Skills),
    fault("command again much later", Point::AfterPublish, Act::Late, 100).of(Exchange::Skills),
    fault("answer by somebody who was not asked", Point::AfterPublish, Act::Lie, 150).of(Exchange::Skills),
    fault("executor gone after the ack", Point::TakeCommands, Act::Vanish, 60),
    fault("executor gone with a lease", Point::RunLeased, Act::Vanish, 400),
    fault("executor hangs", Point::Run, Act::Hang, 100),
    fault("executor is slow", Point::Run, Act::Slow, 200),
    fault("planner fails at a project", Point::PlanProject, Act::NoPlan, 200),
    fault("planner fails at a goal", Point::Plan, Act::NoPlan, 60),
    fault("planner panics at a project", Point::PlanProject, Act::Panic, 200),
    fault("planner panics at a goal", Point::Plan, Act::Panic, 60),
    fault("any message twice", Point::AfterPublish, Act::Twice, 80),
    fault("any message again much later", Point::AfterPublish, Act::Late, 80),
    fault("heartbeat or event lost", Point::BestEffort, Act::Lose, 30),
];

/// Out of this many passes.
const PASSES: u64 = 10_000;

/// The weather of a seed.
pub struct Chaos {
    /// By place in [`FAULTS`].
    rates: [u32; FAULTS.len()],
    pub fired: [u32; FAULTS.len()],
    left: u32,
    until: Instant,
}

impl Chaos {
    pub fn draw(random: &mut Random) -> Self {
        let weather = random.pick(&[0, 1, 2, 2, 3, 6]);
        let rate = |fault: &Fault| if random.percent(40) { fault.rate * weather } else { 0 };
        Self {
            rates: FAULTS.each_ref().map(rate),
            fired: [0; FAULTS.len()],
            left: random.pick(&[3, 10, 30, 100]),
            until: Instant::now() + random.ms(1_000, 300_000),
        }
    }

    pub fn is_over(&self) -> bool {
        self.left == 0 || self.until <= Instant::now()
    }

    /// No fault from here on.
    pub fn heal(&mut self) {
        self.left = 0;
    }

    /// The fault that strikes here, if any.
    pub fn strike(&mut self, random: &mut Random, point: Point, exchange: Option<Exchange>) -> Option<&'static Fault> {
        if self.is_over() {
            return None;
        }
        let fits = |fault: &Fault| fault.point == point && (fault.only.is_none() || fault.only == exchange);
        let mut drawn = random.below(PASSES);
        for (at, fault) in FAULTS.iter().enumerate().filter(|(_, fault)| fits(fault)) {
            match drawn.checked_sub(self.rates[at].into()) {
                Some(rest) => drawn = rest,
                None => {
                    self.fired[at] += 1;
                    self.left -= 1;
                    return Some(fault);
                }
            }
        }
        None
    }
}
