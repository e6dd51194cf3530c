//! Random inputs: the state is always the fold of its events, something is always out, and every project ends.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn inputs() -> impl Strategy<Value = Vec<(u64, Input)>> {
    let statuses = vec![Status::Completed, Status::Completed, Status::Completed, Status::Error, Status::Busy];
    let input = prop_oneof![
        6 => (0u32..5, proptest::sample::select(statuses)).prop_map(|(phase, status)| report(phase, status)),
        3 => (0u64..6).prop_map(|number| Input::Alarm { number }),
        1 => (0u32..5).prop_map(dead),
        2 => Just(Input::Recover),
        1 => Just(request(Ok(goals(&[1, 2])))),
        1 => Just(request_with(|request| request.fingerprint = "other".into())),
        2 => (0u32..5).prop_map(|phase| {
            // The id is put in when it is known.
            Input::Refused(Refusal { effect: Effect::StartPhase { phase }, id: cause(404), why: Why::Nacked })
        }),
    ];
    vec((0u64..70_000, input), 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_something_is_out_and_it_ends(priorities in vec(1u32..9, 1..6), inputs in inputs()) {
        let mut bench = Bench::open(&priorities);
        for (ms, mut input) in inputs {
            bench.now = bench.now.plus_ms(ms);
            if let Input::Refused(refusal) = &mut input
                && let Some(id) = bench.current().and_then(|phase| bench.project.start_id(phase))
            {
                refusal.id = id;
            }
            // Bench checks the fold and the invariants.
            let step = bench.give(input.clone());
            prop_assert_eq!(bench.give_again(step.cause, input).effects.is_empty(), step.effects.is_empty());
            if bench.project.ended().is_none() {
                let alarm = bench.project.alarm().expect("an alarm");
                let again = Effect::Alarm { number: alarm.number };
                prop_assert!(effects(&bench.project, alarm.cause).contains(&again));
                let phase = bench.project.current().expect("a phase");
                let start = Effect::StartPhase { phase: phase.number };
                prop_assert!(effects(&bench.project, phase.started_by.expect("a cause")).contains(&start));
            }
        }
        while let Some(phase) = bench.current() {
            bench.complete(phase);
        }
        prop_assert!(bench.project.ended().is_some());
        let mut replayed = Project::new(id());
        for event in &bench.events {
            let stored = serde_json::to_string(event).expect("JSON");
            replayed.apply(&serde_json::from_str(&stored).expect("an event"));
        }
        prop_assert_eq!(replayed, bench.project);
    }
}
