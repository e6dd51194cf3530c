//! What scheduling costs: subtasks and dependencies, and never their square. Counted in events, and in time where a
//! step that walks over everything would not show in events.

use std::time::{Duration, Instant};

use super::*;

/// A graph of so many subtasks.
type Shape = fn(usize) -> Vec<Spec>;

fn shapes() -> [(&'static str, Shape); 5] {
    [("fan-out", fan_out), ("chain", chain), ("fan by name", fan_by_name), ("gaps", gaps), ("retries", fan_out)]
}

fn subtask(name: String, dependencies: Vec<String>) -> SubtaskPlan {
    SubtaskPlan { dependencies, ..SubtaskPlan::new(name, "noop") }
}

fn fan_out(count: usize) -> Vec<Spec> {
    let count = u32::try_from(count).expect("few");
    let work = SubtaskPlan { repeat: Some(count - 1), ..SubtaskPlan::new("work", "noop") };
    specs(vec![work, subtask("join".into(), vec!["work".into()])])
}

fn chain(count: usize) -> Vec<Spec> {
    let after = |at: usize| if at == 0 { Vec::new() } else { vec![format!("s{}", at - 1)] };
    specs((0..count).map(|at| subtask(format!("s{at}"), after(at))).collect())
}

/// One, then many that name it one by one, then one that names the first half of them.
fn fan_by_name(count: usize) -> Vec<Spec> {
    let half = (count - 2) / 2;
    let mut all = vec![subtask("root".into(), Vec::new())];
    all.extend((0..half).map(|at| subtask(format!("s{at}"), vec!["root".into()])));
    all.extend((0..half).map(|at| subtask(format!("t{at}"), vec!["root".into()])));
    all.push(subtask("join".into(), (0..half).map(|at| format!("s{at}")).collect()));
    specs(all)
}

/// One that depends on every second of many, so that no two of its dependencies are neighbours.
fn gaps(count: usize) -> Vec<Spec> {
    let mut all: Vec<_> = (0..count - 1).map(|at| subtask(format!("s{at}"), Vec::new())).collect();
    all.push(subtask("join".into(), (0..count - 1).step_by(2).map(|at| format!("s{at}")).collect()));
    specs(all)
}

/// Runs a phase to its end with sixteen in flight, the oldest answered first; gives back its events and its time.
fn run(specs: Vec<Spec>, retries: bool) -> (usize, Duration) {
    let started = Instant::now();
    let (mut phase, mut causes, mut events) = (Phase::default(), 0, 0);
    let team = Bench { allowance: 16, ..Bench::new() };
    let mut open = std::collections::VecDeque::new();
    let mut next = Some(start(Ok(specs)));
    while let Some(input) = next {
        causes += 1;
        let context = Context {
            now: NOON,
            start_within_ms: START_WITHIN_MS,
            answer_within_ms: ANSWER_WITHIN_MS,
            catch_up_ms: 0,
            team: &team,
            is_one_of_many: false,
        };
        let Decision::Record(recorded) = decide(&mut phase, cause(causes), &input, &context) else {
            panic!("{input:?}")
        };
        events += recorded.len();
        for effect in effects(&phase, cause(causes)) {
            if let Effect::Execute { ordinal, attempt } = effect {
                // As the coordinator does when it renders a command.
                let dependencies = phase.spec(ordinal).dependencies.iter().flat_map(|span| span.ordinals());
                std::hint::black_box(dependencies.filter(|&other| phase.is_used_up(other)).count());
                open.push_back((ordinal, attempt, phase.command_id(ordinal).expect("it is current")));
            }
        }
        next = open.pop_front().map(|(ordinal, attempt, id)| match retries && attempt == 1 {
            true => answer(ordinal, id, failed(FailureKind::Transient)),
            false => answer(ordinal, id, done()),
        });
    }
    assert_eq!(phase.status(), Status::Completed);
    (events, started.elapsed())
}

#[test]
fn a_subtask_of_a_large_phase_costs_what_one_of_a_small_phase_costs() {
    const SMALL: usize = 1_000;
    const TIMES: usize = 32;
    for (name, shape) in shapes() {
        let retries = name == "retries";
        let (small, large) = (shape(SMALL), shape(TIMES * SMALL));
        let measure = || {
            let many: Vec<_> = (0..TIMES).map(|_| run(small.clone(), retries)).collect();
            let (events, time) = run(large.clone(), retries);
            assert!(events <= TIMES * (many[0].0 + 20) && events <= 6 * TIMES * SMALL, "{name}: {events}");
            time.as_secs_f64() / many.iter().map(|(_, time)| time.as_secs_f64()).sum::<f64>()
        };
        // Were a step to walk over the whole phase this would be many times more, every time; a busy machine
        // disturbs one measurement, and not three.
        assert!((0..3).any(|_| measure() < 2.5), "{name}: more than 2.5 times as much");
    }
}
