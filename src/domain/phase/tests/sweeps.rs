//! What an alarm or an operator wakes.

use super::*;

/// An attempt may wait this long to begin, run this long, and answer this much later.
const DEADLINE_MS: u64 = START_WITHIN_MS + TIMEOUT_MS + 30_000;

#[test]
fn every_alarm_is_followed_by_the_next() {
    let mut bench = Bench::open("a");
    for number in 1..5 {
        assert_eq!(bench.alarm_number(), number);
        assert_eq!(bench.alarm().effects, [Effect::Alarm { number: number + 1 }]);
    }
    assert_eq!(bench.now, NOON.plus_ms(4 * 60_000));
    assert_eq!(bench.shows(), "B1");
}

#[test]
fn an_attempt_past_its_deadline_goes_out_again_and_is_charged_only_where_somebody_should_have_answered() {
    for (offer, failures) in [(Offer::Nobody, 0), (Offer::Announced, 1), (Offer::External, 1)] {
        past_its_deadline(offer, failures);
    }
}

fn past_its_deadline(offer: Offer, failures: u32) {
    let mut bench = Bench::open("a; b");
    bench.offer = offer;
    let late = bench.answer(0, done());
    bench.complete(1);
    while bench.shows().starts_with("B1") {
        bench.alarm();
    }
    assert_eq!(bench.now, NOON.plus_ms(DEADLINE_MS), "neither before nor after");
    if failures == 0 {
        assert_eq!(bench.shows(), "W1 C1");
        bench.alarm();
    }
    assert_eq!(bench.shows(), "B2 C1");
    assert_eq!(bench.phase.subtask(0).map(|subtask| subtask.failures), Some(failures));
    assert!(bench.give(late).is_nothing());
    let told = bench
        .events
        .iter()
        .any(|event| matches!(event, Event::Failed { agent: None, kind: FailureKind::Timeout, started_at: None, .. }));
    assert!(told);
}

#[test]
fn an_alarm_that_nobody_knows_sweeps_too_and_a_stale_one_does_not() {
    let mut bench = Bench::open("a");
    bench.alarm();
    assert!(bench.give(Input::Alarm { number: 1 }).is_nothing());
    // A store that forgot its last events must not leave the stream without an alarm.
    assert_eq!(bench.give(Input::Alarm { number: 40 }).effects, [Effect::Alarm { number: 3 }]);
    assert!(bench.give(Input::Alarm { number: 2 }).is_nothing());
}

#[test]
fn a_phase_that_is_handed_over_again_sets_an_alarm_in_the_place_of_one_that_got_lost() {
    let mut bench = Bench::open("a");
    let due = bench.phase.alarm().expect("an alarm").not_before;
    let mut again_at = |ms| {
        bench.now = due.plus_ms(ms);
        bench.give(start(Ok(graph("a")))).effects
    };
    assert_eq!(again_at(60_000), [], "it may only be late");
    assert_eq!(again_at(60_001), [Effect::Alarm { number: 2 }]);
    assert_eq!(again_at(60_002), []);
}

#[test]
fn a_nearer_due_time_takes_the_alarm_over() {
    let mut bench = Bench::open("a; b");
    let step = bench.fail(0, FailureKind::Released);
    assert_eq!(step.effects, [Effect::Alarm { number: 2 }]);
    assert_eq!(bench.phase.alarm().map(|alarm| alarm.not_before), Some(NOON.plus_ms(250)));
    assert_eq!(bench.alarm().commands(), [(0, 2)]);
    assert!(bench.give(Input::Alarm { number: 1 }).is_nothing(), "the one it took over from");
}

#[test]
fn an_alarm_that_was_taken_over_from_wakes_when_the_newer_one_never_went_out() {
    let mut bench = Bench::open("a; b");
    let opened = cause(1);
    bench.give(bench.refused(0, Why::Returned));
    assert!(effects(&bench.phase, opened).contains(&Effect::Alarm { number: 1 }), "its cause still has it sent");
    bench.pass_ms(60_000);
    let step = bench.give(Input::Alarm { number: 1 });
    assert_eq!((step.commands(), bench.alarm_number()), (vec![(0, 2)], 3));
    assert!(bench.give(Input::Alarm { number: 2 }).is_nothing(), "it did go out, and was late");
}

#[test]
fn many_quick_subtasks_cost_no_alarm_each() {
    let mut bench = Bench::open_with("work*500", 16);
    for ordinal in 0..500 {
        bench.pass_ms(10);
        bench.complete(ordinal);
    }
    assert_eq!(bench.alarm_number(), 1, "five seconds, and the alarm is a minute away");
}

#[test]
fn one_that_waits_among_many_quick_ones_costs_one_alarm() {
    let mut bench = Bench::open_with("gone@gone; work*500", 16);
    bench.give(bench.refused(0, Why::Returned));
    for ordinal in 1..=400 {
        bench.pass_ms(10);
        bench.complete(ordinal);
    }
    assert_eq!(bench.alarm_number(), 2, "it comes when the wait is over");
    assert!(bench.alarm().commands().contains(&(0, 2)));
    assert_eq!(bench.now, NOON.plus_ms(5_000));
}

#[test]
fn recover_sends_everything_in_flight_again_in_its_order() {
    let mut bench = Bench::open_with("work*6; other", 3);
    bench.complete(1);
    let old: Vec<_> = [0, 2, 3].into_iter().map(|ordinal| (ordinal, bench.command(ordinal))).collect();
    let flying: Vec<u32> = bench.phase.flights().keys().copied().collect();
    let step = bench.give(Input::Recover);
    let again: Vec<u32> = step.commands().iter().map(|(ordinal, _)| *ordinal).collect();
    assert_eq!(again, flying, "those, and no others instead of them");
    assert!(step.effects.contains(&Effect::Alarm { number: 2 }));
    assert_eq!(bench.shows(), "B2 C1 B2 B2 R0 R0 R0");
    for (ordinal, old) in old {
        // Whoever ran it is done with it, and that is all.
        let step = bench.give(answer(ordinal, old, done()));
        assert_eq!(
            (step.events(), step.effects.as_slice()),
            (&[Event::Hushed { at: NOON, command: old }][..], &[][..])
        );
        assert!(bench.give(answer(ordinal, old, done())).is_nothing());
    }
    assert_eq!(bench.shows(), "B2 C1 B2 B2 R0 R0 R0");
}

#[test]
fn recover_that_comes_again_is_what_it_was_the_first_time() {
    let mut bench = Bench::open("a; b; c");
    bench.give_again(cause(70), Input::Recover);
    bench.complete(1);
    let again = bench.give_again(cause(70), Input::Recover);
    assert!(again.is_nothing());
    assert_eq!(again.commands(), [(0, 2), (2, 2)], "what it had sent, and is still current");
}

#[test]
fn recover_of_a_failing_phase_ends_it() {
    // Nobody may answer any more, and nothing new is started: there is nothing to wait for.
    let mut bench = Bench::open("bad; running");
    bench.fail(0, FailureKind::Permanent);
    assert_eq!(bench.give(Input::Recover).effects, [Effect::Report, Effect::Alarm { number: 2 }]);
    assert_eq!(bench.ended().0, Status::Error);
}

#[test]
fn recover_of_an_ended_phase_has_it_report_again_under_another_id() {
    let mut bench = Bench::open("a");
    bench.complete(0);
    let first = bench.phase.report_id();
    let step = bench.give(Input::Recover);
    assert_eq!(step.effects, [Effect::Report]);
    assert_ne!(bench.phase.report_id(), first);
    assert_eq!(bench.ended(), (Status::Completed, None));
}

#[test]
fn nothing_is_given_up_by_an_owner_that_has_not_caught_up() {
    // Its deadline, or the bound of its wait, is over when somebody takes over; its answer waits to be read.
    let overdue = |wait_ms: Option<u64>| {
        let mut specs = graph("a");
        specs[0].queue_wait_ms = wait_ms;
        let mut bench = Bench::of(specs);
        bench.now = NOON.plus_ms(DEADLINE_MS + 90_000);
        bench.listening_since = bench.now;
        bench.alarm();
        assert_eq!(bench.shows(), "B1", "{wait_ms:?}");
        bench
    };
    for wait_ms in [None, Some(2_000)] {
        let mut answered = overdue(wait_ms);
        answered.complete(0);
        assert_eq!(answered.ended().0, Status::Completed);
        let mut silent = overdue(wait_ms);
        let caught_up = silent.listening_since.plus_ms(ANSWER_WITHIN_MS);
        while silent.shows() == "B1" {
            silent.alarm();
        }
        assert!((caught_up.0..caught_up.0 + 1_000).contains(&silent.now.0), "{:?}", silent.now);
    }
}

#[test]
fn what_waited_in_a_queue_that_was_deleted_is_sent_anew_and_what_runs_is_left_alone() {
    let mut bench = Bench::open("running; waiting; later");
    assert_eq!(bench.shows(), "B1 B1 B1");
    bench.heard.insert(bench.command(0), bench.now);
    bench.queue_lost_at = Some(bench.now.plus_ms(1));
    bench.pass_ms(1_500);
    // As the coordinator wakes it, with a number that is never stale.
    let step = bench.give(Input::Alarm { number: u64::MAX >> 1 });
    assert_eq!(step.commands(), [(1, 2), (2, 2)], "attempts that are new, in their order");
    assert_eq!(bench.shows(), "B1 B2 B2");
    assert!((0..3).all(|ordinal| bench.phase.subtask(ordinal).is_some_and(|subtask| subtask.failures == 0)));
    // What was dispatched since lies in the new queue.
    let again = bench.give(Input::Alarm { number: u64::MAX >> 1 });
    assert_eq!(again.commands(), [], "once is enough");
}
