//! Another run, and goals that are planned anew.

use super::*;
use crate::domain::dossier::FailedSubtask;

const REPLAN: &str = r#"{"on_failure":"replan"}"#;

/// Three phases: the first completed, the second failed, the third never began.
fn failed() -> Bench {
    let mut bench = Bench::open(&[1, 2, 3]);
    bench.complete(1);
    bench.give(report(2, Status::Error));
    assert_eq!(bench.ended().0, Status::Error);
    bench
}

fn in_run(bench: &Bench, phase: u32, status: Status) -> Input {
    Input::Report(PhaseReport { run: bench.project.run(), ..report_of(phase, status) })
}

fn numbers(bench: &Bench) -> Vec<u32> {
    bench.project.phases().iter().map(|phase| phase.number).collect()
}

#[test]
fn another_run_keeps_what_was_completed() {
    let mut bench = failed();
    let step = bench.give(Input::Retry(retry()));
    let Event::RunStarted { run: 2, requester, .. } = &step.events()[0] else { panic!("{step:?}") };
    assert_eq!(requester, "client-2");
    assert_eq!(step.effects, [Effect::StartPhase { phase: 4 }, Effect::Alarm { number: 2 }]);
    assert_eq!(numbers(&bench), [1, 4, 3], "what never began keeps its number");
    assert_eq!(bench.project.phase(4).expect("it").former.expect("a former").phase, 2);
    assert_eq!((bench.project.run(), bench.project.status()), (2, Status::Busy));
    assert_eq!(bench.project.counts(), counts(1, 0), "what is superseded does not count");
    // Reports of the run before, and of the phase whose place was taken.
    for late in [report(2, Status::Completed), report(4, Status::Completed)] {
        assert!(matches!(bench.give(late).decision, Decision::Nothing(_)));
    }
    let late = in_run(&bench, 2, Status::Completed);
    assert!(matches!(bench.give(late).decision, Decision::Nothing(_)));
    for phase in [4, 3] {
        let done = in_run(&bench, phase, Status::Completed);
        bench.give(done);
    }
    assert_eq!(bench.ended(), (Status::Completed, None));
    assert_eq!((bench.project.requester(), bench.project.counts()), ("client-2", counts(3, 0)));
    // The message that had it run again, once more: no third run.
    let again = bench.give_again(step.cause, Input::Retry(retry()));
    assert_eq!(again.decision, Decision::Nothing("it was heard before"));
    assert_eq!(bench.give(Input::Retry(retry())).decision, Decision::Nothing("everything of it was completed"));
}

#[test]
fn the_phase_that_is_run_again_twice_is_followed_back_step_by_step() {
    let mut bench = failed();
    bench.give(Input::Retry(retry()));
    let fails = in_run(&bench, 4, Status::Error);
    bench.give(fails);
    bench.give(Input::Retry(retry()));
    assert_eq!((numbers(&bench), bench.project.run()), (vec![1, 5, 3], 3));
    assert_eq!(bench.project.phase(5).expect("it").former.expect("a former").phase, 4);
    let superseded: Vec<_> = bench.project.superseded().iter().map(|phase| phase.number).collect();
    assert_eq!(superseded, [2, 4]);
}

#[test]
fn one_subtask_is_done_again_with_all_that_is_left() {
    let mut bench = failed();
    let redo = |phase, ordinal| Input::Retry(Retry { subtask: Some(subtask(phase, ordinal)), ..retry() });
    let never = Decision::Nothing("the subtask's phase never began");
    assert_eq!(bench.give(redo(3, 0)).decision, never);
    bench.give(redo(1, 7));
    assert_eq!((numbers(&bench), bench.current()), (vec![4, 5, 3], Some(4)));
    let former = |number| bench.project.phase(number).expect("it").former.expect("a former");
    assert_eq!((former(4).phase, former(4).redo), (1, Some(7)));
    assert_eq!((former(5).phase, former(5).redo), (2, None));
    for phase in [4, 5, 3] {
        let done = in_run(&bench, phase, Status::Completed);
        bench.give(done);
    }
    let gone = Decision::Nothing("another phase has taken the place of the subtask's");
    assert_eq!(bench.give(redo(1, 7)).decision, gone);
    bench.give(redo(4, 7));
    assert_eq!((numbers(&bench), bench.current()), (vec![6, 5, 3], Some(6)));
}

#[test]
fn with_one_subtask_all_that_was_not_completed_is_done_again() {
    let mut bench = open_with(r#"{"on_failure":"skip"}"#, &[1, 2, 3, 4]);
    let some = Counts { total: 2, completed: 1, skipped: 1, ..Counts::default() };
    bench.give(Input::Report(PhaseReport { counts: some, ..report_of(1, Status::Completed) }));
    bench.complete(2);
    bench.give(dead(3));
    let some = Counts { total: 2, completed: 1, failed: 1, ..Counts::default() };
    bench.give(Input::Report(PhaseReport { counts: some, ..report_of(4, Status::Completed) }));
    assert_eq!(bench.ended(), (Status::Completed, None));
    bench.give(Input::Retry(Retry { subtask: Some(subtask(4, 1)), ..retry() }));
    assert_eq!(numbers(&bench), [5, 2, 6, 7], "also what the project had gone on without");
}

#[test]
fn what_was_cancelled_stays_cancelled_when_only_failures_are_retried() {
    let failed_only = || Input::Retry(Retry { failed_only: true, ..retry() });
    let mut cancelled = Bench::open(&[1, 2]);
    cancelled.give(cancel());
    let closed = Counts { total: 2, completed: 1, cancelled: 1, ..Counts::default() };
    cancelled.give(Input::Report(PhaseReport { counts: closed, ..report_of(1, Status::Cancelled) }));
    assert_eq!(cancelled.give(failed_only()).decision, Decision::Nothing("what is left of it was cancelled"));
    cancelled.give(Input::Retry(retry()));
    assert_eq!((numbers(&cancelled), cancelled.current()), (vec![3, 2], Some(3)));

    // Also when something had failed in it, and when the deadline has ended a later run.
    let mut late = Bench::new();
    late.give(request_with(|request| {
        request.request.deadline_ms = Some(60_000);
        request.request.policy = Raw::parse(r#"{"on_failure":"skip"}"#).expect("JSON");
        request.plan = Ok(goals(&[1, 2]));
    }));
    let some = Counts { total: 3, completed: 1, failed: 1, skipped: 1, ..Counts::default() };
    late.give(Input::Report(PhaseReport { counts: some, ..report_of(1, Status::Completed) }));
    late.give(cancel());
    let closed = Counts { total: 3, failed: 1, cancelled: 2, ..Counts::default() };
    late.give(Input::Report(PhaseReport { counts: closed, ..report_of(2, Status::Cancelled) }));
    late.give(failed_only());
    late.now = NOON.plus_ms(60_000);
    late.alarm();
    let stopped = Counts { total: 3, completed: 1, cancelled: 2, ..Counts::default() };
    late.give(Input::Report(PhaseReport { run: 2, counts: stopped, ..report_of(3, Status::Cancelled) }));
    assert_eq!(late.ended().0, Status::Error);
    late.give(failed_only());
    assert_eq!(numbers(&late), [4, 2], "what the deadline stopped, and not what was cancelled in the run before");

    let mut skipped = Bench::open(&[1]);
    let some = Counts { total: 3, completed: 1, failed: 1, skipped: 1, ..Counts::default() };
    skipped.give(Input::Report(PhaseReport { counts: some, ..report_of(1, Status::Completed) }));
    assert_eq!(skipped.ended(), (Status::Completed, None));
    skipped.give(failed_only());
    let former = skipped.project.phase(2).expect("it").former.expect("a former");
    assert_eq!((former.phase, former.failed_only), (1, true));

    let mut whole = Bench::open(&[1]);
    whole.complete(1);
    assert_eq!(whole.give(failed_only()).decision, Decision::Nothing("nothing of it has failed"));
}

#[test]
fn without_a_plan_there_is_nothing_to_run_again() {
    let mut bench = Bench::new();
    bench.give(request(Err("no".into())));
    let none = Decision::Nothing("the project has no plan: there is nothing to run again");
    assert_eq!(bench.give(Input::Retry(retry())).decision, none);
}

#[test]
fn the_deadline_begins_anew_with_a_run() {
    let mut bench = Bench::new();
    bench.give(request_with(|request| request.request.deadline_ms = Some(60_000)));
    bench.give(report(1, Status::Error));
    bench.now = NOON.plus_ms(500_000);
    bench.give(Input::Retry(retry()));
    bench.now = bench.now.plus_ms(59_999);
    let number = bench.project.alarm().expect("an alarm").number;
    bench.give(Input::Alarm { number });
    assert!(bench.project.cancel().is_none());
    bench.alarm();
    assert!(bench.project.cancel().is_some());
}

fn dossier(goal: &str) -> Dossier {
    let failed = FailedSubtask {
        subtask_id: subtask(1, 0),
        name: "work".into(),
        goal_name: goal.into(),
        skill: "noop".into(),
        attempts: Vec::new(),
    };
    Dossier { failed: vec![failed], ..Dossier::default() }
}

fn fails_at(bench: &Bench, phase: u32, goal: &str) -> Input {
    let report = report_of(phase, Status::Error);
    Input::Report(PhaseReport { run: bench.project.run(), dossier: dossier(goal), ..report })
}

#[test]
fn the_goal_that_failed_is_planned_anew_twice_a_run() {
    let mut bench = open_with(REPLAN, &[1, 1, 2]);
    bench.replan = |goal, dossier| {
        assert_eq!(dossier.failed.len(), 1);
        Ok(GoalPlan { goal_name: format!("{}, otherwise", goal.goal_name), priority: 9, ..goal.clone() })
    };
    let report = fails_at(&bench, 1, "Goal 1");
    let step = bench.give(report);
    let Event::GoalReplanned { replaces, goal, .. } = &step.events()[1] else { panic!("{step:?}") };
    assert_eq!((replaces.as_str(), goal.goal_name.as_str(), goal.priority), ("Goal 1", "Goal 1, otherwise", 1));
    assert_eq!(step.effects, [Effect::StartPhase { phase: 3 }]);
    let phase = bench.project.phase(3).expect("it");
    let former = phase.former.expect("a former");
    assert_eq!((former.phase, former.failed_only), (1, true), "what a person has cancelled there is left out");
    let names: Vec<_> = bench.project.goals_of(phase).map(|goal| goal.goal_name.as_str()).collect();
    assert_eq!(names, ["Goal 0", "Goal 1, otherwise"], "in the place of the old one");
    let report = fails_at(&bench, 3, "Goal 0");
    bench.give(report);
    assert_eq!(bench.current(), Some(4));
    let report = fails_at(&bench, 4, "Goal 0, otherwise");
    bench.give(report);
    assert_eq!(bench.ended(), (Status::Error, Some("subtask `work` failed (it was planned anew 2 times)")));
    // Another run has as many of its own.
    bench.give(Input::Retry(retry()));
    let report = fails_at(&bench, 5, "Goal 0, otherwise");
    bench.give(report);
    assert_eq!(bench.current(), Some(6));
}

#[test]
fn a_plan_that_is_none_ends_it_with_both_reasons() {
    let replans: [(Replan, &str); 2] = [
        (|_, _| Err("no idea".into()), "subtask `work` failed (and it can not be planned anew: no idea)"),
        (
            |goal, _| Ok(GoalPlan { goal_name: "Goal 0".into(), ..goal.clone() }),
            "subtask `work` failed (and it can not be planned anew: two goals are named `Goal 0`)",
        ),
    ];
    for (replan, error) in replans {
        let mut bench = open_with(REPLAN, &[1, 2]);
        bench.complete(1);
        bench.replan = replan;
        let report = fails_at(&bench, 2, "Goal 1");
        bench.give(report);
        assert_eq!(bench.ended(), (Status::Error, Some(error)));
    }
}

#[test]
fn a_paused_project_is_planned_anew_and_goes_on_when_it_is_resumed() {
    let mut bench = open_with(REPLAN, &[1]);
    bench.give(Input::Pause);
    let report = fails_at(&bench, 1, "Goal 0");
    assert_eq!(bench.give(report).effects, []);
    assert_eq!(bench.give(Input::Resume).effects, [Effect::StartPhase { phase: 2 }]);
}

#[test]
fn what_a_person_has_cancelled_is_not_planned_anew() {
    // By what has failed in the phase, and what was cancelled: how the project goes on.
    let reported = |failed, cancelled, running: &str| {
        let policy = format!(r#"{{"on_failure":"replan","running":"{running}"}}"#);
        let mut bench = open_with(&policy, &[1, 2]);
        bench.replan = |goal, _| Ok(goal.clone());
        let counts = Counts { total: 4, idle: 4 - failed - cancelled, failed, cancelled, ..Counts::default() };
        let report =
            PhaseReport { counts, error: Some("subtask `a` was cancelled".into()), ..report_of(1, Status::Error) };
        bench.give(Input::Report(report));
        bench
    };
    let bench = reported(0, 1, "finish");
    let error = "subtask `a` was cancelled (what a person cancels is not planned anew)";
    assert_eq!((bench.ended(), numbers(&bench)), ((Status::Error, Some(error)), vec![1, 2]));
    // Something has failed beside it; or what ran was cancelled because of that.
    assert_eq!(reported(1, 1, "finish").current(), Some(3));
    assert_eq!(reported(1, 3, "cancel").current(), Some(3));
}

#[test]
fn what_a_deadline_has_stopped_counts_as_failed() {
    let failed_only = || Input::Retry(Retry { failed_only: true, ..retry() });
    let mut bench = Bench::new();
    bench.give(request_with(|request| {
        request.request.deadline_ms = Some(60_000);
        request.plan = Ok(goals(&[1, 2]));
    }));
    bench.now = NOON.plus_ms(60_000);
    bench.alarm();
    let closed = Counts { total: 2, completed: 1, cancelled: 1, ..Counts::default() };
    bench.give(Input::Report(PhaseReport { counts: closed, ..report_of(1, Status::Cancelled) }));
    assert_eq!(bench.ended(), (Status::Error, Some("the deadline of 1m passed")));
    bench.give(failed_only());
    assert_eq!((numbers(&bench), bench.current()), (vec![3, 2], Some(3)));
    assert!(bench.project.phase(3).expect("it").former.expect("a former").failed_only, "but for what was cancelled");
    // A person ends the second run: that is no failure.
    bench.give(cancel());
    let closed = Counts { total: 2, completed: 1, cancelled: 1, ..Counts::default() };
    let cancelled = PhaseReport { run: 2, counts: closed, ..report_of(3, Status::Cancelled) };
    bench.give(Input::Report(cancelled));
    assert_eq!(bench.give(failed_only()).decision, Decision::Nothing("what is left of it was cancelled"));
}
