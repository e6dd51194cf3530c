//! What the policy makes of a phase that can not go on, and how long coordinators may be silent.

use super::*;

fn given_up(policy: &str) -> Bench {
    let mut bench = open_with(&format!(r#"{{"on_failure":"{policy}"}}"#), &[1, 2]);
    bench.give(dead(1));
    bench
}

#[test]
fn the_policy_says_what_becomes_of_it() {
    let reason = "phase 1 was given up: delivery_limit";
    assert_eq!(given_up("fail").ended(), (Status::Error, Some(reason)));
    for policy in ["skip", "continue"] {
        let mut bench = given_up(policy);
        assert_eq!(bench.current(), Some(2), "{policy}");
        bench.complete(2);
        assert_eq!(bench.ended(), (Status::Completed, None));
        assert_eq!(bench.project.phase(1).map(|phase| (phase.status, phase.is_skipped)), Some((Status::Error, true)));
    }
    assert_eq!(given_up("ask").project.status(), Status::Waiting);
    let mut bench = given_up("replan");
    assert_eq!(bench.current(), Some(3));
    bench.give(dead(3));
    bench.give(dead(4));
    assert_eq!(bench.ended().1, Some("phase 4 was given up: delivery_limit (it was planned anew 2 times)"));
}

#[test]
fn its_last_word_is_to_stop() {
    let mut bench = Bench::open(&[1]);
    let step = bench.give(dead(1));
    let word = Word::Cancel { subtask: None, reason: "phase 1 was given up: delivery_limit".into() };
    assert_eq!((bench.told(), step.effects), (vec![(1, 1, &word)], vec![Effect::Tell { number: 1 }]));
    // Nobody waits for it: refused, it is not told again.
    let refusal = bench.tell_refused(1, Why::Returned);
    assert_eq!(bench.give(refusal.clone()).effects, []);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.give(refusal).decision, Decision::Nothing("the project has ended"));
}

#[test]
fn a_late_report_of_it_changes_nothing() {
    for policy in ["fail", "skip", "replan", "ask"] {
        let mut bench = given_up(policy);
        let late = bench.give(report(1, Status::Completed)).decision;
        assert!(matches!(late, Decision::Nothing(_)), "{policy}: {late:?}");
    }
}

#[test]
fn what_can_never_be_sent_is_not_planned_anew() {
    let mut bench = open_with(r#"{"on_failure":"replan"}"#, &[1, 2]);
    bench.give(bench.refused(1, Why::Unsendable("message of 2000000 bytes".into())));
    assert_eq!(bench.ended().0, Status::Error);
    assert_eq!(bench.told(), [], "it was never there");
    let mut bench = open_with(r#"{"on_failure":"skip"}"#, &[1, 2]);
    let step = bench.give(bench.refused(1, Why::Unsendable("message of 2000000 bytes".into())));
    assert_eq!(step.effects, [Effect::StartPhase { phase: 2 }]);
}

#[test]
fn a_phase_whose_coordinators_are_away_for_long_is_given_up() {
    let silent = |heard: Option<u64>, listening: u64, now: u64| {
        let mut bench = Bench::open(&[1]);
        bench.coordinator_heard = heard.map(|ms| NOON.plus_ms(ms));
        bench.listening_since = NOON.plus_ms(listening);
        bench.now = NOON.plus_ms(now);
        bench.give(Input::Alarm { number: 1 });
        bench.project.ended().is_some()
    };
    assert!(silent(None, 0, AWAY_MS));
    assert!(!silent(None, 0, AWAY_MS - 1));
    assert!(!silent(Some(1), 0, AWAY_MS), "one was heard of");
    assert!(silent(Some(1), 0, AWAY_MS + 1));
    assert!(!silent(None, 1, AWAY_MS), "whoever has not listened can not say");
    let mut bench = Bench::open(&[1, 2]);
    bench.listening_since = NOON;
    bench.now = NOON.plus_ms(AWAY_MS);
    bench.complete(1);
    bench.alarm();
    assert_eq!(bench.current(), Some(2), "it was handed over just now");
    bench.now = NOON.plus_ms(2 * AWAY_MS);
    bench.alarm();
    assert_eq!(bench.ended().1, Some("phase 2 was given up: no coordinator has been heard of for 1h"));
}

#[test]
fn its_alarm_comes_when_they_are_away_for_too_long() {
    let mut bench = Bench::open(&[1]);
    bench.listening_since = NOON.plus_ms(25_000);
    while bench.project.is_open() {
        bench.alarm();
    }
    assert_eq!(bench.now, NOON.plus_ms(AWAY_MS + 25_000), "neither before nor after");
}

#[test]
fn a_cancelled_project_does_not_wait_for_coordinators_that_are_away() {
    let mut bench = open_with(r#"{"on_failure":"ask"}"#, &[1, 2]);
    bench.give(cancel());
    bench.give(dead(1));
    assert_eq!(bench.ended(), (Status::Cancelled, Some("wrong input")));
    // It has not failed: what is to be run again is only what has.
    let again = bench.give(Input::Retry(Retry { failed_only: true, ..retry() }));
    assert_eq!(again.decision, Decision::Nothing("what is left of it was cancelled"));
}

#[test]
fn a_pause_needs_no_coordinators() {
    let mut bench = Bench::open(&[1]);
    bench.listening_since = NOON;
    bench.give(Input::Pause);
    for _ in 0..90 {
        bench.alarm();
    }
    assert!(bench.now > NOON.plus_ms(AWAY_MS) && bench.project.is_open(), "{}", bench.now);
    let resumed = bench.now;
    bench.give(Input::Resume);
    for _ in 0..90 {
        if bench.project.is_open() {
            bench.alarm();
        }
    }
    assert_eq!(bench.now, resumed.plus_ms(AWAY_MS), "from when they were to go on");
}

#[test]
fn a_phase_is_handed_over_again_now_and_then() {
    let mut bench = Bench::open(&[1]);
    bench.give(Input::Cancel(Cancel { subtask: Some(SubtaskId { phase: 1, ordinal: 3 }), reason: None }));
    let alarms_until = |bench: &mut Bench, ms| {
        let mut effects = Vec::new();
        while bench.project.alarm().is_some_and(|alarm| alarm.not_before <= NOON.plus_ms(ms)) {
            effects.extend(bench.alarm().effects.into_iter().filter(|effect| !matches!(effect, Effect::Alarm { .. })));
        }
        effects
    };
    // Nobody has been heard of who could have taken it.
    assert_eq!(alarms_until(&mut bench, 900_000), []);
    bench.coordinator_heard = Some(bench.now);
    let again = [Effect::Tell { number: 1 }, Effect::StartPhase { phase: 1 }];
    assert_eq!(alarms_until(&mut bench, 1_199_000), again);
    let phase = bench.project.phase(1).expect("a phase");
    assert_eq!((phase.started_at, phase.handed_over_at), (NOON, NOON.plus_ms(960_000)));
    // What is heard in between is worth another.
    bench.coordinator_heard = Some(bench.now.plus_ms(200_000));
    assert_eq!(alarms_until(&mut bench, 1_259_000), []);
    assert_eq!(alarms_until(&mut bench, 1_260_000), again);
}
