//! Performs a project in this process: phase by phase, each subtask after its dependencies, one at a time.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use trireme::planner::document::Format;
use trireme::planner::{Library, ProjectFile, planners};
use trireme::runner;
use trireme::runtime::port::Assignment;
use trireme::wire::content::StartProjectPhase;
use trireme::wire::{GoalPlan, Raw, SubtaskPlan};

/// What travels with a command of its dependencies' results, in bytes: the runtime's bound.
const DEPS_BYTES_MAX: usize = 256 * 1024;
/// What a result may be, with room for its envelope and its log.
const RESULT_BYTES_MAX: usize = 800 * 1024;

/// The result of every subtask, by goal and name.
pub type Results = BTreeMap<String, BTreeMap<String, Value>>;

/// The goals of a project, with the subtasks that are planned for each, in the order of their phases.
pub fn plan(project: &str) -> Vec<(GoalPlan, Vec<SubtaskPlan>)> {
    let file = ProjectFile::parse(project, Format::Toml).expect("a project file");
    let request = file.request();
    let planners = planners(None).expect("the planners");
    let goals = planners.iter().find_map(|planner| planner.goals(&request).expect("goals")).expect("a planner knows");
    let mut planned: Vec<(GoalPlan, Vec<SubtaskPlan>)> = Vec::new();
    for goal in goals.goals {
        let phase = phase(&request.parameters, &goals.playbook);
        let subtasks = planners.iter().find_map(|planner| planner.subtasks(&goal, &phase).expect("subtasks"));
        planned.push((goal, subtasks.expect("a planner knows")));
    }
    planned.sort_by_key(|(goal, _)| goal.priority);
    planned
}

fn phase(parameters: &Raw, playbook: &Option<trireme::wire::content::PlaybookRef>) -> StartProjectPhase {
    let phase = json!({
        "project_id": "00000000-0000-0000-0000-000000000007", "project_name": "Shipped", "project_version": 1,
        "run": 1, "store_id": "00000000-0000-0000-0000-000000000000", "phase": 1, "priority": 1, "partition": 0,
        "strategic_goals": [], "parameters": parameters, "id_namespace": "00000000-0000-0000-0000-000000000000",
        "playbook": playbook,
    });
    serde_json::from_value(phase).expect("a phase")
}

/// Performs a project to its end; every subtask has to succeed.
pub async fn perform(project: &str) -> Results {
    let mut results = Results::new();
    for (goal, subtasks) in plan(project) {
        for subtask in subtasks {
            let by_name = |name: &String| {
                let found = results.values().find_map(|subtasks| subtasks.get(name));
                (name.clone(), found.unwrap_or_else(|| panic!("`{name}` comes later")).clone())
            };
            let deps: Map<String, Value> = subtask.dependencies.iter().map(by_name).collect();
            let result = attempt(&goal, &subtask, deps).await;
            results.entry(goal.goal_name.clone()).or_default().insert(subtask.name.clone(), result);
        }
    }
    results
}

async fn attempt(goal: &GoalPlan, subtask: &SubtaskPlan, deps: Map<String, Value>) -> Value {
    let deps = Raw::from(Value::Object(deps));
    assert!(deps.bytes() <= DEPS_BYTES_MAX, "`{}`: deps of {} bytes", subtask.name, deps.bytes());
    let (kind, options) = skill(&subtask.skill);
    let runner = runner::build(&kind, options.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", subtask.skill));
    let mut assignment = assignment(&subtask.skill, &serde_json::to_value(&subtask.input).expect("JSON"));
    assignment.command.goal_name.clone_from(&goal.goal_name);
    assignment.command.task_name.clone_from(&subtask.name);
    assignment.command.description.clone_from(&subtask.description);
    assignment.command.deps = deps;
    let report = runner.run(&assignment, CancellationToken::new()).await;
    let result = report.outcome.unwrap_or_else(|failure| panic!("`{}`: {failure:?}\n{:?}", subtask.name, report.log));
    assert!(result.bytes() <= RESULT_BYTES_MAX, "`{}`: a result of {} bytes", subtask.name, result.bytes());
    result.read().expect("JSON")
}

/// A first attempt without dependencies.
pub fn assignment(skill: &str, input: &Value) -> Assignment {
    let command = json!({
        "project_id": "00000000-0000-0000-0000-000000000007", "project_name": "Shipped", "phase": 1,
        "goal_name": "Goal", "subtask_id": "1.0", "task_name": "Subtask", "skill": skill, "attempt": 1,
        "max_attempts": 3, "input": input, "timeout_ms": 60_000, "not_after": "2100-01-01T00:00:00.000Z",
    });
    Assignment::new(serde_json::from_value(command).expect("a command"), |_| {})
}

/// How a skill is performed, by the sections that are to stand in `queues.toml`.
fn skill(name: &str) -> (String, Option<Value>) {
    let text = include_str!("../../queues.toml");
    let skills: Value = toml::from_str(text).expect("TOML");
    let section = &skills["skills"][name];
    let kind = section["runner"].as_str().unwrap_or_else(|| panic!("no skill `{name}`")).to_owned();
    let options = section.get(&kind).cloned();
    (kind, options)
}

/// A file of a result.
pub fn file<'a>(result: &'a Value, path: &str) -> &'a str {
    let files = result["files"].as_array().expect("files");
    let found = files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("no file `{path}`"));
    found["text"].as_str().expect("text")
}

#[test]
fn every_skill_that_is_configured_can_be_built() {
    let text = include_str!("../../queues.toml");
    let skills: Value = toml::from_str(text).expect("TOML");
    for name in skills["skills"].as_object().expect("sections").keys() {
        let (kind, options) = skill(name);
        assert!(runner::build(&kind, options.as_ref()).is_ok(), "{name}");
    }
    assert!(Library::load(None).expect("the playbooks").get("ecommerce").is_some());
}
