//! What a person does not want of phases to come, and of those that take the places of others.

use super::*;
use crate::domain::check::START_ROOM;

/// What phases were told to cancel.
fn cancelled(bench: &Bench) -> Vec<SubtaskId> {
    bench.project.told().values().filter_map(|told| told.word.cancelled_subtask()).collect()
}

/// What the current phase is handed over without, by its ordinals.
fn left_out(bench: &Bench) -> (Option<u32>, Vec<u32>) {
    let current = bench.current();
    (current, current.map(|phase| out_of(bench, phase)).unwrap_or_default())
}

fn out_of(bench: &Bench, phase: u32) -> Vec<u32> {
    bench.project.left_out(phase).iter().map(|left_out| left_out.ordinal).collect()
}

fn again(failed_only: bool) -> Input {
    Input::Retry(Retry { failed_only, ..retry() })
}

#[test]
fn a_phase_is_handed_over_without_what_was_cancelled_before_it() {
    let mut bench = Bench::open(&[1, 2, 3]);
    let first = bench.give(cancel_one(2, 4));
    assert!(matches!(first.events(), [Event::SubtaskUnwanted { .. }]));
    assert_eq!((first.effects, bench.told()), (vec![], vec![]));
    bench.give(cancel_one(2, 1));
    bench.give(cancel_one(3, 0));
    assert_eq!(bench.give(cancel_one(2, 4)).decision, Decision::Nothing("the subtask is being cancelled already"));
    assert_eq!(bench.give_again(first.cause, cancel_one(2, 4)).decision, Decision::Nothing("it was heard before"));
    // Nothing else tells it: whoever hears the start hears of it, however often it is sent, and by whom.
    bench.complete(1);
    assert_eq!((left_out(&bench), bench.told()), ((Some(2), vec![1, 4]), vec![]));
    // Said when it has begun, it is told as well.
    bench.give(cancel_one(2, 3));
    assert_eq!((left_out(&bench), cancelled(&bench)), ((Some(2), vec![1, 3, 4]), vec![subtask(2, 3)]));
    assert_eq!(bench.give(cancel_one(2, 3)).decision, Decision::Nothing("the subtask is being cancelled already"));
    // The third one is still to come.
    bench.complete(2);
    assert_eq!((left_out(&bench), bench.told()), ((Some(3), vec![0]), vec![]));
}

#[test]
fn what_a_start_has_no_room_for_is_told() {
    let mut bench = Bench::open(&[1, 2]);
    let reason = "r".repeat(4_000);
    for ordinal in 0..1_502 {
        let Input::Cancel(cancel) = cancel_one(2, ordinal) else { panic!("a cancel") };
        bench.give(Input::Cancel(Cancel { reason: Some(reason.clone()), ..cancel }));
    }
    bench.complete(1);
    let (_, left_out) = left_out(&bench);
    assert_eq!((left_out.len(), cancelled(&bench)), (1_500, vec![subtask(2, 1_500), subtask(2, 1_501)]));
    let start = Raw::from_serialize(&bench.project.left_out(2)).expect("JSON");
    assert!(start.bytes() < START_ROOM, "{}", start.bytes());
    // The first few reasons are in it.
    assert_eq!(bench.project.left_out(2).iter().filter(|out| out.reason.is_some()).count(), 2);
}

#[test]
fn it_stays_so_in_the_next_run_unless_all_is_to_be_done() {
    for (failed_only, expected) in [(true, vec![0]), (false, vec![])] {
        let mut bench = Bench::open(&[1, 2]);
        bench.give(cancel_one(2, 0));
        bench.give(report(1, Status::Error));
        assert_eq!(bench.ended().0, Status::Error);
        bench.give(again(failed_only));
        let number = bench.current().expect("a phase");
        bench.give(Input::Report(PhaseReport { run: 2, ..report_of(number, Status::Completed) }));
        assert_eq!(left_out(&bench), (Some(2), expected));
    }
}

/// A phase of three subtasks, one of which is not wanted any more, and nobody has opened the phase.
fn unopened(policy: &str) -> Bench {
    let mut bench = Bench::new();
    bench.give(request_with(|request| {
        request.request.policy = Raw::parse(policy).expect("JSON");
        request.request.deadline_ms = Some(60_000);
        let subtasks = ["a", "b", "c"].map(|name| SubtaskPlan::new(name, "noop"));
        request.plan = Ok(vec![GoalPlan { subtasks: Some(subtasks.to_vec()), ..goals(&[1]).remove(0) }]);
    }));
    bench.give(cancel_one(1, 1));
    bench
}

#[test]
fn it_stays_so_in_the_phase_that_takes_the_place_of_one_that_never_opened() {
    let mut asked = unopened(r#"{"on_failure":"ask"}"#);
    let dead = asked.give(dead(1));
    // As long as somebody is asked about it more of it can be cancelled.
    asked.give(cancel_one(1, 2));
    asked.give(Input::Decide { question: dead.cause, answer: Answer::Retry });
    assert_eq!((left_out(&asked), cancelled(&asked)), ((Some(2), vec![1, 2]), vec![]));

    // Its deadline has it cancelled before a coordinator has seen it.
    let mut late = unopened("{}");
    late.now = NOON.plus_ms(60_000);
    late.alarm();
    let nothing = PhaseReport { counts: Counts::default(), ..report_of(1, Status::Cancelled) };
    late.give(Input::Report(nothing));
    assert_eq!(late.ended().0, Status::Error);
    let mut whole = late.clone();
    late.give(again(true));
    assert_eq!(left_out(&late), (Some(2), vec![1]));
    whole.give(again(false));
    assert_eq!(left_out(&whole), (Some(2), vec![]), "all that was not completed");

    // And so it goes on from phase to phase.
    late.give(Input::DeadPhase(DeadPhase { phase: 2, reason: "delivery_limit".into() }));
    late.give(again(true));
    assert_eq!(left_out(&late), (Some(3), vec![1]));
    let former = late.project.phase(3).expect("it").former;
    let before: Vec<u32> = late.project.before(former).iter().map(|former| former.phase).collect();
    assert_eq!(before, [1], "where to look for what was done when the second never had a plan");
}

/// Of two phases one subtask each was cancelled, and one has failed; both are run again, but for what was cancelled.
fn both_run_again() -> Bench {
    let mut bench = open_with(r#"{"on_failure":"skip"}"#, &[1, 2]);
    let some = Counts { total: 2, completed: 1, failed: 1, ..Counts::default() };
    for phase in [1, 2] {
        bench.give(cancel_one(phase, 0));
        bench.give(Input::Report(PhaseReport { counts: some, ..report_of(phase, Status::Completed) }));
    }
    bench.give(again(true));
    bench
}

#[test]
fn all_is_wanted_also_of_a_phase_to_come_that_was_to_go_without() {
    // Before the second begins all is wanted.
    let mut bench = both_run_again();
    assert_eq!((left_out(&bench), out_of(&bench, 4)), ((Some(3), vec![0]), vec![0]));
    bench.give(cancel());
    let closed = Counts { total: 2, completed: 1, cancelled: 1, ..Counts::default() };
    let report = PhaseReport { run: 2, counts: closed, ..report_of(3, Status::Cancelled) };
    bench.give(Input::Report(report));
    bench.give(again(false));
    assert_eq!((left_out(&bench), out_of(&bench, 4)), ((Some(5), vec![]), vec![]));
}

#[test]
fn it_stays_so_under_its_name_however_the_goal_is_planned_anew() {
    type Replan = fn(&GoalPlan, &Dossier) -> Result<GoalPlan, String>;
    let replans: [(Replan, Vec<u32>); 3] = [
        (|goal, _| Ok(goal.clone()), vec![1]),
        (
            |goal, _| {
                let subtasks = ["x", "y", "b"].map(|name| SubtaskPlan::new(name, "noop"));
                Ok(GoalPlan { subtasks: Some(subtasks.to_vec()), ..goal.clone() })
            },
            vec![2],
        ),
        // What it is called is not known before its coordinators have planned it.
        (|goal, _| Ok(GoalPlan { subtasks: None, ..goal.clone() }), vec![]),
    ];
    for (replan, expected) in replans {
        let mut bench = unopened(r#"{"on_failure":"replan"}"#);
        bench.replan = replan;
        bench.give(dead(1));
        assert_eq!(left_out(&bench), (Some(2), expected));
    }
}

#[test]
fn what_only_coordinators_can_name_stays_so_under_its_id_where_the_goal_is_planned_as_before() {
    let mut bench = Bench::new();
    bench.give(request_with(|request| {
        request.request.policy = Raw::parse(r#"{"on_failure":"replan"}"#).expect("JSON");
        request.plan = Ok(vec![GoalPlan { subtasks: None, ..goals(&[1]).remove(0) }]);
    }));
    bench.replan = |goal, _| Ok(goal.clone());
    bench.give(cancel_one(1, 4));
    bench.give(dead(1));
    assert_eq!(left_out(&bench), (Some(2), vec![4]));
}

#[test]
fn an_answer_about_it_takes_it_back() {
    let mut bench = unopened(r#"{"on_failure":"ask"}"#);
    bench.give(question(77, 1, 1));
    assert_eq!(bench.give(cancel_one(1, 1)).decision, Decision::Nothing("the subtask is being cancelled already"));
    bench.give(decide_on(77, Answer::Retry));
    let dead = bench.give(dead(1));
    bench.give(Input::Decide { question: dead.cause, answer: Answer::Retry });
    assert_eq!((left_out(&bench), cancelled(&bench)), ((Some(2), vec![]), vec![]));
}

#[test]
fn a_phase_that_is_handed_over_again_is_told_again_and_once() {
    let mut bench = unopened("{}");
    let refused = bench.refused(1, Why::Returned);
    bench.give(refused);
    let again = bench.alarm();
    assert_eq!(
        again.effects,
        [Effect::Tell { number: 1 }, Effect::StartPhase { phase: 1 }, Effect::Alarm { number: 3 }]
    );
    assert_eq!(cancelled(&bench), [subtask(1, 1)]);
}

#[test]
fn what_came_too_late_before_can_be_said_again() {
    let mut bench = both_run_again();
    let said =
        |bench: &Bench| bench.project.left_out(4).iter().map(|out| (out.said_of, out.said_last)).collect::<Vec<_>>();
    assert_eq!(said(&bench), [(2, 2)]);
    // Whether the second phase had heard it in time is not known here.
    assert!(matches!(bench.give(cancel_one(4, 0)).events(), [Event::SubtaskUnwanted { .. }]));
    assert_eq!(said(&bench), [(2, 4)]);
    assert_eq!(bench.give(cancel_one(4, 0)).decision, Decision::Nothing("the subtask is being cancelled already"));
}
