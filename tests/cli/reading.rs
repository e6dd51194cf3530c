//! The commands that read the store, on one that was written beforehand: no broker, no worker.

use std::path::Path;

use serde_json::{Value, json};
use trireme::domain::expand::{SkillDefaults, expand};
use trireme::domain::phase;
use trireme::domain::project;
use trireme::planner::ProjectFile;
use trireme::planner::document::Format;
use trireme::runtime::port::{Append, Payload, PayloadKind, Summary};
use trireme::store;
use trireme::wire::{Counts, ProjectId, Raw, Status, StreamId, Timestamp};

use crate::call::Place;

pub const ENDED: &str = "aaaabbbb-0000-4000-8000-000000000001";
pub const OTHER: &str = "aaaabbbb-0000-4000-8000-000000000002";
const FILE: &str = "name = \"shop\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"a\"\nskill = \"noop\"\n\
                    [[goals.subtasks]]\nname = \"b\"\nskill = \"noop\"\ndependencies = [\"a\"]\n";
const SUBMITTED: Timestamp = Timestamp(1_763_800_000_000);

pub fn id(text: &str) -> ProjectId {
    text.parse().expect("an id")
}

pub fn event<T: serde::de::DeserializeOwned + serde::Serialize>(json: Value) -> Raw {
    // Through the type, so that what is written here is what the machines write.
    let event: T = serde_json::from_str(&json.to_string()).expect("an event");
    Raw::from_serialize(&event).expect("JSON")
}

/// A project of two subtasks, of which the second failed at its only attempt; and one that was taken just now.
pub async fn fill(folder: &Path) {
    let store = store::open(&format!("sqlite:{}", folder.join("trireme.db").display())).await.expect("a store");
    let file = ProjectFile::parse(FILE, Format::Toml).expect("a project");
    for (name, submitted, has_ended) in [(ENDED, SUBMITTED, true), (OTHER, SUBMITTED.plus_ms(1_000), false)] {
        let counts = match has_ended {
            true => Counts { total: 2, completed: 1, failed: 1, ..Counts::default() },
            false => Counts::default(),
        };
        let status = if has_ended { Status::Error } else { Status::Busy };
        let finished_at = has_ended.then(|| submitted.plus_ms(500));
        let project = id(name);
        let cause = project.0;
        let mut events = vec![
            event::<project::Event>(json!({ "Accepted": {
                "at": submitted, "cause": cause, "name": "shop", "description": "", "requester": "client-1", "run": 1,
                "id_namespace": cause, "fingerprint": project::fingerprint(&file.request()), "partitions": 8,
                "parameters": {}, "policy": {},
            }})),
            event::<project::Event>(json!({ "GoalPlanned": { "goal": file.goals.as_ref().expect("goals")[0] } })),
            event::<project::Event>(json!({ "PhaseStarted": {
                "at": submitted, "cause": cause, "phase": 1, "partition": 0
            }})),
        ];
        if has_ended {
            events.push(event::<project::Event>(json!({ "PhaseReported": {
                "at": finished_at, "phase": 1, "status": status, "counts": counts, "error": "subtask `b` failed",
            }})));
            events.push(event::<project::Event>(json!({ "Ended": {
                "at": finished_at, "cause": cause, "status": status, "error": "subtask `b` failed",
            }})));
        }
        // The phase ended a little before its project.
        let finished_at = |stream| match stream {
            StreamId::Project(_) => finished_at,
            StreamId::Phase(..) => Some(submitted.plus_ms(400)),
        };
        let summary = |stream| Summary {
            stream,
            name: "shop".into(),
            status,
            counts,
            submitted_at: submitted,
            finished_at: finished_at(stream),
        };
        let part = |stream, events, payloads| Append {
            events,
            payloads,
            summary: Some(summary(stream)),
            ..Append::assertion(stream, 0)
        };
        let mut parts = vec![part(StreamId::Project(project), events, Vec::new())];
        if has_ended {
            parts.push(part(StreamId::Phase(project, 1), phase_events(project, submitted), payloads()));
        }
        store.append(parts).await.expect("written");
    }
}

fn phase_events(project: ProjectId, at: Timestamp) -> Vec<Raw> {
    let cause = project.0;
    let goals = ProjectFile::parse(FILE, Format::Toml).expect("a project").goals.expect("goals");
    let specs = expand(&goals, &|_| Ok(SkillDefaults::new(60_000, 1))).expect("specs");
    let (a_began, a_ended, b_began, b_ended) = (at.plus_ms(100), at.plus_ms(200), at.plus_ms(300), at.plus_ms(400));
    [
        json!({ "Opened": {
            "at": at, "cause": cause, "project_id": project, "project_name": "shop", "project_version": 3, "run": 1,
            "phase": 1, "priority": 1, "partition": 0, "goals": ["g"], "parameters": {}, "policy": {},
            "id_namespace": cause,
        }}),
        json!({ "SubtasksAdded": { "specs": specs } }),
        json!({ "Planned": {} }),
        json!({ "Dispatched": { "at": at, "cause": cause, "not_after": at.plus_ms(600_000), "commands": [[0, 1]] } }),
        json!({ "Completed": {
            "at": a_ended, "ordinal": 0, "attempt": 1, "agent": "executor-1", "started_at": a_began,
            "finished_at": a_ended, "bytes": 9,
        }}),
        json!({ "Dispatched": {
            "at": a_ended, "cause": cause, "not_after": at.plus_ms(600_000), "commands": [[1, 1]]
        }}),
        json!({ "Failed": {
            "at": b_ended, "ordinal": 1, "attempt": 1, "agent": "executor-1", "kind": "permanent", "error": "no way",
            "started_at": b_began, "finished_at": b_ended, "outcome": { "next": "exhausted", "budget": "failures" },
        }}),
        json!({ "Ended": {
            "at": b_ended, "cause": cause, "status": "ERROR", "error": "subtask `b` failed"
        }}),
    ]
    .into_iter()
    .map(event::<phase::Event>)
    .collect()
}

fn payloads() -> Vec<Payload> {
    let payload = |ordinal, kind, data| Payload { ordinal, attempt: 1, kind, data: Raw::from(data) };
    let files = json!({ "files": [
        { "path": "src/a.py", "text": "print(1)\n" },
        { "path": "logo.bin", "base64": "AAEC", "media_type": "application/octet-stream" },
    ]});
    vec![payload(0, PayloadKind::Result, files), payload(1, PayloadKind::Log, json!("it said\nno\n"))]
}

#[tokio::test]
async fn status_and_list_have_their_shapes() {
    let place = Place::new();
    fill(place.path()).await;
    insta::assert_json_snapshot!("status", place.run(&["status", ENDED, "--json"]).json());
    insta::assert_json_snapshot!("list", place.run(&["list", "--json"]).json());
    insta::assert_snapshot!("status_for_people", place.run(&["status", ENDED]).stdout);
    insta::assert_snapshot!("list_for_people", place.run(&["list"]).stdout);
    let listed = |arguments: &[&str]| -> Vec<Value> {
        let all = place.run(arguments).json();
        all.as_array().expect("an array").iter().map(|one| one["project_id"].clone()).collect()
    };
    assert_eq!(listed(&["list", "--json", "--status", "error"]), [ENDED]);
    assert_eq!(listed(&["list", "--json", "--limit", "1"]), [OTHER], "the newest first");
}

/// A project's own row counts what its phases have reported, and a phase reports when it ends.
#[tokio::test]
async fn list_counts_what_is_running_now() {
    let place = Place::new();
    fill(place.path()).await;
    let store = store::open(&format!("sqlite:{}", place.path().join("trireme.db").display())).await.expect("a store");
    let row = |phase, status, counts| Append {
        summary: Some(Summary {
            stream: StreamId::Phase(id(OTHER), phase),
            name: "shop".into(),
            status,
            counts,
            submitted_at: SUBMITTED.plus_ms(1_000),
            finished_at: None,
        }),
        events: phase_events(id(OTHER), SUBMITTED),
        ..Append::assertion(StreamId::Phase(id(OTHER), phase), 0)
    };
    let ended = Counts { total: 2, completed: 2, ..Counts::default() };
    let open = Counts { total: 5, completed: 1, handed_out: 3, idle: 1, ..Counts::default() };
    let project = StreamId::Project(id(OTHER));
    let reported = event::<project::Event>(json!({ "PhaseReported": {
        "at": SUBMITTED.plus_ms(1_500), "phase": 1, "status": Status::Completed, "counts": ended, "error": null,
    }}));
    let own = Append {
        summary: Some(Summary {
            stream: project,
            name: "shop".into(),
            status: Status::Busy,
            counts: ended,
            submitted_at: SUBMITTED.plus_ms(1_000),
            finished_at: None,
        }),
        events: vec![reported],
        ..Append::assertion(project, 3)
    };
    store.append(vec![own, row(1, Status::Completed, ended), row(2, Status::Busy, open)]).await.expect("written");
    let listed = place.run(&["list", "--json", "--limit", "1"]).json();
    assert_eq!((&listed[0]["project_id"], listed.as_array().map(Vec::len)), (&json!(OTHER), Some(1)));
    let counts: Counts = serde_json::from_str(&listed[0]["counts"].to_string()).expect("counts");
    assert_eq!(counts, ended.plus(&open));
    let shown = place.run(&["list"]).stdout;
    assert!(shown.contains("3 of 7 completed, 3 handed out, 1 idle"), "{shown}");
}

#[tokio::test]
async fn results_are_shown_and_written() {
    let place = Place::new();
    fill(place.path()).await;
    insta::assert_json_snapshot!("result", place.run(&["result", ENDED, "--json"]).json());
    let written = place.run(&["result", ENDED, "--out", "made"]);
    assert_eq!((written.status, written.stderr.as_str()), (0, "3 files in made\n"));
    let made = |path: &str| std::fs::read(place.path().join("made").join(path)).expect(path);
    assert_eq!(made("g/a/src/a.py"), b"print(1)\n");
    assert_eq!(made("g/a/logo.bin"), [0, 1, 2]);
    let report: Value = serde_json::from_slice(&made("report.json")).expect("JSON");
    assert_eq!(report, place.run(&["status", ENDED, "--json"]).json());
    insta::assert_snapshot!("made_twice", place.run(&["result", ENDED, "--out", "made"]).refusal("made twice"));
    assert_eq!(place.run(&["result", ENDED, "--out", "made", "--force"]).status, 0);
}

#[tokio::test]
async fn history_and_logs_tell_what_happened() {
    let place = Place::new();
    fill(place.path()).await;
    let history = place.run(&["history", ENDED, "--json"]).json();
    let events: Vec<&str> = history.as_array().expect("an array").iter().filter_map(|e| e["event"].as_str()).collect();
    let project = ["Accepted", "GoalPlanned", "PhaseStarted"];
    let phase = ["Opened", "SubtasksAdded", "Planned", "Dispatched", "Completed", "Dispatched", "Failed", "Ended"];
    assert_eq!(events, [&project[..], &phase, &["PhaseReported", "Ended"]].concat());
    let of_b = place.run(&["history", ENDED, "--json", "--subtask", "b"]).json();
    let events: Vec<&str> = of_b.as_array().expect("an array").iter().filter_map(|e| e["event"].as_str()).collect();
    assert_eq!(events, ["Dispatched", "Failed"]);
    assert_eq!(of_b, place.run(&["history", ENDED, "--json", "--subtask", "1.1"]).json());
    assert_eq!(place.run(&["logs", ENDED, "b"]).stdout, "it said\nno\n");
    insta::assert_json_snapshot!("logs", place.run(&["logs", ENDED, "1.1", "--json"]).json());
    let none = place.run(&["logs", ENDED, "a"]);
    assert_eq!((none.status, none.stdout.as_str(), none.stderr.as_str()), (0, "", "subtask 1.0 `a` has no log\n"));
}

#[tokio::test]
async fn watching_what_has_ended_says_how() {
    let place = Place::new();
    fill(place.path()).await;
    let watched = place.run(&["watch", ENDED, "--json"]);
    assert_eq!(watched.status, 1, "a project that failed");
    let line: Value = serde_json::from_str(&watched.stdout).expect("one line");
    assert_eq!((&line["status"], &line["phases"][0]["counts"]["failed"]), (&json!("ERROR"), &json!(1)));
    let watched = place.run(&["watch", ENDED]);
    assert_eq!((watched.status, watched.stderr.as_str()), (1, ""));
    assert!(watched.stdout.ends_with(" project ERROR: subtask `b` failed\n"), "{}", watched.stdout);
}

#[tokio::test]
async fn a_project_is_found_by_a_beginning_or_an_end_that_is_its_own() {
    let place = Place::new();
    fill(place.path()).await;
    for named in [ENDED, "0001", "4000-8000-000000000001", "AAAABBBB-0000-4000-8000-000000000001"] {
        assert_eq!(place.run(&["status", named, "--json"]).json()["project_id"], ENDED, "{named}");
    }
    for command in ["result", "history", "check"] {
        assert_eq!(place.run(&[command, "0001", "--json"]).status, 0, "{command}");
    }
    let mut refusals = String::new();
    for arguments in [
        &["status", "aaaa"][..],
        &["status", "AAAABBBB-0000"],
        &["status", "bbbb"],
        &["status", "001"],
        &["status", "aaa"],
        &["watch", "shop"],
        &["result", "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"],
        &["history", "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"],
        &["watch", "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"],
        &["logs", ENDED, "1.7"],
        &["logs", ENDED, "c"],
        &["history", ENDED, "--subtask", "no such thing"],
    ] {
        let answer = place.run(arguments);
        assert_eq!(answer.status, 2, "{arguments:?}: {}", answer.stderr);
        refusals += &answer.refusal(&arguments.join(" "));
    }
    insta::assert_snapshot!("not_found", refusals);
}

#[tokio::test]
async fn a_project_to_be_resumed_is_named_as_everywhere_else() {
    let place = Place::new();
    fill(place.path()).await;
    let resume = |id: &str| place.run(&["run", "--resume", id, "--store", "sqlite:trireme.db", "--json"]);
    // It has ended: it is reported as it is.
    for named in [&ENDED.to_uppercase(), "0001"] {
        let reported = resume(named);
        assert_eq!(reported.status, 1, "{}", reported.stderr);
    }
    let mut refusals = String::new();
    for id in ["aaaa", "bbbb", "aaa", "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"] {
        refusals += &resume(id).refusal(&format!("run --resume {id}"));
    }
    insta::assert_snapshot!("not_resumed", refusals);
}

#[tokio::test]
async fn another_project_under_the_same_id_is_refused() {
    let place = Place::new();
    fill(place.path()).await;
    place.write("p.toml", FILE).write("q.toml", FILE.replace("shop", "another"));
    let refusal = place.run(&["submit", "q.toml", "--id", ENDED]).refusal("another");
    insta::assert_snapshot!("another_project", refusal);
    // The same one comes as far as the broker, which is not there.
    assert_eq!(place.run(&["submit", "p.toml", "--id", ENDED]).status, 3);
}

#[tokio::test]
async fn what_only_a_newer_program_understands_is_refused_by_name() {
    let place = Place::new();
    fill(place.path()).await;
    let store = store::open(&format!("sqlite:{}", place.path().join("trireme.db").display())).await.expect("a store");
    let later = Raw::from(json!({ "Dreamt": { "at": SUBMITTED } }));
    let stream = StreamId::Project(id(OTHER));
    store.append(vec![Append { events: vec![later], ..Append::assertion(stream, 3) }]).await.expect("written");
    let answer = place.run(&["status", OTHER]);
    assert_eq!(answer.status, 3);
    insta::assert_snapshot!("newer_event", answer.refusal("status"));
    let history = place.run(&["history", OTHER, "--json"]).json();
    assert_eq!(history[3]["event"], "Dreamt", "it is shown, as it is");
}
