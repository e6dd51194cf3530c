//! `trireme up`: the layers as child processes of this one, on this machine, each kept alive until all are told
//! to stop. It only starts and stops processes: whatever they do they do by themselves.

mod child;

use std::ffi::OsString;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use trireme::config::{Given, Settings};

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::show::count;
use crate::{process, wiring};
use child::Child;

/// More processes of one layer on one machine are a mistake.
const CHILDREN_MAX: i64 = 256;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme up
  trireme up --managers 2 --coordinators 4 --executors 8 --slots 16

A child that ends is started again, until Ctrl-C or SIGTERM stops them all.")]
pub struct Arguments {
    /// How many managers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=CHILDREN_MAX))]
    managers: u32,
    /// How many coordinators
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=CHILDREN_MAX))]
    coordinators: u32,
    /// How many executors
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=CHILDREN_MAX))]
    executors: u32,
    /// How many subtasks each executor runs at once
    #[arg(long, value_name = "N")]
    slots: Option<String>,
}

impl Arguments {
    pub fn given(&self) -> Vec<Given> {
        let slots = |value: &String| Given { key: "agents.slots", option: "--slots", value: value.clone() };
        self.slots.iter().map(slots).collect()
    }
}

/// Runs the children until they are told to stop. `common` are the options that all commands take, handed on.
pub async fn run(
    arguments: Arguments,
    common: Vec<OsString>,
    settings: &Settings,
    output: &Output,
) -> Result<Status, Failure> {
    let children = children(&arguments, &common)?;
    let stop = process::stop_on_signals()?;
    tokio::select! {
        biased;
        () = stop.draining() => return Ok(Status::Done),
        tried = try_once(settings) => tried?,
    }
    let Arguments { managers, coordinators, executors, .. } = arguments;
    let crew = [(managers, "manager"), (coordinators, "coordinator"), (executors, "executor")];
    let crew = crew.map(|(number, what)| count(number, what));
    output.note(&format!("up: {}", crew.join(", ")));
    let mut failed = None;
    let mut kept: FuturesUnordered<_> = children.iter().map(|child| child.keep(&stop, output)).collect();
    while let Some(done) = kept.next().await {
        if let Err(failure) = done {
            stop.drain();
            failed.get_or_insert(failure);
        }
    }
    failed.map_or(Ok(Status::Done), Err)
}

/// What every child would stumble over is said once, by this process.
async fn try_once(settings: &Settings) -> Result<(), Failure> {
    wiring::offered(settings, None)?;
    let transport = Arc::new(wiring::rabbit(settings, "up")?);
    wiring::owner(settings, transport.clone()).await?;
    transport.close().await;
    Ok(())
}

fn children(arguments: &Arguments, common: &[OsString]) -> Result<Vec<Child>, Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::bug(format!("this program is not found: {error}")))?;
    let layers =
        [("manager", arguments.managers), ("coordinator", arguments.coordinators), ("executor", arguments.executors)];
    let names: Vec<(&str, String)> =
        layers.iter().flat_map(|&(layer, count)| (1..=count).map(move |n| (layer, format!("{layer}-{n}")))).collect();
    if names.is_empty() {
        return Err(Failure::usage("there is nothing to start").hint("`--managers 1 --coordinators 2 --executors 3`"));
    }
    let width = names.iter().map(|(_, name)| name.len()).max().unwrap_or_default();
    let child = |(at, (layer, name)): (usize, (&str, String))| {
        let mut words = common.to_vec();
        words.push(layer.into());
        if let (Some(slots), "executor") = (&arguments.slots, layer) {
            words.extend(["--slots".into(), slots.into()]);
        }
        Child::new(program.clone(), words, name, at, width)
    };
    Ok(names.into_iter().enumerate().map(child).collect())
}
