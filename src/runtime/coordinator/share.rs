//! The fair share of partitions. The broker gives each partition to whoever stood in line first; a coordinator
//! that holds more than its share lets go of what is too much, and only for somebody who stands in line for it.
//!
//! The broker does not tell who holds what. So a coordinator that comes, or sees one go, sends a ping through
//! each partition: whoever gets it holds that partition, and says so in its heartbeat. Correctness never rests
//! on any of this.

use std::time::Duration;

use super::partition::Partition;
use super::window::Window;
use crate::runtime::options::World;
use crate::runtime::port::Publisher;
use crate::runtime::presence::Post;
use crate::runtime::stop::Stop;
use crate::runtime::supervise::{Ended, Fatal, jittered, supervise};
use crate::wire::address::{Address, Tier};
use crate::wire::content::{Alarm, Layer, Ping};
use crate::wire::{AgentId, Content, MessageId, ProjectId};

/// What it is called when it does not work.
const PART: &str = "the fair share";
/// Before partitions are let go, and between two such times. Longer than a heartbeat takes, so that what was let go is known.
const YIELD_PAUSE: Duration = Duration::from_millis(1_000);

/// Keeps the window up to date with what executors announce, and the share of partitions fair.
pub(super) async fn keep(
    world: &World,
    post: &Post,
    window: &Window,
    partitions: &[Partition],
    stop: &Stop,
) -> Result<(), Fatal> {
    supervise(PART, post, stop, || session(world, post, window, partitions, stop)).await
}

async fn session(
    world: &World,
    post: &Post,
    window: &Window,
    partitions: &[Partition],
    stop: &Stop,
) -> Result<(), Ended> {
    let publisher = world.transport.publisher().await?;
    post.works(PART);
    let mut known: Vec<AgentId> = Vec::new();
    let mut may_yield = tokio::time::Instant::now() + YIELD_PAUSE;
    loop {
        let others: Vec<_> = post.alive();
        window.set(&others, post.listening_since(), world.clock.now());
        wake(world, post, &*publisher, window).await?;
        let coordinators: Vec<_> = others.iter().filter(|other| other.layer == Layer::Coordination).collect();
        let ids: Vec<AgentId> = coordinators.iter().map(|other| other.agent_id.clone()).collect();
        if ids != known || may_yield.elapsed() > world.timing.heartbeat {
            // Somebody came or went, or it is time to look again.
            ping(world, post, &*publisher, partitions).await?;
            known = ids;
            may_yield = tokio::time::Instant::now() + jittered(YIELD_PAUSE, world.clock.as_ref());
        }
        let holds = post.facts().holds;
        let share = partitions.len().div_ceil(coordinators.len() + 1);
        let too_many = holds.len().saturating_sub(share);
        let now = tokio::time::Instant::now();
        if too_many > 0 && may_yield <= now {
            let wanted = |number: &&u32| coordinators.iter().any(|other| other.waits_for.contains(number));
            let let_go = holds.iter().rev().filter(wanted).filter_map(|number| partitions.get(*number as usize));
            let let_go: Vec<&Partition> = let_go.take(too_many).collect();
            for partition in &let_go {
                tracing::info!(partition = partition.number, "let go: another coordinator is in line for it");
                partition.yield_turn();
            }
            if !let_go.is_empty() {
                may_yield = now + YIELD_PAUSE + jittered(YIELD_PAUSE, world.clock.as_ref());
                ping(world, post, &*publisher, partitions).await?;
            }
        }
        let look_again = now + YIELD_PAUSE;
        let next = if too_many > 0 && may_yield > now { may_yield.min(look_again) } else { look_again };
        tokio::select! {
            biased;
            () = stop.draining() => return Ok(()),
            () = post.heard() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

/// A number that no stream's alarm has: a newer one than is known is never stale.
const ANY_ALARM: u64 = u64::MAX >> 1;

/// Has the phases look at once whether their commands are still out whose queue was deleted. Best effort: the alarm that
/// each of them has finds it too, when the commands are past their time.
async fn wake(world: &World, post: &Post, publisher: &dyn Publisher, window: &Window) -> Result<(), Ended> {
    let now = world.clock.now();
    for (stream, partition) in window.to_wake(now) {
        let to = Address { told: None, ..Address::phase_alarm(Tier::Ms250, partition) };
        let id = MessageId(world.clock.fresh_id());
        let alarm = Alarm { stream, number: ANY_ALARM, not_before: now, store_id: Some(world.store_id) };
        if let Some(outgoing) = post.pen().best_effort(id, to, stream.project(), Content::Alarm(alarm), now) {
            drop(publisher.publish(outgoing).await?);
        }
    }
    Ok(())
}

async fn ping(world: &World, post: &Post, publisher: &dyn Publisher, partitions: &[Partition]) -> Result<(), Ended> {
    for partition in partitions {
        let to = Address { told: None, ..Address::phases(partition.number) };
        let (id, nobody) = (MessageId(world.clock.fresh_id()), ProjectId(uuid::Uuid::nil()));
        let content = Content::Ping(Ping { partition: Some(partition.number) });
        if let Some(outgoing) = post.pen().best_effort(id, to, nobody, content, world.clock.now()) {
            drop(publisher.publish(outgoing).await?);
        }
    }
    Ok(())
}
