//! The manager process: takes requests, hands projects over phase by phase, follows, and reports.
//!
//! Any number of managers share two queues: the requests of clients, which is bounded, and everything else.

mod news;
mod reading;
mod role;

use std::sync::Arc;

use super::lane::Lane;
use super::options::{Identity, World};
use super::presence::{Facts, Post};
use super::stop::Stop;
use super::supervise::{Ended, Fatal, supervise};
use crate::wire::address::Queue;
use role::ManagerRole;

/// Requests that one manager holds: few, so that a burst is shared.
const REQUESTS_PREFETCH: u16 = 100;
/// Reports and alarms that one manager holds.
const MANAGEMENT_PREFETCH: u16 = 500;

/// Runs a manager until it is told to stop.
pub async fn run(world: World, identity: Identity, stop: Stop) -> Result<(), Fatal> {
    let post = Arc::new(Post::new(identity, world.ground(), Some(world.store_id), Facts::default(), 2, stop.clone()));
    let world = &post.watched(world);
    let lanes = async {
        let done = tokio::try_join!(
            serve(world, &post, Queue::Requests, REQUESTS_PREFETCH, &stop),
            serve(world, &post, Queue::Management, MANAGEMENT_PREFETCH, &stop),
        );
        done.map(|_| ())
    };
    tokio::select! {
        biased;
        () = stop.out_of_time(world.timing.grace) => Ok(()),
        done = post.beside(lanes) => done,
    }
}

async fn serve(world: &World, post: &Arc<Post>, queue: Queue, prefetch: u16, stop: &Stop) -> Result<(), Fatal> {
    let what = format!("{queue:?}");
    supervise(&what, post, stop, || async {
        let mut consumer = world.transport.consume(&queue, prefetch).await?;
        let publisher = world.transport.publisher().await?;
        post.consumes(&what);
        let role = ManagerRole { world: world.clone(), pen: post.pen(), post: post.clone() };
        let mut lane = Lane::new(role, world, post.outages(), publisher, &*consumer);
        lane.run(&mut *consumer, stop).await.map_err(Ended::from)
    })
    .await
}
