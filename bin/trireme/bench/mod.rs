//! `trireme bench`: how fast it is, as a ratio of the naive way, measured in the same run and in turns with it.

mod crew;
mod naive;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::process::Command;
use trireme::config::Settings;
use trireme::runtime::client::Client;
use trireme::runtime::port::SystemClock;
use trireme::runtime::port::Transport;
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::store::{self, Throwaway};
use trireme::transport::rabbit::{Claim, claim};
use trireme::transport::rabbit::{RabbitOptions, RabbitTransport};
use trireme::wire::address::{Address, Namespace, Queue};
use trireme::wire::content::NewProject;
use trireme::wire::{GoalPlan, ProjectId, Status as ProjectStatus, SubtaskPlan};
use uuid::Uuid;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crew::Crew;
use naive::Naive;

/// What this program was built with: `dev`, `release` or `dist`.
const PROFILE: &str = env!("TRIREME_PROFILE");
/// The namespaces of benchmarks, and the database of each.
const PREFIX: &str = "trireme_bench";
/// The queues of the naive way: two skills that nobody performs.
const NAIVE_COMMANDS: &str = "naive-commands";
const NAIVE_RESULTS: &str = "naive-results";
/// What a no-op's command and its answer have on the wire, in bytes: the naive way carries as much.
const COMMAND_BYTES: usize = 554;
const RESULT_BYTES: usize = 443;
/// A manager, a coordinator, an executor.
const WORKERS: usize = 3;
/// Until all workers answer, and until the work is done.
const READY_WITHIN: Duration = Duration::from_secs(30);
const DONE_WITHIN: Duration = Duration::from_secs(600);

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme bench --subtasks 20000 --store postgres://postgres@127.0.0.1:5432/postgres

The store has to be PostgreSQL (--store postgres://...): a database is made on its server and \
dropped afterwards, and a throwaway namespace is taken at the broker.")]
pub struct Arguments {
    /// The shape of the work: N parallel subtasks and one that joins them
    #[arg(long, value_parser = ["fanout"], default_value = "fanout")]
    shape: String,
    /// How many subtasks
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    subtasks: u32,
    /// How often both ways are measured, in turns; medians are printed
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// The PostgreSQL server; without it that of `store.url`
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The processes of the naive way, started by the benchmark itself.
#[derive(clap::Subcommand)]
enum Part {
    #[command(hide = true)]
    NaiveAsk(Naive),
    #[command(hide = true)]
    NaiveAnswer(Naive),
}

#[derive(Serialize)]
struct Report {
    shape: String,
    subtasks: u32,
    subtasks_per_s: f64,
    naive_per_s: f64,
    ratio: f64,
    pairs: Vec<Pair>,
    profile: &'static str,
}

#[derive(Serialize)]
struct Pair {
    subtasks_per_s: f64,
    naive_per_s: f64,
    ratio: f64,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    match &arguments.part {
        Some(Part::NaiveAsk(naive)) => {
            let seconds = naive::ask(naive).await.map_err(Failure::unreachable)?;
            output.line(&seconds.to_string());
            Ok(Status::Done)
        }
        Some(Part::NaiveAnswer(naive)) => {
            naive::answer(naive).await.map_err(Failure::unreachable)?;
            Ok(Status::Done)
        }
        None => measure(arguments, settings, output).await,
    }
}

async fn measure(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let server = arguments.store.as_deref().unwrap_or(&settings.store.url);
    if !server.starts_with("postgres") {
        return Err(Failure::usage("the benchmark needs a PostgreSQL server")
            .hint("--store postgres://USER@HOST:5432/DATABASE; a database of its own is made there"));
    }
    let shape = |namespace: &Namespace| topology(&options(settings, namespace));
    let claim = claim(&settings.broker.url, PREFIX, shape).await?;
    let database = store::throwaway(server, claim.namespace().as_str()).await?;
    let done = tokio::select! {
        done = pairs(&arguments, settings, &claim, &database, output) => done,
        _ = tokio::signal::ctrl_c() => {
            Err(Failure { status: Status::Interrupted, message: "interrupted".into(), hint: None })
        }
    };
    database.remove().await?;
    RabbitTransport::new(claim.options.clone())?.delete(&claim.topology).await?;
    claim.release().await;
    let report = done?;
    match output.is_json() {
        true => output.json(&report)?,
        false => output.line(&format!(
            "{} of {} subtasks: {:.0}/s, the naive way {:.0}/s, ratio {:.2} (median of {} pairs, profile {})",
            report.shape,
            report.subtasks,
            report.subtasks_per_s,
            report.naive_per_s,
            report.ratio,
            report.pairs.len(),
            report.profile
        )),
    }
    Ok(Status::Done)
}

fn options(settings: &Settings, namespace: &Namespace) -> TopologyOptions {
    let skills = ["noop", "sleep", NAIVE_COMMANDS, NAIVE_RESULTS].map(str::to_owned).to_vec();
    TopologyOptions { namespace: namespace.clone(), skills, ..settings.topology() }
}

async fn pairs(
    arguments: &Arguments,
    settings: &Settings,
    claim: &Claim,
    database: &Throwaway,
    output: &Output,
) -> Result<Report, Failure> {
    let mut crew = Crew::new(vec![
        ("TRIREME_BROKER__URL".into(), settings.broker.url.clone()),
        ("TRIREME_BROKER__NAMESPACE".into(), claim.namespace().to_string()),
        ("TRIREME_STORE__URL".into(), database.url.clone()),
    ]);
    for arguments in [&["manager", "-q"][..], &["coordinator", "-q"], &["executor", "-q", "--skills", "noop"]] {
        crew.start(arguments)?;
    }
    let transport =
        Arc::new(RabbitTransport::new(RabbitOptions { connection_name: "bench".into(), ..claim.options.clone() })?);
    let mut client = Client::connect(&*transport, Arc::new(SystemClock)).await?;
    until_ready(&mut client).await?;
    let mut pairs = Vec::new();
    for number in 1..=arguments.pairs {
        let ours = fanout(&mut client, arguments.subtasks).await?;
        let naive = naive_way(settings, claim, arguments.subtasks).await?;
        output.note(&format!("pair {number}: {ours:.0}/s, the naive way {naive:.0}/s, ratio {:.2}", ours / naive));
        pairs.push(Pair { subtasks_per_s: ours, naive_per_s: naive, ratio: ours / naive });
    }
    crew.leave().await;
    transport.close().await;
    let median = |of: fn(&Pair) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok(Report {
        shape: arguments.shape.clone(),
        subtasks: arguments.subtasks,
        subtasks_per_s: median(|pair| pair.subtasks_per_s),
        naive_per_s: median(|pair| pair.naive_per_s),
        ratio: median(|pair| pair.ratio),
        pairs,
        profile: PROFILE,
    })
}

/// Until all workers answer.
async fn until_ready(client: &mut Client) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let answers = client.ping(Address::everybody(), Duration::from_millis(500), Some(WORKERS)).await?;
        if answers.answered.len() >= WORKERS {
            return Ok(());
        }
        if began.elapsed() > READY_WITHIN {
            return Err(Failure::bug(format!("{} of {WORKERS} workers answer", answers.answered.len())));
        }
    }
}

/// Subtasks a second of N parallel no-ops and their join, from the request to the word that it ended.
async fn fanout(client: &mut Client, subtasks: u32) -> Result<f64, Failure> {
    let work = SubtaskPlan { repeat: Some(subtasks), ..SubtaskPlan::new("work", "noop") };
    let join = SubtaskPlan { dependencies: vec!["work".into()], ..SubtaskPlan::new("join", "noop") };
    let goal = GoalPlan {
        goal_name: "fan out".into(),
        priority: 1,
        description: String::new(),
        input: None,
        subtasks: Some(vec![work, join]),
    };
    let request = NewProject::planned("bench", vec![goal]);
    let began = Instant::now();
    client.submit(ProjectId(Uuid::now_v7()), request).await?;
    let completion = tokio::time::timeout(DONE_WITHIN, client.completion()).await;
    let completion = completion.map_err(|_| Failure::bug("the project did not end"))??;
    match completion.status {
        ProjectStatus::Completed => Ok(f64::from(subtasks + 1) / began.elapsed().as_secs_f64()),
        other => Err(Failure::bug(format!("the project ended as {other}: {:?}", completion.error_message))),
    }
}

/// Round trips a second of the naive way.
async fn naive_way(settings: &Settings, claim: &Claim, count: u32) -> Result<f64, Failure> {
    let queue = |skill: &str| Queue::Skill(skill.into()).name(claim.namespace());
    let program = std::env::current_exe().map_err(|error| Failure::bug(error.to_string()))?;
    let part = |name: &str| {
        let mut command = Command::new(&program);
        // The plainest program knows one node.
        let url = settings.broker.url.split(',').next().unwrap_or_default();
        command.args(["bench", name, "--url", url]);
        command.args(["--commands", &queue(NAIVE_COMMANDS), "--results", &queue(NAIVE_RESULTS)]);
        command.args(["--command-bytes", &COMMAND_BYTES.to_string(), "--result-bytes", &RESULT_BYTES.to_string()]);
        command.args(["--count", &count.to_string()]).kill_on_drop(true);
        command
    };
    let failed = |error: std::io::Error| Failure::bug(format!("the naive way can not be started: {error}"));
    let mut answering = part("naive-answer").spawn().map_err(failed)?;
    let asked = part("naive-ask").output().await.map_err(failed)?;
    let answered = answering.wait().await.map_err(failed)?;
    let seconds: Option<f64> = String::from_utf8_lossy(&asked.stdout).trim().parse().ok();
    match (asked.status.success() && answered.success(), seconds) {
        (true, Some(seconds)) => Ok(f64::from(count) / seconds),
        _ => {
            let said = String::from_utf8_lossy(&asked.stderr).into_owned();
            Err(Failure::bug(format!("the naive way failed: {said}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use trireme::wire::content::{ExecuteSubtask, SubtaskCompletion};
    use trireme::wire::{Content, Envelope, MessageId, Raw, SubtaskId, Timestamp, codec};

    use super::*;

    /// The length of an envelope from one of the workers of a benchmark.
    fn bytes(sender: &str, receiver: &str, content: Content) -> usize {
        let envelope = Envelope {
            message_id: MessageId(Uuid::nil()),
            sender_id: format!("{sender}-0123456789ab"),
            receiver_id: receiver.into(),
            message_type: content.message_type(),
            content,
            timestamp: Timestamp(0),
            task_id: ProjectId(Uuid::nil()),
        };
        codec::encode(&envelope).expect("an envelope").len()
    }

    #[test]
    fn the_profile_is_that_of_the_build() {
        // As in `target/debug/deps/trireme-1234`.
        let program = std::env::current_exe().expect("a program");
        let folder = program.ancestors().nth(2).and_then(|folder| folder.file_name()?.to_str()).expect("a folder");
        assert_eq!(PROFILE, if folder == "debug" { "dev" } else { folder });
    }

    #[test]
    fn the_naive_way_carries_as_much() {
        let subtask_id = SubtaskId { phase: 1, ordinal: 10_000 };
        let command = bytes(
            "coordinator",
            "noop",
            Content::ExecuteSubtask(ExecuteSubtask {
                project_id: ProjectId(Uuid::nil()),
                project_name: "bench".into(),
                phase: 1,
                goal_name: "fan out".into(),
                subtask_id,
                task_name: "work 10001".into(),
                skill: "noop".into(),
                description: String::new(),
                attempt: 1,
                max_attempts: 3,
                input: Raw::parse(r#"{"index":10001}"#).expect("JSON"),
                deps: Raw::empty_object(),
                timeout_ms: 300_000,
                not_after: Timestamp(0),
                avoid: Vec::new(),
                lease_ms: None,
            }),
        );
        let answer = bytes(
            "executor",
            "p.1",
            Content::SubtaskCompletion(SubtaskCompletion {
                subtask_id,
                attempt: 1,
                in_reply_to: MessageId(Uuid::nil()),
                result: Raw::null(),
                started_at: Timestamp(0),
                finished_at: Timestamp(0),
                log: None,
                usage: None,
            }),
        );
        assert_eq!((command, answer), (COMMAND_BYTES, RESULT_BYTES));
    }
}
