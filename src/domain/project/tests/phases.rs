//! How a project goes from phase to phase, and ends.

use super::*;

const REFUSED_WAIT_MS: u64 = 5_000;

#[test]
fn phase_by_phase_to_the_end() {
    let mut bench = Bench::open(&[1, 5, 9]);
    for phase in 1..3 {
        assert_eq!(bench.current(), Some(phase));
        let step = bench.complete(phase);
        assert!(matches!(step.events()[0], Event::PhaseReported { status: Status::Completed, .. }));
        assert_eq!(step.effects, [Effect::StartPhase { phase: phase + 1 }]);
        assert_eq!(bench.project.phase(phase).map(|phase| phase.status), Some(Status::Completed));
    }
    let last = bench.complete(3);
    assert!(matches!(last.events()[1], Event::Ended { status: Status::Completed, error: None, .. }));
    assert_eq!(last.effects, []);
    assert_eq!((bench.current(), bench.project.counts()), (None, counts(3, 0)));
}

#[test]
fn a_phase_that_did_not_complete_ends_the_project() {
    for status in [Status::Error, Status::Cancelled] {
        let mut bench = Bench::open(&[1, 2]);
        assert_eq!(bench.give(report(1, status)).effects, []);
        assert_eq!(bench.ended(), (status, Some("subtask `work` failed")));
        let statuses: Vec<_> = bench.project.phases().iter().map(|phase| phase.status).collect();
        assert_eq!(statuses, [status, Status::Idle], "the second never began");
    }
}

#[test]
fn a_report_that_comes_twice_is_counted_once() {
    let mut bench = Bench::open(&[1, 2]);
    let first = bench.complete(1);
    assert!(matches!(bench.complete(1).decision, Decision::Nothing(_)));
    // The same message again: what it caused still holds.
    assert_eq!(bench.give_again(first.cause, report(1, Status::Completed)).effects, first.effects);
    assert_eq!(bench.project.counts(), counts(1, 0));
}

#[test]
fn a_phase_that_was_given_up_ends_the_project_with_the_reason() {
    let mut bench = Bench::open(&[1, 2]);
    bench.complete(1);
    assert_eq!(bench.give(dead(2)).effects, [Effect::Tell { number: 1 }], "its last word is to stop");
    assert_eq!(bench.ended(), (Status::Error, Some("phase 2 was given up: delivery_limit")));
    assert_eq!(bench.project.phase(2).map(|phase| phase.status), Some(Status::Error));
}

#[test]
fn a_phase_that_can_never_be_sent_ends_the_project() {
    let mut bench = Bench::open(&[1]);
    bench.give(bench.refused(1, Why::Unsendable("message of 2000000 bytes".into())));
    let error = "phase 1 was given up: it can not be sent: message of 2000000 bytes";
    assert_eq!(bench.ended(), (Status::Error, Some(error)));
}

#[test]
fn a_refused_start_is_tried_again_by_the_alarm() {
    for why in [Why::Nacked, Why::Returned] {
        let mut bench = Bench::open(&[1]);
        let refusal = bench.refused(1, why.clone());
        let step = bench.give(refusal.clone());
        let again_at = NOON.plus_ms(REFUSED_WAIT_MS);
        assert_eq!(step.events()[0], Event::StartRefused { at: NOON, phase: 1, again_at, error: why.to_string() });
        assert_eq!(step.effects, [Effect::Alarm { number: 2 }]);
        let again = bench.alarm();
        assert_eq!(bench.now, again_at);
        assert_eq!(again.effects, [Effect::StartPhase { phase: 1 }, Effect::Alarm { number: 3 }]);
        assert!(matches!(bench.give(refusal).decision, Decision::Nothing(_)), "of the older one");
        assert_eq!(bench.alarm().effects, [Effect::Alarm { number: 4 }], "once is enough");
    }
}

#[test]
fn an_alarm_before_the_wait_is_over_does_not_try() {
    let mut bench = Bench::open(&[1]);
    bench.give(bench.refused(1, Why::Nacked));
    bench.now = bench.now.plus_ms(4_999);
    assert_eq!(bench.give(Input::Alarm { number: 2 }).effects, [Effect::Alarm { number: 3 }]);
    assert_eq!(bench.alarm().effects, [Effect::StartPhase { phase: 1 }, Effect::Alarm { number: 4 }]);
}

#[test]
fn every_alarm_is_followed_by_the_next_and_hands_nothing_over() {
    let mut bench = Bench::open(&[1]);
    for number in 1..5 {
        assert_eq!(bench.alarm().effects, [Effect::Alarm { number: number + 1 }]);
    }
    assert_eq!(bench.now, NOON.plus_ms(4 * 60_000));
    assert!(matches!(bench.give(Input::Alarm { number: 4 }).decision, Decision::Nothing(_)));
}

#[test]
fn recover_hands_the_current_phase_over_again_to_the_same_partition() {
    let mut bench = Bench::open(&[1, 2]);
    bench.complete(1);
    let (before, id) = (bench.project.phase(2).cloned().expect("it"), bench.project.start_id(2));
    // The count of partitions belongs to the store; were it another, this phase would keep its own.
    bench.partitions = 1;
    let step = bench.give(Input::Recover);
    let effects = [Effect::StartPhase { phase: 2 }, Effect::Tell { number: 1 }, Effect::Alarm { number: 2 }];
    assert_eq!(step.effects, effects);
    let after = bench.project.phase(2).expect("it");
    assert_eq!(after.partition, before.partition);
    assert!(after.started_version > before.started_version, "coordinators take it for the newer word");
    assert_ne!(bench.project.start_id(2), id);
}

#[test]
fn partitions_are_dealt_by_the_count_that_the_project_began_with() {
    let mut bench = Bench::open(&[1, 2, 3]);
    bench.partitions = 1;
    bench.complete(1);
    bench.complete(2);
    for phase in bench.project.phases() {
        assert_eq!(phase.partition, Some(StreamId::Phase(id(), phase.number).partition(PARTITIONS)));
    }
}
