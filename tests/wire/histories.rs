//! Recorded streams: what was stored once is read for ever, and means what it meant. A recorded line is never
//! changed; an event that is new, or has a new field, gets lines of its own.

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use trireme::domain::phase::{self, Outcome, Phase};
use trireme::domain::project::{self, Added, Project, Word};
use trireme::domain::view::ProjectView;
use trireme::wire::{ProjectId, Status};

const PROJECT: &str = include_str!("histories/project.jsonl");
/// One that was paused, asked, went on without a phase, and was cancelled in its second run; and one that was planned
/// anew.
const OTHER_PROJECTS: [&str; 2] =
    [include_str!("histories/project-2.jsonl"), include_str!("histories/project-3.jsonl")];
/// One that was asked three times about one subtask: by a phase that did not say when, before a cancel, and after it.
const ASKED_AGAIN: &str = include_str!("histories/project-4.jsonl");
/// One of whose second phase a subtask was cancelled before that began.
const UNWANTED: &str = include_str!("histories/project-5.jsonl");
const PHASES: [&str; 2] = [include_str!("histories/phase-1.jsonl"), include_str!("histories/phase-2.jsonl")];
/// Phases of other projects: retries and leases, words and questions, one that failed, the one in its place, one that came
/// to nothing, one that laid down what was left when it failed, and one of which something was not wanted before it opened.
const OTHERS: [&str; 7] = [
    include_str!("histories/retries.jsonl"),
    include_str!("histories/words.jsonl"),
    include_str!("histories/failed.jsonl"),
    include_str!("histories/renewed.jsonl"),
    include_str!("histories/handed-on.jsonl"),
    include_str!("histories/laid-down.jsonl"),
    include_str!("histories/unwanted.jsonl"),
];
const VIEW: &str = include_str!("histories/view.json");

fn id() -> ProjectId {
    "7c9e6679-7425-40de-944b-e07fc1f90ae7".parse().expect("an id")
}

fn events<E: DeserializeOwned>(lines: &str) -> Vec<E> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn phases() -> Vec<(u32, Vec<phase::Event>)> {
    (1..).zip(PHASES).map(|(number, lines)| (number, events(lines))).collect()
}

/// The name of an event. One that is new does not compile before it has a name, and does not pass before it is
/// among the recorded ones.
fn kind_in_project(event: &project::Event) -> &'static str {
    match event {
        project::Event::Accepted(_) => "Accepted",
        project::Event::GoalPlanned { .. } => "GoalPlanned",
        project::Event::PhaseStarted { .. } => "PhaseStarted",
        project::Event::StartRefused { .. } => "StartRefused",
        project::Event::PhaseReported { .. } => "PhaseReported",
        project::Event::AlarmSet { .. } => "AlarmSet",
        project::Event::Ended { .. } => "Ended",
        project::Event::PhaseSkipped { .. } => "PhaseSkipped",
        project::Event::GoalReplanned { .. } => "GoalReplanned",
        project::Event::PhaseAdded { why: Added::Retry, .. } => "PhaseAdded, retry",
        project::Event::PhaseAdded { why: Added::Replan, .. } => "PhaseAdded, replan",
        project::Event::PhaseAdded { why: Added::Decided, .. } => "PhaseAdded, decided",
        project::Event::CancelAsked { .. } => "CancelAsked",
        project::Event::SubtaskUnwanted { .. } => "SubtaskUnwanted",
        project::Event::Paused { .. } => "Paused",
        project::Event::Resumed { .. } => "Resumed",
        project::Event::Told { word: Word::Cancel { .. }, .. } => "Told, cancel",
        project::Event::Told { word: Word::Pause, .. } => "Told, pause",
        project::Event::Told { word: Word::Resume, .. } => "Told, resume",
        project::Event::Told { word: Word::Decide { .. }, .. } => "Told, decide",
        project::Event::Told { word: Word::Recover, .. } => "Told, recover",
        project::Event::TellRefused { .. } => "TellRefused",
        project::Event::SentAgain { .. } => "SentAgain",
        project::Event::Recovered { .. } => "Recovered",
        project::Event::Asked { .. } => "Asked",
        project::Event::Decided { .. } => "Decided",
        project::Event::RunStarted { .. } => "RunStarted",
    }
}

fn kind_in_phase(event: &phase::Event) -> &'static str {
    match event {
        phase::Event::Opened(_) => "Opened",
        phase::Event::SubtasksAdded { .. } => "SubtasksAdded",
        phase::Event::Planned {} => "Planned",
        phase::Event::Dispatched { .. } => "Dispatched",
        phase::Event::DispatchRefused { .. } => "DispatchRefused",
        phase::Event::Completed { .. } => "Completed",
        phase::Event::Failed { outcome: Outcome::Again { .. }, .. } => "Failed, again",
        phase::Event::Failed { outcome: Outcome::Wait { .. }, .. } => "Failed, wait",
        phase::Event::Failed { outcome: Outcome::Exhausted { .. }, .. } => "Failed, exhausted",
        phase::Event::Failed { outcome: Outcome::Retry { .. }, .. } => "Failed, retry",
        phase::Event::Failed { outcome: Outcome::FallBack { .. }, .. } => "Failed, fall back",
        phase::Event::Failed { outcome: Outcome::PassOver { .. }, .. } => "Failed, pass over",
        phase::Event::Failed { outcome: Outcome::Ask { .. }, .. } => "Failed, ask",
        phase::Event::WaitEnded { .. } => "WaitEnded",
        phase::Event::Kept { .. } => "Kept",
        phase::Event::Accepted { .. } => "Accepted",
        phase::Event::LeasesRenewed { .. } => "LeasesRenewed",
        phase::Event::Begun { .. } => "Begun",
        phase::Event::Withdrawn { .. } => "Withdrawn",
        phase::Event::AskRefused { .. } => "AskRefused",
        phase::Event::AskedAgain { .. } => "AskedAgain",
        phase::Event::Decided { .. } => "Decided",
        phase::Event::SubtaskCancelled { .. } => "SubtaskCancelled",
        phase::Event::SubtaskUnwanted { .. } => "SubtaskUnwanted",
        phase::Event::Cancelled { .. } => "Cancelled",
        phase::Event::RunningCancelled { .. } => "RunningCancelled",
        phase::Event::Paused { .. } => "Paused",
        phase::Event::Resumed { .. } => "Resumed",
        phase::Event::CancelRepeated { .. } => "CancelRepeated",
        phase::Event::Hushed { .. } => "Hushed",
        phase::Event::AlarmSet { .. } => "AlarmSet",
        phase::Event::Ended { .. } => "Ended",
        phase::Event::ReportRefused { .. } => "ReportRefused",
        phase::Event::ReportAgain { .. } => "ReportAgain",
        phase::Event::SentAgain { .. } => "SentAgain",
        phase::Event::Recovered { .. } => "Recovered",
        phase::Event::HandedOverAgain { .. } => "HandedOverAgain",
    }
}

#[test]
fn every_kind_of_event_is_recorded() {
    let projects = [PROJECT, OTHER_PROJECTS[0], OTHER_PROJECTS[1], UNWANTED];
    let in_project: BTreeSet<_> = projects.into_iter().flat_map(events).map(|event| kind_in_project(&event)).collect();
    assert_eq!(in_project.len(), 27, "{in_project:?}");
    let in_phases: BTreeSet<_> = PHASES.into_iter().chain(OTHERS).flat_map(events).map(|e| kind_in_phase(&e)).collect();
    assert_eq!(in_phases.len(), 37, "{in_phases:?}");
}

#[test]
fn a_recorded_event_is_written_as_it_was() {
    fn check<E: DeserializeOwned + Serialize + Debug>(lines: &str) {
        for line in lines.lines() {
            let event: E = serde_json::from_str(line).expect("an event");
            let (then, now) = (serde_json::from_str::<Value>(line), serde_json::to_value(&event));
            assert_eq!(now.expect("JSON"), then.expect("JSON"), "{event:?}");
        }
    }
    check::<project::Event>(PROJECT);
    OTHER_PROJECTS.into_iter().for_each(check::<project::Event>);
    check::<project::Event>(ASKED_AGAIN);
    check::<project::Event>(UNWANTED);
    PHASES.into_iter().chain(OTHERS).for_each(check::<phase::Event>);
}

#[test]
fn recorded_streams_fold_to_the_recorded_view() {
    let view = ProjectView::fold(id(), &events(PROJECT), &phases());
    let recorded: Value = serde_json::from_str(VIEW).expect("JSON");
    assert_eq!(serde_json::to_value(&view).expect("JSON"), recorded);
}

#[test]
fn the_invariants_hold_along_the_recorded_streams() {
    for (number, events) in (1..).zip(PHASES.into_iter().chain(OTHERS).map(events)) {
        let mut phase = Phase::default();
        for event in &events {
            let event: &phase::Event = event;
            phase.apply(event);
            let opening = phase.alarm().is_none();
            let verdict = phase.check();
            assert!(verdict.is_ok() || opening, "phase {number}, version {}: {verdict:?}", phase.version());
        }
        assert!(phase.ended().is_some() && phase.check().is_ok());
    }
    let mut project = Project::new(id());
    events(PROJECT).iter().for_each(|event| project.apply(event));
    assert_eq!(project.check(), Ok(()));
}

#[test]
fn runs_words_and_replans_fold_to_what_they_meant() {
    let [cancelled, replanned] = OTHER_PROJECTS.map(|lines| {
        let mut project = Project::new(id());
        events(lines).iter().for_each(|event| project.apply(event));
        assert_eq!(project.check(), Ok(()));
        project
    });
    let ended = cancelled.ended().expect("it ended");
    assert_eq!((cancelled.run(), ended.status, ended.error.as_deref()), (2, Status::Cancelled, Some("wrong input")));
    let numbers = |phases: &[project::PhaseState]| phases.iter().map(|phase| phase.number).collect::<Vec<_>>();
    assert_eq!((numbers(cancelled.phases()), numbers(cancelled.superseded())), (vec![1, 4], vec![2, 3]));
    assert_eq!((cancelled.counts().total, cancelled.requester()), (3, "client-2"));
    assert_eq!((numbers(replanned.phases()), replanned.status()), (vec![2], Status::Completed));
    let goals: Vec<_> = replanned.goals_of(&replanned.phases()[0]).map(|goal| goal.goal_name.as_str()).collect();
    assert_eq!(goals, ["Goal 0, otherwise"]);
}

#[test]
fn of_what_was_asked_about_one_subtask_the_newest_is_open() {
    let mut project = Project::new(id());
    let open: Vec<String> = events(ASKED_AGAIN)
        .iter()
        .map(|event| {
            project.apply(event);
            assert!(project.alarm().is_none() || project.check().is_ok());
            let ids = project.open_questions().map(|(id, _)| id.0.to_string()[34..].to_owned());
            ids.collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(open, ["", "", "", "", "46", "47", "", "48"]);
}

#[test]
fn what_is_not_wanted_of_a_phase_to_come_is_remembered() {
    let (mut project, subtask) = (Project::new(id()), "2.0".parse().expect("an id"));
    let known = events(UNWANTED).into_iter().map(|event| {
        project.apply(&event);
        (project.unwanted_in(2).any(|(id, _)| id == subtask), project.told().len())
    });
    let known: Vec<(bool, usize)> = known.collect();
    assert_eq!(known[5..], [(true, 0), (true, 0), (true, 0), (true, 1), (true, 1)]);
    assert_eq!(project.check(), Ok(()));
}

#[test]
fn what_is_shown_on_the_way_is_of_the_way() {
    // The view of every prefix can be made, its counts add up, and it has ended only at the end.
    let (project, phases) = (events::<project::Event>(PROJECT), phases());
    for version in 0..=project.len() {
        let view = ProjectView::fold(id(), &project[..version], &[]);
        assert!(view.counts.add_up());
        assert_eq!(view.finished_at.is_some(), version == project.len());
        assert_eq!(view.submitted_at.is_some(), version > 0);
    }
    for (number, events) in &phases {
        for version in 0..=events.len() {
            let view = ProjectView::fold(id(), &project, &[(*number, events[..version].to_vec())]);
            assert!(view.counts.add_up());
            for subtask in view.subtasks() {
                let numbers: Vec<u32> = subtask.attempt_log.iter().map(|attempt| attempt.attempt).collect();
                assert_eq!(numbers, (1..=subtask.attempts).collect::<Vec<_>>(), "{}", subtask.name);
            }
        }
    }
}
