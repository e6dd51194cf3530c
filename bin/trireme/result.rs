//! `trireme result`: what the subtasks of a project answered.

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use trireme::config::Settings;
use trireme::domain::bad_input::one_line;
use trireme::domain::view::{GoalView, ProjectView, SubtaskView};
use trireme::wire::{ProjectId, Raw, Status as ProjectStatus, SubtaskStatus};

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::{reading, show};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme result 0197a3c1
  trireme result 0197a3c1 --json | jq '.goals[\"Market research\"]'
  trireme result 0197a3c1 --out made    writes made/<goal>/<subtask>/<path>")]
pub struct Arguments {
    #[command(flatten)]
    project: reading::Named,
    /// Write the files of all results to DIR/<goal>/<subtask>/<path>, and everything to DIR/report.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite files that exist in DIR
    #[arg(long, requires = "out")]
    force: bool,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let store = reading::open(settings).await?;
    let view = arguments.project.view(&*store, true).await?;
    let files = match &arguments.out {
        Some(dir) => show::files(&view, dir, arguments.force, output)?,
        None => Status::Done,
    };
    match (output.is_json(), &arguments.out) {
        (true, _) => output.json(&Results::of(&view))?,
        (false, Some(_)) => {}
        (false, None) => print(&view, output),
    }
    Ok(files)
}

/// The shape of `result --json`.
#[derive(Serialize)]
struct Results<'a> {
    project_id: ProjectId,
    status: ProjectStatus,
    goals: Goals<'a>,
}

impl<'a> Results<'a> {
    fn of(view: &'a ProjectView) -> Self {
        let goals = view.phases.iter().flat_map(|phase| &phase.goals).collect();
        Self { project_id: view.project_id, status: view.status, goals: Goals(goals) }
    }
}

/// An object from goals to objects from subtasks to results, in the order of the plan.
struct Goals<'a>(Vec<&'a GoalView>);

struct Subtasks<'a>(&'a [SubtaskView]);

impl Serialize for Goals<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|goal| (&goal.name, Subtasks(&goal.subtasks))))
    }
}

impl Serialize for Subtasks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|subtask| (&subtask.name, &subtask.result)))
    }
}

fn print(view: &ProjectView, output: &Output) {
    for goal in view.phases.iter().flat_map(|phase| &phase.goals) {
        for subtask in &goal.subtasks {
            let id = subtask.id;
            let heading = format!("{id} {} / {}", one_line(&goal.name), one_line(&subtask.name));
            match &subtask.result {
                Some(result) => output.line(&format!("{heading}\n{}", pretty(result))),
                None if subtask.status == SubtaskStatus::Completed => output.line(&format!("{heading}\nnull")),
                None => {
                    let error = subtask.error.as_deref().map(|error| format!(": {}", one_line(error)));
                    output.line(&format!("{heading}: {}{}", subtask.status, error.unwrap_or_default()));
                }
            }
        }
    }
}

/// Indented; what can not be is shown as it is.
fn pretty(result: &Raw) -> String {
    let value: Result<serde_json::Value, _> = result.read();
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| result.get().to_owned())
}
