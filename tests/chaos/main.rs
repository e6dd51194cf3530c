//! Faults on the real thing: managers, coordinators and executors of the shipped binary on a RabbitMQ and a
//! PostgreSQL of their own, under load from hundreds of projects whose every right answer is known, while all of them
//! are killed, stopped and restarted. `scripts/chaos` and `scripts/cluster` build and run it; `ledger.rs` has what the
//! verdict comes from.
//!
//! Exit status: 0 nothing lost, recorded twice, stuck or wrong; 1 something was, or the run did not do what it claims
//! (`deeds.rs`); 2 the run could not be made. With `--broken`: 0 when loss was found, 1 when not.

mod breaking;
mod client;
mod cluster;
mod condition;
mod crew;
mod database;
mod deeds;
mod faults;
mod ledger;
mod place;
mod plan;
mod random;
mod record;
mod report;
mod run;
mod scene;
mod servers;
mod tally;
mod verdict;
mod work;

use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde::Serialize;
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[derive(Parser)]
#[command(name = "chaos", about = "Kills real processes and servers under load, and judges what is left")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Processes, broker and database are killed, stopped and restarted, again and again
    Run {
        /// For how long
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(20..=86_400))]
        seconds: u64,
        /// A rule of the protocol that is left out (src/broken.rs has their names): loss has to be found
        #[arg(long, value_name = "RULE", num_args = 0..=1, default_missing_value = "acks_before_confirms")]
        broken: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// The node of a cluster that leads the queues is killed
    Cluster {
        #[command(flatten)]
        common: Common,
    },
    /// The work of one subtask
    #[command(hide = true)]
    Work,
    /// What the work of some subtasks leaves behind
    #[command(hide = true)]
    Linger,
}

#[derive(clap::Args)]
struct Common {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// What is broken when, and the projects; a fresh one by default
    #[arg(long)]
    seed: Option<u64>,
    /// How many seconds without any answer before what is open counts as stuck: more than the longest alarm's
    #[arg(long, default_value_t = 120)]
    patience: u64,
}

impl Common {
    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(ledger::now_us)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Work => work::run().map(|()| ExitCode::SUCCESS),
        Command::Linger => work::linger().map(|()| ExitCode::SUCCESS),
        Command::Run { seconds, broken, common } => chaos(seconds, broken, &common),
        Command::Cluster { common } => cluster(&common),
    };
    done.unwrap_or_else(|error| {
        say(error);
        ExitCode::from(2)
    })
}

fn chaos(seconds: u64, broken: Option<String>, common: &Common) -> Result<ExitCode, String> {
    let folder = folder()?;
    let is_broken = broken.is_some();
    let (seed, patience, path) = (common.seed(), common.patience(), folder.path().to_owned());
    let options = run::Options { seconds, seed, patience, folder: path, broken };
    let ran = runtime()?.block_on(run::run(&options, say));
    // What a broken protocol leaves behind is nothing to look into.
    let is_well = |outcome: &run::Outcome| is_broken || outcome.verdict.is_clean() && outcome.shortfalls.is_empty();
    keep_unless(ran.as_ref().is_ok_and(is_well), folder);
    let run::Outcome { report, verdict, shortfalls } = ran?;
    verdict.findings.iter().chain(&shortfalls).for_each(say);
    print(&report, common.json)?;
    let is_as_wanted = if is_broken { verdict.lost > 0 } else { verdict.is_clean() && shortfalls.is_empty() };
    Ok(ExitCode::from(u8::from(!is_as_wanted)))
}

fn cluster(common: &Common) -> Result<ExitCode, String> {
    let folder = folder()?;
    let (seed, patience, path) = (common.seed(), common.patience(), folder.path().to_owned());
    let ran = runtime()?.block_on(cluster::run(&cluster::Options { seed, patience, folder: path }, say));
    let is_well = |(_, verdict, own_ends): &(_, verdict::Verdict, Vec<_>)| verdict.is_clean() && own_ends.is_empty();
    let done = ran.as_ref().is_ok_and(is_well);
    keep_unless(done, folder);
    let (report, verdict, own_ends) = ran?;
    verdict.findings.iter().chain(&own_ends).for_each(say);
    print(&report, common.json)?;
    Ok(ExitCode::from(u8::from(!done)))
}

fn runtime() -> Result<Runtime, String> {
    Runtime::new().map_err(|error| error.to_string())
}

/// PostgreSQL may run as another user, who has to reach it.
fn folder() -> Result<TempDir, String> {
    let open = std::fs::Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().prefix("trireme_test_chaos_").permissions(open).tempdir();
    folder.map_err(|error| error.to_string())
}

fn keep_unless(is_well: bool, folder: TempDir) {
    if !is_well {
        say(format!("the ledger and the logs are in {}", folder.keep().display()));
    }
}

fn print(report: &impl Serialize, as_json: bool) -> Result<(), String> {
    let json = serde_json::to_value(report).map_err(|error| error.to_string())?;
    match json.as_object().filter(|_| !as_json) {
        Some(fields) => {
            let words: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
            println!("{}", words.join(", "));
        }
        None => println!("{}", serde_json::to_string(report).map_err(|error| error.to_string())?),
    }
    Ok(())
}

fn say(what: impl std::fmt::Display) {
    eprintln!("chaos: {what}");
}
