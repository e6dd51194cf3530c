//! A coordinator's place in the line of one partition, and its turns at holding it.

use std::sync::{Arc, Mutex, PoisonError};

use super::results::Results;
use super::role::CoordinatorRole;
use super::window::{Share, Window};
use crate::domain::phase::Phase;
use crate::runtime::lane::Lane;
use crate::runtime::options::World;
use crate::runtime::presence::Post;
use crate::runtime::states::Kept;
use crate::runtime::stop::Stop;
use crate::runtime::supervise::{Ended, Fatal, supervise};
use crate::wire::address::Queue;
use crate::wire::content::Layer;

/// Deliveries of a partition that its holder has: enough to share commits, few enough to be given back quickly.
const PREFETCH: u16 = 1_000;

pub(super) struct Partition {
    pub(super) number: u32,
    world: World,
    post: Arc<Post>,
    window: Arc<Window>,
    stop: Stop,
    /// Stops this turn only.
    turn: Mutex<Stop>,
    kept: Kept<Phase>,
}

impl Partition {
    pub(super) fn new(number: u32, world: World, post: Arc<Post>, window: Arc<Window>, stop: Stop) -> Self {
        let turn = Mutex::new(stop.child());
        Self { number, world, post, window, stop, turn, kept: Kept::default() }
    }

    /// Stands in line, holds the partition when it is its turn, and again.
    pub(super) async fn serve(&self) -> Result<(), Fatal> {
        let what = format!("partition {}", self.number);
        supervise(&what, &self.post, &self.stop, || async {
            let turn = self.stop.child();
            *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn.clone();
            let ended = self.stand_in_line(&turn).await;
            self.window.left(self.number);
            self.note(|facts, number| {
                facts.holds.retain(|&other| other != number);
                facts.waits_for.retain(|&other| other != number);
            });
            ended
        })
        .await
    }

    async fn stand_in_line(&self, turn: &Stop) -> Result<(), Ended> {
        let world = &self.world;
        let publisher = world.transport.publisher().await?;
        let mut consumer = world.transport.consume(&Queue::Coordination(self.number), PREFETCH).await?;
        self.note(|facts, number| facts.waits_for.push(number));
        self.post.consumes(&format!("partition {}", self.number));
        let (post, number) = (self.post.clone(), self.number);
        let role = CoordinatorRole {
            world: world.clone(),
            pen: self.post.pen(),
            post: self.post.clone(),
            window: self.window.clone(),
            share: Share::default(),
            results: Results::default(),
            is_alone: Box::new({
                let (post, store) = (self.post.clone(), world.store_id);
                move || {
                    let others = post.alive();
                    let managers = || others.iter().filter(|other| other.layer == Layer::Management);
                    managers().count() > 0 && managers().all(|manager| manager.store_id != Some(store))
                }
            }),
            held_by_us: Box::new(move || {
                if !post.facts().holds.contains(&number) {
                    post.update(|facts| {
                        facts.waits_for.retain(|&other| other != number);
                        facts.holds.push(number);
                    });
                }
            }),
        };
        let mut lane = Lane::new(role, world, self.post.outages(), publisher, &*consumer);
        lane.swap(&self.kept);
        let ended = lane.run(&mut *consumer, turn).await;
        lane.swap(&self.kept);
        ended.map_err(Ended::from)
    }

    fn note(&self, change: impl FnOnce(&mut crate::runtime::presence::Facts, u32)) {
        self.post.update(|facts| change(facts, self.number));
    }

    /// Ends this turn: finishes what is committed, and stands at the end of the line again.
    pub(super) fn yield_turn(&self) {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).drain();
    }
}
