//! What a person is asked, and what an answer is worth.

use super::*;
use crate::wire::content::Asking;

const ASK: &str = r#"{"on_failure":"ask"}"#;

#[test]
fn a_question_makes_it_wait_and_its_first_answer_goes_down() {
    let mut bench = open_with(ASK, &[1, 2]);
    let asked = bench.give_again(cause(70), question(70, 1, 4));
    assert!(matches!(asked.events(), [Event::Asked { phase: 1, subtask: Some(_), .. }]));
    assert_eq!(bench.project.status(), Status::Waiting);
    assert_eq!(bench.give_again(cause(70), question(70, 1, 4)).decision, Decision::Nothing("it was asked before"));
    bench.give_again(cause(71), question(71, 1, 5));
    let decided = bench.give(decide_on(70, Answer::Retry));
    assert_eq!(decided.effects, [Effect::Tell { number: 1 }]);
    assert_eq!(bench.told(), [(1, 1, &Word::Decide { question: cause(70), answer: Answer::Retry })]);
    assert_eq!(bench.project.status(), Status::Waiting, "the other is open");
    let second = bench.give(decide_on(70, Answer::Skip));
    assert_eq!((second.decision, second.effects), (Decision::Nothing("that was answered before"), vec![]));
    let none = Decision::Nothing("nobody has asked that, or it is over");
    assert_eq!(bench.give(decide_on(72, Answer::Skip)).decision, none);
    bench.give(decide_on(71, Answer::Skip));
    assert_eq!(bench.project.status(), Status::Busy);
    assert_eq!(bench.give_again(decided.cause, decide_on(70, Answer::Retry)).effects, decided.effects);
    // The question, delivered again after its answer.
    assert_eq!(bench.give_again(cause(70), question(70, 1, 4)).decision, Decision::Nothing("it was asked before"));
    bench.complete(1);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.give(decide_on(71, Answer::Fail)).decision, none);
}

#[test]
fn a_question_of_another_phase_or_run_changes_nothing() {
    let mut bench = open_with(ASK, &[1, 2]);
    let late = Decision::Nothing("the question is not of the current phase");
    assert_eq!(bench.give(question(70, 2, 0)).decision, late);
    let Input::Question(mut of_another_run) = question(70, 1, 0) else { panic!("no question") };
    of_another_run.run = 2;
    assert_eq!(bench.give(Input::Question(of_another_run)).decision, late);
    bench.complete(1);
    assert_eq!(bench.give(question(70, 1, 0)).decision, late);
    bench.give(cancel());
    assert_eq!(bench.give(question(71, 2, 0)).decision, Decision::Nothing("the project is being cancelled"));
}

#[test]
fn a_phase_that_was_given_up_is_asked_about_by_the_project_itself() {
    let asking = || {
        let mut bench = open_with(ASK, &[1, 2]);
        bench.give_again(cause(70), dead(1));
        bench
    };
    let mut bench = asking();
    assert_eq!((bench.project.status(), bench.current()), (Status::Waiting, None));
    let open: Vec<_> = bench.project.open_questions().map(|(id, open)| (id, open.phase)).collect();
    assert_eq!(open, [(cause(70), 1)]);
    assert_eq!(bench.alarm().effects, [Effect::Alarm { number: 2 }]);
    let again = bench.give(decide_on(70, Answer::Retry));
    assert_eq!(again.effects, [Effect::StartPhase { phase: 3 }]);
    let former = bench.project.phase(3).expect("it").former.expect("a former");
    assert_eq!((former.phase, former.redo, former.failed_only), (1, None, true), "what was cancelled stays so");
    bench.complete(3);
    bench.complete(2);
    assert_eq!(bench.ended(), (Status::Completed, None));

    let mut bench = asking();
    assert_eq!(bench.give(decide_on(70, Answer::Skip)).effects, [Effect::StartPhase { phase: 2 }]);
    bench.complete(2);
    assert_eq!(bench.ended(), (Status::Completed, None));

    let mut bench = asking();
    bench.give(decide_on(70, Answer::Fail));
    assert_eq!(bench.ended(), (Status::Error, Some("phase 1 was given up: delivery_limit")));

    let mut bench = asking();
    bench.give(Input::Pause);
    assert_eq!(bench.project.status(), Status::Paused);
    assert_eq!(bench.give(decide_on(70, Answer::Retry)).effects, []);
    assert_eq!(bench.give(Input::Resume).effects, [Effect::StartPhase { phase: 3 }]);
    // Resumed before the answer it still waits for one.
    let mut bench = asking();
    bench.give(Input::Pause);
    assert_eq!(bench.give(Input::Resume).effects, []);
    assert_eq!(bench.project.status(), Status::Waiting);
}

/// A question about subtask 1.4 that its phase asked at this version, after it had heard of a cancel or before.
fn asked_at(id: u128, version: u64, after_cancel: bool) -> Input {
    let Input::Question(question) = question(id, 1, 4) else { panic!("no question") };
    Input::Question(Box::new(Question { asking: Some(Asking { version, after_cancel }), ..*question }))
}

fn open_ids(bench: &Bench) -> Vec<u128> {
    bench.project.open_questions().map(|(id, _)| id.0.as_u128()).collect()
}

fn cancel_subtask(ordinal: u32) -> Input {
    Input::Cancel(Cancel { subtask: Some(subtask(1, ordinal)), reason: None })
}

#[test]
fn a_newer_question_about_a_subtask_takes_the_place_of_the_others_in_whatever_order_they_come() {
    let mut bench = open_with(ASK, &[1, 2]);
    bench.give_again(cause(70), asked_at(70, 31, false));
    bench.give_again(cause(72), asked_at(72, 35, false));
    assert_eq!(open_ids(&bench), [72]);
    let older = Decision::Nothing("a newer question about the subtask is known");
    assert_eq!(bench.give_again(cause(71), asked_at(71, 33, false)).decision, older);
    assert_eq!(bench.give_again(cause(70), asked_at(70, 31, false)).decision, Decision::Nothing("it was asked before"));
    assert_eq!(bench.give(decide_on(70, Answer::Skip)).decision, Decision::Nothing("nobody asks that any more"));
    bench.give_again(cause(80), question(80, 1, 5));
    assert_eq!(open_ids(&bench), [72, 80], "of another subtask");
    bench.give(decide_on(72, Answer::Skip));
    bench.give(decide_on(80, Answer::Skip));
    assert_eq!(bench.project.status(), Status::Busy);
    // What was answered is asked no more by an older one.
    assert_eq!(bench.give_again(cause(71), asked_at(71, 33, false)).decision, older);
    // Coordinators of before do not say when they asked: what comes last is the newest.
    bench.give_again(cause(73), question(73, 1, 4));
    bench.give_again(cause(74), question(74, 1, 4));
    assert_eq!(open_ids(&bench), [74]);
    bench.give(report(1, Status::Error));
    assert_eq!(bench.ended().0, Status::Error);
}

#[test]
fn what_is_cancelled_is_asked_about_no_more_until_its_phase_has_heard_it() {
    let mut bench = open_with(ASK, &[1, 2]);
    bench.give_again(cause(70), asked_at(70, 31, false));
    bench.give_again(cause(80), question(80, 1, 5));
    bench.give(cancel_subtask(4));
    assert_eq!(open_ids(&bench), [80]);
    assert_eq!(bench.give(decide_on(70, Answer::Retry)).decision, Decision::Nothing("nobody asks that any more"));
    // One that was under way when it was said.
    let late = Decision::Nothing("the subtask is being cancelled");
    assert_eq!(bench.give_again(cause(71), asked_at(71, 32, false)).decision, late);
    // The word is refused, and told again: that is no reason to ask either.
    let refused = bench.tell_refused(1, Why::Returned);
    bench.give(refused);
    assert_eq!(bench.give_again(cause(72), asked_at(72, 32, false)).decision, late);
    bench.alarm();
    let again = Decision::Nothing("the subtask is being cancelled already");
    assert_eq!(bench.give(cancel_subtask(4)).decision, again);
    // Something depends on it: its phase asks what is to become of that.
    bench.give_again(cause(73), asked_at(73, 35, true));
    assert_eq!((open_ids(&bench), bench.told()), (vec![73, 80], vec![]), "it has heard it");
    bench.give(decide_on(73, Answer::Retry));
    // It runs again, and can be cancelled again; what was told is not told once more by a push.
    bench.give(Input::Recover);
    assert_eq!(bench.told().iter().filter(|(_, _, word)| word.cancels(subtask(1, 4))).count(), 0);
    assert!(matches!(bench.give(cancel_subtask(4)).events(), [Event::Told { .. }, ..]));
    // All of it is cancelled, and nothing is asked.
    bench.give(cancel());
    assert_eq!(open_ids(&bench), []);
    let late = Decision::Nothing("the project is being cancelled");
    assert_eq!(bench.give(asked_at(74, 40, true)).decision, late);
}

#[test]
fn a_new_run_asks_anew() {
    let mut bench = open_with(ASK, &[1]);
    bench.give_again(cause(70), asked_at(70, 31, false));
    bench.give(cancel_subtask(4));
    bench.give(report(1, Status::Error));
    bench.give(Input::Retry(retry()));
    let Input::Question(mut first) = question(75, 2, 4) else { panic!("no question") };
    (first.run, first.asking) = (2, Some(Asking { version: 9, after_cancel: false }));
    bench.give_again(cause(75), Input::Question(first));
    assert_eq!(open_ids(&bench), [75], "of another phase, at a lower version");
}
