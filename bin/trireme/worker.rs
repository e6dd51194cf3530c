//! `trireme manager`, `coordinator` and `executor`: one worker process of a layer.

use std::sync::Arc;

use trireme::config::{Given, Mode, Settings};
use trireme::planner::duration;
use trireme::runtime::executor::ExecutorOptions;
use trireme::runtime::{Identity, Stop, World, coordinator, executor, manager};
use trireme::wire::AgentId;
use trireme::wire::content::Layer;
use uuid::Uuid;

use crate::failure::{Failure, Status};
use crate::{process, wiring};

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

/// The option of [`Arguments::with_parent`].
pub const WITH_PARENT: &str = "--with-parent";

#[derive(clap::Args)]
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
    serve(layer, arguments, settings, None).await
}

/// Runs an executor until it is told to stop.
pub async fn run_executor(arguments: ExecutorArguments, settings: &Settings) -> Result<Status, Failure> {
    let offered = wiring::offered(settings, arguments.skills.as_deref())?;
    for skill in offered.skills.keys() {
        warn_if_too_long(settings, skill);
    }
    serve(Layer::Execution, arguments.agent, settings, Some(offered)).await
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

async fn serve(
    layer: Layer,
    arguments: Arguments,
    settings: &Settings,
    offered: Option<ExecutorOptions>,
) -> Result<Status, Failure> {
    let stop = process::stop_on_signals()?;
    if arguments.with_parent {
        process::leave_with_parent(stop.clone())?;
    }
    let identity = identity(layer, arguments)?;
    let transport = Arc::new(wiring::rabbit(settings, identity.agent_id.as_str())?);
    let world = tokio::select! {
        biased;
        // Nothing is held yet: there is nothing to finish.
        () = stop.draining() => return Ok(Status::Done),
        world = wiring::worker(settings, transport.clone()) => world?,
    };
    let done = act(layer, world, identity, offered, stop.clone()).await;
    if !stop.is_leaving() {
        transport.close().await;
    }
    done.map(|()| Status::Done)
}

async fn act(
    layer: Layer,
    world: World,
    identity: Identity,
    offered: Option<ExecutorOptions>,
    stop: Stop,
) -> Result<(), Failure> {
    match (layer, offered) {
        (Layer::Management, _) => manager::run(world, identity, stop).await?,
        (Layer::Coordination, _) => coordinator::run(world, identity, stop).await?,
        (Layer::Execution, Some(offered)) => executor::run(world, identity, offered, stop).await?,
        (Layer::Execution, None) | (Layer::Client, _) => return Err(Failure::bug("no worker of this layer")),
    }
    Ok(())
}

fn identity(layer: Layer, arguments: Arguments) -> Result<Identity, Failure> {
    let word = match layer {
        Layer::Management => "manager",
        Layer::Coordination => "coordinator",
        Layer::Execution => "executor",
        Layer::Client => "client",
    };
    // The random end of a UUIDv7: short enough to be read, long enough to be one's own.
    let fresh = || format!("{word}-{}", &Uuid::now_v7().simple().to_string()[20..]);
    let agent_id = AgentId::new(arguments.id.unwrap_or_else(fresh)).map_err(Failure::usage)?;
    let name = arguments.name.unwrap_or_else(|| agent_id.to_string());
    Ok(Identity { agent_id, name, layer, host: process::host(), pid: std::process::id() })
}
