//! A RabbitMQ cluster of three nodes on this machine, and the one that leads most of the queues killed in mid-run: it
//! is also the one that every process is connected to. The other two are a majority, so that nothing is lost; the
//! processes go to another node by themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::ledger::{self, Work, now_us};
use crate::place::Place;
use crate::report::per;
use crate::scene::{SLOTS, Scene};
use crate::servers::{Server, free_ports};
use crate::verdict::{self, Verdict};

const NODES: usize = 3;
const PROJECTS: usize = 40;
/// When so much of it is answered the node dies.
const ANSWERED_BEFORE: usize = 100;
/// RabbitMQ 3.10 can lose a quorum queue for ever whose node is killed within a few seconds of its declaration.
const SETTLED: Duration = Duration::from_secs(8);
const HEARTBEAT: u32 = 5;

pub struct Options {
    pub seed: u64,
    pub patience: Duration,
    pub folder: PathBuf,
}

/// The last four have to be 0.
#[derive(Debug, Serialize)]
pub struct Report {
    pub nodes: usize,
    pub queues: usize,
    /// How many of them the node led that was killed.
    pub led_by_the_killed: usize,
    pub projects: usize,
    pub subtasks: usize,
    /// How many were not answered yet when it was killed.
    pub outstanding_at_the_kill: usize,
    /// The longest time without an answer, from the kill on.
    pub longest_pause_s: f64,
    /// From the kill until everything had ended.
    pub ended_after_s: f64,
    pub executions_per_subtask: f64,
    pub lost: usize,
    pub recorded_twice: usize,
    pub stuck: usize,
    pub wrong: usize,
}

/// Gives the report, what it comes from, and which processes gave up, which none is to.
pub async fn run(options: &Options, say: impl Fn(String)) -> Result<(Report, Verdict, Vec<String>), String> {
    let ports = free_ports(NODES + 1)?;
    let nodes: Vec<Server> = ports[..NODES].iter().map(|port| Server::rabbitmq(&options.folder, *port)).collect();
    let database = Server::postgres(&options.folder, ports[NODES]);
    say(format!("starting three nodes of RabbitMQ on ports {:?}, and PostgreSQL", &ports[..NODES]));
    let outcome = whole(&nodes, &database, options, &say).await;
    for server in nodes.iter().chain([&database]) {
        server.kill().await?;
    }
    outcome
}

async fn whole(
    nodes: &[Server],
    database: &Server,
    options: &Options,
    say: &impl Fn(String),
) -> Result<(Report, Verdict, Vec<String>), String> {
    let postgres = database.start().await?;
    let mut urls = assemble(nodes).await?;
    let first = Place::new(options.folder.clone(), &urls.join(","), &postgres, SLOTS, None)?;
    Scene::new(first).declare()?;
    let leaders = leaders(&nodes[0]).await?;
    let (at, led) = nodes
        .iter()
        .map(|node| leaders.get(&node.node()).copied().unwrap_or(0))
        .enumerate()
        .max_by_key(|(_, led)| *led)
        .ok_or("no nodes")?;
    // Its URL comes first: everybody is connected to it.
    urls[..=at].rotate_right(1);
    let victim = &nodes[at];
    let queues = leaders.values().sum();
    say(format!("{} leads {led} of {queues} queues", victim.node()));

    let scene = Scene::new(Place::new(options.folder.clone(), &urls.join(","), &postgres, SLOTS, None)?);
    tokio::time::sleep(SETTLED).await;
    let mut crew = scene.crew(options.seed)?;
    let watcher = scene.watcher();
    let (killed_at_us, outstanding) = tokio::select! {
        failed = scene.submit(options.seed, usize::MAX, PROJECTS) => return Err(failed.err().unwrap_or_default()),
        done = async {
            while scene.tally.projects().len() < PROJECTS {
                scene.tick(&mut crew).await?;
            }
            scene.warm_up(&mut crew, 0, ANSWERED_BEFORE).await?;
            let outstanding = scene.tally.outstanding();
            victim.kill().await?;
            say(format!("{} is killed, {outstanding} subtasks are outstanding", victim.node()));
            Ok::<_, String>((now_us(), outstanding))
        } => done?,
    };
    if outstanding == 0 {
        return Err("nothing was outstanding when the node was killed: that shows nothing".into());
    }
    scene.until_all_ended(&mut crew, options.patience).await?;
    let ended_after_s = seconds(now_us() - killed_at_us);
    watcher.stop().await?;
    let own_ends: Vec<String> =
        crew.own_ends.iter().filter(|end| !end.had_no_chance).map(ToString::to_string).collect();
    drop(crew);
    let verdict = verdict::judge(&scene.evidence().await?)?;
    let report = Report {
        nodes: nodes.len(),
        queues,
        led_by_the_killed: led,
        projects: verdict.projects,
        subtasks: verdict.subtasks,
        outstanding_at_the_kill: outstanding,
        longest_pause_s: longest_pause_s(&scene.place.ledger(), killed_at_us)?,
        ended_after_s,
        executions_per_subtask: per(verdict.executions, verdict.subtasks),
        lost: verdict.lost,
        recorded_twice: verdict.recorded_twice,
        stuck: verdict.stuck,
        wrong: verdict.wrong,
    };
    Ok((report, verdict, own_ends))
}

fn longest_pause_s(folder: &Path, killed_at_us: u64) -> Result<f64, String> {
    let mut times = vec![killed_at_us];
    times.extend(ledger::work(folder)?.into_iter().filter_map(|line| match line {
        Work::Answered { at_us, .. } if at_us > killed_at_us => Some(at_us),
        _ => None,
    }));
    times.sort_unstable();
    Ok(seconds(times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)))
}

/// To a tenth.
fn seconds(us: u64) -> f64 {
    f64::from(u32::try_from(us / 100_000).unwrap_or(u32::MAX)) / 10.0
}

/// Starts the nodes, makes them one cluster, and gives their URLs.
async fn assemble(nodes: &[Server]) -> Result<Vec<String>, String> {
    let cookie = Uuid::now_v7().simple().to_string();
    let mut urls = Vec::new();
    for node in nodes {
        node.share_cookie(&cookie)?;
        urls.push(format!("{}?heartbeat={HEARTBEAT}", node.start().await?));
    }
    for node in &nodes[1..] {
        node.ctl(&["stop_app"]).await?;
        node.ctl(&["join_cluster", &nodes[0].node()]).await?;
        node.ctl(&["start_app"]).await?;
    }
    Ok(urls)
}

/// How many queues each node leads.
async fn leaders(node: &Server) -> Result<BTreeMap<String, usize>, String> {
    let listed =
        node.ctl(&["--quiet", "--formatter", "json", "list_queues", "name", "type", "leader", "members"]).await?;
    let queues: Vec<Value> = serde_json::from_str(&listed).map_err(|error| format!("`{listed}`: {error}"))?;
    let mut leaders = BTreeMap::new();
    for queue in queues.iter().filter(|queue| queue["type"] == "quorum") {
        if queue["members"].as_array().map_or(0, Vec::len) < NODES {
            return Err(format!("a queue is not on all nodes: {queue}"));
        }
        let leader = queue["leader"].as_str().ok_or_else(|| format!("a queue without a leader: {queue}"))?;
        *leaders.entry(leader.to_owned()).or_default() += 1;
    }
    Ok(leaders)
}
