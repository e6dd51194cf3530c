//! `trireme config`: the settings as they are.

use trireme::config::{Settings, entries_json};

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::table::{Column, Table};

const EXAMPLES: &str = "\
Examples:
  trireme config show
  trireme config show --config /etc/trireme/queues.toml --json | jq '.\"store.url\"'";

#[derive(clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Every setting with its value and where it came from
    #[command(after_help = EXAMPLES)]
    Show,
}

pub fn run(command: Command, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    match command {
        Command::Show if output.is_json() => output.json(&entries_json(settings.entries()))?,
        Command::Show => {
            let mut table = Table::new([Column::new("KEY"), Column::text("VALUE"), Column::text("SOURCE").left_out(1)]);
            for entry in settings.entries() {
                table.row([entry.key.clone(), entry.value.to_string(), entry.source.clone()]);
            }
            output.table(&table);
        }
    }
    Ok(Status::Done)
}
