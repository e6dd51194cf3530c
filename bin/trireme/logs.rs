//! `trireme logs`: what an attempt of a subtask had to say.

use serde_json::json;
use trireme::config::Settings;
use trireme::domain::bad_input::quote;
use trireme::runtime::reader;
use trireme::wire::SubtaskId;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::reading;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme logs 0197a3c1 1.3
  trireme logs 0197a3c1 \"Write the report\"

It is the log of the newest attempt that left one: the last 64 KiB of a command's standard error.")]
pub struct Arguments {
    #[command(flatten)]
    project: reading::Named,
    /// The subtask: its id, as in 1.3, or its name; of an earlier run its id
    #[arg(value_name = "SUBTASK")]
    subtask: String,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let store = reading::open(settings).await?;
    let view = arguments.project.view(&*store, false).await?;
    let earlier = match arguments.subtask.parse::<SubtaskId>() {
        Ok(id) if view.subtasks().all(|subtask| subtask.id != id) => {
            reader::log(&*store, view.project_id, id).await?.map(|log| (id, log))
        }
        _ => None,
    };
    let (id, name, log) = match earlier {
        Some((id, log)) => (id, None, Some(log)),
        None => {
            let subtask = reading::subtask(&view, &arguments.subtask)?;
            // What was kept from an earlier run has its log there.
            let place = subtask.kept_from.unwrap_or(subtask.id);
            (subtask.id, Some(&subtask.name), reader::log(&*store, view.project_id, place).await?)
        }
    };
    if output.is_json() {
        let (attempt, log) = log.unzip();
        output.json(&json!({
            "project_id": view.project_id,
            "subtask_id": id,
            "name": name,
            "attempt": attempt,
            "log": log,
        }))?;
        return Ok(Status::Done);
    }
    match log {
        Some((_, text)) => output.line(text.strip_suffix('\n').unwrap_or(&text)),
        None => output.note(&format!("subtask {id} {} has no log", quote(name.map_or("", |name| name)))),
    }
    Ok(Status::Done)
}
