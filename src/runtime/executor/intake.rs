//! Where commands of one skill come in.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::attempt::{Task, perform, refuse};
use super::running::Receipt;
use super::{OfferedSkill, Shop};
use crate::broken::{self, Broken};
use crate::runtime::letter::{self, Aside, Letter, Opened};
use crate::runtime::port::{Clock, Confirmed, Delivery, Publisher};
use crate::runtime::supervise::{Ended, Fatal, supervise};
use crate::wire::address::Queue;
use crate::wire::content::RunningCommand;
use crate::wire::{Content, Failure, FailureKind};

/// So many commands are looked at together.
const BATCH_MAX: usize = 256;

/// A heartbeat lists so many of the commands that run: it is a heartbeat, not a ledger.
const COMMANDS_TOLD_MAX: usize = 256;

/// Takes commands of `skill` until the process stops.
pub(super) async fn serve(shop: &Arc<Shop>, skill: &str) -> Result<(), Fatal> {
    let Some(offered) = shop.skills.get(skill) else { return Ok(()) };
    let room = Arc::new(Semaphore::new(offered.options.concurrency as usize));
    supervise(&part(skill), &shop.post, &shop.stop, || session(shop, skill, offered, &room)).await
}

/// What it is called when it does not work.
fn part(skill: &str) -> String {
    format!("skill {skill}")
}

async fn session(shop: &Arc<Shop>, skill: &str, offered: &OfferedSkill, room: &Arc<Semaphore>) -> Result<(), Ended> {
    let transport = &shop.ground.transport;
    let mut consumer = transport.consume(&Queue::Skill(skill.to_owned()), offered.options.prefetch).await?;
    let publisher = transport.publisher().await?;
    shop.post.consumes(&part(skill));
    let (acker, broken) = (consumer.acker(), CancellationToken::new());
    loop {
        let deliveries = tokio::select! {
            biased;
            () = shop.stop.draining() => break,
            () = broken.cancelled() => return Err(Ended::Broken("an ack did not go through".into())),
            deliveries = consumer.next(BATCH_MAX) => deliveries?,
        };
        let clock = &*shop.ground.clock;
        for delivery in deliveries {
            if broken::is(Broken::AcksBeforeConfirms) {
                acker.ack(delivery.tag, false).await?;
            }
            let Opened { letters, unreadable } = letter::open(&delivery);
            let parts = letters.len() + unreadable.len();
            let receipt = Receipt::new(acker.clone(), delivery.tag, parts, broken.clone());
            for part in unreadable {
                set_aside(&*publisher, clock, &delivery, &part.header(), part.bytes, &receipt).await?;
            }
            for letter in letters {
                match task_of(shop, &letter, &delivery, &receipt) {
                    Ok(Some(task)) => start(shop, skill, offered, room, task).await,
                    Ok(None) => {}
                    Err((reason, body)) => {
                        set_aside(&*publisher, clock, &delivery, &reason, body, &receipt).await?;
                    }
                }
                if shop.stop.is_draining() {
                    break;
                }
            }
        }
    }
    // What was not begun goes back with the channel, which stays open until what runs is answered.
    consumer.stop().await?;
    shop.running.until_idle().await;
    Ok(())
}

/// The task that a letter brings; none when it runs here already.
fn task_of(
    shop: &Shop,
    letter: &Letter,
    delivery: &Delivery,
    receipt: &Receipt,
) -> Result<Option<Task>, (String, bytes::Bytes)> {
    let id = letter.envelope.message_id;
    match (&letter.envelope.content, delivery.properties.reply_to.clone()) {
        (Content::ExecuteSubtask(command), Some(reply_to)) => {
            let (project_id, subtask_id) = (command.project_id, command.subtask_id);
            let told = RunningCommand { command: id, project_id, subtask_id };
            let stop = shop.running.begin(told, receipt.clone());
            Ok(stop.map(|stop| Task { id, reply_to, command: command.clone(), stop }))
        }
        (Content::ExecuteSubtask(_), None) => Err(("no_reply_to".into(), letter.body())),
        _ => Err(("not_for_an_executor".into(), letter.body())),
    }
}

/// Starts an attempt as soon as there is room for it. An instant one is run in place.
async fn start(shop: &Arc<Shop>, skill: &str, offered: &OfferedSkill, room: &Arc<Semaphore>, task: Task) {
    if task.command.skill != skill {
        let message = format!("this executor took `{}` from the queue of `{skill}`", task.command.skill);
        return refuse(shop, task, Failure::new(FailureKind::Unsupported, message)).await;
    }
    if offered.runner.is_instant() {
        return perform(shop, offered, task).await;
    }
    let permits = async {
        let room = room.clone().acquire_owned().await;
        let slot = shop.slots.clone().acquire_owned().await;
        (room, slot)
    };
    let permits = tokio::select! {
        biased;
        // Not begun: it goes back with the channel.
        () = shop.stop.draining() => {
            shop.running.end(task.id);
            return;
        }
        permits = permits => permits,
    };
    let (shop, offered) = (shop.clone(), offered.clone());
    let attempts = shop.attempts.clone();
    attempts.spawn(async move {
        let _permits = permits;
        shop.post.update(|facts| {
            facts.busy += 1;
            facts.commands = shop.running.commands(COMMANDS_TOLD_MAX);
        });
        perform(&shop, &offered, task).await;
        shop.post.update(|facts| {
            facts.busy = facts.busy.saturating_sub(1);
            facts.commands = shop.running.commands(COMMANDS_TOLD_MAX);
        });
    });
}

/// A command that can not be read or answered goes to the dead letters.
async fn set_aside(
    publisher: &dyn Publisher,
    clock: &dyn Clock,
    delivery: &Delivery,
    reason: &str,
    body: bytes::Bytes,
    receipt: &Receipt,
) -> Result<(), Ended> {
    tracing::warn!(reason, key = delivery.key, "a message was set aside");
    let (exchange, id) = (letter::exchange(delivery), delivery.properties.message_id);
    let aside = Aside { exchange: Some(exchange), key: &delivery.key, id, reason, at: clock.now() };
    let outgoing = letter::dead(&aside, None, body);
    match publisher.publish(outgoing).await?.await {
        Confirmed::Accepted => {
            receipt.settle().await;
            Ok(())
        }
        other => Err(Ended::Broken(format!("a dead letter was not taken: {other:?}"))),
    }
}
