//! `trireme manager`, `coordinator` and `executor`: one worker process of a layer.

use std::sync::Arc;

use trireme::config::{Given, Mode, Settings};
use trireme::planner::duration;
use trireme::runner::guard;
use trireme::runtime::port::Transport;
use trireme::runtime::{Identity, Stop, coordinator, executor, manager};
use trireme::wire::AgentId;
use trireme::wire::content::Layer;
use uuid::Uuid;

use crate::failure::{Failure, Status};
use crate::{open_files, process, usage, wiring};

#[derive(clap::Args)]
pub struct Arguments {
    /// The agent's id, unique in its namespace; without it a fresh one
    #[arg(long)]
    id: Option<String>,
    /// The agent's name, for people
    #[arg(long)]
    name: Option<String>,
    /// Leaves at once when standard input ends: whoever holds its other end is gone
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// What the help of a layer of owners ends with.
pub fn examples(layer: &str) -> String {
    format!(
        "\
Examples:
  trireme {layer}
  trireme {layer} --config /etc/trireme/queues.toml --id {layer}-1

It needs the broker and the store. SIGTERM lets it finish or give back what it holds; a second one leaves within a second."
    )
}

/// The option of [`Arguments::with_parent`].
pub const WITH_PARENT: &str = "--with-parent";

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme executor
  trireme executor --skills Download,Load --slots 16

It needs the broker only. SIGTERM lets it finish or give back what it holds; a second one leaves within a second.")]
pub struct ExecutorArguments {
    #[command(flatten)]
    agent: Arguments,
    /// The skills to offer; without it every configured one that is not external
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    skills: Option<Vec<String>>,
    /// How many subtasks it runs at once
    #[arg(long, value_name = "N")]
    slots: Option<String>,
}

impl ExecutorArguments {
    pub fn given(&self) -> Vec<Given> {
        let slots = |value: &String| Given { key: "agents.slots", option: "--slots", value: value.clone() };
        self.slots.iter().map(slots).collect()
    }
}

/// Runs a manager or a coordinator until it is told to stop.
pub async fn run(layer: Layer, arguments: Arguments, settings: &Settings) -> Result<Status, Failure> {
    serve(layer, arguments, settings, async |transport, identity, stop: Stop| {
        let Some(world) = unless_stopped(&stop, wiring::owner(settings, transport)).await? else { return Ok(()) };
        match layer {
            Layer::Management => manager::run(world, identity, stop).await?,
            Layer::Coordination => coordinator::run(world, identity, stop).await?,
            Layer::Execution | Layer::Client => return Err(Failure::bug("no owner is of this layer")),
        }
        Ok(())
    })
    .await
}

/// Runs an executor until it is told to stop.
pub async fn run_executor(arguments: ExecutorArguments, settings: &Settings) -> Result<Status, Failure> {
    let mut offered = wiring::offered(settings, arguments.skills.as_deref())?;
    open_files::bound_slots(&mut offered);
    guard::enable();
    for skill in offered.skills.keys() {
        warn_if_too_long(settings, skill);
    }
    serve(Layer::Execution, arguments.agent, settings, async |transport, identity, stop: Stop| {
        let Some(ground) = unless_stopped(&stop, wiring::executor(settings, transport)).await? else { return Ok(()) };
        Ok(executor::run(ground, identity, offered, stop).await?)
    })
    .await
}

/// A command that is held for longer than the broker allows comes back before it is answered.
fn warn_if_too_long(settings: &Settings, skill: &str) {
    let (most, terms) = (settings.broker.consumer_timeout, settings.skills.get(skill));
    if let Some(terms) = terms.filter(|terms| terms.mode == Mode::Held && terms.timeout > most) {
        let (timeout, most) = (duration::print(terms.timeout), duration::print(most));
        tracing::warn!(
            skill,
            timeout,
            consumer_timeout = most,
            "an attempt may take longer than the broker lets a command be held; hint: set `mode = \"leased\"`"
        );
    }
}

/// Connects an agent and has it `act`; says goodbye to the broker unless it is to leave at once.
async fn serve(
    layer: Layer,
    arguments: Arguments,
    settings: &Settings,
    act: impl AsyncFnOnce(Arc<dyn Transport>, Identity, Stop) -> Result<(), Failure>,
) -> Result<Status, Failure> {
    let stop = process::stop_on_signals()?;
    if arguments.with_parent {
        process::leave_with_parent(stop.clone())?;
    }
    let identity = identity(layer, arguments)?;
    let transport = Arc::new(wiring::rabbit(settings, identity.agent_id.as_str())?);
    let done = act(transport.clone(), identity, stop.clone()).await;
    if !stop.is_leaving() {
        transport.close().await;
        if done.is_ok() {
            tracing::info!("stopped");
        }
    }
    done.map(|()| Status::Done)
}

/// What `ready` gives; none when the stop is told first: nothing is held yet, there is nothing to finish.
async fn unless_stopped<T>(stop: &Stop, ready: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, Failure> {
    tokio::select! {
        biased;
        () = stop.draining() => Ok(None),
        ready = ready => ready.map(Some),
    }
}

fn identity(layer: Layer, arguments: Arguments) -> Result<Identity, Failure> {
    let word = usage::one_of(layer);
    // The random end of a UUIDv7: short enough to be read, long enough to be one's own.
    let fresh = || format!("{word}-{}", &Uuid::now_v7().simple().to_string()[20..]);
    let agent_id = AgentId::new(arguments.id.unwrap_or_else(fresh)).map_err(Failure::usage)?;
    let name = arguments.name.unwrap_or_else(|| agent_id.to_string());
    Ok(Identity { agent_id, name, layer, host: process::host(), pid: std::process::id() })
}
