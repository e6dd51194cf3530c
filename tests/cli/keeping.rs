//! The commands that look after a store: `check`, `forget` and `prune`, and `health` where nothing is there.

use serde_json::{Value, json};
use trireme::domain::phase;
use trireme::runtime::port::Append;
use trireme::store;
use trireme::wire::StreamId;

use crate::call::Place;
use crate::reading::{ENDED, OTHER, event, fill, id};

async fn filled() -> Place {
    let place = Place::new();
    fill(place.path()).await;
    place
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().expect("an array").iter().map(|one| one["project_id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_stream_is_checked_and_what_is_wrong_is_named() {
    let place = filled().await;
    let good = place.run(&["check", ENDED]);
    assert_eq!((good.status, good.stdout.as_str()), (0, ""));
    assert_eq!(good.stderr, "1 project, 2 streams, 13 events: every rule holds\n");
    let expected = json!({ "projects": 1, "streams": 2, "events": 13, "violations": [] });
    assert_eq!(place.run(&["check", ENDED, "--json"]).json(), expected);

    // The other one has lost its alarm, and somebody writes a second result into the first.
    let store = store::open(&format!("sqlite:{}", place.path().join("trireme.db").display())).await.expect("a store");
    let stream = StreamId::Phase(id(ENDED), 1);
    let at = "2025-11-22T08:26:40.000Z";
    let second = event::<phase::Event>(json!({ "Completed": {
        "at": at, "ordinal": 0, "attempt": 1, "agent": "executor-2", "started_at": at, "finished_at": at, "bytes": 9,
    }}));
    store.append(vec![Append { events: vec![second], ..Append::assertion(stream, 8) }]).await.expect("written");
    let all = place.run(&["check", "--all"]);
    assert_eq!(all.status, 1, "{}", all.stderr);
    insta::assert_snapshot!("violations", all.stdout);
    assert_eq!(all.stderr, "2 projects, 3 streams, 16 events: 3 violations\n");
    let told = place.run(&["check", "--all", "--json"]);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let first = &told["violations"][1];
    assert_eq!((&first["rule"], &first["version"]), (&json!("an_outcome_is_recorded_once"), &json!(9)));
    assert_eq!(first["stream"], json!(stream));
    assert_eq!(place.run(&["check", "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"]).status, 2);
    assert_eq!(place.run(&["check"]).status, 2);
    assert_eq!(place.run(&["check", ENDED, "--all"]).status, 2);
}

#[tokio::test]
async fn what_has_ended_is_forgotten_and_an_open_one_only_by_force() {
    let place = filled().await;
    let mut refusals = place.run(&["forget", OTHER, "--yes"]).refusal("an open one");
    refusals += &place.run(&["forget", ENDED]).refusal("nobody to ask");
    refusals += &place.run(&["forget", "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d", "--yes"]).refusal("an unknown one");
    insta::assert_snapshot!("forget_refused", refusals);
    assert_eq!(ids(&place.run(&["list", "--json"]).json()), [OTHER, ENDED]);

    let gone = place.run(&["forget", ENDED, "--yes", "--json"]).json();
    assert_eq!((&gone["project_id"], &gone["streams"]), (&json!(ENDED), &json!(2)));
    assert_eq!(place.run(&["status", ENDED]).status, 2);
    assert_eq!(place.run(&["logs", ENDED, "b"]).status, 2);
    let forced = place.run(&["forget", OTHER, "--yes", "--force"]);
    assert_eq!((forced.status, forced.stdout.as_str()), (0, ""));
    assert_eq!(forced.stderr, format!("removed project {OTHER}: 1 stream\n"));
    assert_eq!(place.run(&["list", "--json"]).json(), json!([]));
}

#[tokio::test]
async fn old_projects_are_pruned_and_open_ones_never() {
    let place = filled().await;
    let prune = |more: &[&str]| place.run(&[&["prune", "--older-than", "1d"], more].concat());
    assert_eq!(ids(&prune(&["--dry-run", "--json"]).json()), [ENDED]);
    assert_eq!(prune(&["--status", "completed", "--yes", "--json"]).json(), json!([]));
    assert_eq!(prune(&["--dry-run"]).stdout, format!("{ENDED}\n"));
    let mut refusals = prune(&["--status", "busy", "--yes"]).refusal("open ones");
    refusals += &place.run(&["prune", "--older-than", "5", "--yes"]).refusal("no unit");
    insta::assert_snapshot!("prune_refused", refusals);
    // Nobody was asked, so it is refused: what it would have been about is said before.
    let unasked = prune(&[]);
    assert_eq!(unasked.status, 2);
    assert!(unasked.stderr.contains(ENDED) && unasked.stderr.ends_with("hint: give --yes\n"), "{}", unasked.stderr);
    assert_eq!(ids(&place.run(&["list", "--json"]).json()), [OTHER, ENDED]);

    let gone = prune(&["--yes", "--json"]).json();
    assert_eq!((ids(&gone), &gone[0]["streams"]), (vec![ENDED], &json!(2)));
    assert_eq!(ids(&place.run(&["list", "--json"]).json()), [OTHER]);
    for (age, told) in [("36500d", "36500d"), ("876000h", "36500d"), ("876001h", "876001h")] {
        let pruned = place.run(&["prune", "--older-than", age, "--yes"]);
        assert_eq!((pruned.stdout.as_str(), pruned.stderr), ("", format!("no project ended longer ago than {told}\n")));
    }
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let place = Place::new();
    for words in [&["forget", ENDED, "--yes"][..], &["prune", "--older-than", "1d", "--yes"], &["check", "--all"]] {
        assert_eq!(place.run(words).status, 3, "{words:?}");
    }
    assert!(!place.path().join("trireme.db").exists());
}

#[tokio::test]
async fn health_says_what_is_not_well() {
    let place = filled().await;
    let health = place.run(&["health", "--json"]);
    assert_eq!((health.status, health.stderr.as_str()), (1, ""));
    let health: Value = serde_json::from_str(&health.stdout).expect("JSON");
    let checks = health["checks"].as_array().expect("an array");
    let told: Vec<_> =
        checks.iter().map(|check| (check["check"].as_str().expect("a name"), check["is_well"] == true)).collect();
    assert_eq!(told, [("broker", false), ("store", true), ("agents", false)]);
    assert_eq!(health["is_well"], false);
    let lines = place.run(&["health", "--layer", "manager", "--here"]).stdout;
    assert!(lines.starts_with("broker not well: ") && lines.contains("\nstore  well: "), "{lines}");
    assert_eq!(place.run(&["health", "--layer", "cooks"]).status, 2);
}
