//! Cancel, pause and resume, in whatever order they come.

use super::*;

fn cancel(project_version: u64) -> Word {
    Word::Cancel { project_version, reason: Some("no longer wanted".into()) }
}

fn pause(project_version: u64) -> Word {
    Word::Pause { project_version }
}

fn resume(project_version: u64) -> Word {
    Word::Resume { project_version }
}

fn cancel_one(ordinal: u32) -> Word {
    Word::CancelSubtask { ordinal, reason: None }
}

#[test]
fn a_cancelled_phase_is_over_at_once() {
    let mut bench = Bench::open_with("a; b; c; d: a", 2);
    let (late, command) = (bench.answer(0, done()), bench.command(1));
    let step = bench.word(cancel(9));
    assert_eq!(step.effects, [Effect::Report]);
    assert_eq!((bench.ended(), bench.shows().as_str()), ((Status::Cancelled, Some("no longer wanted")), "X1 X1 X0 X0"));
    assert_eq!(bench.phase.counts().cancelled, 4);
    // One that did not hear it runs on, and its result changes nothing.
    assert_eq!(bench.give(late).effects, []);
    assert_eq!(bench.phase.unwanted().keys().copied().collect::<Vec<_>>(), [command]);
    assert!(bench.word(cancel(10)).is_nothing());
    // It is told again at every alarm, and no longer than it can run.
    let mut alarms = 0;
    while !bench.phase.unwanted().is_empty() {
        bench.alarm();
        alarms += 1;
    }
    assert!((5..10).contains(&alarms), "{alarms}");
    assert!(bench.alarm().is_nothing());
}

#[test]
fn a_paused_phase_hands_nothing_out_and_its_waits_stand_still() {
    let mut bench = Bench::open_with("a; b; c; e", 2);
    let failure = Failure { retry_after_ms: Some(10_000), ..Failure::new(FailureKind::Transient, "busy") };
    bench.give(bench.answer(0, AnswerBody::Failed(failure.clone())));
    assert_eq!(bench.shows(), "W1 B1 B1 R0");
    bench.pass_ms(4_000);
    bench.word(pause(7));
    assert_eq!(bench.phase.status(), Status::Paused);
    // What the broker has runs to its end.
    assert_eq!(bench.complete(1).commands(), []);
    bench.pass_ms(50_000);
    bench.give(bench.answer(2, AnswerBody::Failed(failure)));
    for _ in 0..5 {
        assert_eq!(bench.alarm().commands(), []);
    }
    assert_eq!(bench.shows(), "W1 C1 W1 R0");
    assert!(bench.word(pause(8)).events().len() == 1, "a newer word of the same");
    let step = bench.word(resume(9));
    assert_eq!(step.commands(), [(3, 1)]);
    // Six seconds were left when it was paused; the other failed in the pause and has all of its wait before it.
    let left = |ordinal: u32| bench.phase.waits_until(ordinal).expect("it waits").ms_since(bench.now);
    assert_eq!([left(0), left(2)], [6_000, 10_000]);
    bench.complete(3);
    while bench.ended_status().is_none() {
        match bench.phase.flights().keys().next().copied() {
            Some(ordinal) => bench.complete(ordinal),
            None => bench.alarm(),
        };
    }
    assert_eq!(bench.ended().0, Status::Completed);
}

#[test]
fn deadlines_go_on_while_it_is_paused() {
    let mut bench = Bench::open("a; b");
    bench.word(pause(7));
    while bench.shows().starts_with('B') {
        bench.alarm();
    }
    assert_eq!(bench.now, NOON.plus_ms(START_WITHIN_MS + TIMEOUT_MS + ANSWER_WITHIN_MS));
    assert_eq!(bench.shows(), "R1 R1");
}

#[test]
fn the_newest_word_wins_in_whatever_order_they_come() {
    let mut bench = Bench::open("a");
    bench.word(resume(12));
    assert!(bench.word(pause(11)).is_nothing());
    assert_eq!(bench.phase.status(), Status::Busy);
    bench.word(pause(13));
    assert!(bench.word(resume(12)).is_nothing());
    assert_eq!(bench.phase.status(), Status::Paused);
    bench.word(cancel(11));
    assert_eq!(bench.ended().0, Status::Cancelled, "nothing outdates a cancel");
}

#[test]
fn a_word_before_the_start_leaves_a_tombstone() {
    let mut bench = Bench::new();
    assert_eq!(bench.word(cancel(9)).effects, []);
    assert!(bench.word(cancel(9)).is_nothing(), "again");
    let step = bench.give(start(Ok(graph("a; b"))));
    assert_eq!((step.effects.as_slice(), bench.ended().0), (&[Effect::Report][..], Status::Cancelled));

    let mut bench = Bench::new();
    bench.word(pause(9));
    assert_eq!(bench.give(start(Ok(graph("a; b")))).commands(), [], "an older start still brings its goals");
    assert_eq!((bench.phase.status(), bench.shows().as_str()), (Status::Paused, "R0 R0"));
    assert_eq!(bench.word(resume(10)).commands(), [(0, 1), (1, 1)]);

    let mut bench = Bench::new();
    bench.word(pause(1));
    assert_eq!(bench.give(start(Ok(graph("a")))).commands(), [(0, 1)], "a newer start outdates it");
    for old in [pause(5), resume(2)] {
        assert_eq!(bench.word(old).decision, Decision::Nothing("a newer word is known"), "it is older than the start");
    }
    bench.word(pause(u64::MAX));
    bench.word(cancel(5));
    assert_eq!(bench.ended().0, Status::Cancelled, "whatever was said since");

    let mut bench = Bench::new();
    bench.word(resume(10));
    assert!(bench.word(pause(9)).is_nothing());
    assert_eq!(bench.give(start(Ok(graph("a")))).commands(), [(0, 1)]);
    let answer = Word::Decide { question: cause(1), answer: Answered::Skip };
    assert_eq!(Bench::new().word(answer).decision, Decision::Refuse("unknown_stream"));
}

#[test]
fn what_depends_on_a_cancelled_subtask_follows_the_policy() {
    let after = |policy: &str, shows: &str| {
        let mut bench = Bench::under(policy, "a; b: a; c");
        let command = bench.command(0);
        bench.word(cancel_one(0));
        assert_eq!(bench.shows(), shows, "{policy}");
        assert!(bench.phase.unwanted().contains_key(&command), "{policy}");
        assert!(bench.word(cancel_one(9)).decision == Decision::Nothing("the plan has no such subtask"));
        bench.complete(2);
        bench
    };
    let failed = after("fail", "X1 I0 B1");
    assert_eq!(failed.ended(), (Status::Error, Some("subtask `a` was cancelled")));
    assert_eq!(after("replan", "X1 I0 B1").ended().0, Status::Error);
    assert_eq!(after("skip", "X1 S0 B1").ended().0, Status::Completed);
    let mut bench = after("continue", "X1 B1 B1");
    bench.complete(1);
    assert_eq!(bench.ended().0, Status::Completed);
    let bench = after("ask", "W1 I0 B1");
    assert!(bench.phase.question_id(0).is_some());
    // Nobody needs to be asked about one that nothing depends on.
    let mut bench = Bench::under("ask", "a; c");
    bench.word(cancel_one(0));
    assert!(bench.word(cancel_one(0)).is_nothing());
    bench.complete(1);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Completed, "X1 C1"));
}

#[test]
fn one_that_waits_or_is_ready_can_be_cancelled_too() {
    let mut bench = Bench::under("skip", "a; b; c: b");
    bench.fail(0, FailureKind::Released);
    bench.allowance = 0;
    bench.word(cancel_one(0));
    bench.word(cancel_one(2));
    bench.complete(1);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Completed, "X1 C1 X0"));
}

#[test]
fn what_was_cancelled_before_the_phase_began_is_never_handed_out() {
    for (policy, shows, ends) in [
        ("fail", "X0 I0 I0 X0", Some(Status::Error)),
        ("skip", "X0 B1 S0 X0", None),
        ("continue", "X0 B1 B1 X0", None),
        ("ask", "W0 B1 I0 X0", None),
    ] {
        let mut bench = Bench::new();
        let words = [0, 3, 77].map(|ordinal| bench.word(cancel_one(ordinal)));
        assert!(words.iter().all(|step| matches!(step.events(), [Event::SubtaskUnwanted { .. }])));
        assert!(bench.give_again(words[0].cause, Input::Word(cancel_one(0))).is_nothing());
        assert_eq!(bench.phase.status(), Status::Idle);
        let step = bench.give(start_under(policy, "a; b; c: a; d"));
        assert_eq!((bench.shows().as_str(), bench.ended_status()), (shows, ends), "{policy}");
        assert!(step.effects.iter().all(|effect| !matches!(effect, Effect::Execute { ordinal: 0 | 3, .. })));
        let asks = step.effects.iter().filter(|effect| matches!(effect, Effect::Ask { .. })).count();
        assert_eq!(asks, usize::from(policy == "ask"));
    }
}

#[test]
fn of_what_was_never_wanted_nothing_is_cancelled_that_is_kept() {
    let mut bench = Bench::new();
    bench.word(cancel_one(0));
    bench.word(cancel(9));
    bench.give(start(Ok(graph("a; b"))));
    assert_eq!(bench.ended_status(), Some(Status::Cancelled), "the whole phase is not wanted");
    let mut bench = Bench::new();
    bench.word(cancel_one(0));
    let kept = vec![Kept { ordinal: 0, from: crate::wire::SubtaskId { phase: 1, ordinal: 0 }, bytes: 4 }];
    bench.give(Input::Start(Box::new(Start { kept, ..started(Ok(graph("a; b: a"))) })));
    assert_eq!(bench.shows(), "C0 B1");
}
