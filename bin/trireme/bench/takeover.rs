//! `--takeover`: how long it takes until another coordinator goes on where one was killed in mid-run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use trireme::runtime::client::Client;
use trireme::runtime::port::{Consumer, SystemClock};
use trireme::store::Throwaway;
use trireme::wire::address::Address;
use trireme::wire::content::NewProject;
use trireme::wire::{ProjectId, Status};
use uuid::Uuid;

use super::Bench;
use super::crew::Crew;
use super::report::{median, quantile};
use super::{shape, trial};
use crate::failure::Failure;
use crate::output::Output;

/// Of a project's subtasks so many are completed when its coordinator is killed: one of this.
const PART: u32 = 3;
/// Until that is so, until another goes on, and until the project has ended.
const WITHIN: Duration = Duration::from_secs(300);
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// How long nobody went on.
#[derive(Serialize)]
pub struct Takeover {
    subtasks: u32,
    /// From the SIGKILL to the word of the next coordinator that it has completed some and dispatched others: of each
    /// run, the median, and the longest.
    took_ms: Vec<f64>,
    p50_ms: Option<f64>,
    longest_ms: Option<f64>,
}

impl Takeover {
    pub fn say(&self, output: &Output) {
        if let (Some(p50), Some(longest)) = (self.p50_ms, self.longest_ms) {
            let Self { subtasks, took_ms, .. } = self;
            let runs = took_ms.len();
            output.line(&format!(
                "{runs} coordinators killed among {subtasks} subtasks: another went on after {p50:.0} ms, {longest:.0} ms at the most"
            ));
        }
    }
}

/// As often as `--pairs` says, each with new workers: two coordinators at least.
pub async fn measure(bench: &Bench<'_>, database: Option<&Throwaway>) -> Result<Takeover, Failure> {
    let options = bench.options;
    let request = options.shape.requests(options.subtasks(), Some(1), bench.task()).remove(0);
    let mut took_ms = Vec::new();
    for number in 1..=options.pairs {
        let transport = bench.transport()?;
        let mut crew = bench.crew(database, &*transport).await?;
        let mut client = Client::connect(&*transport, Arc::new(SystemClock)).await?;
        let mut words = trial::listen(&*transport).await?;
        let took = tokio::time::timeout(WITHIN, one(&mut crew, &mut client, &mut *words, request.clone())).await;
        let ms = took.map_err(|_| Failure::bug("nobody went on, or the project did not end"))??;
        bench.output.note(&format!("kill {number}: another went on after {ms:.0} ms"));
        took_ms.push(ms);
        crew.leave().await;
        transport.close().await;
    }
    let (p50_ms, longest_ms) = (median(took_ms.clone()), quantile(took_ms.clone(), 1.0));
    Ok(Takeover { subtasks: shape::count(&request), took_ms, p50_ms, longest_ms })
}

/// Submits, kills whoever coordinates, and waits for the next one and for the end. Milliseconds between the two.
async fn one(
    crew: &mut Crew,
    client: &mut Client,
    words: &mut dyn Consumer,
    request: NewProject,
) -> Result<f64, Failure> {
    let subtasks = shape::count(&request);
    let agents = client.ping(Address::everybody(), ANSWERS_WITHIN, Some(crew.size())).await?.answered;
    client.submit(ProjectId(Uuid::now_v7()), request).await?;
    let (owner, completed) = heard(words, |_, completed| completed >= subtasks / PART).await?;
    let pid = agents.iter().find(|(agent, _)| agent.as_str() == owner).map(|(_, presence)| presence.pid);
    crew.kill(pid.ok_or_else(|| Failure::bug(format!("the coordinator {owner} is none of the benchmark's")))?);
    let killed = Instant::now();
    heard(words, |sender, more| sender != owner && more > completed).await?;
    let ms = killed.elapsed().as_secs_f64() * 1_000.0;
    match client.completion().await?.status {
        Status::Completed => Ok(ms),
        status => Err(Failure::bug(format!("the project ended as {status}"))),
    }
}

/// The first word of a coordinator that is of interest: who said it, and how many it knows to be completed.
async fn heard(words: &mut dyn Consumer, is_wanted: impl Fn(&str, u32) -> bool) -> Result<(String, u32), Failure> {
    loop {
        for (sender, update) in trial::updates(&words.next(256).await?) {
            if is_wanted(&sender, update.counts.completed) {
                return Ok((sender, update.counts.completed));
            }
        }
    }
}
