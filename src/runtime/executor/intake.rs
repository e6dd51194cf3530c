//! Where commands of one skill come in, as many at once as its prefetch says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::attempt::{Task, accept, perform, refuse};
use super::avoid::pass_on;
use super::capability::{self, Service};
use super::channel::Channel;
use super::place::{self, Place};
use super::running::settle;
use super::{OfferedSkill, Shop, leased};
use crate::runtime::port::{Delivery, Publisher};
use crate::runtime::supervise::{Ended, Fatal, supervise};

/// Commands share a body where they were quick so far. One that waits for longer than this behind others of its body is
/// given back: they are not quick any more, and other executors may have room. It comes again alone.
const PACKED_PATIENCE: Duration = Duration::from_secs(2);
/// So many commands are looked at together.
const BATCH_MAX: usize = 256;

/// Takes commands of `skill` until the process stops.
pub(super) async fn serve(shop: &Arc<Shop>, skill: &str) -> Result<(), Fatal> {
    let Some(offered) = shop.skills.get(skill) else { return Ok(()) };
    let room = place::of_skill(offered);
    supervise(&part(skill), &shop.post, &shop.stop, || async {
        let Some(service) = capability::service(shop, skill, offered).await else { return Ok(()) };
        let ended = match offered.options.defaults.lease_ms {
            Some(_) => leased::session(shop, skill, offered, &room, service).await,
            None => session(shop, skill, offered, &room, service).await,
        };
        if matches!(ended, Err(Ended::Missing(_))) {
            // Owners hear of it, and have what waited there sent again.
            shop.post.update(|facts| {
                let times = facts.queues_lost.get(skill).map_or(0, |(times, _)| *times);
                facts.queues_lost.insert(skill.to_owned(), (times + 1, Instant::now()));
            });
        }
        ended
    })
    .await
}

/// What it is called when it does not work.
pub(super) fn part(skill: &str) -> String {
    format!("skill {skill}")
}

async fn session(
    shop: &Arc<Shop>,
    skill: &str,
    offered: &OfferedSkill,
    room: &Arc<Semaphore>,
    service: Service,
) -> Result<(), Ended> {
    let mut channel = Channel::open(shop, skill, offered, offered.options.prefetch, service).await?;
    while let Some(deliveries) = channel.next(BATCH_MAX).await? {
        take(shop, &mut channel, room, &deliveries).await?;
    }
    channel.stop().await?;
    while let Some(deliveries) = channel.rest(BATCH_MAX).await {
        take(shop, &mut channel, room, &deliveries).await?;
    }
    let settled = channel.settled();
    match shop.stop.is_draining() {
        true => settled.await,
        // What still runs does not keep the skill from being looked at again.
        false => _ = shop.attempts.spawn(settled),
    }
    Ok(())
}

async fn take(
    shop: &Arc<Shop>,
    channel: &mut Channel<'_>,
    room: &Arc<Semaphore>,
    deliveries: &[Delivery],
) -> Result<(), Ended> {
    for delivery in deliveries {
        let tasks = channel.take(delivery).await?;
        let is_taken_for_quick = tasks.len() > 1 && channel.offered.options.batch.is_none();
        let patience = is_taken_for_quick.then_some(PACKED_PATIENCE);
        for task in tasks {
            // What ends at once is not worth a task of its own.
            if channel.offered.runner.is_instant()
                && task.elsewhere.is_none()
                && task.assignment.command.lease_ms.is_none()
            {
                perform(shop, channel.offered, task).await;
                continue;
            }
            let (shop, offered, room) = (shop.clone(), channel.offered.clone(), room.clone());
            let publisher = channel.publisher.clone();
            let attempts = shop.attempts.clone();
            attempts.spawn(async move {
                if let Some((task, place)) = admit(&shop, &room, &*publisher, task, patience).await {
                    work(&shop, &offered, task, place).await;
                }
            });
        }
    }
    Ok(())
}

/// A task and its room; none when it went to another executor, or was answered because no room came in time.
pub(super) async fn admit(
    shop: &Arc<Shop>,
    room: &Arc<Semaphore>,
    publisher: &dyn Publisher,
    mut task: Task,
    patience: Option<Duration>,
) -> Option<(Task, Place)> {
    if pass_on(shop, publisher, &mut task).await {
        return None;
    }
    match place::wait(shop, room, &task, patience).await {
        Ok(place) => Some((task, place)),
        Err(failure) => {
            refuse(shop, task, failure).await;
            None
        }
    }
}

/// Performs a task that has room; a leased one when its owner knows who has it.
pub(super) async fn work(shop: &Arc<Shop>, offered: &OfferedSkill, task: Task, _place: Place) {
    if task.assignment.command.lease_ms.is_some() {
        if let Err(failure) = accept(shop, &task).await {
            return refuse(shop, task, failure).await;
        }
        settle(shop.running.accept(task.id)).await;
    }
    shop.post.update(|facts| facts.busy += 1);
    perform(shop, offered, task).await;
    shop.post.update(|facts| facts.busy = facts.busy.saturating_sub(1));
}
