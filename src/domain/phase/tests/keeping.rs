//! A phase that takes the place of another keeps what was done there.

use super::*;
use crate::wire::SubtaskId;
use crate::wire::content::Former;

const FORMER: Former = Former { phase: 2, redo: None, failed_only: false };

/// The new phase, number 4 of its project, in the place of `old`.
fn renewed(old: &Bench, former: Former, plan: Vec<Spec>) -> Bench {
    renewed_without(old, former, plan, &[])
}

/// The same without what a person does not want.
fn renewed_without(old: &Bench, former: Former, plan: Vec<Spec>, left_out: &[u32]) -> Bench {
    let out =
        |&ordinal: &u32| LeftOut { ordinal, said_of: 2, said_last: 2, reason: Some("no".into()), is_settled: false };
    handed_over(old, former, plan, left_out.iter().map(out).collect())
}

fn handed_over(old: &Bench, former: Former, plan: Vec<Spec>, mut left_out: Vec<LeftOut>) -> Bench {
    let kept = keep(&old.phase, &former, &plan, &mut left_out);
    let mut bench = Bench::new();
    let policy = old.phase.opened().map_or_else(Raw::empty_object, |opened| opened.policy.clone());
    let start = Start { phase: 4, former: Some(former), kept, left_out, policy, ..started(Ok(plan)) };
    bench.give(Input::Start(Box::new(start)));
    bench
}

/// `a` and `b` are done, `c` has failed, `d` and `e` never began.
fn failed_phase() -> Bench {
    let mut bench = Bench::open("a; b: a; c: a; d: c b; e: d");
    bench.complete(0);
    bench.complete(1);
    bench.fail(2, FailureKind::Permanent);
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Error, "C1 C1 E1 I0 I0"));
    bench
}

#[test]
fn what_was_done_is_kept_and_the_rest_is_done() {
    let old = failed_phase();
    let mut bench = renewed(&old, FORMER, graph("a; b: a; c: a; d: c b; e: d"));
    assert_eq!(bench.shows(), "C0 C0 B1 I0 I0");
    assert_eq!(bench.phase.kept_from(1), Some(SubtaskId { phase: 2, ordinal: 1 }));
    assert_eq!(bench.phase.subtask(1).map(|subtask| subtask.bytes), Some(4));
    for ordinal in 2..5 {
        bench.complete(ordinal);
    }
    assert_eq!(bench.ended().0, Status::Completed);
}

#[test]
fn only_the_same_subtask_on_the_same_ground_is_kept() {
    let mut old = failed_phase();
    let plan = |text: &str| graph(text);
    let shows = |old: &Bench, former, plan| renewed(old, former, plan).shows();
    assert_eq!(shows(&old, FORMER, plan("a@other; b: a; c: a")), "B1 I0 I0", "another skill, and what stands on it");
    let mut other = plan("a; b: a; c: a");
    other[1].input = Raw::parse(r#"{"x":1}"#).ok();
    assert_eq!(shows(&old, FORMER, other), "C0 B1 B1", "another input");
    assert_eq!(shows(&old, FORMER, plan("z; b: z; a")), "B1 I0 C0", "another ground");
    assert_eq!(shows(&old, FORMER, plan("c: b; b: a; a")), "B1 C0 C0", "another order of the plan");
    // One is to be done again, with what depends on it.
    let redo = Former { redo: Some(1), ..FORMER };
    assert_eq!(shows(&old, redo, plan("a; b: a; c: a")), "C0 B1 B1");
    let redo = Former { redo: Some(0), ..FORMER };
    assert_eq!(shows(&old, redo, plan("a; b: a; c: a")), "B1 I0 I0");
    // What was kept once is kept again, and still is where it was made.
    old = renewed(&old, FORMER, plan("a; b: a; c: a"));
    let newest = renewed(&old, Former { phase: 4, ..FORMER }, plan("a; b: a; c: a"));
    assert_eq!(newest.phase.kept_from(0), Some(SubtaskId { phase: 2, ordinal: 0 }));
}

#[test]
fn a_phase_of_which_everything_is_kept_ends_at_once() {
    let mut old = Bench::open("a*3; b: a");
    (0..4).for_each(|ordinal| {
        old.complete(ordinal);
    });
    let bench = renewed(&old, FORMER, graph("a*3; b: a"));
    assert_eq!((bench.ended().0, bench.shows().as_str()), (Status::Completed, "C0 C0 C0 C0"));
    let more = renewed(&old, FORMER, graph("a*5; b: a"));
    assert_eq!(more.shows(), "C0 C0 C0 B1 B1 I0", "copies are kept one by one");
}

#[test]
fn what_is_not_wanted_is_left_out_with_what_depends_on_it() {
    let mut old = Bench::under("skip", "a; b: a; c; d");
    old.word(Word::CancelSubtask { ordinal: 0, reason: None });
    old.fail(2, FailureKind::Permanent);
    old.complete(3);
    assert_eq!(old.shows(), "X1 S0 S1 C1");
    let plan = || graph("a; b: a; c; d");
    assert_eq!(renewed(&old, FORMER, plan()).shows(), "B1 I0 B1 C0");
    // What is kept, and what the plan does not have, is not left out.
    let again = renewed_without(&old, FORMER, plan(), &[0, 3, 77]);
    assert_eq!(again.shows(), "X0 S0 B1 C0");
    // A project that goes on without it keeps what did so, and what depends on that.
    let mut old = Bench::under("continue", "a; b: a; c: b; d; e: d");
    old.word(Word::CancelSubtask { ordinal: 0, reason: None });
    old.complete(1);
    old.complete(2);
    old.fail(3, FailureKind::Permanent);
    old.complete(4);
    assert_eq!(old.shows(), "X1 C1 C1 S1 C1");
    let again = renewed_without(&old, FORMER, graph("a; b: a; c: b; d; e: d"), &[0]);
    assert_eq!(again.shows(), "X0 C0 C0 B1 I0");
    // What was cancelled because the phase failed is done again.
    let mut old = Bench::under("fail cancel", "a; b");
    old.fail(0, FailureKind::Permanent);
    assert_eq!((old.shows().as_str(), renewed(&old, FORMER, graph("a; b")).shows().as_str()), ("E1 X1", "B1 B1"));
}

#[test]
fn what_had_ended_when_the_word_came_was_not_cancelled() {
    let mut old = Bench::under("skip", "a; b; c: b; d");
    old.complete(0);
    old.fail(1, FailureKind::Permanent);
    assert_eq!(old.shows(), "C1 S1 S0 B1");
    for ordinal in [0, 1] {
        let said = old.word(Word::CancelSubtask { ordinal, reason: None });
        assert_eq!(said.decision, Decision::Nothing("the subtask has ended"));
    }
    old.complete(3);
    let plan = || graph("a; b; c: b; d");
    assert_eq!(renewed_without(&old, FORMER, plan(), &[0, 1]).shows(), "C0 B1 I0 C0");
    // So it stays: the phase in its place was handed over with the word, and did not heed it.
    let next = renewed_without(&old, FORMER, plan(), &[0, 1]);
    let word = LeftOut { ordinal: 1, said_of: 2, said_last: 2, reason: None, is_settled: false };
    let later = Former { phase: 4, redo: None, failed_only: true };
    assert_eq!(handed_over(&next, later, plan(), vec![word]).shows(), "C0 B1 I0 C0");
    // What is said of the phase that takes its place is said in time.
    let said_of_it = LeftOut { ordinal: 1, said_of: 4, said_last: 4, reason: None, is_settled: false };
    assert_eq!(handed_over(&old, FORMER, plan(), vec![said_of_it]).shows(), "C0 X0 S0 C0");
}

/// One that was given up before it could do anything about a cancel: the phase in its place is the first to hear of it.
#[test]
fn what_nobody_has_heard_of_is_news_and_follows_the_policy() {
    let after = |policy: &str, left_out: &[u32]| {
        let old = Bench::under(policy, "a; b: a; c");
        renewed_without(&old, FORMER, graph("a; b: a; c"), left_out)
    };
    for (policy, shows) in [("skip", "X0 S0 B1"), ("continue", "X0 B1 B1"), ("ask", "W0 I0 B1")] {
        assert_eq!(after(policy, &[0]).shows(), shows, "{policy}");
    }
    for policy in ["fail", "replan"] {
        let failed = after(policy, &[0]);
        assert_eq!(failed.ended(), (Status::Error, Some("subtask `a` was cancelled: no")), "{policy}");
    }
    // Settled it fails nothing, and nobody is asked once more.
    let again = |old: &Bench| renewed_without(old, FORMER, graph("a; b: a; c"), &[0]).shows();
    for policy in ["fail", "replan"] {
        let mut old = Bench::under(policy, "a; b: a; c");
        old.word(Word::CancelSubtask { ordinal: 0, reason: None });
        assert_eq!(again(&old), "X0 S0 B1", "{policy}");
    }
    // A question is settled by its answer, and not by the end of its phase.
    let mut old = Bench::under("ask", "a; b: a; c");
    old.word(Word::CancelSubtask { ordinal: 0, reason: None });
    let mut given_up = old.clone();
    given_up.word(Word::Cancel { project_version: 99, reason: None });
    assert_eq!((given_up.ended().0, again(&given_up).as_str()), (Status::Cancelled, "W0 I0 B1"));
    let question = old.phase.question_id(0).expect("a question");
    old.word(Word::Decide { question, answer: Answered::Skip });
    assert_eq!(again(&old), "X0 S0 B1");
}

#[test]
fn what_is_left_out_together_is_cancelled_each_by_itself() {
    let plan = || graph("a; b: a; c: b");
    let old = Bench::under("skip", "a; b: a; c: b");
    let again = renewed_without(&old, FORMER, plan(), &[0, 1]);
    assert_eq!(again.shows(), "X0 X0 S0");
    assert!([0, 1].iter().all(|&ordinal| again.phase.is_cancelled_by_hand(ordinal)));
}
