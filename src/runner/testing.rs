//! Assignments for the tests of runners.

use serde_json::{Value, json};

use crate::runtime::port::Assignment;
use crate::wire::Raw;

/// An assignment with this input and no dependencies.
pub(super) fn assignment(input: Value) -> Assignment {
    let command = serde_json::from_value(json!({
        "project_id": "00000000-0000-0000-0000-000000000007",
        "project_name": "Harbour",
        "phase": 2,
        "goal_name": "Keep Ships",
        "subtask_id": "2.3",
        "task_name": "Moor",
        "skill": "Mooring",
        "description": "Ropes and knots.",
        "attempt": 4,
        "max_attempts": 3,
        "input": null,
        "deps": {},
        "timeout_ms": 60_000,
        "not_after": "2030-01-01T00:00:00.000Z",
    }));
    let mut assignment = Assignment::new(command.expect("a command"), |_| {});
    assignment.command.input = Raw::from(input);
    assignment
}
