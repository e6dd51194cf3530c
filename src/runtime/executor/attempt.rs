//! One attempt: run in time, caught when it panics, and answered whatever happens.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::answer::{Times, answer};
use super::outbox::Finished;
use super::{OfferedSkill, Shop};
use crate::runtime::port::{Assignment, Report};
use crate::wire::content::ExecuteSubtask;
use crate::wire::{Failure, FailureKind, MessageId};

/// How long a runner may take to end what it started, after it was told to.
pub(crate) const END_WITHIN: Duration = Duration::from_secs(5);

/// A command that was taken in.
pub(crate) struct Task {
    pub(crate) id: MessageId,
    pub(crate) reply_to: String,
    pub(crate) command: ExecuteSubtask,
    pub(crate) stop: CancellationToken,
}

/// Runs the attempt and hands its answer to the outbox; nothing when it was given up without one.
pub(crate) async fn perform(shop: &Arc<Shop>, skill: &OfferedSkill, task: Task) {
    let clock = &shop.ground.clock;
    if clock.now() > task.command.not_after {
        let failure = Failure::new(FailureKind::Timeout, "the command came too late to begin");
        return finish(shop, task, Report::failed(failure), None).await;
    }
    let started_at = Some(clock.now());
    if let Some(report) = run(skill, &task).await {
        finish(shop, task, report, started_at).await;
    }
}

/// What came of it; none when it was stopped from outside: then the command is given back.
async fn run(skill: &OfferedSkill, task: &Task) -> Option<Report> {
    let assignment = Assignment { command: task.command.clone() };
    let limit = Duration::from_millis(task.command.timeout_ms);
    let stop = CancellationToken::new();
    let mut attempt = AssertUnwindSafe(skill.runner.run(&assignment, stop.clone())).catch_unwind();
    tokio::select! {
        biased;
        done = &mut attempt => return Some(done.unwrap_or_else(|_| {
            Report::failed(Failure::new(FailureKind::Crashed, "the runner panicked"))
        })),
        () = task.stop.cancelled() => {}
        () = tokio::time::sleep(limit) => {}
    }
    let timed_out = !task.stop.is_cancelled();
    stop.cancel();
    let last_words = tokio::time::timeout(END_WITHIN, attempt).await;
    let log = last_words.ok().and_then(Result::ok).and_then(|report| report.log);
    timed_out.then(|| {
        let message = format!("still running after {} ms", task.command.timeout_ms);
        Report { outcome: Err(Failure::new(FailureKind::Timeout, message)), log }
    })
}

/// Answers without having run anything.
pub(crate) async fn refuse(shop: &Arc<Shop>, task: Task, failure: Failure) {
    finish(shop, task, Report::failed(failure), None).await;
}

async fn finish(shop: &Arc<Shop>, task: Task, report: Report, started_at: Option<crate::wire::Timestamp>) {
    let times = Times { started_at, finished_at: shop.ground.clock.now() };
    let pen = shop.post.pen();
    let Some(answer) = answer(&pen, task.id, &task.reply_to, &task.command, report, times) else {
        tracing::error!(command = %task.id, "an answer could not be written");
        return;
    };
    shop.outbox.put(Finished { command: task.id, reply_to: task.reply_to, answer }).await;
}
