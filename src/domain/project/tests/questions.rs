//! What a person is asked, and what an answer is worth.

use super::*;

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
    assert_eq!((former.phase, former.redo, former.failed_only), (1, None, false));
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
