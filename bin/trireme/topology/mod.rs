//! `trireme topology`: the exchanges, queues and bindings of the namespace: shown, made, and deleted. It never
//! touches anything outside its own namespace.

mod delete;
mod shown;

use trireme::config::Settings;
use trireme::runtime::port::{QueueDepth, Topology, Transport, TransportError};
use trireme::runtime::topology::topology;
use trireme::transport::rabbit::RabbitTransport;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::wiring;
use shown::Shown;

const EXAMPLES: &str = "\
Examples:
  trireme topology show
  trireme topology declare --config /etc/trireme/queues.toml
  trireme topology delete --skills Download,Mirror --yes

It goes by the section `[broker]` and the skills of the settings, as `trireme config show` prints them.";

#[derive(clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// What the settings make of it; and how full it is, when the broker answers
    #[command(after_help = EXAMPLES)]
    Show,
    /// Makes what is missing. Workers do so too when they start
    #[command(after_help = EXAMPLES)]
    Declare,
    /// Deletes the queues and exchanges, with all that is in them
    Delete(delete::Arguments),
}

pub async fn run(command: Command, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let shape = topology(&settings.topology());
    let transport = wiring::administrator(settings, "topology")?;
    let done = match command {
        Command::Show => show(&shape, &transport, output).await,
        Command::Declare => declare(&shape, &transport, output).await,
        Command::Delete(arguments) => delete::run(arguments, &transport, settings, output).await,
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
            shown.print(output);
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

/// How full each queue is, in the order of the topology; none for one that there is not.
async fn depths(shape: &Topology, transport: &RabbitTransport) -> Result<Vec<Option<QueueDepth>>, TransportError> {
    let mut depths = Vec::with_capacity(shape.queues.len());
    for spec in &shape.queues {
        depths.push(transport.depth(&spec.queue).await?);
    }
    Ok(depths)
}
