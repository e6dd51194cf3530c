//! The project machine by table: what came so far, what comes now, what is decided and what goes out. Every step is
//! checked: the state is the fold of all events, and its invariants hold.

mod given_up;
mod phases;
mod questions;
mod replay;
mod requests;
mod runs;
mod table;
mod unwanted;
mod words;

use uuid::Uuid;

use super::*;
use crate::domain::dossier::Dossier;
use crate::domain::phase::{Refusal, Why};
use crate::wire::content::NewProject;
use crate::wire::{Counts, GoalPlan, ProjectId, Raw, Status, StreamId, SubtaskId, SubtaskPlan, Timestamp};

const NOON: Timestamp = Timestamp(1_763_800_000_000);
const PARTITIONS: u32 = 8;
const AWAY_MS: u64 = 3_600_000;

/// A planner that is asked for a replacement.
type Replan = fn(&GoalPlan, &Dossier) -> Result<GoalPlan, String>;

/// A project, with what has happened to it and the time it thinks it is.
#[derive(Clone)]
struct Bench {
    project: Project,
    events: Vec<Event>,
    now: Timestamp,
    partitions: u32,
    causes: u128,
    coordinator_heard: Option<Timestamp>,
    listening_since: Timestamp,
    replan: Replan,
}

/// What became of one input.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    cause: MessageId,
    decision: Decision<Event>,
    effects: Vec<Effect>,
}

impl Bench {
    fn new() -> Self {
        Self {
            project: Project::new(id()),
            events: Vec::new(),
            now: NOON,
            partitions: PARTITIONS,
            causes: 0,
            coordinator_heard: None,
            // Whoever has just begun to listen can not say that anybody is silent.
            listening_since: Timestamp(i64::MAX),
            replan: |goal, _| Ok(goal.clone()),
        }
    }

    /// A project with a goal of each of these priorities, in this order.
    fn open(priorities: &[u32]) -> Self {
        let mut bench = Self::new();
        bench.give(request(Ok(goals(priorities))));
        bench
    }

    /// The next message.
    fn give(&mut self, input: Input) -> Step {
        self.causes += 1;
        self.give_again(cause(self.causes), input)
    }

    /// The message of this id, perhaps not for the first time.
    fn give_again(&mut self, cause: MessageId, input: Input) -> Step {
        let (replan, partitions) = (self.replan, self.partitions);
        let context = Context {
            now: self.now,
            partitions,
            coordinator_heard: self.coordinator_heard,
            listening_since: self.listening_since,
            away_ms: AWAY_MS,
            replan: &replan,
        };
        let mut before = self.project.clone();
        let decision = decide(&mut self.project, cause, &input, &context);
        match &decision {
            Decision::Record(events) => {
                assert!(!events.is_empty(), "a decision to remember nothing");
                events.iter().for_each(|event| before.apply(event));
                self.events.extend_from_slice(events);
            }
            Decision::Nothing(_) | Decision::Refuse(_) => {}
        }
        assert_eq!(self.project, before, "the state is not the fold of the events: {input:?}");
        assert_eq!(self.project.check(), Ok(()), "{input:?}");
        assert_eq!(self.project.version(), self.events.len() as u64);
        Step { cause, decision, effects: effects(&self.project, cause) }
    }

    /// The report of a phase that ended well.
    fn complete(&mut self, phase: u32) -> Step {
        self.give(report(phase, Status::Completed))
    }

    fn refused(&self, phase: u32, why: Why) -> Input {
        let id = self.project.start_id(phase).expect("it was started");
        Input::Refused(Refusal { effect: Effect::StartPhase { phase }, id, why })
    }

    /// The current alarm comes back, when it is due.
    fn alarm(&mut self) -> Step {
        let alarm = *self.project.alarm().expect("an alarm");
        self.now = self.now.max(alarm.not_before);
        self.give(Input::Alarm { number: alarm.number })
    }

    fn current(&self) -> Option<u32> {
        self.project.current().map(|phase| phase.number)
    }

    /// What is told to phases, by number, and not known to have been heard.
    fn told(&self) -> Vec<(u32, u32, &Word)> {
        self.project.told().iter().map(|(&number, told)| (number, told.phase, &told.word)).collect()
    }

    /// The word of this number was refused.
    fn tell_refused(&self, number: u32, why: Why) -> Input {
        let id = self.project.tell_id(number).expect("it was told");
        Input::Refused(Refusal { effect: Effect::Tell { number }, id, why })
    }

    fn ended(&self) -> (Status, Option<&str>) {
        let ended = self.project.ended().expect("it has ended");
        (ended.status, ended.error.as_deref())
    }
}

impl Step {
    fn events(&self) -> &[Event] {
        match &self.decision {
            Decision::Record(events) => events,
            other => panic!("nothing was recorded: {other:?}"),
        }
    }
}

/// A context in which nobody is silent and nothing is planned anew.
fn calm(now: Timestamp) -> Context<'static> {
    Context {
        now,
        partitions: PARTITIONS,
        coordinator_heard: None,
        listening_since: now,
        away_ms: AWAY_MS,
        replan: &|goal, _| Ok(goal.clone()),
    }
}

fn cause(number: u128) -> MessageId {
    MessageId(Uuid::from_u128(number))
}

fn id() -> ProjectId {
    ProjectId(Uuid::from_u128(7))
}

fn goals(priorities: &[u32]) -> Vec<GoalPlan> {
    let goal = |(at, &priority): (usize, &u32)| GoalPlan {
        goal_name: format!("Goal {at}"),
        priority,
        description: String::new(),
        input: None,
        subtasks: Some(vec![SubtaskPlan::new(format!("work of {at}"), "noop")]),
    };
    priorities.iter().enumerate().map(goal).collect()
}

fn request(plan: Result<Vec<GoalPlan>, String>) -> Input {
    Input::Request(Box::new(Request {
        project_id: id(),
        requester: "client-1".into(),
        request: NewProject {
            project_name: "Shop".into(),
            description: "Sell things".into(),
            plan: None,
            planner: None,
            playbook: None,
            parameters: Raw::empty_object(),
            policy: Raw::empty_object(),
            deadline_ms: None,
        },
        fingerprint: "f1".into(),
        plan,
        playbook: None,
        id_namespace: Uuid::from_u128(99),
    }))
}

/// The same request with something else in it.
fn request_with(change: impl FnOnce(&mut Request)) -> Input {
    let Input::Request(mut request) = request(Ok(goals(&[1]))) else { panic!("no request") };
    change(&mut request);
    Input::Request(request)
}

fn counts(completed: u32, failed: u32) -> Counts {
    Counts { total: completed + failed, completed, failed, ..Counts::default() }
}

fn report_of(phase: u32, status: Status) -> PhaseReport {
    let (counts, error) = match status {
        Status::Completed => (counts(1, 0), None),
        _ => (counts(0, 1), Some("subtask `work` failed".to_owned())),
    };
    PhaseReport { run: 1, phase, status, counts, error, dossier: Dossier::default() }
}

fn report(phase: u32, status: Status) -> Input {
    Input::Report(report_of(phase, status))
}

/// A project whose policy this is.
fn open_with(policy: &str, priorities: &[u32]) -> Bench {
    let mut bench = Bench::new();
    bench.give(request_with(|request| {
        request.request.policy = Raw::parse(policy).expect("JSON");
        request.plan = Ok(goals(priorities));
    }));
    bench
}

fn cancel() -> Input {
    Input::Cancel(Cancel { subtask: None, reason: Some("wrong input".into()) })
}

fn cancel_one(phase: u32, ordinal: u32) -> Input {
    Input::Cancel(Cancel { subtask: Some(subtask(phase, ordinal)), reason: None })
}

fn subtask(phase: u32, ordinal: u32) -> SubtaskId {
    SubtaskId { phase, ordinal }
}

fn question(id: u128, phase: u32, ordinal: u32) -> Input {
    let subtask = AskedSubtask { id: subtask(phase, ordinal), name: format!("work {ordinal}") };
    let error = "permanent: no way".into();
    Input::Question(Box::new(Question { id: cause(id), run: 1, subtask, error, asking: None }))
}

fn decide_on(question: u128, answer: Answer) -> Input {
    Input::Decide { question: cause(question), answer }
}

fn retry() -> Retry {
    Retry { subtask: None, failed_only: false, requester: "client-2".into() }
}

fn dead(phase: u32) -> Input {
    Input::DeadPhase(DeadPhase { phase, reason: "delivery_limit".into() })
}
