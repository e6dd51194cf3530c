//! `trireme list`: the projects that the store knows, newest first.

use trireme::config::Settings;
use trireme::domain::bad_input::cut;
use trireme::runtime::reader;
use trireme::wire::Status as ProjectStatus;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::{reading, show};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme list
  trireme list --status BUSY --limit 10
  trireme list --status error --json | jq -r '.[].project_id'")]
pub struct Arguments {
    /// Only projects in this status: IDLE, BUSY, WAITING, PAUSED, COMPLETED, ERROR or CANCELLED
    #[arg(long, value_name = "STATUS")]
    status: Option<ProjectStatus>,
    /// How many at the most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let store = reading::open(settings).await?;
    let projects = reader::list(&*store, arguments.status, arguments.limit).await?;
    if output.is_json() {
        output.json(&projects)?;
        return Ok(Status::Done);
    }
    if projects.is_empty() {
        output.note("no projects");
        return Ok(Status::Done);
    }
    let mut table = show::table();
    table.set_header(["PROJECT", "NAME", "STATUS", "SUBMITTED", "FINISHED", "SUBTASKS"]);
    for project in projects {
        table.add_row([
            project.project_id.to_string(),
            cut(&project.name),
            project.status.to_string(),
            project.submitted_at.to_string(),
            show::time(project.finished_at),
            show::counts(&project.counts),
        ]);
    }
    output.line(&table.trim_fmt());
    Ok(Status::Done)
}
