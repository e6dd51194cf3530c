//! `trireme list`: the projects that the store knows, newest first.

use trireme::config::Settings;
use trireme::runtime::reader;
use trireme::wire::Status as ProjectStatus;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::table::{Column, Table};
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
    let mut table = Table::new([
        Column::new("PROJECT"),
        Column::text("NAME").left_out(4),
        Column::new("STATUS"),
        Column::new("SUBMITTED").left_out(2),
        Column::new("FINISHED").left_out(1),
        Column::text("SUBTASKS").left_out(3),
    ]);
    for project in projects {
        table.row([
            project.project_id.to_string(),
            project.name,
            project.status.to_string(),
            project.submitted_at.to_string(),
            show::time(project.finished_at),
            show::counts(&project.counts, None),
        ]);
    }
    output.table(&table);
    Ok(Status::Done)
}
