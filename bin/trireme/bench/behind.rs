//! `--behind`: how long a small project takes that comes behind a large one, beside the time that it takes alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use trireme::runtime::client::Client;
use trireme::runtime::port::SystemClock;
use trireme::store::Throwaway;
use trireme::wire::content::{Control, NewProject};
use trireme::wire::{Content, ProjectId, Status};
use uuid::Uuid;

use super::Bench;
use super::report::median;
use super::shape::Shape;
use crate::failure::Failure;
use crate::output::Output;

/// The subtasks of the small project.
const FEW: u32 = 10;
/// The large one has filled what there is to fill.
const UNDER_WAY: Duration = Duration::from_secs(3);
/// Until a small project, or a cancelled large one, has ended.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

/// Medians.
#[derive(Serialize)]
pub struct Behind {
    /// Of the large project.
    subtasks: u32,
    alone_ms: Option<f64>,
    behind_ms: Option<f64>,
    ratio: Option<f64>,
}

impl Behind {
    pub fn say(&self, output: &Output) {
        if let (Some(alone), Some(behind), Some(ratio)) = (self.alone_ms, self.behind_ms, self.ratio) {
            output.line(&format!(
                "{FEW} subtasks alone: {alone:.0} ms; behind a project of {}: {behind:.0} ms, {ratio:.2} times that",
                self.subtasks
            ));
        }
    }
}

/// The small project as often as `--pairs` says, alone and then behind the large one, which is cancelled in the end.
pub async fn measure(bench: &Bench<'_>, database: Option<&Throwaway>) -> Result<Behind, Failure> {
    let (options, transport) = (bench.options, bench.transport()?);
    let crew = bench.crew(database, &*transport).await?;
    let mut client = Client::connect(&*transport, Arc::new(SystemClock)).await?;
    let small = Shape::Many.requests(FEW, Some(1), bench.task()).remove(0);
    let large = options.shape.requests(options.subtasks(), Some(1), bench.task()).remove(0);
    let subtasks = super::shape::count(&large);
    let alone_ms = median(several(&mut client, &small, options.pairs).await?);
    let first = ProjectId(Uuid::now_v7());
    client.submit(first, large).await?;
    tokio::time::sleep(UNDER_WAY).await;
    let behind_ms = median(several(&mut client, &small, options.pairs).await?);
    client.say(first, Content::Cancel(Control::about(first))).await?;
    if ended(&mut client, first).await? != Status::Cancelled {
        return Err(Failure::usage("the large project had ended before the small ones")
            .hint("--subtasks makes it larger, and --ms its subtasks longer"));
    }
    crew.leave().await;
    transport.close().await;
    Ok(Behind { subtasks, alone_ms, behind_ms, ratio: behind_ms.zip(alone_ms).map(|(behind, alone)| behind / alone) })
}

/// Milliseconds from request to end, one after the other.
async fn several(client: &mut Client, request: &NewProject, times: u32) -> Result<Vec<f64>, Failure> {
    let mut took_ms = Vec::new();
    for _ in 0..times {
        let (id, began) = (ProjectId(Uuid::now_v7()), Instant::now());
        client.submit(id, request.clone()).await?;
        match ended(client, id).await? {
            Status::Completed => took_ms.push(began.elapsed().as_secs_f64() * 1_000.0),
            status => return Err(Failure::bug(format!("a project ended as {status}"))),
        }
    }
    Ok(took_ms)
}

/// What became of a project; what others say meanwhile is not of interest.
async fn ended(client: &mut Client, project: ProjectId) -> Result<Status, Failure> {
    let told = async {
        loop {
            let told = client.completion().await?;
            if told.project_id == project {
                return Ok(told.status);
            }
        }
    };
    let told = tokio::time::timeout(ENDS_WITHIN, told).await;
    told.unwrap_or_else(|_| Err(Failure::bug(format!("project {project} did not end"))))
}
