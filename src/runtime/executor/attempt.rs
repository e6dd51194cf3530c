//! One attempt: accepted when it is leased, run in time, caught when it panics, and answered whatever happens.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::answer::{Times, acceptance, answer};
use super::capability::{BEGIN_AGAIN_EVERY, BEGIN_AGAIN_WITHIN};
use super::halt::{Halt, Reason};
use super::outbox::{Finished, Next};
use super::{OfferedSkill, Shop};
use crate::broken::{self, Broken};
use crate::runtime::port::{Assignment, ExecutorFault, Outgoing, Report};
use crate::wire::content::{ExecuteSubtask, RunningCommand};
use crate::wire::{Failure, FailureKind, MessageId, Timestamp};

/// How long a runner may take to end what it started, after it was told to.
pub(crate) const END_WITHIN: Duration = Duration::from_secs(5);

/// A command that was taken in.
pub(crate) struct Task {
    pub(crate) id: MessageId,
    pub(crate) reply_to: String,
    /// Who has sent it, and when by that agent's clock.
    pub(crate) owner: String,
    pub(crate) sent_at: Timestamp,
    pub(crate) assignment: Assignment,
    pub(crate) halt: Halt,
    /// How often it came back from executors that did not answer it, where the broker counts.
    pub(crate) returns: u32,
    /// The command anew, when this agent should leave it to others and nobody did so before.
    pub(crate) elsewhere: Option<Box<Outgoing>>,
}

impl Task {
    pub(crate) fn told(&self) -> RunningCommand {
        let ExecuteSubtask { project_id, subtask_id, .. } = self.assignment.command;
        RunningCommand { command: self.id, project_id, subtask_id, progress: None }
    }
}

/// Tells a leased command's owner who has it, if it does not come too late. When this is done its deliveries can be
/// acked, and nobody but this agent knows of it any more.
pub(crate) async fn accept(shop: &Shop, task: &Task) -> Result<(), Failure> {
    if is_too_late(shop, task) {
        return Err(too_late(task));
    }
    let Some(letter) =
        acceptance(&shop.post.pen(), task.id, &task.reply_to, &task.assignment.command, shop.ground.clock.now())
    else {
        return Err(Failure::permanent("that it was accepted could not be written"));
    };
    let (confirmed, accepted) = oneshot::channel();
    let next = Next::Accepted(confirmed);
    shop.outbox.put(Finished { command: task.id, reply_to: task.reply_to.clone(), answer: letter, next }).await;
    tokio::select! {
        biased;
        reason = task.halt.fired() => Err(reason.failure()),
        accepted = accepted => accepted.map_err(|_| untold()),
    }
}

fn untold() -> Failure {
    Failure::new(FailureKind::Released, "its owner could not be told who has it")
}

/// Runs the attempt and hands its answer to the outbox.
pub(crate) async fn perform(shop: &Arc<Shop>, skill: &OfferedSkill, task: Task) {
    let clock = &shop.ground.clock;
    // A leased command has begun when it is accepted.
    if task.assignment.command.lease_ms.is_none() && is_too_late(shop, &task) {
        let failure = too_late(&task);
        return refuse(shop, task, failure).await;
    }
    // It may have begun to rest while this command waited for room.
    if let Some(fault) = shop.capability.refusal(&task.assignment.command.skill) {
        return refuse_unable(shop, task, fault).await;
    }
    let started_at = Some(clock.now());
    match begin(shop, skill, &task).await {
        Ok(report) => {
            shop.capability.performed(shop, &task.assignment.command.skill);
            finish(shop, task, report, started_at).await;
        }
        Err(report) => finish(shop, task, report, None).await,
    }
}

/// Runs the attempt. What can not begin by a fault of this executor that may pass is begun again, for some time: it is
/// quicker than another dispatch, and the attempts that have what it lacks end meanwhile. An error is the report of an
/// attempt that never began.
async fn begin(shop: &Shop, skill: &OfferedSkill, task: &Task) -> Result<Report, Report> {
    let give_up_at = tokio::time::Instant::now() + BEGIN_AGAIN_WITHIN;
    loop {
        let report = run(skill, task).await;
        let Some(fault) = &report.fault else { return Ok(report) };
        shop.capability.rest(shop, &task.assignment.command.skill, fault.clone());
        // What begins too late would not be answered by its deadline.
        let is_over = tokio::time::Instant::now() >= give_up_at
            || (task.assignment.command.lease_ms.is_none() && is_too_late(shop, task));
        if !fault.may_pass || is_over {
            return Err(report);
        }
        tokio::select! {
            biased;
            reason = task.halt.fired() => return Err(Report::failed(reason.failure())),
            () = shop.stop.draining() => return Err(Report::failed(Reason::Released.failure())),
            () = tokio::time::sleep(BEGIN_AGAIN_EVERY) => {}
        }
    }
}

/// Judged by its owner's clock, however this machine's is set. Where that is not known yet it begins: a command that is
/// run once too often changes nothing, and one that is never run ends nothing.
fn is_too_late(shop: &Shop, task: &Task) -> bool {
    let not_after = task.assignment.command.not_after;
    if broken::is(Broken::ClocksTrusted) {
        return shop.ground.clock.now() > not_after;
    }
    task.sent_at >= not_after || shop.post.owners_now(&task.owner).is_some_and(|now| now > not_after)
}

/// The answer to a command that can not begin in time. One that others had before may be what they died of.
pub(crate) fn too_late(task: &Task) -> Failure {
    match task.returns {
        0 => Failure::new(FailureKind::Timeout, "the command came too late to begin"),
        returns => Failure::new(
            FailureKind::Crashed,
            format!("the command came too late to begin, after it had come back {returns} times without an answer"),
        ),
    }
}

async fn run(skill: &OfferedSkill, task: &Task) -> Report {
    let limit = Duration::from_millis(task.assignment.command.timeout_ms);
    let stop = CancellationToken::new();
    let mut attempt = AssertUnwindSafe(skill.runner.run(&task.assignment, stop.clone())).catch_unwind();
    let failure = tokio::select! {
        biased;
        done = &mut attempt => return done.unwrap_or_else(|_| {
            Report::failed(Failure::new(FailureKind::Crashed, "the runner panicked"))
        }),
        reason = task.halt.fired() => reason.failure(),
        () = tokio::time::sleep(limit) => {
            Failure::new(FailureKind::Timeout, format!("still running after {} ms", task.assignment.command.timeout_ms))
        }
    };
    stop.cancel();
    let last_words = tokio::time::timeout(END_WITHIN, attempt).await;
    let log = last_words.ok().and_then(Result::ok).and_then(|report| report.log);
    Report { outcome: Err(failure), log, fault: None }
}

/// Answers without having run anything.
pub(crate) async fn refuse(shop: &Arc<Shop>, task: Task, failure: Failure) {
    finish(shop, task, Report::failed(failure), None).await;
}

/// Answers that this executor can not do it.
pub(crate) async fn refuse_unable(shop: &Arc<Shop>, task: Task, fault: ExecutorFault) {
    finish(shop, task, Report::unable(fault), None).await;
}

async fn finish(shop: &Arc<Shop>, task: Task, report: Report, started_at: Option<Timestamp>) {
    let times = Times { started_at, finished_at: shop.ground.clock.now() };
    let pen = shop.post.pen();
    let Some(answer) = answer(&pen, task.id, &task.reply_to, &task.assignment.command, report, times) else {
        tracing::error!(command = %task.id, "an answer could not be written");
        return;
    };
    shop.outbox.put(Finished { command: task.id, reply_to: task.reply_to, answer, next: Next::End }).await;
}
