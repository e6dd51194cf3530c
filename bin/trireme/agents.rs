//! `trireme agents` and `trireme ping`: who is there, and who answers.

use std::time::Duration;

use serde::Serialize;
use trireme::config::Settings;
use trireme::domain::bad_input::{one_line, quote};
use trireme::runtime::client::Answers;
use trireme::wire::address::Address;
use trireme::wire::content::{Layer, Presence, RunningCommand, UnableSkill};
use trireme::wire::{AgentId, AgentStatus, Timestamp};

use crate::asking::Asker;
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::table::{Column, Table};
use crate::{show, usage};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme agents
  trireme agents --wait 3s --json | jq -r '.[] | select(.status == \"SILENT\") | .agent_id'

An agent that others have heard of in the last minute and that does not answer now is listed as SILENT.")]
pub struct Arguments {
    /// How long to wait for answers
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = usage::wait)]
    wait: Duration,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme ping                     whoever is there
  trireme ping execution           the executors
  trireme ping executor-1a2b3c4d5e6f

Exit status: 0 when somebody answered, 1 when nobody did.")]
pub struct PingArguments {
    /// An agent's id, a layer (management, coordination or execution), or all
    #[arg(value_name = "AGENT | LAYER | all", default_value = "all")]
    target: String,
    /// How long to wait for answers; one agent's ends the wait
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = usage::wait)]
    wait: Duration,
}

/// One of `agents --json`.
#[derive(Serialize)]
struct Agent {
    agent_id: AgentId,
    name: String,
    layer: Layer,
    status: Seen,
    skills: Vec<String>,
    slots: u32,
    busy: u32,
    version: String,
    host: String,
    pid: u32,
    last_seen: Timestamp,
    /// The partitions that a coordinator holds, and those it is in line for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    holds: Vec<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waits_for: Vec<u32>,
    /// Skills that an executor offers and can not perform just now, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unable: Vec<UnableSkill>,
    /// How far its machine's clock is ahead of the store's, where that is more than a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_ahead_ms: Option<i64>,
    /// What an executor runs, and how far that is, where its runner says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<RunningCommand>,
    /// What does not work there right now.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

/// An agent's own word, unless it says nothing.
#[derive(Serialize)]
#[serde(untagged)]
enum Seen {
    Answered(AgentStatus),
    Silent(&'static str),
}

impl Agent {
    fn of(presence: &Presence, status: Seen) -> Self {
        let said = presence.clone();
        Self {
            status,
            agent_id: said.agent_id,
            name: said.name,
            layer: said.layer,
            skills: said.skills,
            slots: said.slots,
            busy: said.busy,
            version: said.version,
            host: said.host,
            pid: said.pid,
            last_seen: said.last_seen,
            holds: said.holds,
            waits_for: said.waits_for,
            unable: said.unable,
            clock_ahead_ms: said.clock_ahead_ms,
            commands: said.commands,
            trouble: said.trouble,
        }
    }

    fn answered(presence: &Presence) -> Self {
        Self::of(presence, Seen::Answered(presence.status))
    }
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let answers = ask(settings, Address::everybody(), arguments.wait, None).await?;
    let mut agents: Vec<Agent> = answers.answered.values().map(Agent::answered).collect();
    agents.extend(answers.silent().map(|peer| Agent::of(peer, Seen::Silent("SILENT"))));
    print(agents, output)?;
    Ok(Status::Done)
}

pub async fn ping(arguments: PingArguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let (address, enough) = address(&arguments.target)?;
    let answers = ask(settings, address, arguments.wait, enough).await?;
    let nobody = answers.answered.is_empty();
    if !nobody || output.is_json() {
        print(answers.answered.values().map(Agent::answered).collect(), output)?;
    }
    match nobody {
        true => Err(Failure {
            status: Status::Negative,
            message: format!("nobody answered to {}", quote(&arguments.target)),
            hint: Some("`trireme agents` shows who is there".into()),
        }),
        false => Ok(Status::Done),
    }
}

/// Where a ping goes, and how many answers are enough.
fn address(target: &str) -> Result<(Address, Option<usize>), Failure> {
    if target.eq_ignore_ascii_case("all") {
        return Ok((Address::everybody(), None));
    }
    if let Ok(layer) = usage::layer(target) {
        return Ok((Address::layer(layer), None));
    }
    let agent = AgentId::new(target).map_err(Failure::usage)?;
    Ok((Address::agent(&agent), Some(1)))
}

async fn ask(settings: &Settings, to: Address, wait: Duration, enough: Option<usize>) -> Result<Answers, Failure> {
    let mut asker = Asker::connect(settings).await?;
    let answers = asker.client.ping(to, wait, enough).await;
    asker.close().await;
    Ok(answers?)
}

fn print(mut agents: Vec<Agent>, output: &Output) -> Result<(), Failure> {
    agents.sort_by(|a, b| (a.layer, &a.agent_id).cmp(&(b.layer, &b.agent_id)));
    if output.is_json() {
        return output.json(&agents);
    }
    if agents.is_empty() {
        output.note("no agent answered, and none is remembered");
        return Ok(());
    }
    let troubles: Vec<String> =
        agents.iter().filter_map(|agent| Some(format!("{}: {}", agent.agent_id, agent.trouble.as_ref()?))).collect();
    let clocks: Vec<String> = agents
        .iter()
        .filter_map(|agent| Some(format!("{}: {}", agent.agent_id, show::clock_ahead(agent.clock_ahead_ms?))))
        .collect();
    let on_the_way: Vec<String> = agents.iter().flat_map(on_the_way).collect();
    let mut table = Table::new([
        Column::new("LAYER").left_out(8),
        Column::new("AGENT"),
        Column::text("NAME").left_out(5),
        Column::new("STATUS"),
        Column::new("BUSY").left_out(7),
        Column::text("SKILLS").left_out(6),
        Column::text("VERSION").left_out(2),
        Column::text("HOST").left_out(4),
        Column::new("PID").left_out(1),
        Column::new("LAST SEEN").left_out(3),
    ]);
    for agent in agents {
        let status = match agent.status {
            Seen::Answered(status) => format!("{status:?}").to_uppercase(),
            Seen::Silent(silent) => silent.to_owned(),
        };
        let busy = if agent.slots > 0 { format!("{} of {}", agent.busy, agent.slots) } else { String::new() };
        table.row([
            agent.layer.to_string(),
            agent.agent_id.to_string(),
            agent.name,
            status,
            busy,
            agent.skills.join(" "),
            agent.version,
            agent.host,
            agent.pid.to_string(),
            agent.last_seen.to_string(),
        ]);
    }
    output.table(&table);
    troubles.iter().chain(&clocks).chain(&on_the_way).for_each(|text| output.note(&one_line(text)));
    Ok(())
}

/// How far it is with what it runs, a line each, where runners say so.
fn on_the_way(agent: &Agent) -> impl Iterator<Item = String> {
    agent.commands.iter().filter_map(|of| {
        let progress = show::how_far(of.progress.as_ref()?);
        Some(format!("{}: subtask {} of project {}: {progress}", agent.agent_id, of.subtask_id, of.project_id))
    })
}
