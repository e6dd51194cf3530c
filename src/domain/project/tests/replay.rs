//! Random inputs: the state is always the fold of its events, something is always out, and every project ends.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::content::Asking;
use crate::wire::policy::OnFailure;

fn inputs() -> impl Strategy<Value = Vec<(u64, Input)>> {
    let statuses = vec![Status::Completed, Status::Completed, Status::Completed, Status::Error, Status::Busy];
    let input = prop_oneof![
        6 => (0u32..5, proptest::sample::select(statuses)).prop_map(|(phase, status)| report(phase, status)),
        3 => (0u64..6).prop_map(|number| Input::Alarm { number }),
        1 => (0u32..5).prop_map(dead),
        2 => Just(Input::Recover),
        1 => Just(cancel()),
        1 => (0u32..5, 0u32..2).prop_map(|(phase, ordinal)| {
            Input::Cancel(Cancel { subtask: Some(subtask(phase, ordinal)), reason: None })
        }),
        3 => Just(Input::Pause),
        3 => Just(Input::Resume),
        2 => (0u128..3, 1u32..5).prop_map(|(id, phase)| question(700 + id, phase, 0)),
        1 => (0u128..3, 0u64..9, proptest::bool::ANY).prop_map(|(id, version, after_cancel)| {
            let Input::Question(question) = question(703 + id, 1, 0) else { unreachable!("it is one") };
            Input::Question(Box::new(Question { asking: Some(Asking { version, after_cancel }), ..*question }))
        }),
        2 => (0u128..6, proptest::sample::select(Answer::ALL.to_vec())).prop_map(|(id, answer)| decide_on(700 + id, answer)),
        2 => proptest::bool::ANY.prop_map(|failed_only| Input::Retry(Retry { failed_only, ..retry() })),
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
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_something_is_out_and_it_ends(
        priorities in vec(1u32..9, 1..6),
        policy in proptest::sample::select(OnFailure::NAMES.to_vec()),
        inputs in inputs(),
    ) {
        let mut bench = open_with(&format!(r#"{{"on_failure":"{policy}"}}"#), &priorities);
        for (ms, mut input) in inputs {
            bench.now = bench.now.plus_ms(ms);
            match &mut input {
                // What is of this run, and of the phase that is out, is what moves it on.
                Input::Report(report) => {
                    report.run = bench.project.run();
                    report.phase = bench.current().unwrap_or(report.phase);
                }
                Input::Question(question) => {
                    question.run = bench.project.run();
                    question.subtask.id.phase = bench.current().unwrap_or(1);
                }
                Input::Refused(refusal) => refuse_current(&bench, refusal),
                _ => {}
            }
            // Bench checks the fold and the invariants.
            let step = bench.give(input.clone());
            prop_assert_eq!(bench.give_again(step.cause, input).effects.is_empty(), step.effects.is_empty());
            if bench.project.is_open() {
                let alarm = bench.project.alarm().expect("an alarm");
                let again = Effect::Alarm { number: alarm.number };
                prop_assert!(effects(&bench.project, alarm.cause).contains(&again));
                if let Some(phase) = bench.project.current() {
                    let start = Effect::StartPhase { phase: phase.number };
                    prop_assert!(effects(&bench.project, phase.started_by.expect("a cause")).contains(&start));
                }
                for (&number, told) in bench.project.told() {
                    let is_out = effects(&bench.project, told.cause).contains(&Effect::Tell { number });
                    let waits = told.again_at.is_some_and(|at| alarm.not_before <= at.max(bench.now.plus_ms(60_000)));
                    prop_assert!(is_out || waits, "{:?}", told);
                }
            }
        }
        to_the_end(&mut bench);
        prop_assert!(bench.project.ended().is_some());
        let ends = bench.events.iter().filter(|event| matches!(event, Event::Ended { .. })).count();
        prop_assert_eq!(ends, bench.project.run() as usize, "once a run");
        let mut replayed = Project::new(id());
        for event in &bench.events {
            let stored = serde_json::to_string(event).expect("JSON");
            replayed.apply(&serde_json::from_str(&stored).expect("an event"));
        }
        prop_assert_eq!(replayed, bench.project);
    }
}

/// The newest start, or word, is what was refused.
fn refuse_current(bench: &Bench, refusal: &mut Refusal) {
    let told = bench.project.told().keys().last().copied();
    let current = bench.current().and_then(|phase| Some((phase, bench.project.start_id(phase)?)));
    match (told.and_then(|number| Some((number, bench.project.tell_id(number)?))), current) {
        (Some((number, id)), _) => (refusal.effect, refusal.id) = (Effect::Tell { number }, id),
        (None, Some((phase, id))) => (refusal.effect, refusal.id) = (Effect::StartPhase { phase }, id),
        (None, None) => {}
    }
}

/// Everything is answered, and every phase completes.
fn to_the_end(bench: &mut Bench) {
    bench.give(Input::Resume);
    for _ in 0..1_000 {
        if bench.project.ended().is_some() {
            return;
        }
        let open = bench.project.open_questions().map(|(id, _)| id).next();
        match (bench.current(), open) {
            (Some(phase), _) => {
                let run = bench.project.run();
                bench.give(Input::Report(PhaseReport { run, ..report_of(phase, Status::Completed) }));
            }
            (None, Some(question)) => {
                bench.give(Input::Decide { question, answer: Answer::Skip });
            }
            (None, None) => return,
        }
    }
}
