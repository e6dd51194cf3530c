//! What a project's status says, and what has to be true of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The elements of a list in a JSON object.
fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    of[key].as_array().into_iter().flatten()
}

fn subtasks_of(phase: &Value) -> impl Iterator<Item = &Value> {
    list(phase, "goals").flat_map(|goal| list(goal, "subtasks"))
}

pub fn subtasks(status: &Value) -> Vec<&Value> {
    list(status, "phases").flat_map(subtasks_of).collect()
}

/// Every subtask is recorded once, and began after all its dependencies had ended.
pub fn check_order(status: &Value) {
    let all = subtasks(status);
    let ids: BTreeSet<_> = all.iter().map(|subtask| subtask["id"].to_string()).collect();
    assert_eq!((ids.len(), &status["counts"]["completed"]), (all.len(), &all.len().into()));
    for phase in list(status, "phases") {
        let ended: BTreeMap<_, _> = subtasks_of(phase)
            .map(|subtask| (subtask["name"].to_string(), subtask["finished_at"].to_string()))
            .collect();
        for subtask in subtasks_of(phase) {
            assert_eq!(subtask["status"], "COMPLETED", "{subtask}");
            for dependency in list(subtask, "dependencies") {
                let began = subtask["started_at"].to_string();
                assert!(ended[&dependency.to_string()] <= began, "{subtask} began before {dependency}");
            }
        }
    }
}

pub fn completed(status: &Value) -> u64 {
    status["counts"]["completed"].as_u64().unwrap_or(0)
}

pub fn has_ended(status: &Value) -> bool {
    ["COMPLETED", "ERROR", "CANCELLED"].contains(&status["status"].as_str().unwrap_or_default())
}
