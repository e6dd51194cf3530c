//! Cancel, pause, resume and recover: what is told, what is repeated, and what is said too early.

use super::*;

const ALL: Option<SubtaskId> = None;

fn told_cancel() -> Word {
    Word::Cancel { subtask: ALL, reason: "wrong input".into() }
}

#[test]
fn a_cancelled_project_ends_when_its_phase_has_closed_everything() {
    let mut bench = Bench::open(&[1, 2]);
    let step = bench.give(cancel());
    assert_eq!(step.effects, [Effect::Tell { number: 1 }]);
    assert_eq!(bench.told(), [(1, 1, &told_cancel())]);
    assert_eq!((bench.current(), bench.project.status()), (Some(1), Status::Busy));
    // The same message, whose effects still hold, and another that says the same.
    assert_eq!(bench.give_again(step.cause, cancel()).effects, step.effects);
    let again = bench.give(cancel());
    assert_eq!(again.decision, Decision::Nothing("the project is being cancelled already"));
    assert_eq!(again.effects, []);
    let report = PhaseReport { error: Some("wrong input".into()), ..report_of(1, Status::Cancelled) };
    bench.give(Input::Report(report));
    assert_eq!(bench.ended(), (Status::Cancelled, Some("wrong input")));
    assert_eq!(bench.told(), []);
    assert_eq!(bench.give_again(step.cause, cancel()).effects, []);
}

#[test]
fn whatever_the_phase_was_about_to_say_a_cancelled_project_goes_no_further() {
    for (status, phases, ends) in [
        (Status::Completed, &[1, 2][..], Status::Cancelled),
        (Status::Error, &[1, 2], Status::Cancelled),
        (Status::Error, &[1], Status::Cancelled),
        // All of it was done before the word came.
        (Status::Completed, &[1], Status::Completed),
    ] {
        let mut bench = Bench::open(phases);
        bench.give(cancel());
        assert_eq!(bench.give(report(1, status)).effects, []);
        assert_eq!(bench.ended().0, ends, "{status} {phases:?}");
    }
}

#[test]
fn without_a_phase_it_is_cancelled_at_once() {
    let mut paused = Bench::open(&[1, 2]);
    paused.give(Input::Pause);
    paused.complete(1);
    let mut asking = open_with(r#"{"on_failure":"ask"}"#, &[1, 2]);
    asking.give(dead(1));
    for mut bench in [paused, asking] {
        assert_eq!(bench.current(), None);
        bench.give(cancel());
        assert_eq!(bench.ended(), (Status::Cancelled, Some("wrong input")));
        assert_eq!(bench.project.open_questions().count(), 0);
    }
}

#[test]
fn without_a_phase_recover_is_heard_once_too() {
    let mut bench = Bench::open(&[1, 2]);
    bench.give(Input::Pause);
    bench.complete(1);
    let step = bench.give(Input::Recover);
    assert_eq!((bench.current(), step.effects.len()), (None, 1), "its alarm");
    let again = bench.give_again(step.cause, Input::Recover);
    assert_eq!((again.decision, again.effects), (Decision::Nothing("it was heard before"), step.effects));
}

#[test]
fn a_subtask_is_cancelled_in_the_phase_that_runs() {
    let mut bench = Bench::open(&[1, 2]);
    let word = Word::Cancel { subtask: Some(subtask(1, 4)), reason: String::new() };
    assert_eq!(bench.give(cancel_one(1, 4)).effects, [Effect::Tell { number: 1 }]);
    assert_eq!(bench.told(), [(1, 1, &word)]);
    assert_eq!(bench.give(cancel_one(1, 4)).decision, Decision::Nothing("the subtask is being cancelled already"));
    assert_eq!(bench.give(cancel_one(1, 5)).effects, [Effect::Tell { number: 2 }]);
    bench.complete(1);
    assert_eq!((bench.told(), bench.current()), (vec![], Some(2)));
    for over in [cancel_one(1, 4), cancel_one(3, 0)] {
        assert_eq!(bench.give(over).decision, Decision::Nothing("the subtask's phase is over, or there is none"));
    }
}

#[test]
fn while_it_is_paused_no_phase_is_started() {
    let mut bench = Bench::open(&[1, 2]);
    let pause = bench.give(Input::Pause);
    assert_eq!(pause.effects, [Effect::Tell { number: 1 }]);
    assert_eq!((bench.told(), bench.project.status()), (vec![(1, 1, &Word::Pause)], Status::Paused));
    assert_eq!(bench.give(Input::Pause).decision, Decision::Nothing("the project is paused already"));
    assert_eq!(bench.complete(1).effects, []);
    assert_eq!((bench.current(), bench.project.status()), (None, Status::Paused));
    assert_eq!(bench.alarm().effects, [Effect::Alarm { number: 2 }], "something is always out");
    let resume = bench.give(Input::Resume);
    assert_eq!(resume.effects, [Effect::StartPhase { phase: 2 }]);
    assert_eq!(bench.give(Input::Resume).decision, Decision::Nothing("the project is not paused"));
    // The first pause, delivered again, is of the past.
    let late = bench.give_again(pause.cause, Input::Pause);
    assert_eq!((late.decision, late.effects), (Decision::Nothing("it was heard before"), vec![]));
    assert_eq!(bench.project.status(), Status::Busy);
}

#[test]
fn of_pause_and_resume_the_newest_is_told() {
    let mut bench = Bench::open(&[1]);
    let pause = bench.give(Input::Pause);
    let first = bench.project.told()[&1].version;
    bench.give(Input::Resume);
    assert_eq!(bench.told(), [(2, 1, &Word::Resume)]);
    assert!(bench.project.told()[&2].version > first, "coordinators take it for the newer word");
    assert_eq!(bench.give_again(pause.cause, Input::Pause).effects, []);
    bench.complete(1);
    assert_eq!(bench.ended(), (Status::Completed, None));
}

#[test]
fn a_word_that_was_refused_is_told_again_by_the_alarm() {
    let mut bench = Bench::open(&[1]);
    let told = bench.give(Input::Pause);
    let refusal = bench.tell_refused(1, Why::Returned);
    let step = bench.give(refusal.clone());
    let again_at = NOON.plus_ms(5_000);
    let error = "there is no such queue".to_owned();
    assert_eq!(step.events()[0], Event::TellRefused { at: NOON, number: 1, again_at, error });
    assert_eq!(step.effects, [Effect::Alarm { number: 2 }]);
    assert_eq!(bench.give_again(told.cause, Input::Pause).effects, [], "it waits");
    let again = bench.alarm();
    assert_eq!(bench.now, again_at);
    assert_eq!(again.effects, [Effect::Tell { number: 1 }, Effect::Alarm { number: 3 }]);
    assert!(matches!(bench.give(refusal).decision, Decision::Nothing(_)), "of the older one");
    assert_eq!(bench.alarm().effects, [Effect::Alarm { number: 4 }], "once is enough");
}

#[test]
fn what_is_said_of_a_project_that_nobody_knows_waits_for_it() {
    let mut cancelled = Bench::new();
    let step = cancelled.give(cancel());
    assert!(matches!(step.events(), [Event::CancelAsked { status: Status::Cancelled, .. }]));
    assert_eq!(step.effects, []);
    assert_eq!(cancelled.give(cancel()).decision, Decision::Nothing("it is cancelled already"));
    let accepted = cancelled.give(request(Ok(goals(&[1, 2]))));
    assert_eq!(accepted.effects, []);
    assert_eq!(cancelled.ended(), (Status::Cancelled, Some("wrong input")));

    let mut paused = Bench::new();
    paused.give(Input::Pause);
    paused.now = NOON.plus_ms(5_000);
    assert_eq!(paused.give(request(Ok(goals(&[1, 2])))).effects, [Effect::Alarm { number: 1 }]);
    assert_eq!((paused.project.status(), paused.current()), (Status::Paused, None));
    assert_eq!(paused.give(Input::Resume).effects, [Effect::StartPhase { phase: 1 }]);

    let mut resumed = Bench::new();
    resumed.give(Input::Pause);
    resumed.give(Input::Resume);
    resumed.give(request(Ok(goals(&[1]))));
    assert_eq!((resumed.project.status(), resumed.current()), (Status::Busy, Some(1)));
}

#[test]
fn recover_tells_again_what_the_phase_may_have_lost() {
    let mut bench = Bench::open(&[1, 2]);
    bench.give(Input::Pause);
    let step = bench.give(Input::Recover);
    let effects = [
        Effect::StartPhase { phase: 1 },
        Effect::Tell { number: 1 },
        Effect::Tell { number: 2 },
        Effect::Alarm { number: 2 },
    ];
    assert_eq!(step.effects, effects);
    assert_eq!(bench.told(), [(1, 1, &Word::Pause), (2, 1, &Word::Recover)]);
    let started = bench.project.phase(1).expect("it").started_version;
    assert!(bench.project.told()[&1].version > started, "it stays paused");
    // The same message once more sends the same, and records nothing.
    let again = bench.give_again(step.cause, Input::Recover);
    assert_eq!((again.decision, again.effects), (Decision::Nothing("it was heard before"), step.effects));
    let second = bench.give(Input::Recover);
    assert_eq!(bench.told(), [(1, 1, &Word::Pause), (3, 1, &Word::Recover)]);
    assert_eq!(second.effects.len(), 4);
}

#[test]
fn the_deadline_stands_still_while_it_is_paused() {
    let with_deadline = || {
        let mut bench = Bench::new();
        bench.give(request_with(|request| {
            request.request.deadline_ms = Some(3_600_000);
            request.plan = Ok(goals(&[1, 2]));
        }));
        bench
    };
    let alarm_after = |bench: &mut Bench, ms: u64| {
        bench.now = bench.now.plus_ms(ms);
        let number = bench.project.alarm().expect("an alarm").number;
        bench.give(Input::Alarm { number })
    };
    let mut bench = with_deadline();
    assert!(matches!(alarm_after(&mut bench, 3_599_999).events(), [Event::AlarmSet { .. }]));
    let passed = alarm_after(&mut bench, 1);
    let reason = "the deadline of 1h passed";
    assert_eq!(bench.told(), [(1, 1, &Word::Cancel { subtask: ALL, reason: reason.into() })]);
    assert_eq!(passed.effects[0], Effect::Tell { number: 1 });
    assert!(matches!(alarm_after(&mut bench, 60_000).events(), [Event::AlarmSet { .. }]), "it is said once");
    bench.give(report(1, Status::Cancelled));
    assert_eq!(bench.ended(), (Status::Error, Some(reason)));

    let mut bench = with_deadline();
    bench.now = bench.now.plus_ms(3_000_000);
    bench.give(Input::Pause);
    bench.complete(1);
    assert!(matches!(alarm_after(&mut bench, 86_400_000).events(), [Event::AlarmSet { .. }]));
    bench.give(Input::Resume);
    assert!(matches!(alarm_after(&mut bench, 599_999).events(), [Event::AlarmSet { .. }]));
    alarm_after(&mut bench, 1);
    assert!(bench.project.cancel().is_some());
}

#[test]
fn a_bad_policy_or_deadline_ends_it_in_error_at_once() {
    for (policy, deadline_ms, error) in [
        (r#"{"on_failure":"panic"}"#, None, "the `policy` of a project: unknown variant `panic`"),
        (r#"{"running":7}"#, None, "the `policy` of a project: "),
        ("7", None, "the `policy` of a project: "),
        ("{}", Some(0), "the `deadline_ms` of a project is not from 1 to "),
        ("{}", Some(u64::MAX), "the `deadline_ms` of a project is not from 1 to "),
    ] {
        let mut bench = Bench::new();
        bench.give(request_with(|request| {
            request.request.policy = Raw::parse(policy).expect("JSON");
            request.request.deadline_ms = deadline_ms;
        }));
        let (status, why) = bench.ended();
        assert_eq!(status, Status::Error);
        assert!(why.is_some_and(|why| why.starts_with(error)), "{why:?}");
    }
}
