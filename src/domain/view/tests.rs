//! The statuses and times that are shown, along the way of a phase and of a project.

use uuid::Uuid;

use super::*;
use crate::domain::alarm::next_alarm;
use crate::domain::expand::{SkillDefaults, expand};
use crate::domain::phase::{Opened, Outcome};
use crate::domain::project::Accepted;
use crate::domain::to_come::Meant;
use crate::wire::{GoalPlan, MessageId, SubtaskPlan};

const CAUSE: MessageId = MessageId(Uuid::nil());

fn at(second: u64) -> Timestamp {
    Timestamp(1_763_800_000_000).plus_ms(second * 1_000)
}

fn goals() -> Vec<GoalPlan> {
    let after = |name: &str, on: &[&str]| SubtaskPlan {
        dependencies: on.iter().map(|on| (*on).to_owned()).collect(),
        ..SubtaskPlan::new(name, "noop")
    };
    let goal = |name: &str, subtasks| GoalPlan {
        goal_name: name.into(),
        priority: 4,
        description: String::new(),
        input: None,
        subtasks: Some(subtasks),
    };
    vec![
        goal("First", vec![after("a", &[]), after("b", &["a"])]),
        goal("Second", vec![after("c", &[]), after("d", &["b"])]),
        goal("Third", vec![after("e", &["d"])]),
        goal("Nothing", Vec::new()),
    ]
}

/// `a`, `b` of the first goal, `c`, `d` of the second, `e` of the third, and a goal of none.
fn opening() -> Vec<phase::Event> {
    let goals = goals();
    let opened = Opened {
        at: at(0),
        cause: CAUSE,
        project_id: ProjectId(Uuid::nil()),
        project_name: "Shop".into(),
        project_version: 1,
        run: 1,
        phase: 2,
        priority: 4,
        partition: 0,
        goals: goals.iter().map(|goal| goal.goal_name.clone()).collect(),
        parameters: Raw::empty_object(),
        policy: Raw::empty_object(),
        id_namespace: Uuid::nil(),
        playbook: None,
        former: None,
    };
    let specs = expand(&goals, &|_| Ok(SkillDefaults::new(1_000, 3))).expect("a good plan");
    let alarm = next_alarm(None, false, at(0), None, CAUSE).expect("an alarm");
    vec![
        phase::Event::Opened(opened),
        phase::Event::SubtasksAdded { specs },
        phase::Event::Planned {},
        phase::Event::AlarmSet { at: at(0), alarm },
    ]
}

fn sent(commands: &[(u32, u32)]) -> phase::Event {
    phase::Event::Dispatched {
        at: at(1),
        cause: CAUSE,
        not_after: at(60),
        commands: commands.to_vec(),
        answer_within_ms: None,
    }
}

fn completed(ordinal: u32, attempt: u32) -> phase::Event {
    let (agent, usage) = (format!("executor-{ordinal}"), None);
    let (started_at, finished_at) = (at(2), at(3));
    phase::Event::Completed { at: at(4), ordinal, attempt, agent, started_at, finished_at, bytes: 4, usage }
}

fn failed(ordinal: u32, attempt: u32, outcome: &str) -> phase::Event {
    phase::Event::Failed {
        at: at(4),
        ordinal,
        attempt,
        agent: Some("executor-9".into()),
        kind: FailureKind::Transient,
        error: "away".into(),
        avoid: false,
        started_at: Some(at(2)),
        finished_at: Some(at(3)),
        outcome: serde_json::from_str::<Outcome>(outcome).expect("an outcome"),
    }
}

const AGAIN: &str = r#"{"next":"again","budget":"failures"}"#;
const EXHAUSTED: &str = r#"{"next":"exhausted","budget":"failures"}"#;
const WAIT: &str = r#"{"next":"wait","until":"2025-11-22T09:00:00Z"}"#;

fn ended(status: Status) -> phase::Event {
    phase::Event::Ended { at: at(9), cause: CAUSE, status, error: None, laid_down: true }
}

/// The statuses of phase and goals after these events.
fn statuses(events: &[phase::Event]) -> String {
    let view = PhaseView::fold(2, &[opening(), events.to_vec()].concat());
    let goals: Vec<_> = view.goals.iter().map(|goal| goal.status.as_str()).collect();
    format!("{}: {}", view.status, goals.join(" "))
}

#[test]
fn a_goal_s_status_follows_its_subtasks() {
    let first = [sent(&[(0, 1), (2, 1)])];
    let b_left = [&first[..], &[completed(0, 1), completed(2, 1), sent(&[(1, 1)])]].concat();
    let d_left = [&b_left[..], &[completed(1, 1), sent(&[(3, 1)])]].concat();
    let e_left = [&d_left[..], &[completed(3, 1), sent(&[(4, 1)])]].concat();
    let all = [&e_left[..], &[completed(4, 1), ended(Status::Completed)]].concat();
    for (events, shown) in [
        (&[][..], "BUSY: BUSY BUSY IDLE BUSY"),
        (&first, "BUSY: BUSY BUSY IDLE BUSY"),
        // The second goal was begun, and what is left of it waits for the first.
        (&b_left, "BUSY: BUSY BUSY IDLE BUSY"),
        (&d_left, "BUSY: COMPLETED BUSY IDLE BUSY"),
        (&e_left, "BUSY: COMPLETED COMPLETED BUSY BUSY"),
        (&all, "COMPLETED: COMPLETED COMPLETED COMPLETED COMPLETED"),
    ] {
        assert_eq!(statuses(events), shown);
    }
}

#[test]
fn a_goal_that_waits_for_its_next_attempt_says_so() {
    let events = [sent(&[(0, 1), (2, 1)]), failed(0, 1, WAIT), completed(2, 1)];
    assert_eq!(statuses(&events), "BUSY: WAITING BUSY IDLE BUSY");
    assert_eq!(statuses(&[sent(&[(0, 1), (2, 1)]), failed(0, 1, AGAIN)]), "BUSY: BUSY BUSY IDLE BUSY");
}

#[test]
fn in_a_failing_phase_only_the_goal_that_failed_has_failed() {
    let failing = [sent(&[(0, 1), (2, 1)]), failed(0, 1, EXHAUSTED)];
    assert_eq!(statuses(&failing), "BUSY: ERROR BUSY IDLE BUSY");
}

#[test]
fn when_a_phase_has_failed_what_was_begun_has_failed_and_the_rest_never_began() {
    let failed = [sent(&[(0, 1), (2, 1)]), failed(0, 1, EXHAUSTED), completed(2, 1), ended(Status::Error)];
    assert_eq!(statuses(&failed), "ERROR: ERROR ERROR IDLE ERROR");
    assert_eq!(statuses(&[ended(Status::Error)]), "ERROR: IDLE IDLE IDLE ERROR");
    assert_eq!(
        statuses(&[sent(&[(0, 1)]), completed(0, 1), ended(Status::Cancelled)]).split(' ').nth(1),
        Some("CANCELLED")
    );
}

#[test]
fn a_phase_without_a_plan_has_its_goals_and_its_error() {
    let error = Some("nobody has the skill".to_owned());
    let opened = opening().remove(0);
    let (at, cause, status) = (at(1), CAUSE, Status::Error);
    let ended = phase::Event::Ended { at, cause, status, error: error.clone(), laid_down: true };
    let view = PhaseView::fold(2, &[opened, ended]);
    assert_eq!((view.status, view.error, view.goals.len()), (Status::Error, error, 4));
    assert!(view.goals.iter().all(|goal| goal.status == Status::Error && goal.subtasks.is_empty()));
}

#[test]
fn times_and_agents_are_the_executor_s_own_and_null_until_given() {
    let events = [opening(), vec![sent(&[(0, 1)])]].concat();
    let subtask = |events: &[phase::Event], ordinal: usize| {
        let view = PhaseView::fold(2, events);
        view.goals.into_iter().flat_map(|goal| goal.subtasks).nth(ordinal).expect("a subtask")
    };
    let out = subtask(&events, 0);
    assert_eq!((out.status, out.attempts, out.attempt_log.len()), (SubtaskStatus::Busy, 1, 1));
    assert_eq!((out.agent_id, out.started_at, out.finished_at, out.error), (None, None, None, None));

    // A failed attempt's times are shown while it is the newest, and its agent until there is another.
    let failed_once = [events, vec![failed(0, 1, AGAIN)]].concat();
    let out = subtask(&failed_once, 0);
    assert_eq!((out.status, out.agent_id.as_deref()), (SubtaskStatus::Ready, Some("executor-9")));
    assert_eq!((out.started_at, out.finished_at, out.error.as_deref()), (Some(at(2)), Some(at(3)), Some("away")));
    let again = [failed_once, vec![sent(&[(0, 2)])]].concat();
    let out = subtask(&again, 0);
    assert_eq!((out.status, out.attempts, out.agent_id.as_deref()), (SubtaskStatus::Busy, 2, None));
    assert_eq!((out.started_at, out.finished_at, out.error), (None, None, None));

    let done = subtask(&[again, vec![completed(0, 2)]].concat(), 0);
    assert_eq!(
        (done.agent_id.as_deref(), done.started_at, done.finished_at),
        (Some("executor-0"), Some(at(2)), Some(at(3)))
    );
    assert_eq!((done.error, done.result), (None, None));
    let kinds: Vec<_> = done.attempt_log.iter().map(|attempt| (attempt.attempt, attempt.kind)).collect();
    assert_eq!(kinds, [(1, Some(FailureKind::Transient)), (2, None)]);
}

#[test]
fn names_and_dependencies_are_in_the_plan_s_words() {
    let view = PhaseView::fold(2, &opening());
    let subtasks: Vec<_> = view.goals.iter().flat_map(|goal| &goal.subtasks).collect();
    let names: Vec<_> = subtasks.iter().map(|subtask| (subtask.id.to_string(), subtask.name.as_str())).collect();
    assert_eq!(names[3], ("2.3".to_owned(), "d"));
    assert_eq!(subtasks[3].dependencies, ["b"]);
    assert_eq!((view.phase, view.priority, view.counts.total), (2, 4, 5));
}

/// A project with a phase before the one of `opening`, and one after it.
fn project_events() -> Vec<project::Event> {
    let accepted = Accepted {
        at: at(0),
        cause: CAUSE,
        name: "Shop".into(),
        description: String::new(),
        requester: "client-1".into(),
        run: 1,
        id_namespace: Uuid::nil(),
        fingerprint: String::new(),
        partitions: 8,
        parameters: Raw::empty_object(),
        policy: Raw::empty_object(),
        playbook: None,
        deadline_ms: None,
    };
    let goal = |name: &str, priority| GoalPlan { goal_name: name.into(), priority, ..goals().remove(2) };
    let planned = |goal| project::Event::GoalPlanned { goal };
    let mut events = vec![project::Event::Accepted(accepted), planned(goal("Late", 9)), planned(goal("Early", 1))];
    events.extend(goals().into_iter().map(planned));
    events.push(project::Event::PhaseStarted { at: at(0), cause: CAUSE, phase: 1, partition: 3 });
    events
}

#[test]
fn phases_to_come_are_shown_by_their_goals() {
    let mut events = project_events();
    let shown = |view: &ProjectView| {
        let phase =
            |phase: &PhaseView| format!("{} {} {} {}", phase.phase, phase.priority, phase.status, phase.goals.len());
        view.phases.iter().map(phase).collect::<Vec<_>>()
    };
    let view = ProjectView::fold(ProjectId(Uuid::nil()), &events, &[]);
    assert_eq!(shown(&view), ["1 1 BUSY 1", "2 4 IDLE 4", "3 9 IDLE 1"], "the first was handed over, and not taken");
    assert_eq!((view.status, view.submitted_at, view.finished_at), (Status::Busy, Some(at(0)), None));
    assert_eq!(view.phases[2].goals[0].name, "Late");
    let late = |name: &str| view.phases[2].to_come.as_ref().and_then(|to_come| to_come.meant_by(name));
    assert_eq!(["e", "d", "e 1"].map(late), [Some(Meant::One(SubtaskId { phase: 3, ordinal: 0 })), None, None]);

    let counts = Counts { total: 1, completed: 1, ..Counts::default() };
    events.push(project::Event::PhaseReported { at: at(5), phase: 1, status: Status::Completed, counts, error: None });
    events.push(project::Event::PhaseStarted { at: at(5), cause: CAUSE, phase: 2, partition: 3 });
    let view = ProjectView::fold(ProjectId(Uuid::nil()), &events, &[(2, opening()), (1, Vec::new())]);
    assert_eq!(shown(&view), ["1 1 COMPLETED 1", "2 4 BUSY 4", "3 9 IDLE 1"]);
    assert_eq!((view.counts.total, view.counts.completed, view.counts.ready), (6, 1, 2));

    let error = Some("gave up".to_owned());
    events.push(project::Event::Ended { at: at(7), cause: CAUSE, status: Status::Error, error: error.clone() });
    let view = ProjectView::fold(ProjectId(Uuid::nil()), &events, &[]);
    assert_eq!((view.status, view.finished_at, view.error), (Status::Error, Some(at(7)), error));
}

#[test]
fn what_is_kept_shows_who_did_it_and_when_in_the_phase_it_is_kept_from() {
    let events = project_events();
    let from = SubtaskId { phase: 1, ordinal: 0 };
    let kept = phase::Event::Kept { at: at(20), subtasks: vec![phase::Kept { ordinal: 0, from, bytes: 4 }] };
    let done = vec![sent(&[(0, 1)]), failed(0, 1, AGAIN), sent(&[(0, 2)]), completed(0, 2)];
    let (former, latter) = ([opening(), done].concat(), [opening(), vec![kept]].concat());
    assert_eq!(Vec::from_iter(kept_from(&latter)), [1]);
    let show = |phases: &[(u32, Vec<phase::Event>)]| {
        let view = ProjectView::fold(ProjectId(Uuid::nil()), &events, phases);
        view.subtasks().find(|subtask| subtask.kept_from == Some(from)).cloned().expect("it is kept")
    };
    let shown = show(&[(1, former), (2, latter.clone())]);
    assert_eq!((shown.status, shown.attempts, shown.error), (SubtaskStatus::Completed, 2, None));
    assert_eq!(
        (shown.agent_id.as_deref(), shown.started_at, shown.finished_at),
        (Some("executor-0"), Some(at(2)), Some(at(3)))
    );
    let log: Vec<_> = shown.attempt_log.iter().map(|attempt| (attempt.attempt, attempt.kind)).collect();
    assert_eq!(log, [(1, Some(FailureKind::Transient)), (2, None)]);
    // Where that stream is gone nothing is made up.
    assert_eq!(show(&[(2, latter)]).attempts, 0);
}

#[test]
fn what_was_skipped_says_because_of_whom() {
    let errors = |events: &[phase::Event]| -> Vec<_> {
        let view = PhaseView::fold(2, &[opening(), events.to_vec()].concat());
        view.goals.into_iter().flat_map(|goal| goal.subtasks).map(|subtask| subtask.error.unwrap_or_default()).collect()
    };
    let after = |a: &'static str, b: &'static str| {
        [a, b, "", "its dependency `b` was skipped", "its dependency `d` was skipped"]
    };
    let passed_over = failed(0, 1, r#"{"next":"pass_over","budget":"failures","dependants":"skip"}"#);
    assert_eq!(errors(&[sent(&[(0, 1)]), passed_over]), after("away", "its dependency `a` failed"));
    let then = phase::Then::Skip;
    let cancelled = phase::Event::SubtaskCancelled { at: at(1), cause: CAUSE, ordinal: 0, reason: None, then };
    assert_eq!(errors(&[cancelled]), after("", "its dependency `a` was cancelled"));
    // One that only waits has no error.
    assert_eq!(errors(&[sent(&[(0, 1)]), failed(0, 1, EXHAUSTED)]), ["away", "", "", "", ""]);
}

#[test]
fn nothing_waits_in_a_phase_that_is_over() {
    // `a` waits for its next attempt, `c` has failed for good, and the rest depends on them.
    let open = [opening(), vec![sent(&[(0, 1), (2, 1)]), failed(0, 1, WAIT), failed(2, 1, EXHAUSTED)]].concat();
    let shown = |view: &ProjectView| {
        let a = view.subtasks().next().expect("`a`");
        assert!(view.counts.add_up());
        (a.status, a.next_attempt_at.is_some(), view.counts.waiting, view.counts.idle)
    };
    let view = |project: &[project::Event], phase: &[phase::Event]| {
        ProjectView::fold(ProjectId(Uuid::nil()), project, &[(2, phase.to_vec())])
    };
    let waits = view(&project_events(), &open);
    assert_eq!(shown(&waits), (SubtaskStatus::Waiting, true, 1, 3));
    // A stream of before does not say that it was laid down; it is shown so all the same.
    for laid_down in [true, false] {
        let ended = phase::Event::Ended { at: at(9), cause: CAUSE, status: Status::Error, error: None, laid_down };
        let view = view(&project_events(), &[open.clone(), vec![ended]].concat());
        assert_eq!(shown(&view), (SubtaskStatus::Idle, false, 0, 4));
        assert_eq!(view.phases[1].goals[0].status, Status::Error);
    }
    // And so is one that its project has given up, whatever its own stream says.
    let (phase, status, counts) = (2, Status::Error, Counts::default());
    let given_up = project::Event::PhaseReported { at: at(5), phase, status, counts, error: None };
    let given_up = [project_events(), vec![given_up]].concat();
    assert_eq!(shown(&view(&given_up, &open)), (SubtaskStatus::Idle, false, 0, 4));
    // The project goes on without what was left of it, also of what runs.
    let skipped = [given_up, vec![project::Event::PhaseSkipped { at: at(6), phase }]].concat();
    let view = view(&skipped, &[opening(), vec![sent(&[(0, 1)])]].concat());
    assert_eq!(shown(&view), (SubtaskStatus::Skipped, false, 0, 0));
    assert_eq!((view.counts.skipped, view.phases[1].goals[0].status), (5, Status::Completed));
}

#[test]
fn of_a_phase_that_was_opened_too_late_its_project_says_how_much_there_was() {
    let counts = Counts { total: 3, idle: 3, ..Counts::default() };
    let (phase, status) = (2, Status::Error);
    let given_up = project::Event::PhaseReported { at: at(5), phase, status, counts, error: Some("away".into()) };
    let events = [project_events(), vec![given_up, project::Event::PhaseSkipped { at: at(6), phase }]].concat();
    let ended =
        phase::Event::Ended { at: at(9), cause: CAUSE, status: Status::Cancelled, error: None, laid_down: true };
    let too_late = vec![opening()[0].clone(), ended];
    let view = ProjectView::fold(ProjectId(Uuid::nil()), &events, &[(phase, too_late)]);
    let shown = &view.phases[1];
    assert_eq!((shown.counts.total, shown.counts.skipped, shown.error.as_deref()), (3, 3, Some("away")));
}

#[test]
fn what_was_cancelled_and_is_not_in_the_plan_is_shown() {
    let cancelled = |ordinal| project::Event::SubtaskUnwanted {
        at: at(1),
        cause: CAUSE,
        subtask: SubtaskId { phase: 2, ordinal },
        reason: String::new(),
        said_of: None,
    };
    let mut events = project_events();
    events.extend([4, 5].map(cancelled));
    let unwanted = |phase: &[phase::Event]| {
        let view = ProjectView::fold(ProjectId(Uuid::nil()), &events, &[(2, phase.to_vec())]);
        view.phases[1].unwanted.iter().map(SubtaskId::to_string).collect::<Vec<_>>()
    };
    assert_eq!(unwanted(&[]), ["2.4", "2.5"], "it has not begun");
    assert_eq!(unwanted(&opening()), ["2.5"], "there are five");
}

#[test]
fn a_project_that_nobody_knows_is_idle_and_empty() {
    let view = ProjectView::fold(ProjectId(Uuid::nil()), &[], &[(1, opening())]);
    assert_eq!((view.status, view.phases.len(), view.submitted_at), (Status::Idle, 0, None));
}
