//! A command that names this agent among those who failed at it goes to another executor, once, when there is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::Shop;
use super::attempt::Task;
use super::running::{Begun, settle};
use crate::runtime::port::{Confirmed, Publisher};
use crate::wire::address::Address;
use crate::wire::content::{ExecuteSubtask, Layer, Ping};
use crate::wire::{AgentId, Content, Timestamp};

/// How long the other executors have to say that they are there.
const ANSWERED_WITHIN: Duration = Duration::from_millis(300);
/// What they said is believed for so long.
const BELIEVED: Duration = Duration::from_secs(10);

/// Who else is there. Executors do not hear each other's heartbeats: they are asked when it matters.
#[derive(Default)]
pub(crate) struct Peers {
    asked: Mutex<Option<Asked>>,
}

#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    /// The same by the clock that answers are dated with.
    since: Timestamp,
}

impl Peers {
    /// Whether another live executor has the skill and is not to be avoided too. Those who ask meanwhile wait for the
    /// same answers.
    async fn have_another(&self, shop: &Shop, command: &ExecuteSubtask) -> bool {
        self.find(shop, &command.skill, &command.avoid).await
    }

    /// Whether another live executor can perform the skill.
    pub(super) async fn can(&self, shop: &Shop, skill: &str) -> bool {
        self.find(shop, skill, &[]).await
    }

    async fn find(&self, shop: &Shop, skill: &str, avoid: &[AgentId]) -> bool {
        let mut last = self.asked.lock().await;
        if let Some(asked) = last.filter(|asked| asked.at.elapsed() < BELIEVED) {
            drop(last);
            return is_there(shop, skill, avoid, asked.since);
        }
        let asked = Asked { at: Instant::now(), since: shop.ground.clock.now() };
        shop.post.say(Address::layer(Layer::Execution), Content::Ping(Ping::default()));
        let until = asked.at + ANSWERED_WITHIN;
        let mut found = false;
        while !found && timeout_at(until, shop.post.heard()).await.is_ok() {
            found = is_there(shop, skill, avoid, asked.since);
        }
        *last = Some(asked);
        found
    }
}

fn is_there(shop: &Shop, skill: &str, avoid: &[AgentId], since: Timestamp) -> bool {
    shop.post.alive().iter().any(|other| {
        other.layer == Layer::Execution
            && other.last_seen >= since
            && other.skills.iter().any(|offered| offered == skill)
            && !other.unable.iter().any(|unable| unable.skill == skill)
            && !avoid.contains(&other.agent_id)
    })
}

/// Publishes the command anew when others can do it. True when it is no longer this agent's matter.
pub(crate) async fn pass_on(shop: &Arc<Shop>, publisher: &dyn Publisher, task: &mut Task) -> bool {
    let Some(outgoing) = task.elsewhere.take() else { return false };
    if shop.stop.is_draining() || !shop.peers.have_another(shop, &task.assignment.command).await {
        return false;
    }
    // From here on it is not known here: the copy may come to this very agent, and then it is a command of its own.
    let receipts = shop.running.end(task.id);
    let confirmed = match publisher.publish(*outgoing).await {
        Ok(confirmation) => confirmation.await,
        Err(_) => Confirmed::Unknown,
    };
    if confirmed == Confirmed::Accepted {
        tracing::debug!(command = %task.id, "left to another executor");
        settle(receipts).await;
        return true;
    }
    match shop.running.take_back(task.told(), receipts, task.halt.clone()) {
        Begun::New(_) => {
            shop.drop_if_cancelled(task);
            false
        }
        // The copy has come here already.
        Begun::Known => true,
        Begun::Accepted(receipts) => {
            settle(receipts).await;
            true
        }
    }
}
