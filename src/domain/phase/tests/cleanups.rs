//! Subtasks that run after a failure, or always: when they run, what they wait for, and what they leave as it is.

use super::*;

#[test]
fn a_cleanup_runs_in_a_phase_that_fails_and_the_phase_keeps_its_verdict() {
    let mut bench = Bench::open("create; job: create; publish: job; delete:~ publish; notify: delete");
    bench.complete(0);
    assert_eq!(bench.fail(1, FailureKind::Permanent).commands(), [(3, 1)], "publish never runs: it is over");
    assert_eq!(bench.ended_status(), None);
    bench.complete(3);
    assert_eq!(bench.ended(), (Status::Error, Some("subtask `job` failed: permanent: out of order")));
    assert_eq!(bench.shows(), "C1 E1 I0 C1 I0", "what is no cleanup is not started");
}

#[test]
fn a_cleanup_runs_under_every_policy_when_its_dependencies_are_over() {
    for (policy, shows, status) in [
        ("fail", "E1 I0 C1", Status::Error),
        ("fail cancel", "E1 I0 C1", Status::Error),
        ("replan", "E1 I0 C1", Status::Error),
        ("skip", "S1 S0 C1", Status::Completed),
        ("continue", "S1 C1 C1", Status::Completed),
    ] {
        let mut bench = Bench::under(policy, "job; next: job; delete:~ next");
        bench.fail(0, FailureKind::Permanent);
        if policy == "continue" {
            bench.complete(1);
        }
        bench.complete(2);
        assert_eq!((bench.ended().0, bench.shows().as_str()), (status, shows), "{policy}");
    }
}

#[test]
fn a_cleanup_waits_for_what_runs_and_for_no_more() {
    let mut bench = Bench::open("bad; slow; next: slow; delete:~ bad slow next");
    assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), []);
    assert_eq!(bench.complete(1).commands(), [(3, 1)]);
    bench.complete(3);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Error, "E1 C1 I0 C1"));

    // What runs when the phase fails is cancelled where the policy says so; a cleanup runs on.
    let mut bench = Bench::under("fail cancel", "bad; slow; delete:~ slow; early; undo:~ early");
    bench.complete(3);
    assert_eq!(bench.shows(), "B1 B1 I0 C1 B1");
    assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), [(2, 1)]);
    assert_eq!(bench.shows(), "E1 X1 B1 C1 B1");
    bench.complete(4);
    bench.complete(2);
    assert_eq!(bench.ended().0, Status::Error);
}

#[test]
fn what_waits_for_another_attempt_is_over_when_its_phase_fails() {
    let mut bench = Bench::open("bad; late; delete:~ late");
    let failure = Failure { retry_after_ms: Some(10_000), ..Failure::new(FailureKind::Transient, "busy") };
    bench.give(bench.answer(1, AnswerBody::Failed(failure)));
    assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), [(2, 1)]);
    // Its time comes, and changes nothing.
    bench.sleep_until(NOON.plus_ms(10_000));
    assert_eq!(bench.shows(), "E1 I1 B1");
    // Nor does an operator who has everything sent anew.
    assert_eq!(bench.give(Input::Recover).commands(), [(2, 2)]);
    bench.complete(2);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Error, "E1 I1 C2"));
}

#[test]
fn one_that_runs_after_a_failure_is_skipped_when_there_is_none() {
    let mut bench = Bench::open("job; undo:! job; told: undo; again:! undo told; last:~ told");
    assert_eq!(bench.complete(0).commands(), [(4, 1)]);
    assert_eq!(bench.shows(), "C1 S0 S0 S0 B1", "that nothing had to be undone is no failure either");
    bench.complete(4);
    assert_eq!(bench.ended(), (Status::Completed, None));
    assert!([1, 2, 3].into_iter().all(|ordinal| bench.phase.is_unneeded(ordinal)));

    let mut bench = Bench::open("job; undo:! job; told: undo; again:! undo told");
    assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), [(1, 1)]);
    // Nothing but cleanups is started: `told` is without a result.
    assert_eq!(bench.complete(1).commands(), [(3, 1)]);
    bench.complete(3);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Error, "E1 C1 I0 C1"));
}

#[test]
fn a_failure_far_above_counts() {
    for policy in ["fail", "skip"] {
        let mut bench = Bench::under(policy, "a; b: a; c: b; undo:! c");
        assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), [(3, 1)], "{policy}");
    }
    let mut bench = Bench::under("continue", "a; b: a; undo:! b");
    bench.fail(0, FailureKind::Permanent);
    bench.complete(1);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Completed, "S1 C1 S0"), "b has a result");
}

#[test]
fn a_cleanup_that_fails_does_not_hide_what_failed_first() {
    let mut bench = Bench::open("job; delete:~ job; after:~ delete");
    bench.fail(0, FailureKind::Permanent);
    assert_eq!(bench.fail(1, FailureKind::Transient).commands(), [(1, 2)], "it has its attempts");
    assert_eq!(bench.fail(1, FailureKind::Permanent).commands(), [(2, 1)]);
    bench.complete(2);
    assert_eq!(bench.ended(), (Status::Error, Some("subtask `job` failed: permanent: out of order")));
    let dossier = bench.phase.dossier(None).expect("a dossier");
    assert_eq!(dossier.failed.iter().map(|failed| failed.name.as_str()).collect::<Vec<_>>(), ["job", "delete"]);

    // Of a phase that goes well it is the only failure.
    let mut bench = Bench::open("job; delete:~ job");
    bench.complete(0);
    bench.fail(1, FailureKind::Permanent);
    assert_eq!(bench.ended(), (Status::Error, Some("subtask `delete` failed: permanent: out of order")));
}

#[test]
fn a_cancelled_phase_is_over_at_once_without_cleanups() {
    let mut bench = Bench::open("job; delete:~ job");
    bench.word(Word::Cancel { project_version: 9, reason: None });
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Cancelled, "X1 X0"));
}

#[test]
fn a_pause_holds_cleanups_back() {
    let mut bench = Bench::open("job; delete:~ job");
    bench.word(Word::Pause { project_version: 9 });
    assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), []);
    assert_eq!(bench.ended_status(), None);
    assert_eq!(bench.word(Word::Resume { project_version: 10 }).commands(), [(1, 1)]);
}

#[test]
fn what_a_person_cancels_or_answers_releases_cleanups() {
    // Cancelled by hand: under `ask` nobody is asked for the sake of a cleanup, which runs anyway.
    for (policy, status) in [("fail", Status::Error), ("skip", Status::Completed), ("ask", Status::Completed)] {
        let mut bench = Bench::under(policy, "job; delete:~ job");
        let step = bench.word(Word::CancelSubtask { ordinal: 0, reason: None });
        assert_eq!(step.commands(), [(1, 1)], "{policy}");
        bench.complete(1);
        assert_eq!(bench.ended().0, status, "{policy}");
    }
    // Somebody is asked about a failure: until he answers it is not over.
    for (answer, shows, status) in
        [(Answered::Skip, "S1 S0 C1", Status::Completed), (Answered::Fail, "E1 I0 C1", Status::Error)]
    {
        let mut bench = Bench::under("ask", "job; next: job; delete:~ job next");
        assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), []);
        let question = bench.phase.question_id(0).expect("a question");
        assert_eq!(bench.word(Word::Decide { question, answer }).commands(), [(2, 1)], "{answer:?}");
        bench.complete(2);
        assert_eq!((bench.ended().0, bench.shows().as_str()), (status, shows), "{answer:?}");
    }
    // A cleanup that was cancelled, and is wanted again, has its turn when all is over.
    let mut bench = Bench::under("ask", "job; delete:~ job; told: delete");
    bench.word(Word::CancelSubtask { ordinal: 1, reason: None });
    assert_eq!(bench.shows(), "B1 W0 I0");
    let question = bench.phase.question_id(1).expect("a question");
    bench.word(Word::Decide { question, answer: Answered::Retry });
    assert_eq!(bench.shows(), "B1 I0 I0");
    assert_eq!(bench.complete(0).commands(), [(1, 1)]);
}

#[test]
fn copies_are_cleaned_up_after_and_clean_up() {
    let mut bench = Bench::under("skip", "work*3; undo*2:! work");
    bench.complete(0);
    bench.fail(1, FailureKind::Permanent);
    assert_eq!(bench.complete(2).commands(), [(3, 1), (4, 1)]);
    bench.complete(3);
    bench.complete(4);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Completed, "C1 S1 C1 C1 C1"));
}

#[test]
fn a_chain_of_many_cleanups_needs_no_stack() {
    let chain = (1..20_000).map(|at| format!("; c{at}:! c{}", at - 1)).collect::<String>();
    let mut bench = Bench::open(&format!("c0{chain}"));
    bench.complete(0);
    assert_eq!((bench.ended().0, bench.phase.counts().skipped), (Status::Completed, 19_999));
}

#[test]
fn what_is_ready_when_its_phase_fails_is_not_started_between_cleanups() {
    let mut bench = Bench::open_with("bad; a; b; delete:~ bad; last:~ delete", 1);
    assert_eq!(bench.shows(), "B1 R0 R0 I0 I0");
    assert_eq!(bench.fail(0, FailureKind::Permanent).commands(), [(3, 1)]);
    assert_eq!(bench.shows(), "E1 I0 I0 B1 I0");
    bench.complete(3);
    bench.complete(4);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Error, "E1 I0 I0 C1 C1"));
}
