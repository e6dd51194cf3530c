//! Charged failures: when they are tried again, by whom, and what avoids whom.

use super::*;
use crate::domain::expand::Fallback;

fn spec(retry: Retry, fallback: Option<Fallback>) -> Vec<Spec> {
    let mut specs = graph("a@main; b: a");
    specs[0].retry = retry;
    specs[0].fallback = fallback.map(Box::new);
    specs
}

fn fallback(after: Option<u32>) -> Fallback {
    Fallback {
        after,
        skill: "spare".into(),
        timeout_ms: 7_000,
        max_attempts: 2,
        retry: Retry { first_ms: 0, ..Retry::default() },
        queue_wait_ms: None,
        lease_ms: None,
    }
}

/// The end of the wait of `a`.
fn until(bench: &Bench) -> Timestamp {
    bench.phase.waits_until(0).expect("it waits")
}

#[test]
fn a_charged_failure_waits_with_jitter_and_is_never_tried_sooner() {
    let mut bench = Bench::of(spec(Retry::default(), None));
    for (attempt, bound) in [(1, 1_000), (2, 2_000)] {
        let command = bench.command(0);
        let step = bench.fail(0, FailureKind::Transient);
        assert_eq!((step.commands(), bench.shows()), (vec![], format!("W{attempt} I0")));
        let wait = until(&bench).ms_since(bench.now);
        assert_eq!(wait, Retry::default().wait_ms(command, attempt, None), "derived from the command that failed");
        assert!(wait <= bound, "{wait}");
        let due = until(&bench);
        while bench.shows().starts_with('W') {
            assert!(bench.now < due, "it is due, and waits");
            bench.alarm();
        }
        assert!(bench.now >= due, "tried again before its time");
        assert_eq!(bench.shows(), format!("B{} I0", attempt + 1));
    }
    bench.fail(0, FailureKind::Transient);
    assert_eq!(bench.ended().0, Status::Error);
}

#[test]
fn an_executor_that_says_when_to_come_back_is_not_asked_sooner() {
    let mut bench = Bench::of(spec(Retry::default(), None));
    let failure = Failure { retry_after_ms: Some(10_000), ..Failure::new(FailureKind::Transient, "busy") };
    bench.give(bench.answer(0, AnswerBody::Failed(failure)));
    assert_eq!(until(&bench), NOON.plus_ms(10_000));
    while bench.shows().starts_with('W') {
        bench.alarm();
    }
    assert_eq!(bench.now, NOON.plus_ms(10_000));
}

#[test]
fn only_the_kinds_of_its_policy_are_tried_again() {
    let only = |on: &[FailureKind]| Retry { on: on.to_vec(), first_ms: 0, ..Retry::default() };
    for (on, kind, again) in [
        (&[FailureKind::Timeout][..], FailureKind::Transient, false),
        (&[FailureKind::Timeout], FailureKind::Timeout, true),
        (&[FailureKind::Permanent], FailureKind::Permanent, true),
        (&[], FailureKind::Crashed, false),
    ] {
        let mut bench = Bench::of(spec(only(on), None));
        bench.fail(0, kind);
        assert_eq!(bench.shows(), if again { "B2 I0" } else { "E1 I0" }, "{on:?} {kind}");
    }
}

#[test]
fn a_fallback_has_attempts_of_its_own_and_no_fallback() {
    let now = Retry { first_ms: 0, ..Retry::default() };
    for (after, own) in [(None, 3), (Some(1), 1), (Some(2), 2), (Some(9), 3)] {
        let mut bench = Bench::of(spec(now.clone(), Some(fallback(after))));
        for attempt in 1..=own {
            assert_eq!((bench.phase.terms(0).skill, bench.phase.flights()[&0].attempt), ("main", attempt));
            bench.fail(0, FailureKind::Transient);
        }
        bench.alarm();
        let terms = bench.phase.terms(0);
        assert_eq!((terms.skill, terms.timeout_ms, terms.max_attempts), ("spare", 7_000, 2), "{after:?}");
        assert_eq!((bench.phase.in_flight("main"), bench.phase.in_flight("spare")), (0, 1));
        bench.fail(0, FailureKind::Transient);
        assert_eq!(bench.ended_status(), None);
        bench.fail(0, FailureKind::Transient);
        assert_eq!(bench.ended().0, Status::Error, "{after:?}");
        let failed = bench.phase.dossier(None).expect("a dossier").failed.remove(0);
        assert_eq!(failed.skill, "main", "as it was planned");
        let skills: Vec<_> = failed.attempts.iter().map(|attempt| attempt.skill.as_deref()).collect();
        let expected = [vec![None; own as usize], vec![Some("spare"); 2]].concat();
        assert_eq!(skills, expected, "every attempt is on the record, with what it ran on");
        let view = crate::domain::view::PhaseView::fold(2, &bench.events);
        let shown = &view.goals[0].subtasks[0];
        let skills: Vec<_> = shown.attempt_log.iter().map(|attempt| attempt.skill.as_deref()).collect();
        assert_eq!((shown.skill.as_str(), skills), ("main", expected));
    }
}

#[test]
fn what_will_fail_the_same_way_every_time_goes_to_the_fallback_at_once() {
    for kind in [FailureKind::Permanent, FailureKind::Unsupported] {
        let mut bench = Bench::of(spec(Retry::default(), Some(fallback(None))));
        bench.fail(0, kind);
        bench.sleep_until(until(&bench));
        assert_eq!(bench.phase.terms(0).skill, "spare");
        bench.complete(0);
        bench.complete(1);
        assert_eq!(bench.ended().0, Status::Completed);
    }
}

#[test]
fn agents_that_failed_at_it_are_to_be_avoided() {
    let mut bench = Bench::open("a; b");
    assert_eq!(bench.phase.avoided(0), []);
    for (agent, kind) in
        [("one", FailureKind::Transient), ("two", FailureKind::Released), ("one", FailureKind::Timeout)]
    {
        let Input::Answer(answer) = bench.answer(0, failed(kind)) else { panic!("no answer") };
        bench.give(Input::Answer(Answer { agent: agent.into(), started_at: Some(NOON), ..answer }));
        if bench.shows().starts_with('W') {
            bench.alarm();
        }
    }
    assert_eq!(bench.phase.avoided(0), [AgentId::new("one").expect("a word")], "what is given back is no failure");
    assert_eq!(bench.phase.avoided(1), []);
    bench.complete(0);
    assert_eq!(bench.phase.avoided(0), []);
}

#[test]
fn a_bounded_wait_in_the_queue_is_charged_when_it_is_over() {
    let specs = || {
        let mut specs = graph("a");
        specs[0].queue_wait_ms = Some(2_000);
        specs[0].max_attempts = 2;
        specs
    };
    let mut bench = Bench::of(specs());
    assert_eq!(bench.phase.flights()[&0].not_after, NOON.plus_ms(2_000));
    // An executor that gets it later says so.
    let Input::Answer(late) = bench.answer(0, failed(FailureKind::Timeout)) else { panic!("no answer") };
    bench.give(Input::Answer(Answer { started_at: None, ..late }));
    assert_eq!(bench.phase.subtask(0).map(|subtask| subtask.failures), Some(1));
    // Nobody gets it at all: nobody says that it runs.
    while bench.ended_status().is_none() {
        bench.alarm();
    }
    assert_eq!(bench.now, NOON.plus_ms(2_000 + ANSWER_WITHIN_MS));
    let error = "subtask `a` failed: timeout: it waited in its queue for longer than 2000 ms";
    assert_eq!(bench.ended(), (Status::Error, Some(error)));
    // One that is heard of is waited for, and so is one of whom nothing is heard in any case.
    for (offer, is_heard) in [(Offer::Announced, true), (Offer::External, false)] {
        let mut bench = Bench::of(specs());
        bench.offer = offer;
        if is_heard {
            bench.heard.insert(bench.command(0), NOON);
        }
        bench.sleep_until(NOON.plus_ms(2_000 + ANSWER_WITHIN_MS));
        assert_eq!(bench.shows(), "B1");
        bench.complete(0);
        assert_eq!(bench.ended().0, Status::Completed);
    }
}
