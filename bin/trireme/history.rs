//! `trireme history`: what happened to a project, event by event.

use serde_json::Value;
use trireme::config::Settings;
use trireme::runtime::reader::{self, Recorded};
use trireme::wire::StreamId;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::reading;
use crate::table::{Column, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme history 0197a3c1
  trireme history 0197a3c1 --subtask 1.3
  trireme history 0197a3c1 --subtask \"Write the report\" --json")]
pub struct Arguments {
    #[command(flatten)]
    project: reading::Named,
    /// Only what happened to this subtask: its id, as in 1.3, or its name; of an earlier run its id
    #[arg(long, value_name = "SUBTASK")]
    subtask: Option<String>,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let store = reading::open(settings).await?;
    let id = arguments.project.find(&*store).await?;
    let mut events = reader::history(&*store, id).await?.ok_or_else(|| reading::unknown(&id.to_string()))?;
    if let Some(named) = &arguments.subtask {
        // Of an earlier run only its events tell.
        let earlier = named.parse().ok().filter(|id| events.iter().any(|event| event.subtask_ids.contains(id)));
        let subtask = match earlier {
            Some(id) => id,
            None => reading::subtask(&arguments.project.view(&*store, false).await?, named)?.id,
        };
        events.retain(|event| event.subtask_ids.contains(&subtask));
    }
    if output.is_json() {
        output.json(&events)?;
        return Ok(Status::Done);
    }
    // A stream's event is named by its version.
    let mut table = Table::new([
        Column::new("AT").left_out(2),
        Column::new("STREAM"),
        Column::new("VERSION"),
        Column::new("EVENT"),
        Column::text("SUBTASKS").left_out(1),
        Column::text("DETAIL").left_out(3),
    ]);
    for event in &events {
        let stream = match event.stream {
            StreamId::Project(_) => "project".to_owned(),
            StreamId::Phase(_, phase) => format!("phase {phase}"),
        };
        let row = [
            event.at.to_string(),
            stream,
            event.version.to_string(),
            event.event.clone(),
            subtasks(event),
            detail(event),
        ];
        table.row(row);
    }
    output.table(&table);
    Ok(Status::Done)
}

fn subtasks(event: &Recorded) -> String {
    const NAMED_MAX: usize = 3;
    let named: Vec<String> = event.subtask_ids.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    match event.subtask_ids.len().saturating_sub(NAMED_MAX) {
        0 => named.join(" "),
        more => format!("{} and {more} more", named.join(" ")),
    }
}

/// The event's own words, without what has a column.
fn detail(event: &Recorded) -> String {
    let Value::Object(fields) = &event.data else { return event.data.to_string() };
    let shown = |value: &Value| match value {
        Value::Null | Value::Array(_) => None,
        // Of what is nested, what it is called by; --json has it all.
        Value::Object(inner) => Some(inner.get("goal_name").or_else(|| inner.get("not_before"))?.as_str()?.to_owned()),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let has_column =
        |key: &str| matches!(key, "at" | "ordinal" | "commands" | "cause" | "id_namespace" | "fingerprint");
    let parts: Vec<String> = fields
        .iter()
        .filter(|(key, _)| !has_column(key))
        .filter_map(|(key, value)| Some(format!("{key}={}", shown(value)?)))
        .collect();
    parts.join(" ")
}
