//! `trireme bench`: how fast it is, as a ratio of the naive way, measured in the same run and in turns with it.

mod behind;
mod crew;
mod embedded;
mod growth;
mod idle;
mod naive;
mod options;
mod report;
mod shape;
mod takeover;
mod trial;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use trireme::config::Settings;
use trireme::runtime::port::{Append, Store, Transport};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::store::{self, Throwaway};
use trireme::transport::rabbit::{Claim, RabbitOptions, RabbitTransport, claim};
use trireme::wire::address::{Namespace, Queue};
use trireme::wire::{ProjectId, Raw, StreamId};
use uuid::Uuid;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::process;
use crew::Crew;
use naive::{Naive, NaiveWay, OUTSTANDING};
use options::{Options, Queues};
use report::{Hops, Latency, PROFILE, Pair, Report, median};
use shape::{Shape, Task};

/// `--store none`: every worker keeps what it has to remember in memory.
const NO_STORE: &str = "none";
/// The queues of the naive way: two skills that nobody performs.
const NAIVE_COMMANDS: &str = "naive-commands";
const NAIVE_RESULTS: &str = "naive-results";
/// What a no-op's command and its answer have on the wire, in bytes: the naive way carries as much.
const COMMAND_BYTES: usize = 554;
const RESULT_BYTES: usize = 443;
/// So many round trips of the naive way, and commits, are measured one at a time.
const ROUND_TRIPS: u32 = 300;
const COMMITS: u64 = 200;
/// The naive way takes this many round trips where a run of ours is shorter or much longer.
const NAIVE_LEAST: u32 = 5_000;
const NAIVE_MOST: u32 = 20_000;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme bench --store postgres://postgres@127.0.0.1:5432/postgres
  trireme bench --shape chain --store postgres://postgres@127.0.0.1:5432/postgres --json
  trireme bench --growth --store postgres://postgres@127.0.0.1:5432/postgres
  trireme bench --embedded --subtasks 100000
  trireme bench --idle --store postgres://postgres@127.0.0.1:5432/postgres
  trireme bench --takeover --subtasks 100000 --store postgres://postgres@127.0.0.1:5432/postgres
  trireme bench --behind --work sleep --executors 2 --slots 8 --subtasks 100000 --store postgres://...

Workers run as separate processes of this binary. The store has to be PostgreSQL (--store postgres://...): a database is \
made on its server and dropped afterwards, and a throwaway namespace is taken at the broker. --embedded measures \
`trireme run` on a SQLite file instead, beside the naive way at the broker.")]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
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

/// `config` is the settings file, where one was named: the workers get the same.
pub async fn run(
    arguments: Arguments,
    config: Option<PathBuf>,
    settings: &Settings,
    output: &Output,
) -> Result<Status, Failure> {
    let told = match &arguments.part {
        Some(Part::NaiveAsk(naive)) => naive::ask(naive).await,
        Some(Part::NaiveAnswer(naive)) => naive::answer(naive).await,
        None => return measure(&arguments.options, config.as_deref(), settings, output).await,
    };
    output.json(&told.map_err(Failure::unreachable)?)?;
    Ok(Status::Done)
}

async fn measure(
    options: &Options,
    config: Option<&Path>,
    settings: &Settings,
    output: &Output,
) -> Result<Status, Failure> {
    let server = options.store.as_deref().unwrap_or(&settings.store.url);
    let has_database = !options.embedded && server != NO_STORE;
    if has_database && !server.starts_with("postgres") {
        return Err(Failure::usage("the benchmark needs a PostgreSQL server")
            .hint("--store postgres://USER@HOST:5432/DATABASE; a database of its own is made there"));
    }
    if server == NO_STORE && options.coordinators() > 1 {
        return Err(Failure::usage("without a store there can be only one coordinator: they share what is in it"));
    }
    let stop = process::stop_on_signals()?;
    let shape = |namespace: &Namespace| topology(&topology_options(settings, options.queue, namespace));
    let claim = claim(&settings.broker.url, options.queue.prefix(), shape).await?;
    let database = match has_database {
        false => None,
        true => Some(store::throwaway(server, claim.namespace().as_str()).await?),
    };
    let bench = Bench { options, config, settings, claim: &claim, output };
    let done = tokio::select! {
        done = bench.measure(database.as_ref()) => done,
        () = stop.draining() => {
            Err(Failure { status: Status::Interrupted, message: "interrupted".into(), hint: None })
        }
    };
    // All of it is tried, whatever goes wrong; what went wrong first is told.
    let removed = match database {
        Some(database) => database.remove().await.map_err(Failure::from),
        None => Ok(()),
    };
    let deleted = async { RabbitTransport::new(claim.options.clone())?.delete(&claim.topology).await }.await;
    claim.release().await;
    done.and(removed).and(deleted.map(drop).map_err(Failure::from)).map(|()| Status::Done)
}

fn topology_options(settings: &Settings, queues: Queues, namespace: &Namespace) -> TopologyOptions {
    // The workers declare the queues of every configured skill: they go with the others.
    let configured = settings.topology();
    let naive = [NAIVE_COMMANDS, NAIVE_RESULTS].map(str::to_owned);
    let skills = configured.skills.iter().cloned().chain(naive).collect();
    TopologyOptions { namespace: namespace.clone(), skills, queue_kind: queues.kind(), ..configured }
}

/// Everything that a measurement needs.
struct Bench<'a> {
    options: &'a Options,
    config: Option<&'a Path>,
    settings: &'a Settings,
    claim: &'a Claim,
    output: &'a Output,
}

impl Bench<'_> {
    /// On the database, where there is one.
    async fn measure(&self, database: Option<&Throwaway>) -> Result<(), Failure> {
        if self.options.embedded {
            let report = embedded::measure(self).await?;
            return self.print(&report, || report.say(self.output));
        }
        if self.options.growth {
            let grown = growth::measure(self, database).await?;
            return self.print(&grown, || {});
        }
        if self.options.behind {
            let behind = behind::measure(self, database).await?;
            return self.print(&behind, || behind.say(self.output));
        }
        if self.options.takeover {
            let takeover = takeover::measure(self, database).await?;
            return self.print(&takeover, || takeover.say(self.output));
        }
        if self.options.idle {
            let idle = idle::measure(self, database).await?;
            return self.print(&idle, || idle.iter().for_each(|one| one.say(self.output)));
        }
        let report = self.report(database).await?;
        self.print(&report, || report.say(self.output))
    }

    fn print<T: Serialize>(&self, data: &T, say: impl FnOnce()) -> Result<(), Failure> {
        match self.output.is_json() {
            true => self.output.json(data)?,
            false => say(),
        }
        Ok(())
    }

    async fn report(&self, database: Option<&Throwaway>) -> Result<Report, Failure> {
        let options = self.options;
        // A database that keeps nothing through a crash is refused here, as by every worker.
        let store = store::open(store_url(database)).await?;
        let transport = self.transport()?;
        let mut crew = self.crew(database, &*transport).await?;
        let mut pairs: Vec<Pair> = Vec::new();
        for number in 1..=options.pairs {
            let (commits_before, published_before) = (commits(database).await?, crew.published(&*transport).await?);
            let requests = options.shape.requests(options.subtasks(), options.projects, self.task());
            let taken = trial::run(&*transport, &crew, database, requests).await?;
            let count = |now: u64, before: u64| u32::try_from(now.saturating_sub(before)).ok().map(f64::from);
            let messages = count(crew.published(&*transport).await?, published_before);
            let commits = commits(database).await?.zip(commits_before).and_then(|(now, before)| count(now, before));
            let (per_s, cpu_us) = self.naive_way(taken.subtasks).await?;
            let pair = Pair { messages, commits, ..Pair::new(taken, per_s, cpu_us) };
            self.say_pair(number, &pair);
            pairs.push(pair);
        }
        let processes = crew.used();
        crew.leave().await;
        transport.close().await;
        let latency = match options.shape {
            Shape::Chain => self.latency(database.map(|_| &*store), &pairs).await?,
            _ => Latency::default(),
        };
        Ok(Report { latency, processes, ..summary(options, pairs) })
    }

    /// A hop, beside what it is made of: a round trip of the naive way, one at a time, and a commit.
    async fn latency(&self, store: Option<&dyn Store>, pairs: &[Pair]) -> Result<Latency, Failure> {
        let hop_ms = Hops::of(pairs);
        let naive_ms = median(self.naive().run(ROUND_TRIPS, 1).await?.round_trips_ms);
        let commit_ms = match store {
            Some(store) => commit_ms(store).await?,
            None => None,
        };
        let both = naive_ms.map(|naive| naive + commit_ms.unwrap_or(0.0));
        let hop_ratio = hop_ms.as_ref().zip(both).map(|(hops, both)| hops.p50 / both);
        Ok(Latency { hop_ms, naive_ms, commit_ms, hop_ratio })
    }

    fn say_pair(&self, number: u32, pair: &Pair) {
        let Pair { subtasks_per_s: ours, naive_per_s: naive, ratio, .. } = pair;
        self.output.note(&format!("pair {number}: {ours:.0}/s, the naive way {naive:.0}/s, ratio {ratio:.2}"));
    }

    fn task(&self) -> Task {
        let Options { work, ms, payload, .. } = *self.options;
        Task { work, ms, payload: payload as usize }
    }

    fn transport(&self) -> Result<Arc<RabbitTransport>, Failure> {
        let options = RabbitOptions { connection_name: "bench".into(), ..self.claim.options.clone() };
        Ok(Arc::new(RabbitTransport::new(options)?))
    }

    /// No workers yet, and what each is to know.
    fn nobody(&self, database: Option<&Throwaway>) -> Crew {
        let options = self.options;
        let variable = |name: &str, value: String| (format!("TRIREME_{name}"), value);
        let mut environment = vec![
            variable("BROKER__URL", self.settings.broker.url.clone()),
            variable("BROKER__NAMESPACE", self.claim.namespace().to_string()),
            variable("BROKER__QUEUE_TYPE", format!("{:?}", options.queue).to_lowercase()),
            variable("STORE__URL", store_url(database).to_owned()),
        ];
        environment.extend(options.skill_variables());
        environment.extend(self.config.map(|file| variable("CONFIG", file.display().to_string())));
        // How far a run is, is known by what is said of it: of hops, and of who goes on, every step; of one large project
        // ten times a second; of many small ones it would be a load of its own.
        let progress = match options.shape {
            shape if options.takeover || shape == Shape::Chain => Some("1ms"),
            Shape::Many => None,
            _ => Some("100ms"),
        };
        environment.extend(progress.map(|every| variable("AGENTS__PROGRESS_INTERVAL", every.to_owned())));
        Crew::new(environment)
    }

    /// What an executor is started with.
    fn executor_options(&self) -> Vec<String> {
        let slots = self.options.slots.iter().flat_map(|slots| ["--slots".to_owned(), slots.to_string()]);
        ["--skills", "noop,sleep"].map(str::to_owned).into_iter().chain(slots).collect()
    }

    /// The workers, when all of them answer.
    async fn crew(&self, database: Option<&Throwaway>, transport: &dyn Transport) -> Result<Crew, Failure> {
        let mut crew = self.nobody(database);
        crew.start("manager", &[])?;
        for _ in 0..self.options.coordinators() {
            crew.start("coordinator", &[])?;
        }
        for _ in 0..self.options.executors {
            crew.start("executor", &self.executor_options())?;
        }
        crew.published(transport).await?;
        crew.is_idle();
        Ok(crew)
    }

    fn naive(&self) -> NaiveWay {
        let queue = |skill: &str| Queue::Skill(skill.into()).name(self.claim.namespace());
        NaiveWay {
            // The plainest program knows one node.
            url: self.settings.broker.url.split(',').next().unwrap_or_default().to_owned(),
            commands: queue(NAIVE_COMMANDS),
            results: queue(NAIVE_RESULTS),
            command_bytes: COMMAND_BYTES + self.options.payload as usize,
            result_bytes: RESULT_BYTES,
        }
    }

    /// Round trips a second of the naive way beside a run of so many subtasks, and the CPU time of each, in
    /// microseconds.
    async fn naive_way(&self, subtasks: u32) -> Result<(f64, Option<f64>), Failure> {
        let count = subtasks.clamp(NAIVE_LEAST, NAIVE_MOST);
        let told = self.naive().run(count, OUTSTANDING).await?;
        let count = f64::from(count);
        Ok((count / told.seconds, told.cpu_s.map(|cpu_s| cpu_s * 1e6 / count)))
    }
}

/// Where the workers remember.
fn store_url(database: Option<&Throwaway>) -> &str {
    database.map_or(store::MEMORY, |database| &database.url)
}

/// How many there were so far, where there is a database.
async fn commits(database: Option<&Throwaway>) -> Result<Option<u64>, Failure> {
    match database {
        Some(database) => Ok(Some(database.commits().await?)),
        None => Ok(None),
    }
}

/// What a report says of the pairs alone.
fn summary(options: &Options, pairs: Vec<Pair>) -> Report {
    let of = |of: fn(&Pair) -> f64| median(pairs.iter().map(of)).unwrap_or(f64::NAN);
    let some = |of: fn(&Pair) -> Option<f64>| median(pairs.iter().filter_map(of));
    Report {
        shape: options.shape,
        queues: options.queue,
        projects: pairs.first().map_or(0, |pair| pair.projects),
        subtasks: pairs.first().map_or(0, |pair| pair.subtasks),
        subtasks_per_s: of(|pair| pair.subtasks_per_s),
        naive_per_s: of(|pair| pair.naive_per_s),
        ratio: of(|pair| pair.ratio),
        latency: Latency::default(),
        cpu_us_per_subtask: some(|pair| pair.cpu_us_per_subtask),
        naive_cpu_us: some(|pair| pair.naive_cpu_us),
        processes: Vec::new(),
        messages: some(|pair| pair.messages),
        commits: some(|pair| pair.commits),
        pairs,
        profile: PROFILE,
    }
}

/// The median time of a commit of one small event, in milliseconds.
async fn commit_ms(store: &dyn Store) -> Result<Option<f64>, Failure> {
    let stream = StreamId::Project(ProjectId(Uuid::now_v7()));
    let event = Raw::from_serialize(&serde_json::json!({ "Measured": "x".repeat(200) })).expect("JSON");
    let mut took_ms = Vec::new();
    for version in 0..COMMITS {
        let began = Instant::now();
        store.append(vec![Append { events: vec![event.clone()], ..Append::assertion(stream, version) }]).await?;
        took_ms.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(median(took_ms))
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
                deps_status: std::collections::BTreeMap::new(),
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
