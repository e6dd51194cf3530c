//! What a failure for good means for the others: `fail`, `skip`, `continue`, `replan`, `ask`.

use super::*;

#[test]
fn fail_finishes_what_runs_or_cancels_it() {
    let mut bench = Bench::under("fail finish", "bad; running; next: running");
    assert_eq!(bench.fail(0, FailureKind::Permanent).effects, []);
    assert_eq!(bench.shows(), "E1 B1 I0");
    bench.complete(1);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Error, "E1 C1 I0"));

    let mut bench = Bench::under("fail cancel", "bad; running; next: running");
    let command = bench.command(1);
    let step = bench.fail(0, FailureKind::Permanent);
    assert_eq!(step.effects, [Effect::Report], "nothing waits for an executor's answer");
    assert_eq!(bench.shows(), "E1 X1 I0");
    assert!(bench.phase.unwanted().contains_key(&command));
    // Until the executor has said that it is done, it is told again at every alarm.
    let step = bench.alarm();
    assert!(step.events().contains(&Event::CancelRepeated { at: bench.now }), "{step:?}");
    bench.give(answer(1, command, failed(FailureKind::Cancelled)));
    assert!(bench.phase.unwanted().is_empty());
    assert!(bench.alarm().is_nothing());
    assert_eq!(bench.shows(), "E1 X1 I0");
}

#[test]
fn when_a_phase_has_ended_nothing_waits() {
    // One waits for its next attempt, one for an answer; one is ready, and not let out.
    let mut bench = Bench::under("ask", "bad; waits; asked; ready");
    let failure = Failure { retry_after_ms: Some(10_000), ..Failure::new(FailureKind::Transient, "busy") };
    bench.give(bench.answer(1, AnswerBody::Failed(failure)));
    bench.fail(0, FailureKind::Permanent);
    bench.fail(2, FailureKind::Permanent);
    bench.give(Input::Recover);
    bench.word(Word::Pause { project_version: 9 });
    bench.complete(3);
    bench.word(Word::Resume { project_version: 10 });
    assert_eq!(bench.shows(), "W1 W1 W1 C2");
    let question = bench.phase.question_id(0).expect("a question");
    bench.word(decide(question, Answered::Fail));
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Error, "E1 I1 E1 C2"));
    let counts = bench.phase.counts();
    assert_eq!((counts.waiting, counts.ready, counts.idle, counts.add_up()), (0, 0, 1, true));
    assert_eq!((bench.phase.waits_until(1), bench.phase.question_id(2)), (None, None));
}

#[test]
fn skip_skips_what_depends_on_it_and_goes_on() {
    let mut bench = Bench::under("skip", "bad; a: bad; b: a good; good; c*2: b; d: good");
    bench.fail(0, FailureKind::Permanent);
    assert_eq!(bench.shows(), "S1 S0 S0 B1 S0 S0 I0");
    bench.complete(3);
    bench.complete(6);
    assert_eq!((bench.ended(), bench.shows().as_str()), ((Status::Completed, None), "S1 S0 S0 C1 S0 S0 C1"));
    assert_eq!(bench.phase.counts().skipped, 5);
    let dossier = bench.phase.dossier(None).expect("a dossier");
    assert_eq!((dossier.failed.len(), dossier.failed[0].name.as_str(), dossier.more), (1, "bad", 0));
}

#[test]
fn continue_runs_what_depends_on_it_without_its_result() {
    let mut bench = Bench::under("continue", "bad; a: bad; b: a");
    assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), [(1, 1)]);
    bench.complete(1);
    bench.complete(2);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Completed, "S1 C1 C1"));
}

#[test]
fn a_phase_of_failures_only_ends_well_under_skip() {
    let mut bench = Bench::under("skip", "work*30");
    (0..30).for_each(|ordinal| {
        bench.fail(ordinal, FailureKind::Permanent);
    });
    assert_eq!((bench.ended().0, bench.phase.counts().skipped), (Status::Completed, 30));
    let dossier = bench.phase.dossier(None).expect("a dossier");
    assert_eq!((dossier.failed.len(), dossier.more), (20, 10), "a dossier is bounded");
}

#[test]
fn replan_ends_the_phase_with_a_dossier_for_the_managers() {
    let mut bench = Bench::under("replan", "good; bad; next: bad");
    bench.complete(0);
    bench.fail(1, FailureKind::Permanent);
    assert_eq!(bench.ended().0, Status::Error);
    let dossier = bench.phase.dossier(None).expect("a dossier");
    let failed = &dossier.failed[0];
    assert_eq!((failed.name.as_str(), failed.goal_name.as_str(), failed.attempts.len()), ("bad", "Build", 1));
    assert_eq!((failed.attempts[0].kind, failed.attempts[0].error.as_str()), (FailureKind::Permanent, "out of order"));
    assert_eq!(dossier.completed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

/// A phase that asks about `bad`; `other` has been done.
fn asking() -> (Bench, MessageId) {
    let mut bench = Bench::under("ask", "bad; next: bad; other");
    let step = bench.fail(0, FailureKind::Permanent);
    assert_eq!(step.effects, [Effect::Ask { ordinal: 0, attempt: 1 }]);
    assert_eq!((bench.shows().as_str(), bench.phase.status()), ("W1 I0 B1", Status::Busy));
    bench.complete(2);
    assert_eq!((bench.shows().as_str(), bench.phase.status()), ("W1 I0 C1", Status::Waiting));
    let question = bench.phase.question_id(0).expect("a question");
    (bench, question)
}

fn decide(question: MessageId, answer: Answered) -> Word {
    Word::Decide { question, answer }
}

#[test]
fn ask_waits_for_the_answer_however_long_it_takes() {
    let (mut bench, question) = asking();
    for _ in 0..20 {
        assert_eq!(bench.alarm().commands(), []);
    }
    assert_eq!(bench.word(decide(question, Answered::Retry)).commands(), [(0, 2)]);
    assert_eq!(bench.phase.status(), Status::Busy);
    assert!(bench.word(decide(question, Answered::Skip)).is_nothing(), "a second answer");
    bench.complete(0);
    bench.complete(1);
    assert_eq!(bench.ended().0, Status::Completed);
}

#[test]
fn ask_skip_and_fail() {
    let (mut bench, question) = asking();
    assert!(bench.word(decide(cause(404), Answered::Skip)).is_nothing(), "another question");
    bench.word(decide(question, Answered::Skip));
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Completed, "S1 S0 C1"));

    let (mut bench, question) = asking();
    bench.word(decide(question, Answered::Fail));
    let error = "subtask `bad` failed, and was given up";
    assert_eq!((bench.ended(), bench.shows().as_str()), ((Status::Error, Some(error)), "E1 I0 C1"));
}

#[test]
fn what_is_wanted_again_before_its_turn_waits_for_it() {
    let cancelled = || {
        let mut bench = Bench::under("ask", "a; b: a; c: b");
        bench.word(Word::CancelSubtask { ordinal: 1, reason: None });
        let question = bench.phase.question_id(1).expect("a question");
        (bench, question)
    };
    let (mut bench, question) = cancelled();
    bench.word(decide(question, Answered::Retry));
    assert_eq!(bench.shows(), "B1 I0 I0");
    bench.complete(0);
    assert_eq!(bench.shows(), "C1 B1 I0");

    // Its turn came while it was asked about.
    let (mut bench, question) = cancelled();
    bench.complete(0);
    bench.word(decide(question, Answered::Retry));
    assert_eq!(bench.shows(), "C1 B1 I0");

    // And its turn will never come.
    let (mut bench, question) = cancelled();
    bench.fail(0, FailureKind::Permanent);
    let first = bench.phase.question_id(0).expect("a question");
    bench.word(decide(first, Answered::Skip));
    bench.word(decide(question, Answered::Retry));
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Completed, "S1 S0 S0"));
}

#[test]
fn a_question_of_another_attempt_is_another_question() {
    let (mut bench, first) = asking();
    bench.word(decide(first, Answered::Retry));
    bench.fail(0, FailureKind::Permanent);
    let second = bench.phase.question_id(0).expect("a question");
    assert_ne!(first, second);
    assert!(bench.word(decide(first, Answered::Fail)).is_nothing());
    assert!(!bench.word(decide(second, Answered::Skip)).is_nothing());
}

#[test]
fn of_two_questions_about_a_subtask_the_newer_has_the_higher_version() {
    let asked = |bench: &Bench| bench.phase.questions()[&0].version;
    let (mut bench, _) = asking();
    let first = asked(&bench);
    bench.give(Input::Recover);
    let second = asked(&bench);
    bench.word(Word::CancelSubtask { ordinal: 0, reason: None });
    assert!(first < second && second < asked(&bench), "{first} {second} {}", asked(&bench));
    assert!(bench.phase.is_cancelled_by_hand(0) && !bench.phase.is_cancelled_by_hand(2));
}

#[test]
fn a_refused_question_is_asked_again_by_the_alarm() {
    let (mut bench, question) = asking();
    let refused = Refusal { effect: Effect::Ask { ordinal: 0, attempt: 1 }, id: question, why: Why::Returned };
    bench.give(Input::Refused(refused.clone()));
    assert!(bench.give(Input::Refused(refused)).is_nothing(), "once");
    let step = bench.alarm();
    assert!(step.effects.contains(&Effect::Ask { ordinal: 0, attempt: 1 }), "{step:?}");
    assert_eq!(bench.now, NOON.plus_ms(5_000));
    assert_eq!(bench.shows(), "W1 I0 C1");
    let step = bench.give(Input::Recover);
    assert!(step.effects.contains(&Effect::Ask { ordinal: 0, attempt: 1 }), "{step:?}");
}
