//! Generic: a report in Markdown of what a subtask was given: its words, its entities, its input, and what the
//! subtasks before it produced.

use serde_json::{Map, Value, json};

use super::engine::render;
use super::task::{File, Task, files_value};
use crate::wire::Failure;

const REPORT_FILE: &str = "report.md";
/// What of another's result is too long, or shown elsewhere.
const NOT_FACTS: [&str; 7] = ["code", "entities", "files", "measurements", "openapi", "sql_script", "tables"];
/// Facts longer than this, in JSON, are left out.
const FACT_BYTES_MAX: usize = 400;

pub(super) fn make(task: &Task) -> Result<Value, Failure> {
    let entities = task.entities()?;
    let input: Map<String, Value> =
        task.input.clone().into_iter().filter(|(key, _)| key != "entities" && key != "only").collect();
    let deps: Map<String, Value> = task.deps.iter().map(|(name, result)| (name.clone(), told(result))).collect();
    let text = render(
        "report/report.md",
        json!({
            "task": task.name,
            "goal": task.goal,
            "project": task.project,
            "description": task.description,
            "entities": entities,
            "input": input,
            "deps": deps,
        }),
    )?;
    Ok(json!({ "report": text, "builds_on": deps, "files": files_value(&[File::new(REPORT_FILE, &text)]) }))
}

/// What a report says of a result.
fn told(result: &Value) -> Value {
    let Value::Object(result) = result else {
        return json!({ "facts": { "result": short(result) }, "files": [] });
    };
    let fact =
        |(key, value): (&String, &Value)| (!NOT_FACTS.contains(&key.as_str())).then(|| (key.clone(), short(value)));
    let facts: Map<String, Value> = result.iter().filter_map(fact).collect();
    let file = |file: &Value| {
        let text = file["text"].as_str().unwrap_or_default();
        json!({ "path": file["path"].as_str().unwrap_or("?"), "lines": text.lines().count(), "bytes": text.len() })
    };
    let files: Vec<Value> = result.get("files").and_then(Value::as_array).into_iter().flatten().map(file).collect();
    json!({ "facts": facts, "files": files })
}

fn short(value: &Value) -> Value {
    let bytes = value.to_string().len();
    if bytes <= FACT_BYTES_MAX { value.clone() } else { format!("{bytes} bytes of JSON").into() }
}
