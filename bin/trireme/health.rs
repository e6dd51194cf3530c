//! `trireme health`: whether broker, store and agents are well, for a container's health check. It looks from outside
//! and changes nothing.

use std::time::Duration;

use serde::Serialize;
use trireme::config::Settings;
use trireme::domain::bad_input::one_line;
use trireme::runtime::client::Answers;
use trireme::runtime::port::{SummaryQuery, Transport};
use trireme::wire::address::{Address, Queue};
use trireme::wire::content::{Layer, Presence};
use trireme::wire::{AgentId, AgentStatus};

use crate::asking::Asker;
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::{process, reading, usage, wiring};

/// No check takes longer than this: whoever runs them every few seconds wants an answer.
const CHECK_MAX: Duration = Duration::from_secs(8);

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme health
  trireme health --layer execution --here      in a container's health check
  trireme health --id executor-1a2b3c4d5e6f --json

A line a check: that the broker answers and has the queues, that the store can be read, and that an agent answers a
ping and has no trouble. Executors open no store: where one of them is asked for, that is not looked at. Exit status: 0 when all are well, 1 when not.")]
pub struct Arguments {
    /// An agent of this layer: management, coordination or execution
    #[arg(long, value_name = "LAYER", value_parser = usage::layer)]
    layer: Option<Layer>,
    /// This agent
    #[arg(long, value_name = "AGENT", value_parser = usage::agent)]
    id: Option<AgentId>,
    /// An agent on this host, which is the container in a container
    #[arg(long)]
    here: bool,
    /// How long to wait for answers; one agent's ends the wait
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = usage::wait)]
    wait: Duration,
}

/// One of what `--json` prints.
#[derive(Serialize)]
struct Check {
    check: &'static str,
    is_well: bool,
    detail: String,
}

#[derive(Serialize)]
struct Health {
    is_well: bool,
    checks: Vec<Check>,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    // Executors open no store: theirs need not be there.
    let needs_store = arguments.layer != Some(Layer::Execution);
    let store = async { if needs_store { Some(in_time(store(settings)).await) } else { None } };
    let agents = in_time(agents(&arguments, settings));
    let (broker, store, agents) = tokio::join!(in_time(broker(settings)), store, agents);
    let is_executor = |agents: &Vec<Presence>| agents.first().is_some_and(|agent| agent.layer == Layer::Execution);
    let asks_executor = arguments.id.is_some() && agents.as_ref().is_ok_and(is_executor);
    let mut checks = vec![Check::new("broker", broker)];
    checks.extend(store.filter(|_| !asks_executor).map(|store| Check::new("store", store)));
    checks.push(Check::new("agents", agents.and_then(|agents| judge(&agents))));
    let health = Health { is_well: checks.iter().all(|check| check.is_well), checks };
    if output.is_json() {
        output.json(&health)?;
    } else {
        for Check { check, is_well, detail } in &health.checks {
            let word = if *is_well { "well" } else { "not well" };
            output.line(&format!("{check:<6} {word}: {}", one_line(detail)));
        }
    }
    Ok(if health.is_well { Status::Done } else { Status::Negative })
}

impl Check {
    fn new(check: &'static str, found: Result<String, Failure>) -> Self {
        match found {
            Ok(detail) => Self { check, is_well: true, detail },
            Err(failure) => Self { check, is_well: false, detail: failure.message },
        }
    }
}

async fn in_time<T>(look: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let silence = || Failure::unreachable(format!("no answer within {} s", CHECK_MAX.as_secs()));
    tokio::time::timeout(CHECK_MAX, look).await.unwrap_or_else(|_| Err(silence()))
}

/// Connects, and asks for a queue that everybody needs; makes nothing.
async fn broker(settings: &Settings) -> Result<String, Failure> {
    let transport = wiring::rabbit(settings, "health")?;
    let depth = transport.depth(&Queue::Requests).await?;
    transport.close().await;
    match depth {
        Some(depth) => Ok(format!("it answers; {} requests wait", depth.ready)),
        None => Err(Failure::unreachable(format!("it has no queues of `{}`", settings.broker.namespace))),
    }
}

async fn store(settings: &Settings) -> Result<String, Failure> {
    let store = reading::open(settings).await?;
    let open = store.summaries(&SummaryQuery { open: true, limit: Some(1), ..SummaryQuery::default() }).await?;
    Ok(format!("it answers; {}", if open.is_empty() { "no project is open" } else { "projects are open" }))
}

/// Those that are meant and answer.
async fn agents(arguments: &Arguments, settings: &Settings) -> Result<Vec<Presence>, Failure> {
    let (to, enough) = match (&arguments.id, arguments.layer) {
        (Some(id), _) => (Address::agent(id), Some(1)),
        (None, Some(layer)) => (Address::layer(layer), None),
        (None, None) => (Address::everybody(), None),
    };
    let mut asker = Asker::connect(settings).await?;
    let answers = asker.client.ping(to, arguments.wait, enough).await;
    asker.close().await;
    let Answers { answered, .. } = answers?;
    let host = process::host();
    let is_meant = |agent: &Presence| {
        (!arguments.here || agent.host == host) && arguments.layer.is_none_or(|layer| agent.layer == layer)
    };
    Ok(answered.into_values().filter(is_meant).collect())
}

fn judge(agents: &[Presence]) -> Result<String, Failure> {
    match (agents.iter().find(|agent| agent.status != AgentStatus::Error), agents.first()) {
        (Some(well), _) => Ok(format!("{} answers, {} in all", well.agent_id, agents.len())),
        (None, Some(agent)) => {
            let trouble = agent.trouble.as_deref().unwrap_or("it does not say what");
            Err(Failure::unreachable(format!("{} is in trouble: {trouble}", agent.agent_id)))
        }
        (None, None) => Err(Failure::unreachable("none answered")),
    }
}
