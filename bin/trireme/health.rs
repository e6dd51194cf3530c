//! `trireme health`: whether broker, store and agents are well, for a container's health check. It looks from outside
//! and changes nothing.

use std::time::Duration;

use serde::Serialize;
use trireme::config::Settings;
use trireme::domain::bad_input::one_line;
use trireme::runtime::client::Answers;
use trireme::runtime::port::{StoreError, SummaryQuery, Transport};
use trireme::wire::address::{Address, Queue};
use trireme::wire::content::{Layer, Presence};
use trireme::wire::{AgentId, AgentStatus};

use crate::asking::Asker;
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::{process, reading, show, usage, wiring};

/// No check takes longer than this: whoever runs them every few seconds wants an answer.
const CHECK_MAX: Duration = Duration::from_secs(8);
/// Of more agents in one state the rest is a number.
const NAMED_MAX: usize = 3;
const LAYERS: [Layer; 3] = [Layer::Management, Layer::Coordination, Layer::Execution];

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme health
  trireme health --layer execution --here      in a container's health check
  trireme health --id executor-1a2b3c4d5e6f --json

A line a check: that the broker answers and has the queues, that the store can be read, and that agents answer a ping \
and have no trouble: one at least in each of the three layers, or in --layer; with --here every one on this host. Those \
that were heard of in the last minute and do not answer are named. Executors open no store: where only they are asked \
for, that is not looked at. Exit status: 0 when all are well, 1 when not.")]
pub struct Arguments {
    /// Agents of this layer only: management, coordination or execution
    #[arg(long, value_name = "LAYER", value_parser = usage::layer)]
    layer: Option<Layer>,
    /// This agent
    #[arg(long, value_name = "AGENT", value_parser = usage::agent)]
    id: Option<AgentId>,
    /// All agents on this host, which is the container in a container
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
    /// A way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
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
    let is_executor = |agents: &Answers| agents.answered.values().any(|agent| agent.layer == Layer::Execution);
    let asks_executor = arguments.id.is_some() && agents.as_ref().is_ok_and(is_executor);
    let mut checks = vec![Check::new("broker", broker)];
    checks.extend(store.filter(|_| !asks_executor).map(|store| Check::new("store", store)));
    checks.push(Check::new("agents", agents.and_then(|agents| judge(&arguments, &agents))));
    let health = Health { is_well: checks.iter().all(|check| check.is_well), checks };
    if output.is_json() {
        output.json(&health)?;
    } else {
        for Check { check, is_well, detail, hint } in &health.checks {
            let word = if *is_well { "well" } else { "not well" };
            let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            output.line(&one_line(&format!("{check:<6} {word}: {detail}{hint}")));
        }
    }
    Ok(if health.is_well { Status::Done } else { Status::Negative })
}

impl Check {
    fn new(check: &'static str, found: Result<String, Failure>) -> Self {
        match found {
            Ok(detail) => Self { check, is_well: true, detail, hint: None },
            Err(failure) => Self { check, is_well: false, detail: failure.message, hint: failure.hint },
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
    let open = if open.is_empty() { "no project is open" } else { "projects are open" };
    // A store that answers may still take no writes. The reader has seen that it is there and up to date: this makes nothing.
    let writer = trireme::store::open(&settings.store.url).await?;
    match writer.probe_write().await {
        Ok(()) => Ok(format!("it takes writes; {open}")),
        // The rights of whoever asks are not those of the workers.
        Err(StoreError::Unusable(why)) if why.contains("(42501)") => Ok(format!("it answers; {open}")),
        Err(error) => Err(error.into()),
    }
}

/// What is known of those that are meant.
async fn agents(arguments: &Arguments, settings: &Settings) -> Result<Answers, Failure> {
    let (to, enough) = match (&arguments.id, arguments.layer) {
        (Some(id), _) => (Address::agent(id), Some(1)),
        (None, Some(layer)) => (Address::layer(layer), None),
        (None, None) => (Address::everybody(), None),
    };
    let mut asker = Asker::connect(settings).await?;
    let answers = asker.client.ping(to, arguments.wait, enough).await;
    asker.close().await;
    let mut answers = answers?;
    let host = process::host();
    let is_meant = |agent: &Presence| {
        (!arguments.here || agent.host == host)
            && arguments.layer.is_none_or(|layer| agent.layer == layer)
            && arguments.id.as_ref().is_none_or(|id| agent.agent_id == *id)
    };
    answers.answered.retain(|_, agent| is_meant(agent));
    answers.heard_of.retain(|_, agent| is_meant(agent));
    Ok(answers)
}

/// Every one that was asked for by its place or name has to be well; of a layer one is enough.
fn judge(arguments: &Arguments, answers: &Answers) -> Result<String, Failure> {
    let (well, ill): (Vec<&Presence>, Vec<&Presence>) =
        answers.answered.values().partition(|agent| agent.status != AgentStatus::Error);
    let has = |agents: &[&Presence], layer| agents.iter().any(|agent| agent.layer == layer);
    let layers = match (arguments.here || arguments.id.is_some(), arguments.layer) {
        (true, _) => Vec::new(),
        (false, Some(layer)) => vec![layer],
        (false, None) => LAYERS.to_vec(),
    };
    // What an executor can not perform has to be mended by somebody, however many others can.
    let is_able = answers.answered.values().all(|agent| agent.unable.is_empty());
    let is_well = match layers.as_slice() {
        [] => ill.is_empty() && !well.is_empty(),
        layers => is_able && layers.iter().all(|layer| has(&well, *layer)),
    };
    let lacking: Vec<Layer> = layers.into_iter().filter(|layer| !has(&well, *layer) && !has(&ill, *layer)).collect();
    let mut said = match (answers.answered.is_empty(), is_well) {
        (true, _) => vec!["none answered".to_owned()],
        (false, true) => vec![there(&well)],
        (false, false) => lacking.iter().map(|layer| format!("no {} answered", usage::one_of(*layer))).collect(),
    };
    let trouble = |agent: &&Presence| {
        let trouble = agent.trouble.as_deref().unwrap_or("it does not say what");
        format!("{} is in trouble: {trouble}", agent.agent_id)
    };
    said.extend(named(ill.iter().map(trouble)));
    let silent = |agent: &Presence| format!("{} was heard of in the last minute and does not answer", agent.agent_id);
    said.extend(named(answers.silent().map(silent)));
    let clock = |agent: &Presence| Some(format!("{}: {}", agent.agent_id, show::clock_ahead(agent.clock_ahead_ms?)));
    said.extend(named(answers.answered.values().filter_map(clock)));
    let detail = said.join("; ");
    match (is_well, lacking.as_slice()) {
        (true, _) => Ok(detail),
        (false, []) => Err(Failure::unreachable(detail)),
        (false, [layer]) => {
            Err(Failure::unreachable(detail).hint(format!("`trireme {}` starts one", usage::one_of(*layer))))
        }
        (false, _) => Err(Failure::unreachable(detail).hint("`trireme up` starts a team")),
    }
}

/// As in `1 manager, 2 executors answer`.
fn there(agents: &[&Presence]) -> String {
    let count = |layer| agents.iter().filter(|agent| agent.layer == layer).count();
    let counts = LAYERS.iter().map(|layer| (count(*layer), usage::one_of(*layer))).filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, one)| show::count(count, one)).collect();
    format!("{} {}", counts.join(", "), if agents.len() == 1 { "answers" } else { "answer" })
}

/// The first of them, and how many more.
fn named(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

#[cfg(test)]
mod tests {
    use trireme::wire::Timestamp;

    use super::*;

    fn agent(id: &str, trouble: Option<&str>) -> (AgentId, Presence) {
        let agent_id = AgentId::new(id).expect("an id");
        let layer = match id.as_bytes()[0] {
            b'm' => Layer::Management,
            b'c' => Layer::Coordination,
            _ => Layer::Execution,
        };
        let status = if trouble.is_some() { AgentStatus::Error } else { AgentStatus::Idle };
        let presence = Presence {
            agent_id: agent_id.clone(),
            name: id.into(),
            layer,
            status,
            skills: Vec::new(),
            slots: 1,
            busy: 0,
            version: String::new(),
            host: String::new(),
            pid: 1,
            last_seen: Timestamp::default(),
            store_id: None,
            holds: Vec::new(),
            waits_for: Vec::new(),
            unable: Vec::new(),
            queues_lost: Vec::new(),
            clock_ahead_ms: None,
            commands: Vec::new(),
            trouble: trouble.map(str::to_owned),
            published: 0,
            leaving: false,
            peers: Vec::new(),
        };
        (agent_id, presence)
    }

    /// What is said when these answer, those with a `!` in trouble, and others were heard of.
    fn judged(layer: Option<Layer>, here: bool, answered: &str, heard_of: &str) -> (bool, String) {
        let agents = |ids: &str| {
            let trouble = |id: &str| id.ends_with('!').then_some("no disk");
            ids.split_whitespace().map(|id| agent(id.trim_end_matches('!'), trouble(id))).collect()
        };
        let arguments = Arguments { layer, id: None, here, wait: Duration::ZERO };
        match judge(&arguments, &Answers { answered: agents(answered), heard_of: agents(heard_of) }) {
            Ok(said) => (true, said),
            Err(Failure { message, hint, .. }) => {
                (false, hint.map_or(message.clone(), |hint| format!("{message} ({hint})")))
            }
        }
    }

    #[test]
    fn each_layer_needs_one_that_is_well() {
        let judged = |answered, heard_of| judged(None, false, answered, heard_of);
        for (answered, heard_of, is_well, said) in [
            ("m1 c1 e1 e2", "m1 e2", true, "1 manager, 1 coordinator, 2 executors answer"),
            ("m1 e1", "", false, "no coordinator answered (`trireme coordinator` starts one)"),
            ("e1", "", false, "no manager answered; no coordinator answered (`trireme up` starts a team)"),
            ("", "", false, "none answered (`trireme up` starts a team)"),
            ("m1 c1! e1", "", false, "c1 is in trouble: no disk"),
            ("m1 c1! c2 e1", "", true, "1 manager, 1 coordinator, 1 executor answer; c1 is in trouble: no disk"),
            (
                "m1 c1 e1",
                "e2",
                true,
                "1 manager, 1 coordinator, 1 executor answer; e2 was heard of in the last minute and does not answer",
            ),
        ] {
            assert_eq!(judged(answered, heard_of), (is_well, said.to_owned()));
        }
        let (_, said) = judged("m1! m2! m3! m4! m5! c1 e1", "");
        assert!(said.ends_with("m3 is in trouble: no disk; and 2 more"), "{said}");
    }

    #[test]
    fn of_one_layer_one_is_enough_and_here_all_are_needed() {
        let layer = Some(Layer::Execution);
        for (here, answered, is_well, said) in [
            (false, "e1 e2!", true, "1 executor answers; e2 is in trouble: no disk"),
            (true, "e1 e2!", false, "e2 is in trouble: no disk"),
            (true, "e1 e2", true, "2 executors answer"),
            (false, "", false, "none answered (`trireme executor` starts one)"),
            (true, "", false, "none answered"),
        ] {
            assert_eq!(judged(layer, here, answered, ""), (is_well, said.to_owned()));
        }
    }
}
