//! Where commands of a leased skill come in. A leased command is acked when it begins, and then nobody but this process
//! knows of it; so one is taken only when there is room for it, and while there is none nothing is consumed: it would
//! wait here for hours, although others may have room.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::capability::Service;
use super::channel::Channel;
use super::intake::{admit, work};
use super::{OfferedSkill, Shop};
use crate::runtime::port::Delivery;
use crate::runtime::supervise::Ended;

/// The room that there was may be taken by another skill before the command comes. Then it is given back soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// Consumes whenever there is room, until the process stops.
pub(super) async fn session(
    shop: &Arc<Shop>,
    skill: &str,
    offered: &OfferedSkill,
    room: &Arc<Semaphore>,
    service: Service,
) -> Result<(), Ended> {
    loop {
        tokio::select! {
            biased;
            () = shop.stop.draining() => return Ok(()),
            () = service.over(shop, skill) => return Ok(()),
            () = shop.room.until_free(room) => {}
        }
        while_free(shop, skill, offered, room, service).await?;
    }
}

/// Takes one command after the other for as long as there is room for the next.
async fn while_free(
    shop: &Arc<Shop>,
    skill: &str,
    offered: &OfferedSkill,
    room: &Arc<Semaphore>,
    service: Service,
) -> Result<(), Ended> {
    let mut channel = Channel::open(shop, skill, offered, 1, service).await?;
    let mut is_open = true;
    while is_open {
        let held_up = channel.held_up();
        let deliveries = tokio::select! {
            biased;
            deliveries = channel.next(1) => deliveries?,
            // Its owner can not be told who has it, and until then the broker sends no other on this channel.
            () = held_up => break,
        };
        let Some(deliveries) = deliveries else { break };
        is_open = take(shop, &mut channel, room, &deliveries).await?;
    }
    if is_open {
        channel.stop().await?;
    }
    while let Some(deliveries) = channel.rest(1).await {
        take(shop, &mut channel, room, &deliveries).await?;
    }
    shop.attempts.spawn(channel.settled());
    Ok(())
}

/// False when there is no room for more, and the channel was stopped.
async fn take(
    shop: &Arc<Shop>,
    channel: &mut Channel<'_>,
    room: &Arc<Semaphore>,
    deliveries: &[Delivery],
) -> Result<bool, Ended> {
    let mut is_open = true;
    for delivery in deliveries {
        for task in channel.take(delivery).await? {
            let publisher = channel.publisher.clone();
            let Some((task, place)) = admit(shop, room, &*publisher, task, Some(PATIENCE)).await else { continue };
            // Before the ack: with it the broker would send the next.
            let is_last = is_open && !shop.room.is_free(room);
            let stopped = if is_last { channel.stop().await } else { Ok(()) };
            // Whatever became of the channel: this process has said of the command that it has it.
            let (of_task, offered) = (shop.clone(), channel.offered.clone());
            shop.attempts.spawn(async move { work(&of_task, &offered, task, place).await });
            stopped?;
            is_open = is_open && !is_last;
        }
    }
    Ok(is_open)
}
