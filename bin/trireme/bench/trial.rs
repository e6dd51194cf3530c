//! One run of the work through a team that is there, from the first request to the word that the last project ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc::unbounded_channel;
use trireme::runtime::client::Client;
use trireme::runtime::port::{Consumer, Delivery, SystemClock, Transport, TransportError};
use trireme::store::Throwaway;
use trireme::wire::address::{Exchange, Queue};
use trireme::wire::content::{NewProject, ProjectCompletion, ProjectStatusUpdate};
use trireme::wire::{Content, ProjectId, Status, codec};
use uuid::Uuid;

use super::crew::Crew;
use super::{shape, usage};
use crate::failure::Failure;

/// Until the work is done.
const DONE_WITHIN: Duration = Duration::from_secs(3_600);
/// So many requests are on their way to the broker at once.
const REQUESTS: usize = 256;
/// What is left out at both ends of a run where the CPU time of a subtask is told, and how often it is looked at.
const EDGE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(500);
/// What PostgreSQL's processes are called.
const POSTGRES: &str = "postgres";

/// What a run took.
#[derive(Debug, Clone)]
pub struct Taken {
    pub projects: u32,
    pub subtasks: u32,
    pub seconds: f64,
    /// Between one completed subtask of a project and its next, where they come one by one.
    pub hops_ms: Vec<f64>,
    /// Of the workers and the database, without the first and the last second of a run that is long enough.
    pub cpu_us_per_subtask: Option<f64>,
}

/// How far a run was at some time.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    completed: u32,
    cpu_s: f64,
}

/// Runs the requests, and waits for their ends.
pub async fn run(
    transport: &dyn Transport,
    crew: &Crew,
    database: Option<&Throwaway>,
    requests: Vec<NewProject>,
) -> Result<Taken, Failure> {
    let mut client = Client::connect(transport, Arc::new(SystemClock)).await?;
    let mut events = listen(transport).await?;
    let (subtasks, projects) = (requests.iter().map(shape::count).sum(), requests.len());
    let bar = bar(subtasks);
    let mut follow =
        Follow { began: Instant::now(), completed: 0, projects: BTreeMap::new(), hops_ms: Vec::new(), bar };
    let mut looks = vec![follow.look(crew, database).await?];
    follow.began = Instant::now();
    let (told, mut ends) = unbounded_channel();
    let ended = async {
        submit(&client, requests).await?;
        for _ in 0..projects {
            let completion = client.completion().await?;
            if completion.status != Status::Completed {
                let (status, error) = (completion.status, completion.error_message);
                return Err(Failure::bug(format!("a project ended as {status}: {error:?}")));
            }
            let _ = told.send(completion);
        }
        Ok(())
    };
    tokio::pin!(ended);
    let mut next_look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            biased;
            ended = &mut ended => break ended?,
            batch = events.next(256) => follow.hear(&batch?),
            Some(end) = ends.recv() => follow.ended(&end),
            _ = next_look.tick() => looks.push(follow.look(crew, database).await?),
        }
        if follow.began.elapsed() > DONE_WITHIN {
            return Err(Failure::bug("the work was not done in an hour"));
        }
    }
    let seconds = follow.began.elapsed().as_secs_f64();
    // What was said of the last ones may still be on its way, and is theirs all the same.
    let rest = tokio::time::timeout(LOOK, events.next(256)).await;
    rest.into_iter().flatten().for_each(|batch| follow.hear(&batch));
    let last = Look { completed: subtasks, ..follow.look(crew, database).await? };
    looks.push(last);
    follow.bar.finish_and_clear();
    let cpu_us_per_subtask = cpu_us_per_subtask(&looks);
    let projects = u32::try_from(projects).unwrap_or(u32::MAX);
    Ok(Taken { projects, subtasks, seconds, hops_ms: follow.hops_ms, cpu_us_per_subtask })
}

/// What coordinators say of how far they are, and not that a phase ended: where there are many small ones, that is most.
pub async fn listen(transport: &dyn Transport) -> Result<Box<dyn Consumer>, TransportError> {
    let queue = Queue::Watcher(Uuid::now_v7().simple().to_string());
    transport.subscribe(&queue, &[(Exchange::Events, "coordination.progress.*".to_owned())]).await
}

/// Their words in a batch, each with who said it.
pub fn updates(batch: &[Delivery]) -> impl Iterator<Item = (String, ProjectStatusUpdate)> {
    batch.iter().flat_map(|delivery| codec::decode(&delivery.body)).flatten().filter_map(|part| match part.content {
        Content::ProjectStatusUpdate(update) => Some((part.sender_id, update)),
        _ => None,
    })
}

async fn submit(client: &Client, requests: Vec<NewProject>) -> Result<(), Failure> {
    let mut on_their_way = FuturesUnordered::new();
    for request in requests {
        if on_their_way.len() >= REQUESTS {
            on_their_way.next().await.transpose()?;
        }
        on_their_way.push(client.submit(ProjectId(Uuid::now_v7()), request));
    }
    while on_their_way.next().await.transpose()?.is_some() {}
    Ok(())
}

/// What the coordinators say of how far they are.
struct Follow {
    began: Instant,
    /// Of all projects, and what was last heard of each.
    completed: u32,
    projects: BTreeMap<ProjectId, (u32, Instant)>,
    hops_ms: Vec<f64>,
    bar: ProgressBar,
}

impl Follow {
    fn hear(&mut self, batch: &[Delivery]) {
        for (_, update) in updates(batch) {
            if let Some((more, ms)) = self.count(update.project_id, update.counts.completed) {
                // Words may get lost: so many hops are between these two.
                self.hops_ms.extend((0..more).map(|_| ms / f64::from(more)));
            }
        }
    }

    fn ended(&mut self, end: &ProjectCompletion) {
        self.count(end.project_id, end.final_report.counts.completed);
    }

    /// A project has completed so many: how many more than were known, and how long after these they were heard of.
    fn count(&mut self, project: ProjectId, completed: u32) -> Option<(u32, f64)> {
        let (now, known) = (Instant::now(), self.projects.get(&project).copied());
        let more = completed.saturating_sub(known.map_or(0, |(completed, _)| completed));
        if more > 0 || known.is_none() {
            self.projects.insert(project, (completed, now));
            self.completed += more;
            self.bar.set_position(self.completed.into());
        }
        let (_, last) = known.filter(|_| more > 0)?;
        Some((more, now.duration_since(last).as_secs_f64() * 1_000.0))
    }

    async fn look(&self, crew: &Crew, database: Option<&Throwaway>) -> Result<Look, Failure> {
        let processes = match database {
            Some(database) => database.processes().await?,
            None => Vec::new(),
        };
        let of_database: f64 = processes.into_iter().filter_map(|pid| usage::cpu_s_of(pid, POSTGRES)).sum();
        let cpu_s = crew.cpu_s().map_or(f64::NAN, |of_workers| of_workers + of_database);
        Ok(Look { at: self.began.elapsed(), completed: self.completed, cpu_s })
    }
}

/// Between the first look that is not at the edge and the last one; between the ends of a run that is too short.
fn cpu_us_per_subtask(looks: &[Look]) -> Option<f64> {
    let (first, last) = (looks.first()?, looks.last()?);
    let end = last.at.saturating_sub(EDGE);
    let inner: Vec<&Look> = looks.iter().filter(|look| look.at >= EDGE && look.at <= end).collect();
    let (from, to) = match (inner.first(), inner.last()) {
        (Some(from), Some(to)) if to.at >= from.at + EDGE && to.completed > from.completed => (*from, *to),
        _ => (first, last),
    };
    let subtasks = to.completed.checked_sub(from.completed).filter(|&subtasks| subtasks > 0)?;
    Some((to.cpu_s - from.cpu_s) * 1e6 / f64::from(subtasks)).filter(|us| us.is_finite())
}

/// Shows on a terminal only.
fn bar(subtasks: u32) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed}");
    ProgressBar::new(subtasks.into()).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(ms: u64, completed: u32, cpu_s: f64) -> Look {
        Look { at: Duration::from_millis(ms), completed, cpu_s }
    }

    #[test]
    fn the_first_and_the_last_second_are_left_out() {
        let looks = [look(0, 0, 1.0), look(1_100, 100, 3.0), look(2_600, 1_100, 3.5), look(4_000, 1_200, 9.0)];
        let us = cpu_us_per_subtask(&looks).expect("a figure");
        assert!((us - 500.0).abs() < 1e-6, "{us}");
        let short = [look(0, 0, 1.0), look(500, 10, 1.5), look(900, 100, 1.6)];
        let us = cpu_us_per_subtask(&short).expect("a figure");
        assert!((us - 6_000.0).abs() < 1e-6, "{us}");
        assert_eq!(cpu_us_per_subtask(&[look(0, 0, f64::NAN), look(900, 100, f64::NAN)]), None);
    }
}
