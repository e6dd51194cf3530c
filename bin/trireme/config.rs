//! `trireme config`: the settings as they are.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use trireme::config::{Settings, entries_json};

use crate::failure::{Failure, Status};
use crate::output::Output;

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
            let mut table = Table::new();
            table.load_style(NOTHING).set_header(["KEY", "VALUE", "SOURCE"]);
            for entry in settings.entries() {
                table.add_row([entry.key.clone(), entry.value.to_string(), entry.source.clone()]);
            }
            output.line(&table.to_string());
        }
    }
    Ok(Status::Done)
}
