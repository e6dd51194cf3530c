//! `--growth`: what a subtask costs as there are more and more of them in one project.

use serde::Serialize;
use trireme::domain::check::SUBTASKS_MAX;
use trireme::store::Throwaway;

use super::{Bench, trial};
use crate::failure::Failure;
use crate::output::Output;

/// The sizes of `--growth`.
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// What one size of `--growth` costs.
#[derive(Serialize)]
pub struct Grown {
    subtasks: u32,
    subtasks_per_s: f64,
    /// Of the workers and the database, without the first and the last second.
    cpu_us_per_subtask: Option<f64>,
    /// How much more the coordinator had resident at the most than when it was idle.
    coordinator_bytes_per_subtask: Option<u64>,
}

impl Grown {
    fn say(&self, output: &Output) {
        let Self { subtasks, subtasks_per_s, cpu_us_per_subtask, coordinator_bytes_per_subtask } = self;
        let known = |figure: Option<f64>| figure.map_or("unknown".to_owned(), |figure| format!("{figure:.0}"));
        let bytes = coordinator_bytes_per_subtask.and_then(|bytes| u32::try_from(bytes).ok()).map(f64::from);
        let line = format!(
            "{subtasks} subtasks: {subtasks_per_s:.0}/s, {} us CPU and {} bytes of the coordinator a subtask",
            known(*cpu_us_per_subtask),
            known(bytes),
        );
        match output.is_json() {
            true => output.note(&line),
            false => output.line(&line),
        }
    }
}

/// Runs all sizes, each with new workers.
pub async fn measure(bench: &Bench<'_>, database: Option<&Throwaway>) -> Result<Vec<Grown>, Failure> {
    let mut all = Vec::new();
    for subtasks in SIZES {
        let transport = bench.transport()?;
        let crew = bench.crew(database, &*transport).await?;
        // With the one that joins them it is to be a project still.
        let subtasks = subtasks.min(SUBTASKS_MAX - 1);
        let requests = bench.options.shape.requests(subtasks, None, bench.task());
        let taken = trial::run(&*transport, &crew, database, requests).await?;
        let coordinator = crew.used().into_iter().find(|used| used.layer == "coordinator");
        // Without a database it keeps the events in memory too.
        let coordinator = coordinator.filter(|_| database.is_some());
        let grown_by = coordinator.and_then(|used| Some(used.rss_peak?.saturating_sub(used.rss_idle?)));
        let grown = Grown {
            subtasks: taken.subtasks,
            subtasks_per_s: f64::from(taken.subtasks) / taken.seconds,
            cpu_us_per_subtask: taken.cpu_us_per_subtask,
            coordinator_bytes_per_subtask: grown_by.map(|bytes| bytes / u64::from(taken.subtasks)),
        };
        grown.say(bench.output);
        all.push(grown);
        crew.leave().await;
        transport.close().await;
    }
    Ok(all)
}
