//! The broker refuses what a phase sends.

use super::*;

const REFUSED_WAIT_MS: u64 = 5_000;

#[test]
fn a_refused_command_waits_for_its_queue_and_is_not_charged() {
    for why in [Why::Nacked, Why::Returned] {
        let mut bench = Bench::open("a");
        let step = bench.give(bench.refused(0, why.clone()));
        let again_at = NOON.plus_ms(REFUSED_WAIT_MS);
        let error = why.to_string();
        let refused = Event::DispatchRefused { at: NOON, ordinal: 0, attempt: 1, again_at, error };
        assert_eq!(step.events()[0], refused);
        assert_eq!((bench.shows().as_str(), step.commands()), ("W1", vec![]));
        assert_eq!(bench.phase.alarm().map(|alarm| alarm.not_before), Some(again_at));
        assert_eq!(bench.alarm().commands(), [(0, 2)]);
        let subtask = bench.phase.subtask(0).expect("it");
        assert_eq!((subtask.failures, subtask.crashes), (0, 0));
    }
}

#[test]
fn a_skill_that_was_refused_is_left_alone_until_its_wait_is_over() {
    let mut bench = Bench::open_with("a*6@gone; b*3@here", 2);
    assert_eq!(bench.give(bench.refused(0, Why::Returned)).commands(), [], "the next would be refused too");
    bench.pass_ms(1_000);
    assert_eq!(bench.give(bench.refused(1, Why::Returned)).commands(), []);
    assert_eq!(bench.complete(6).commands(), [(8, 1)], "others go on");
    bench.complete(7);
    bench.complete(8);
    assert_eq!(bench.shows(), "W1 W1 R0 R0 R0 R0 C1 C1 C1", "not even the one that is always sent");
    let mut alarms = 0;
    while bench.phase.flights().is_empty() {
        bench.alarm();
        alarms += 1;
        assert!(alarms < 10, "it is never tried again");
    }
    assert_eq!(bench.now, NOON.plus_ms(6_000));
    assert_eq!(bench.shows(), "B2 B2 R0 R0 R0 R0 C1 C1 C1");
}

#[test]
fn a_command_that_can_never_be_sent_is_a_permanent_failure() {
    let mut bench = Bench::open("a; b");
    bench.give(bench.refused(0, Why::Unsendable("message of 2000000 bytes".into())));
    assert_eq!(bench.complete(1).effects, [Effect::Report]);
    assert_eq!(bench.ended(), (Status::Error, Some("subtask `a` failed: permanent: message of 2000000 bytes")));
}

#[test]
fn a_refusal_of_what_is_not_current_changes_nothing() {
    let mut bench = Bench::open("a; b: a");
    let old = bench.refused(0, Why::Nacked);
    bench.fail(0, FailureKind::Transient);
    let never = Refusal { effect: Effect::Execute { ordinal: 1, attempt: 1 }, id: cause(404), why: Why::Nacked };
    let nobody = Refusal { effect: Effect::Execute { ordinal: 9, attempt: 1 }, id: cause(404), why: Why::Nacked };
    for refusal in [old, Input::Refused(never), Input::Refused(nobody)] {
        assert_eq!(bench.give(refusal).decision, Decision::Nothing("the refused command is not current"));
    }
}

/// A phase that has ended, whose report is refused.
fn refused_report() -> (Bench, Input) {
    let mut bench = Bench::open("a");
    bench.complete(0);
    let id = bench.phase.report_id().expect("a report");
    (bench, Input::Refused(Refusal { effect: Effect::Report, id, why: Why::Nacked }))
}

#[test]
fn a_refused_report_is_sent_again_by_the_alarm() {
    let (mut bench, refusal) = refused_report();
    let step = bench.give(refusal.clone());
    assert_eq!(step.effects, [Effect::Alarm { number: 2 }], "an ended stream that still has something to say");
    assert!(bench.give(refusal).is_nothing(), "once");
    assert!(bench.give(Input::Alarm { number: 0 }).is_nothing(), "an older alarm");
    let again = bench.alarm();
    assert_eq!(again.effects, [Effect::Report]);
    assert_eq!(bench.now, NOON.plus_ms(REFUSED_WAIT_MS));
    assert!(bench.alarm().is_nothing(), "sent, and the alarm with it");
    // Refused again, it goes round again.
    let id = bench.phase.report_id().expect("a report");
    let step = bench.give(Input::Refused(Refusal { effect: Effect::Report, id, why: Why::Returned }));
    assert_eq!(step.effects, [Effect::Alarm { number: 3 }]);
    assert_eq!(bench.alarm().effects, [Effect::Report]);
}

#[test]
fn a_refusal_of_an_older_report_changes_nothing() {
    let (mut bench, refusal) = refused_report();
    bench.give(Input::Recover);
    assert!(bench.give(refusal).is_nothing());
}
