//! The phase machine by table: what came so far, what comes now, what is decided and what goes out. Every step is
//! checked: the state is the fold of all events, and its invariants hold.

mod answers;
mod cleanups;
mod costs;
mod ids;
mod keeping;
mod leases;
mod opening;
mod policies;
mod refusals;
mod replay;
mod retries;
mod sweeps;
mod table;
mod words;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::domain::expand::{SkillDefaults, Spec, expand};
use crate::domain::retry::Retry;
use crate::wire::{
    AgentId, Failure, FailureKind, GoalPlan, ProjectId, Raw, RunAfter, Status, SubtaskPlan, SubtaskStatus, Timestamp,
};

const NOON: Timestamp = Timestamp(1_763_800_000_000);
const START_WITHIN_MS: u64 = 60_000;
const TIMEOUT_MS: u64 = 300_000;
const ANSWER_WITHIN_MS: u64 = 30_000;

/// A phase, with what has happened to it and the time it thinks it is.
#[derive(Clone)]
struct Bench {
    phase: Phase,
    events: Vec<Event>,
    now: Timestamp,
    allowance: u32,
    /// What is known of the executors.
    offer: Offer,
    /// The executors that can perform every skill.
    able: Vec<AgentId>,
    queue_lost_at: Option<Timestamp>,
    heard: BTreeMap<MessageId, Timestamp>,
    listening_since: Timestamp,
    causes: u128,
    /// What is given now is decided with others.
    is_batch: bool,
}

impl Team for Bench {
    fn allowance(&self, _: &str) -> u32 {
        self.allowance
    }

    fn offer(&self, _: &str) -> Offer {
        self.offer
    }

    fn is_able(&self, _: &str, beside: &[AgentId]) -> bool {
        self.able.iter().any(|agent| !beside.contains(agent))
    }

    fn heard_of(&self, command: MessageId) -> Option<Timestamp> {
        self.heard.get(&command).copied()
    }

    fn queue_lost_at(&self, _: &str) -> Option<Timestamp> {
        self.queue_lost_at
    }

    fn listening_since(&self) -> Timestamp {
        self.listening_since
    }
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
            phase: Phase::default(),
            events: Vec::new(),
            now: NOON,
            allowance: 1_000,
            offer: Offer::Announced,
            able: Vec::new(),
            queue_lost_at: None,
            heard: BTreeMap::new(),
            listening_since: NOON,
            causes: 0,
            is_batch: false,
        }
    }

    /// A phase that has this graph; see [`graph`].
    fn open(text: &str) -> Self {
        Self::open_with(text, 1_000)
    }

    /// The same under a policy: `skip`, or `fail cancel`.
    fn under(policy: &str, text: &str) -> Self {
        let mut bench = Self::new();
        bench.give(start_under(policy, text));
        bench
    }

    fn of(specs: Vec<Spec>) -> Self {
        let mut bench = Self::new();
        bench.give(start(Ok(specs)));
        bench
    }

    fn open_with(text: &str, allowance: u32) -> Self {
        let mut bench = Self { allowance, ..Self::new() };
        bench.give(start(Ok(graph(text))));
        bench
    }

    /// The next message.
    fn give(&mut self, input: Input) -> Step {
        self.causes += 1;
        self.give_again(cause(self.causes), input)
    }

    /// The message of this id, perhaps not for the first time.
    fn give_again(&mut self, cause: MessageId, input: Input) -> Step {
        let (team, before) = (self.clone(), self.phase.clone());
        let context = team.context();
        let decision = decide(&mut self.phase, cause, &input, &context);
        match &decision {
            Decision::Record(events) => self.record(before, events),
            Decision::Nothing(_) | Decision::Refuse(_) => assert_eq!(self.phase, before, "{input:?}"),
        }
        Step { cause, decision, effects: effects(&self.phase, cause) }
    }

    fn context(&self) -> Context<'_> {
        Context {
            now: self.now,
            start_within_ms: START_WITHIN_MS,
            answer_within_ms: ANSWER_WITHIN_MS,
            catch_up_ms: ANSWER_WITHIN_MS,
            team: self,
            is_one_of_many: self.is_batch,
        }
    }

    /// Messages that are decided together, and what follows from all of them.
    fn give_together(&mut self, inputs: impl IntoIterator<Item = Input>) -> (Vec<Step>, Vec<Event>) {
        self.is_batch = true;
        let steps: Vec<Step> = inputs.into_iter().map(|input| self.give(input)).collect();
        self.is_batch = false;
        let (team, before) = (self.clone(), self.phase.clone());
        let events = settle(
            &mut self.phase,
            steps.iter().rfind(|step| !step.is_nothing()).expect("one that is news").cause,
            &team.context(),
        );
        if !events.is_empty() {
            self.record(before, &events);
        }
        (steps, events)
    }

    fn record(&mut self, mut before: Phase, events: &[Event]) {
        assert!(!events.is_empty(), "a decision to remember nothing");
        for event in events {
            before.apply(event);
            // The alarm of a stream that opens is the last thing that is seen to.
            let opening = before.alarm().is_none();
            let verdict = before.check();
            assert!(
                verdict.is_ok() || opening && verdict == Err("an_open_stream_has_an_alarm"),
                "{verdict:?}: {event:?}"
            );
        }
        assert_eq!(self.phase, before, "the state is not the fold of the events");
        assert_eq!(self.phase.check(), Ok(()));
        self.events.extend_from_slice(events);
        assert_eq!(self.phase.version(), self.events.len() as u64);
    }

    fn word(&mut self, word: Word) -> Step {
        self.give(Input::Word(word))
    }

    /// Lets alarms come back until the time is `until`: none may come late.
    fn sleep_until(&mut self, until: Timestamp) {
        while self.now < until {
            self.alarm();
        }
        assert!(self.now.ms_since(until) <= 250, "an alarm that comes late");
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    fn command(&self, ordinal: u32) -> MessageId {
        self.phase.command_id(ordinal).expect("it is in flight")
    }

    /// The current command's answer.
    fn answer(&self, ordinal: u32, body: AnswerBody) -> Input {
        answer(ordinal, self.command(ordinal), body)
    }

    fn complete(&mut self, ordinal: u32) -> Step {
        self.give(self.answer(ordinal, done()))
    }

    fn fail(&mut self, ordinal: u32, kind: FailureKind) -> Step {
        self.give(self.answer(ordinal, failed(kind)))
    }

    fn dead(&self, ordinal: u32) -> Input {
        Input::DeadCommand(DeadCommand { ordinal, id: self.command(ordinal), reason: "delivery_limit".into() })
    }

    fn refused(&self, ordinal: u32, why: Why) -> Input {
        let attempt = self.phase.flights()[&ordinal].attempt;
        Input::Refused(Refusal { effect: Effect::Execute { ordinal, attempt }, id: self.command(ordinal), why })
    }

    fn alarm_number(&self) -> u64 {
        self.phase.alarm().expect("an alarm").number
    }

    /// The current alarm comes back, when it is due.
    fn alarm(&mut self) -> Step {
        let alarm = *self.phase.alarm().expect("an alarm");
        self.now = self.now.max(alarm.not_before);
        self.give(Input::Alarm { number: alarm.number })
    }

    /// The status and the attempts of every subtask: `C1 B2 I0`.
    fn shows(&self) -> String {
        let letter = |status| match status {
            SubtaskStatus::Idle => 'I',
            SubtaskStatus::Ready => 'R',
            SubtaskStatus::Busy => 'B',
            SubtaskStatus::Waiting => 'W',
            SubtaskStatus::Completed => 'C',
            SubtaskStatus::Error => 'E',
            SubtaskStatus::Skipped => 'S',
            SubtaskStatus::Cancelled => 'X',
        };
        let all = (0..).map_while(|ordinal| self.phase.subtask(ordinal));
        all.map(|subtask| format!("{}{}", letter(subtask.status), subtask.attempt)).collect::<Vec<_>>().join(" ")
    }

    fn ended_status(&self) -> Option<Status> {
        self.phase.ended().map(|ended| ended.status)
    }

    fn ended(&self) -> (Status, Option<&str>) {
        let ended = self.phase.ended().expect("it has ended");
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

    /// What was handed out, as pairs of ordinal and attempt.
    fn commands(&self) -> Vec<(u32, u32)> {
        let command = |effect: &Effect| match *effect {
            Effect::Execute { ordinal, attempt } => Some((ordinal, attempt)),
            _ => None,
        };
        self.effects.iter().filter_map(command).collect()
    }

    fn is_nothing(&self) -> bool {
        matches!(self.decision, Decision::Nothing(_))
    }
}

fn cause(number: u128) -> MessageId {
    MessageId(Uuid::from_u128(number))
}

fn project() -> ProjectId {
    ProjectId(Uuid::from_u128(7))
}

fn start(plan: Result<Vec<Spec>, String>) -> Input {
    Input::Start(Box::new(started(plan)))
}

fn start_under(policy: &str, text: &str) -> Input {
    let (on_failure, running) = policy.split_once(' ').unwrap_or((policy, "finish"));
    let policy = Raw::from(serde_json::json!({ "on_failure": on_failure, "running": running }));
    Input::Start(Box::new(Start { policy, ..started(Ok(graph(text))) }))
}

fn started(plan: Result<Vec<Spec>, String>) -> Start {
    Start {
        project_id: project(),
        project_name: "Shop".into(),
        project_version: 5,
        run: 1,
        phase: 2,
        priority: 5,
        partition: 3,
        goals: vec!["Build".into()],
        parameters: Raw::empty_object(),
        policy: Raw::empty_object(),
        id_namespace: Uuid::from_u128(99),
        playbook: None,
        plan,
        former: None,
        before: Vec::new(),
        kept: Vec::new(),
        left_out: Vec::new(),
    }
}

/// A graph in one line: `a; b: a; c*3@sql: a b` is `a`, `b` after `a`, and three copies of `c` with the skill `sql`
/// after both. `b:! a` runs after a failure of `a`, `b:~ a` always.
fn graph(text: &str) -> Vec<Spec> {
    let subtasks = text.split(';').map(|subtask| {
        let (head, dependencies) = subtask.split_once(':').unwrap_or((subtask, ""));
        let (head, skill) = head.split_once('@').unwrap_or((head, "noop"));
        let (name, copies) = head.split_once('*').unwrap_or((head, ""));
        let (run_after, dependencies) = match dependencies.split_at_checked(1) {
            Some(("!", dependencies)) => (RunAfter::Failure, dependencies),
            Some(("~", dependencies)) => (RunAfter::Always, dependencies),
            _ => (RunAfter::Success, dependencies),
        };
        SubtaskPlan {
            run_after,
            dependencies: dependencies.split_whitespace().map(str::to_owned).collect(),
            repeat: copies.trim().parse().ok(),
            ..SubtaskPlan::new(name.trim(), skill.trim())
        }
    });
    specs(subtasks.collect())
}

fn specs(subtasks: Vec<SubtaskPlan>) -> Vec<Spec> {
    let goal_name = "Build".into();
    let goal = GoalPlan { goal_name, priority: 5, description: String::new(), input: None, subtasks: Some(subtasks) };
    // Without a wait between attempts, unless a test is about that.
    let retry = Retry { first_ms: 0, ..Retry::default() };
    expand(&[goal], &|_| Ok(SkillDefaults { retry: retry.clone(), ..SkillDefaults::new(TIMEOUT_MS, 3) }))
        .expect("a good graph")
}

fn answer(ordinal: u32, in_reply_to: MessageId, body: AnswerBody) -> Input {
    Input::Answer(Answer {
        ordinal,
        in_reply_to,
        agent: "executor-1".into(),
        started_at: Some(NOON.plus_ms(1)),
        finished_at: Some(NOON.plus_ms(2)),
        body,
    })
}

fn done() -> AnswerBody {
    AnswerBody::Completed { bytes: 4, usage: None }
}

fn failed(kind: FailureKind) -> AnswerBody {
    AnswerBody::Failed(Failure::new(kind, "out of order"))
}
