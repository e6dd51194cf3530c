//! `trireme topology`: the exchanges, queues and bindings of the namespace: shown, made, and deleted. It never
//! touches anything outside its own namespace.

mod shown;

use std::sync::Arc;
use std::time::Duration;

use trireme::config::{Settings, masked};
use trireme::runtime::client::Client;
use trireme::runtime::port::{QueueDepth, SystemClock, Topology, Transport, TransportError};
use trireme::runtime::topology::topology;
use trireme::transport::rabbit::RabbitTransport;
use trireme::wire::AgentId;
use trireme::wire::address::Address;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::{consent, wiring};
use shown::Shown;

/// How long agents have to answer before the topology is taken away from under them.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

#[derive(clap::Subcommand)]
pub enum Command {
    /// What the settings make of it; and how full it is, when the broker answers
    Show,
    /// Makes what is missing. Workers do so too when they start
    Declare,
    /// Deletes the queues and exchanges that `show` lists, with all that is in them
    Delete {
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Even while agents answer
        #[arg(long)]
        force: bool,
    },
}

pub async fn run(command: Command, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let shape = topology(&settings.topology());
    let transport = wiring::rabbit(settings, "topology")?;
    let done = match command {
        Command::Show => show(&shape, &transport, output).await,
        Command::Declare => declare(&shape, &transport, output).await,
        Command::Delete { yes, force } => delete(&shape, &transport, settings, yes, force, output).await,
    };
    transport.close().await;
    done.map(|()| Status::Done)
}

async fn show(shape: &Topology, transport: &RabbitTransport, output: &Output) -> Result<(), Failure> {
    let depths = match depths(shape, transport).await {
        Ok(depths) => Some(depths),
        Err(error) => {
            let why = error.to_string();
            output.note(&format!("how full the queues are is not known: {}", why.lines().next().unwrap_or_default()));
            None
        }
    };
    let shown = Shown::new(shape, depths.as_deref());
    match output.is_json() {
        true => output.json(&shown),
        false => {
            output.line(&shown.text());
            Ok(())
        }
    }
}

async fn declare(shape: &Topology, transport: &RabbitTransport, output: &Output) -> Result<(), Failure> {
    transport.declare(shape).await?;
    let (exchanges, queues) = (shape.exchanges.len(), shape.queues.len());
    output.note(&format!("`{}` has its {exchanges} exchanges and {queues} queues", shape.namespace));
    Ok(())
}

async fn delete(
    shape: &Topology,
    transport: &RabbitTransport,
    settings: &Settings,
    yes: bool,
    force: bool,
    output: &Output,
) -> Result<(), Failure> {
    let namespace = &shape.namespace;
    if !force {
        let there = who_answers(shape, transport).await?;
        if let Some(first) = there.first() {
            let others = match there.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let message = format!("agents of `{namespace}` are at work: `{first}`{others}");
            return Err(Failure::usage(message).hint("stop them first, or give --force"));
        }
    }
    if !yes && !is_wanted(shape, transport, settings).await? {
        output.note("nothing was deleted");
        return Ok(());
    }
    transport.delete(shape).await?;
    let (exchanges, queues) = (shape.exchanges.len(), shape.queues.len());
    output.note(&format!("deleted {exchanges} exchanges and {queues} queues of `{namespace}`"));
    Ok(())
}

/// Which agents answer a ping to all.
async fn who_answers(shape: &Topology, transport: &RabbitTransport) -> Result<Vec<AgentId>, Failure> {
    // Where nothing was ever declared there is nothing to ask through; it goes with the rest.
    let ways = Topology { queues: Vec::new(), bindings: Vec::new(), ..shape.clone() };
    transport.declare(&ways).await?;
    let mut client = Client::connect(transport, Arc::new(SystemClock)).await?;
    let answers = client.ping(Address::everybody(), ANSWER_WITHIN, None).await?;
    Ok(answers.answered.into_keys().collect())
}

/// Asks on the terminal.
async fn is_wanted(shape: &Topology, transport: &RabbitTransport, settings: &Settings) -> Result<bool, Failure> {
    consent::check_terminal(&format!("deleting `{}`", shape.namespace))?;
    let messages: u64 = depths(shape, transport).await?.iter().flatten().map(|depth| u64::from(depth.ready)).sum();
    let question = format!(
        "delete {} queues with {messages} message(s) and {} exchanges of `{}` at {}?",
        shape.queues.len(),
        shape.exchanges.len(),
        shape.namespace,
        masked(&settings.broker.url)
    );
    consent::ask(question).await
}

/// How full each queue is, in the order of the topology; none for one that there is not.
async fn depths(shape: &Topology, transport: &RabbitTransport) -> Result<Vec<Option<QueueDepth>>, TransportError> {
    let mut depths = Vec::with_capacity(shape.queues.len());
    for spec in &shape.queues {
        depths.push(transport.depth(&spec.queue).await?);
    }
    Ok(depths)
}
