//! One run: servers, processes, load and faults; then everybody is healed, everything has to end, and is judged.

use std::path::PathBuf;
use std::time::Duration;

use crate::breaking::{self, OUTSTANDING_MIN};
use crate::database::Database;
use crate::deeds;
use crate::place::Place;
use crate::report::Report;
use crate::scene::{SLOTS, Scene};
use crate::servers::{Server, free_ports};
use crate::verdict::{self, Verdict};

/// The client submits while fewer are outstanding: enough that the least is never the limit.
const OUTSTANDING_WANTED: usize = 5 * OUTSTANDING_MIN;
/// An idle connection is noticed to be gone after two of these, in seconds.
const HEARTBEAT: u32 = 5;

pub struct Options {
    pub seconds: u64,
    pub seed: u64,
    pub patience: Duration,
    pub folder: PathBuf,
    /// The rule of the protocol that is left out.
    pub broken: Option<String>,
}

/// How a run went.
pub struct Outcome {
    pub report: Report,
    pub verdict: Verdict,
    /// Why it was not the run that it had to be, and what else was seen: too few kills, a process that gave up.
    pub shortfalls: Vec<String>,
}

pub async fn run(options: &Options, say: impl Fn(String)) -> Result<Outcome, String> {
    let ports = free_ports(3)?;
    let broker = Server::rabbitmq(&options.folder, ports[0]);
    let database = Database::new(&options.folder, [ports[1], ports[2]]);
    say(format!("starting RabbitMQ on port {} and PostgreSQL on ports {} and {}", ports[0], ports[1], ports[2]));
    let (amqp, postgres) = tokio::try_join!(broker.start(), database.start())?;
    let amqp = format!("{amqp}?heartbeat={HEARTBEAT}");
    let scene = Scene::new(Place::new(options.folder.clone(), &amqp, &postgres, SLOTS, options.broken.as_deref())?);
    let outcome = whole(&scene, &broker, &database, options, &say).await;
    tokio::try_join!(broker.kill(), database.kill())?;
    outcome
}

async fn whole(
    scene: &Scene,
    broker: &Server,
    database: &Database,
    options: &Options,
    say: &impl Fn(String),
) -> Result<Outcome, String> {
    scene.declare()?;
    let mut crew = scene.crew(options.seed)?;
    let watcher = scene.watcher();
    let length = Duration::from_secs(options.seconds);
    let took = tokio::select! {
        failed = scene.submit(options.seed, OUTSTANDING_WANTED, usize::MAX) => return Err(failed.err().unwrap_or_default()),
        took = async {
            scene.warm_up(&mut crew, OUTSTANDING_MIN, 1).await?;
            say(format!("warm: breaking things for {} s (seed {})", options.seconds, options.seed));
            breaking::break_things(scene, &mut crew, broker, database, length).await
        } => took?,
    };
    let open = scene.tally.outstanding();
    say(format!("healed after {} s, {open} subtasks to go", took.as_secs()));
    scene.until_all_ended(&mut crew, options.patience).await?;
    let unheard = scene.ask_for_ends().await?;
    say(format!("nobody had heard of the end of {unheard} projects: the client asked"));
    watcher.stop().await?;
    let own_ends = std::mem::take(&mut crew.own_ends);
    drop(crew);
    let (starting, at_work): (Vec<_>, Vec<_>) = own_ends.into_iter().partition(|end| end.had_no_chance);
    say(format!("{} starts found the broker or the database away", starting.len()));

    let evidence = scene.evidence().await?;
    let verdict = verdict::judge(&evidence)?;
    let (deeds, mut shortfalls) = deeds::judge(&evidence, length, took)?;
    let report = Report::new(&verdict, &deeds);
    shortfalls.extend(at_work.iter().map(ToString::to_string));
    shortfalls.extend(scene.check()?);
    Ok(Outcome { report, verdict, shortfalls })
}
