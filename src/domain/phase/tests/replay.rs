//! Random inputs on random graphs: the state is always the fold of its events, a snapshot is as good as the state,
//! and every phase comes to its end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What happens next; a number picks one of those in flight.
#[derive(Debug, Clone)]
enum Move {
    Complete(usize),
    Fail(usize, FailureKind),
    Dead(usize),
    Refuse(usize, Why),
    /// An answer that was given before.
    Again(usize),
    Alarm,
    OldAlarm,
    NewAlarm,
    Recover,
    Start,
    Pass(u64),
    Allow(u32),
    RefuseReport,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let kinds = vec![
        FailureKind::Transient,
        FailureKind::Timeout,
        FailureKind::Crashed,
        FailureKind::Cancelled,
        FailureKind::Released,
        FailureKind::Permanent,
    ];
    let whys = vec![Why::Nacked, Why::Returned, Why::Unsendable("too big".into())];
    let one = prop_oneof![
        12 => any::<usize>().prop_map(Move::Complete),
        6 => (any::<usize>(), proptest::sample::select(kinds)).prop_map(|(at, kind)| Move::Fail(at, kind)),
        2 => any::<usize>().prop_map(Move::Dead),
        2 => (any::<usize>(), proptest::sample::select(whys)).prop_map(|(at, why)| Move::Refuse(at, why)),
        3 => any::<usize>().prop_map(Move::Again),
        4 => Just(Move::Alarm),
        1 => Just(Move::OldAlarm),
        1 => Just(Move::NewAlarm),
        1 => Just(Move::Recover),
        1 => Just(Move::Start),
        3 => (0u64..400_000).prop_map(Move::Pass),
        2 => (0u32..5).prop_map(Move::Allow),
        2 => Just(Move::RefuseReport),
    ];
    vec(one, 0..60)
}

/// A graph without circles: each subtask depends on some of those before it.
fn dags() -> impl Strategy<Value = Vec<Spec>> {
    let one = (vec(any::<usize>(), 0..3), proptest::option::of(1u32..4), 0..3u8);
    vec(one, 1..8).prop_map(|subtasks| {
        let plan = subtasks.into_iter().enumerate().map(|(at, (on, repeat, skill))| {
            let mut dependencies: Vec<_> =
                on.into_iter().filter(|_| at > 0).map(|on| format!("s{}", on % at.max(1))).collect();
            dependencies.sort();
            dependencies.dedup();
            SubtaskPlan { dependencies, repeat, ..SubtaskPlan::new(format!("s{at}"), format!("skill-{skill}")) }
        });
        specs(plan.collect())
    })
}

/// The input that a move comes to, if there is something to move.
fn input(bench: &Bench, said: &[Input], next: &Move) -> Option<Input> {
    let flying: Vec<u32> = bench.phase.flights().keys().copied().collect();
    let pick = |at: &usize| flying.get(at.checked_rem(flying.len())?).copied();
    Some(match next {
        Move::Complete(at) => bench.answer(pick(at)?, done()),
        Move::Fail(at, kind) => bench.answer(pick(at)?, failed(*kind)),
        Move::Dead(at) => bench.dead(pick(at)?),
        Move::Refuse(at, why) => bench.refused(pick(at)?, why.clone()),
        Move::Again(at) => said.get(at.checked_rem(said.len())?)?.clone(),
        Move::Alarm => Input::Alarm { number: bench.phase.alarm()?.number },
        Move::OldAlarm => Input::Alarm { number: bench.phase.alarm()?.number - 1 },
        Move::NewAlarm => Input::Alarm { number: bench.phase.alarm()?.number + 3 },
        Move::Recover => Input::Recover,
        Move::Start => start(Ok(graph("another"))),
        Move::RefuseReport => {
            let id = bench.phase.report_id()?;
            Input::Refused(Refusal { effect: Effect::Report, id, why: Why::Nacked })
        }
        Move::Pass(_) | Move::Allow(_) => return None,
    })
}

/// The state as another process has it: read from a snapshot.
fn restored(bench: &Bench) -> Bench {
    let snapshot = serde_json::to_vec(&bench.phase).expect("a state can be written");
    Bench { phase: serde_json::from_slice(&snapshot).expect("a state can be read"), ..bench.clone() }
}

/// Something will wake it: an open phase has a current alarm whose message would be sent again by its cause, and
/// every attempt in flight is among what its own cause has sent.
fn something_is_out(phase: &Phase) -> bool {
    let alarm = phase.alarm().is_some_and(|alarm| {
        !phase.wants_alarm() || effects(phase, alarm.cause).contains(&Effect::Alarm { number: alarm.number })
    });
    let flights = phase.flights().iter().all(|(&ordinal, flight)| {
        let command = Effect::Execute { ordinal, attempt: flight.attempt };
        effects(phase, flight.cause).iter().filter(|effect| **effect == command).count() == 1
    });
    let report = phase.ended().is_none_or(|ended| effects(phase, ended.cause).contains(&Effect::Report));
    (alarm || phase.ended().is_some()) && flights && report
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_phase_is_the_fold_of_its_events_and_ends(specs in dags(), moves in moves(), allowance in 0u32..4) {
        let mut bench = Bench { allowance, ..Bench::new() };
        let mut said = vec![start(Ok(specs))];
        bench.give(said[0].clone());
        for next in &moves {
            match next {
                Move::Pass(ms) => bench.pass_ms(*ms),
                Move::Allow(allowance) => bench.allowance = *allowance,
                _ => {}
            }
            let Some(input) = input(&bench, &said, next) else { continue };
            // Bench checks the fold and the invariants at every event.
            let mut other = restored(&bench);
            prop_assert_eq!(&other.phase, &bench.phase);
            let step = bench.give(input.clone());
            prop_assert_eq!(other.give(input.clone()), step);
            prop_assert!(something_is_out(&bench.phase), "{:?} after {:?}", bench.phase, input);
            said.push(input);
        }
        // With nothing but good answers and alarms from here on, it ends.
        let subtasks = bench.phase.counts().total as usize;
        for _ in 0..20 * subtasks + 20 {
            if bench.phase.ended().is_some() { break; }
            match bench.phase.flights().keys().next().copied() {
                Some(ordinal) => bench.complete(ordinal),
                None => bench.alarm(),
            };
        }
        let ended = bench.phase.ended().expect("it never ends").clone();
        let completed = bench.phase.counts().completed as usize == subtasks;
        prop_assert_eq!(ended.status, if completed { Status::Completed } else { Status::Error });
        // Every outcome was recorded once.
        let mut outcomes: Vec<(u32, u32)> = bench.events.iter().filter_map(|event| match event {
            Event::Completed { ordinal, attempt, .. } | Event::Failed { ordinal, attempt, .. } => Some((*ordinal, *attempt)),
            _ => None,
        }).collect();
        let recorded = outcomes.len();
        outcomes.sort_unstable();
        outcomes.dedup();
        prop_assert_eq!(outcomes.len(), recorded);
        // And what is stored is the same in another process.
        let stored: Vec<String> = bench.events.iter().map(|event| serde_json::to_string(event).expect("JSON")).collect();
        let mut replayed = Phase::default();
        for line in &stored {
            replayed.apply(&serde_json::from_str(line).expect("an event"));
        }
        prop_assert_eq!(replayed, bench.phase);
    }
}
