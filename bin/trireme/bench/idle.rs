//! `--idle`: how soon a worker is there, and what it uses when it has nothing to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use trireme::runtime::client::Client;
use trireme::runtime::port::SystemClock;
use trireme::store::{self, Throwaway};
use trireme::wire::address::Address;

use super::report::median;
use super::{Bench, store_url};
use crate::failure::Failure;
use crate::output::Output;

/// Until it answers, and one round of asking it.
const READY_WITHIN: Duration = Duration::from_secs(30);
const ANSWERS_WITHIN: Duration = Duration::from_millis(5);
/// What a start does behind its first answer is not idleness; and how long the rest is looked at.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);
const LOOKED_AT: Duration = Duration::from_secs(20);

/// A worker of one layer.
#[derive(Serialize)]
pub struct Idle {
    layer: &'static str,
    /// From the start of the process until it answers, where topology and schema exist; the median.
    ready_ms: Option<f64>,
    /// Of one core.
    cpu_percent: Option<f64>,
    rss_idle: Option<u64>,
}

impl Idle {
    pub fn say(&self, output: &Output) {
        let Self { layer, ready_ms, cpu_percent, rss_idle } = self;
        if let (Some(ready_ms), Some(cpu), Some(rss)) = (ready_ms, cpu_percent, rss_idle) {
            let mib = rss >> 20;
            output.line(&format!("{layer}: ready after {ready_ms:.0} ms, idle at {cpu:.2}% of a core and {mib} MiB"));
        }
    }
}

/// One layer after the other, each alone.
pub async fn measure(bench: &Bench<'_>, database: Option<&Throwaway>) -> Result<Vec<Idle>, Failure> {
    // Makes the schema.
    drop(store::open(store_url(database)).await?);
    let transport = bench.transport()?;
    let mut client = Client::connect(&*transport, Arc::new(SystemClock)).await?;
    let mut all = Vec::new();
    for layer in ["manager", "coordinator", "executor"] {
        let options = if layer == "executor" { bench.executor_options() } else { Vec::new() };
        let mut ready_ms = Vec::new();
        let (mut cpu_percent, mut rss_idle) = (None, None);
        for number in 1..=bench.options.pairs {
            let mut crew = bench.nobody(database);
            let began = Instant::now();
            crew.start(layer, &options)?;
            loop {
                let answers = client.ping(Address::everybody(), ANSWERS_WITHIN, Some(1)).await?;
                // Those of the worker before it may still come in.
                if answers.answered.values().any(|agent| crew.has(agent.pid)) {
                    break;
                }
                if began.elapsed() > READY_WITHIN {
                    return Err(Failure::bug(format!("the {layer} does not answer")));
                }
            }
            ready_ms.push(began.elapsed().as_secs_f64() * 1_000.0);
            if number == bench.options.pairs {
                tokio::time::sleep(SETTLES_WITHIN).await;
                let before = crew.cpu_s();
                tokio::time::sleep(LOOKED_AT).await;
                let used = crew.cpu_s().zip(before).map(|(now, before)| now - before);
                cpu_percent = used.map(|seconds| seconds / LOOKED_AT.as_secs_f64() * 100.0);
                crew.is_idle();
                rss_idle = crew.used().first().and_then(|used| used.rss_idle);
            }
            crew.leave().await;
        }
        all.push(Idle { layer, ready_ms: median(ready_ms), cpu_percent, rss_idle });
    }
    transport.close().await;
    Ok(all)
}
