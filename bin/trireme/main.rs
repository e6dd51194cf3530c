//! The one binary. This file parses, resolves the settings, and hands over to the subcommand: one file each.

mod agents;
mod asking;
mod bench;
mod check;
mod completions;
mod config;
mod consent;
mod dead;
mod failure;
mod files;
mod forget;
mod health;
mod history;
mod list;
mod logs;
mod open_files;
mod output;
mod process;
mod progress;
mod reading;
mod result;
mod run;
mod show;
mod status;
mod submit;
mod table;
mod team;
mod topology;
mod up;
mod usage;
mod wanted;
mod watch;
mod wiring;
mod words;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::Failure;
use output::Output;
use trireme::config::{Given, Settings};
use trireme::runner::guard;
use trireme::telemetry;
use trireme::wire::content::Layer;

/// What the broker's library takes on its thread is given back on ours, and the other way: with the system's allocator the
/// two wait for each other (docs/performance.md).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Hierarchical teams of agents as three layers of worker processes on RabbitMQ.
///
/// Managers turn a request into goals, coordinators turn goals into a graph of subtasks and see it through,
/// executors do the work.
#[derive(Parser)]
#[command(name = "trireme", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(clap::Args)]
struct Common {
    /// The settings file; without it ./queues.toml, else built-in defaults
    #[arg(long, value_name = "FILE", global = true, env = "TRIREME_CONFIG")]
    config: Option<PathBuf>,
    /// Print data as JSON; a command that fails says why in the last line of standard error, as JSON too
    #[arg(long, global = true)]
    json: bool,
    /// On a terminal, show tables whole, however wide they are
    #[arg(long, global = true)]
    wide: bool,
    /// Say more on standard error; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say less on standard error: only errors, twice for nothing
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,
    /// How logs are written on standard error
    #[arg(long, value_name = "FORMAT", global = true, value_parser = ["text", "json"])]
    log_format: Option<String>,
}

impl Common {
    /// The same options again, for a process that this one starts.
    fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        words.extend(self.config.iter().flat_map(|file| ["--config".into(), file.into()]));
        words.extend((0..self.verbose).map(|_| "--verbose".into()));
        words.extend((0..self.quiet).map(|_| "--quiet".into()));
        words.extend(self.log_format.iter().flat_map(|format| ["--log-format".into(), format.into()]));
        words
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run a project to its end with a whole team in this one process: no broker, no server
    Run(run::Arguments),
    /// Run a manager: takes requests, hands projects over phase by phase, reports
    #[command(after_help = worker::examples("manager"))]
    Manager(worker::Arguments),
    /// Run a coordinator: turns goals into a graph of subtasks and sees it through
    #[command(after_help = worker::examples("coordinator"))]
    Coordinator(worker::Arguments),
    /// Run an executor: does the work
    Executor(worker::ExecutorArguments),
    /// Run the layers as child processes on this machine, until Ctrl-C
    Up(up::Arguments),
    /// Look at, make or delete the exchanges and queues at the broker
    #[command(subcommand)]
    Topology(topology::Command),
    /// Measure how fast it is, as a ratio of the naive way
    Bench(bench::Arguments),
    /// Ask for a project
    Submit(submit::Arguments),
    /// How a project stands
    Status(status::Arguments),
    /// The projects, newest first
    List(list::Arguments),
    /// What the subtasks of a project answered
    Result(result::Arguments),
    /// Follow a project to its end
    Watch(watch::Arguments),
    /// End a project, or one subtask of it, before it is done
    Cancel(words::cancel::Arguments),
    /// Dispatch nothing new of a project
    Pause(words::pause::Arguments),
    /// Let a paused project go on
    Resume(words::pause::Arguments),
    /// Run a project that has ended again, keeping what was done
    Retry(words::retry::Arguments),
    /// Answer what a project asks
    Decide(words::decide::Arguments),
    /// What happened to a project, event by event
    History(history::Arguments),
    /// What an attempt of a subtask had to say
    Logs(logs::Arguments),
    /// Whether what is stored is as it has to be: every rule, over every event
    Check(check::Arguments),
    /// Remove a project from the store, for good
    Forget(forget::Arguments),
    /// Remove projects that ended long ago from the store, for good
    Prune(forget::PruneArguments),
    /// Who is there, by layer
    Agents(agents::Arguments),
    /// Who answers
    Ping(agents::PingArguments),
    /// Messages that nobody could handle: look at them, send them again, drop them
    #[command(subcommand)]
    Dead(dead::Command),
    /// Whether broker, store and agents are well: for a container's health check
    Health(health::Arguments),
    /// Look at the settings
    #[command(subcommand)]
    Config(config::Command),
    /// Print the script that completes a shell's command lines
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    // A guard is started for every program that runs: nothing comes before it.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == guard::WORD) {
        return guard::main(words);
    }
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => match usage::failure(&error) {
            Some(failure) => {
                // What can not be read as a whole may say this all the same.
                let is_json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
                Output::new(is_json, false, false).failure(&failure);
                return failure.status.into();
            }
            None => error.exit(),
        },
    };
    let output = Output::new(arguments.common.json, arguments.common.quiet > 0, arguments.common.wide);
    std::panic::set_hook(Box::new(|panic| tracing::error!("{}", failure::of_panic(panic))));
    // What panicked has said so by the hook.
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(arguments, &output)));
    let ended = ended.unwrap_or_else(|_| Err(Failure::bug("trireme has a bug: see the line above").hint(REPORT)));
    match ended.and_then(|status| output.unwritten().map_or(Ok(status), Err)) {
        Ok(status) => status.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.status.into()
        }
    }
}

/// Help is not wider than this, however wide the terminal is: long lines are hard to read.
const HELP_WIDTH_MAX: usize = 100;

fn parse() -> Result<Arguments, clap::Error> {
    let width = table::columns_of(std::io::stdout()).unwrap_or(HELP_WIDTH_MAX).min(HELP_WIDTH_MAX);
    let matches = Arguments::command().term_width(width).try_get_matches()?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut Arguments::command()))
}

/// What can be done about a bug of ours.
const REPORT: &str = "please report it, with what was run; projects go on when the process is started again";

fn run(arguments: Arguments, output: &Output) -> Result<failure::Status, Failure> {
    let Arguments { common, command } = arguments;
    if let Command::Completions(arguments) = &command {
        return completions::run(arguments, Arguments::command());
    }
    let words = common.words();
    let mut given = command.given();
    given.extend(common.log_format.map(|value| Given { key: "log.format", option: "--log-format", value }));
    let settings = Settings::resolve(common.config.as_deref(), std::env::vars_os(), given)?;
    let verbosity = i8::try_from(common.verbose).unwrap_or(i8::MAX) - i8::try_from(common.quiet).unwrap_or(i8::MAX);
    telemetry::start(command.log_filter(&settings), settings.log.format, verbosity)?;
    let is_agent = matches!(command, Command::Manager(_) | Command::Coordinator(_) | Command::Executor(_));
    // An agent waits for the most part, and what it does goes from one message to the next: on one thread that is faster
    // than handed from one to another. The broker's library has threads of its own, and runners that compute have theirs.
    let mut builder = match is_agent {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::bug(format!("the runtime can not be started: {error}")))?;
    let status = runtime.block_on(async {
        match command {
            Command::Run(arguments) => run::run(arguments, words, &settings, output).await,
            Command::Up(arguments) => up::run(arguments, words, &settings, output).await,
            Command::Topology(command) => topology::run(command, &settings, output).await,
            Command::Manager(arguments) => worker::run(Layer::Management, arguments, &settings).await,
            Command::Coordinator(arguments) => worker::run(Layer::Coordination, arguments, &settings).await,
            Command::Executor(arguments) => worker::run_executor(arguments, &settings).await,
            Command::Bench(arguments) => bench::run(arguments, common.config, &settings, output).await,
            Command::Submit(arguments) => submit::run(arguments, &settings, output).await,
            Command::Status(arguments) => status::run(arguments, &settings, output).await,
            Command::List(arguments) => list::run(arguments, &settings, output).await,
            Command::Result(arguments) => result::run(arguments, &settings, output).await,
            Command::Watch(arguments) => watch::run(arguments, &settings, output).await,
            Command::Cancel(arguments) => words::cancel::run(arguments, &settings, output).await,
            Command::Pause(arguments) => words::pause::pause(arguments, &settings, output).await,
            Command::Resume(arguments) => words::pause::resume(arguments, &settings, output).await,
            Command::Retry(arguments) => words::retry::run(arguments, &settings, output).await,
            Command::Decide(arguments) => words::decide::run(arguments, &settings, output).await,
            Command::History(arguments) => history::run(arguments, &settings, output).await,
            Command::Logs(arguments) => logs::run(arguments, &settings, output).await,
            Command::Check(arguments) => check::run(arguments, &settings, output).await,
            Command::Forget(arguments) => forget::run(arguments, &settings, output).await,
            Command::Prune(arguments) => forget::prune(arguments, &settings, output).await,
            Command::Agents(arguments) => agents::run(arguments, &settings, output).await,
            Command::Ping(arguments) => agents::ping(arguments, &settings, output).await,
            Command::Dead(command) => dead::run(command, &settings, output).await,
            Command::Health(arguments) => health::run(arguments, &settings, output).await,
            Command::Config(command) => config::run(command, &settings, output),
            Command::Completions(_) => Ok(failure::Status::Done),
        }
    });
    // What still blocks, a runner's thread say, must not keep the process.
    runtime.shutdown_background();
    status
}

impl Command {
    /// The settings that this command's options set.
    fn given(&self) -> Vec<Given> {
        match self {
            Self::Run(arguments) => arguments.given(),
            Self::Up(arguments) => arguments.given(),
            Self::Executor(arguments) => arguments.given(),
            _ => Vec::new(),
        }
    }

    /// What is logged. Of a team that runs for one project, its comings and goings are no news.
    fn log_filter<'a>(&self, settings: &'a Settings) -> &'a str {
        match (self, settings.log.filter.as_str()) {
            (Self::Run(_), "info") => "warn",
            (_, filter) => filter,
        }
    }
}
