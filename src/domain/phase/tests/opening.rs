//! How a phase opens, what is ready, and in which order it goes out.

use super::*;

#[test]
fn what_has_no_dependencies_goes_out_and_the_alarm_with_it() {
    let mut bench = Bench::new();
    let step = bench.give(start(Ok(graph("a; b: a; c"))));
    assert!(matches!(step.events()[0], Event::Opened(_)));
    assert!(matches!(&step.events()[1], Event::SubtasksAdded { specs } if specs.len() == 3));
    assert_eq!(step.events()[2], Event::Planned {});
    let not_after = NOON.plus_ms(START_WITHIN_MS);
    let commands = vec![(0, 1), (2, 1)];
    assert_eq!(
        step.events()[3],
        Event::Dispatched {
            at: NOON,
            cause: step.cause,
            not_after,
            commands,
            answer_within_ms: Some(ANSWER_WITHIN_MS)
        }
    );
    assert!(matches!(step.events()[4], Event::AlarmSet { .. }));
    assert_eq!(step.events().len(), 5);
    let execute = |ordinal| Effect::Execute { ordinal, attempt: 1 };
    assert_eq!(step.effects, [execute(0), execute(2), Effect::Alarm { number: 1 }]);
    assert_eq!(bench.shows(), "B1 I0 B1");
    assert_eq!(bench.phase.status(), Status::Busy);
}

#[test]
fn a_plan_that_can_not_be_run_ends_it_at_once() {
    let circle = vec![
        SubtaskPlan { dependencies: vec!["b".into()], ..SubtaskPlan::new("a", "noop") },
        SubtaskPlan { dependencies: vec!["a".into()], ..SubtaskPlan::new("b", "noop") },
    ];
    for (plan, error) in [
        (Err("nobody has the skill `x`".to_owned()), "nobody has the skill `x`"),
        (Ok(specs(circle)), "subtasks depend on each other in a circle: `a`, `b`"),
    ] {
        let mut bench = Bench::new();
        let step = bench.give(start(plan));
        assert_eq!(step.effects, [Effect::Report], "an ended phase has no alarm");
        assert_eq!(bench.ended(), (Status::Error, Some(error)));
    }
}

#[test]
fn an_error_as_long_as_a_message_still_fits_a_report() {
    let mut bench = Bench::new();
    bench.give(start(Err("ä".repeat(1_000_000))));
    let error = bench.ended().1.expect("an error");
    assert!(error.len() < 5_000 && error.ends_with(" ..."), "{}", error.len());
}

#[test]
fn a_phase_without_subtasks_is_completed() {
    let mut bench = Bench::new();
    assert_eq!(bench.give(start(Ok(Vec::new()))).effects, [Effect::Report]);
    assert_eq!(bench.ended(), (Status::Completed, None));
}

#[test]
fn the_allowance_is_respected_skill_by_skill() {
    let mut bench = Bench::open_with("a*5@x; b*5@y", 2);
    assert_eq!(bench.shows(), "B1 B1 R0 R0 R0 B1 B1 R0 R0 R0");
    assert_eq!(bench.complete(1).commands(), [(2, 1)]);
    assert_eq!(bench.complete(5).commands(), [(7, 1)]);
    bench.allowance = 0;
    assert_eq!(bench.complete(0).commands(), []);
    bench.allowance = 4;
    assert_eq!(bench.complete(6).commands(), [(3, 1), (4, 1), (8, 1), (9, 1)]);
    assert_eq!((bench.phase.in_flight("x"), bench.phase.in_flight("y"), bench.phase.in_flight("z")), (3, 3, 0));
}

#[test]
fn with_nothing_in_flight_one_goes_out_whatever_the_allowance_says() {
    let mut bench = Bench::open_with("a@x; b: a; c: b; d@x; e@y", 0);
    assert_eq!(bench.shows(), "B1 I0 I0 R0 R0", "the longest path of all skills");
    assert_eq!(in_turn(&mut bench), ["a", "b", "e", "c", "d"]);
}

/// Completes what is in flight, one at a time, and says in which order.
fn in_turn(bench: &mut Bench) -> Vec<String> {
    let mut order = Vec::new();
    while let Some(ordinal) = bench.phase.flights().keys().next().copied() {
        assert_eq!(bench.phase.flights().len(), 1);
        order.push(bench.phase.spec(ordinal).name.clone());
        bench.complete(ordinal);
    }
    assert_eq!(bench.ended(), (Status::Completed, None));
    order
}

#[test]
fn the_longest_remaining_path_goes_first() {
    // Of one skill: `long` has three behind it, `middle` one, `short` none; then in the order of the plan.
    let text = "short; middle; m2: middle; long; l2: long; l3: l2; l4: l3; other";
    let mut bench = Bench::open_with(text, 1);
    assert_eq!(in_turn(&mut bench), ["long", "l2", "middle", "l3", "short", "other", "m2", "l4"]);
}

#[test]
fn a_dependant_waits_for_all_copies_and_starts_once() {
    let mut bench = Bench::open("work*3; join: work; also: work join");
    for (ordinal, sent) in [(1, vec![]), (2, vec![]), (0, vec![(3, 1)]), (3, vec![(4, 1)])] {
        assert_eq!(bench.complete(ordinal).commands(), sent);
    }
    assert_eq!(bench.complete(4).effects, [Effect::Report]);
}

#[test]
fn a_result_is_used_up_when_its_last_dependant_was_sent() {
    let mut bench = Bench::open_with("a; b*2: a; c: a", 1);
    let used_up = |bench: &Bench| (0..4).filter(|&ordinal| bench.phase.is_used_up(ordinal)).collect::<Vec<_>>();
    // Nobody ever asks for those that have no dependants.
    assert_eq!(used_up(&bench), [1, 2, 3]);
    bench.complete(0);
    bench.complete(1);
    assert_eq!(bench.shows(), "C1 C1 B1 R0");
    assert_eq!(used_up(&bench), [1, 2, 3]);
    bench.fail(2, FailureKind::Transient);
    bench.complete(2);
    assert_eq!(bench.shows(), "C1 C1 C2 B1");
    assert_eq!(used_up(&bench), [0, 1, 2, 3]);
}

#[test]
fn plans_and_dispatches_come_in_events_of_bounded_size() {
    let mut bench = Bench { allowance: u32::MAX, ..Bench::new() };
    let subtasks = (0..2_500).map(|at| SubtaskPlan::new(format!("s{at}"), "noop")).collect();
    let step = bench.give(start(Ok(specs(subtasks))));
    let sizes = |size: &dyn Fn(&Event) -> Option<usize>| step.events().iter().filter_map(size).collect::<Vec<_>>();
    let added = |event: &Event| match event {
        Event::SubtasksAdded { specs } => Some(specs.len()),
        _ => None,
    };
    let sent = |event: &Event| match event {
        Event::Dispatched { commands, .. } => Some(commands.len()),
        _ => None,
    };
    assert_eq!(sizes(&added), [1_000, 1_000, 500]);
    assert_eq!(sizes(&sent), [1_000, 1_000, 500]);
    assert_eq!(step.commands().len(), 2_500);
}
