//! The coordinator process: turns goals into graphs of subtasks and sees them through.
//!
//! Phases are dealt into partitions. Each partition's queue is consumed by every coordinator, and the broker
//! gives its deliveries to one of them, which holds the partition's phases in memory; another takes over as soon
//! as its channel is gone.

mod notices;
mod partition;
mod planning;
mod reading;
mod results;
mod role;
mod share;
mod window;

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::options::{Identity, World};
use super::presence::{Facts, Post};
use super::stop::Stop;
use super::supervise::Fatal;
use partition::Partition;
use window::Window;

/// Runs a coordinator until it is told to stop.
pub async fn run(world: World, identity: Identity, stop: Stop) -> Result<(), Fatal> {
    let window = Arc::new(Window::default());
    let lanes = world.topology.partitions as usize;
    let post =
        Arc::new(Post::new(identity, world.ground(), Some(world.store_id), Facts::default(), lanes, stop.clone()));
    let world = post.watched(world);
    let partitions: Vec<_> = (0..world.topology.partitions)
        .map(|number| Partition::new(number, world.clone(), post.clone(), window.clone(), stop.clone()))
        .collect();
    let work = async {
        let lanes = try_join_all(partitions.iter().map(Partition::serve));
        tokio::try_join!(lanes, share::keep(&world, &post, &window, &partitions, &stop)).map(|_| ())
    };
    tokio::select! {
        biased;
        () = stop.out_of_time(world.timing.grace) => Ok(()),
        done = post.beside(work) => done,
    }
}
