//! What a process of any layer has to be told before it can run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::port::{Clock, Planner, Store, Transport};
use super::topology::TopologyOptions;
use crate::domain::expand::SkillDefaults;
use crate::wire::AgentId;
use crate::wire::content::Layer;

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub agent_id: AgentId,
    pub name: String,
    pub layer: Layer,
    pub host: String,
    pub pid: u32,
}

/// What every agent stands on; an executor needs no more.
#[derive(Clone)]
pub struct Ground {
    pub transport: Arc<dyn Transport>,
    pub clock: Arc<dyn Clock>,
    /// What is declared again when it is gone: an executor leaves the partitions to the owners.
    pub topology: Arc<TopologyOptions>,
    pub timing: Timing,
}

/// The world of an owner of streams: its ports, and what all owners agree on.
#[derive(Clone)]
pub struct World {
    pub transport: Arc<dyn Transport>,
    pub store: Arc<dyn Store>,
    /// The store's own id: agents on another store are no peers.
    pub store_id: Uuid,
    pub clock: Arc<dyn Clock>,
    pub planners: Arc<[Arc<dyn Planner>]>,
    pub skills: Arc<BTreeMap<String, SkillOptions>>,
    pub topology: Arc<TopologyOptions>,
    pub timing: Timing,
}

impl World {
    pub fn ground(&self) -> Ground {
        Ground {
            transport: self.transport.clone(),
            clock: self.clock.clone(),
            topology: self.topology.clone(),
            timing: self.timing,
        }
    }
}

/// What is known of a skill wherever its subtasks are planned or run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillOptions {
    /// How many attempts of it one executor runs at once.
    pub concurrency: u32,
    /// How many commands of it an executor holds: a stop gives back what it has not begun.
    pub prefetch: u16,
    /// Programs that are none of ours perform it: nothing is heard of them but their answers.
    pub is_external: bool,
    /// How many commands of it may share one message, first attempts only; none: as its work allows.
    pub batch: Option<u32>,
    /// What holds for its subtasks where they do not say it themselves; its fallback's terms are resolved in it.
    pub defaults: SkillDefaults,
}

impl SkillOptions {
    pub fn defaults(&self) -> SkillDefaults {
        self.defaults.clone()
    }
}

/// How long things take, or may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Between two words to watchers of how an open phase stands, as long as it moves.
    pub progress: Duration,
    /// What a drain may take before everything is given back.
    pub grace: Duration,
    /// How long a command may wait to begin before it is dispatched anew.
    pub start_within: Duration,
    /// How long after its time is up an attempt may take to be answered, before its executor counts as gone.
    pub answer_within: Duration,
    /// Coordinators that nobody has heard of for this long are away: the phases that they had are given up.
    pub away: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            progress: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            start_within: Duration::from_secs(600),
            answer_within: Duration::from_secs(30),
            away: Duration::from_secs(3_600),
        }
    }
}
