//! The settings, resolved once into plain structs. Nearer beats farther:
//!
//! ```text
//! built in < queues.toml (--config FILE, else ./queues.toml) < TRIREME_BROKER__URL ... < the command line
//! ```
//!
//! Whatever sets a key that nobody reads, or to something that it can not be, is refused with its name: a
//! setting never has no effect. Nothing here opens a connection or starts anything.

mod layers;
mod secret;
mod skills;
mod terms;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::domain::BadInput;
use crate::runtime::port::QueueKind;
use crate::runtime::topology::TopologyOptions;
use crate::telemetry::Format;
use crate::wire::address::Namespace;

pub use layers::{Entry, Given};
pub use secret::masked;
pub use skills::{Performer, Skill};
pub use terms::{BATCH_MAX, Mode, OtherSkill};

use layers::Layers;

/// The file that is read when no other is named and it is there.
pub const FILE: &str = "queues.toml";
/// The file that ships: the skills that it describes are there when there is no file at all.
pub const SHIPPED: &str = include_str!("../../queues.toml");

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub broker: Broker,
    pub store: Store,
    pub agents: Agents,
    pub attempts: Attempts,
    pub playbooks: Playbooks,
    pub log: Log,
    /// The skills by name; `noop` and `sleep` are always among them.
    pub skills: BTreeMap<String, Skill>,
    entries: Vec<Entry>,
}

/// `[broker]`: RabbitMQ, and the shape of the topology there.
#[derive(Debug, Clone, PartialEq)]
pub struct Broker {
    /// Where it is: `amqp://user:password@host:port/vhost`; of a cluster, one a node with commas between them.
    pub url: String,
    /// The first word of every queue's and exchange's name.
    pub namespace: Namespace,
    /// The shares into which phases are dealt among coordinators; fixed when a store is first used.
    pub partitions: u32,
    /// How many requests may wait for a manager before new ones are refused.
    pub max_pending_requests: u32,
    /// How often a command may come back from dying executors before it is given up.
    pub skill_delivery_limit: u32,
    /// How long the broker lets a delivery be held; it can not be asked.
    pub consumer_timeout: Duration,
    /// How the broker keeps the queues; fixed when they are declared.
    pub queue_type: QueueKind,
    /// Whether processes make what is missing there.
    pub declare: Declare,
}

/// What a process does about exchanges and queues that have to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declare {
    /// It makes what is missing, when it starts and when it finds out.
    Always,
    /// It looks and says what is missing: it needs no right to configure anything but its own queue.
    Check,
}

/// `[store]`: where projects are remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// `sqlite:PATH` for one machine, `postgres://user:password@host/database` for many.
    pub url: String,
}

/// `[agents]`: the worker processes.
#[derive(Debug, Clone, PartialEq)]
pub struct Agents {
    /// How often an agent says that it is there.
    pub heartbeat_interval: Duration,
    /// How often watchers are told, at the most, how an open phase stands.
    pub progress_interval: Duration,
    /// How long an agent that is to stop may go on with what it holds.
    pub shutdown_timeout: Duration,
    /// Coordinators that nobody has heard of for this long are away: the phases that they had are given up.
    pub coordinator_timeout: Duration,
    /// How many subtasks an executor runs at once.
    pub slots: u32,
}

/// `[attempts]`: the runs of subtasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempts {
    /// How long one may run when neither the subtask nor its skill says so.
    pub timeout: Duration,
    /// How long a command may wait to begin before it is dispatched anew.
    pub start_timeout: Duration,
    /// How long after its time is up an attempt may take to be answered, before its executor counts as gone.
    pub answer_timeout: Duration,
}

/// `[playbooks]`: plans for projects of some kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Playbooks {
    /// A folder of your own, which comes before those that ship; relative to where the process runs.
    pub folder: Option<PathBuf>,
}

/// `[log]`: what is said on standard error.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// What is said: a level, or levels by module (`info,trireme=debug`).
    pub filter: String,
    pub format: Format,
}

/// Each partition is a queue at the broker and a channel in every coordinator.
const PARTITIONS_MAX: u32 = 256;
/// A longer line of requests would hide that nobody takes them.
const REQUESTS_MAX: u32 = 1_000_000;
/// A poison takes an executor down each time that it comes back.
const DELIVERY_LIMIT_MAX: u32 = 1_000;
/// Each slot is a running subtask in one process.
const SLOTS_MAX: u32 = 10_000;
/// A slower heart would make live agents look dead.
const HEARTBEAT_MAX: Duration = Duration::from_secs(60);
/// Whoever watches is to see that it moves.
const PROGRESS_MAX: Duration = Duration::from_secs(60);
const GRACE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const AWAY_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest that an attempt may run, or wait: what a plan may say too.
const TIMEOUT_MAX: Duration = Duration::from_millis(crate::domain::check::TIMEOUT_MS_MAX);

impl Settings {
    /// Resolves the settings of this process. `file` is what `--config` names, `environment` all variables,
    /// `given` what the command line sets.
    pub fn resolve(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        given: Vec<Given>,
    ) -> Result<Self, BadInput> {
        let file = file.or_else(|| Some(Path::new(FILE)).filter(|file| file.exists()));
        Self::from_layers(Layers::new(file, environment, given)?)
    }

    fn from_layers(mut layers: Layers) -> Result<Self, BadInput> {
        let broker = Broker {
            url: layers.urls("broker.url", &["amqp://", "amqps://"])?,
            namespace: layers.parsed("broker.namespace", Namespace::new)?,
            partitions: layers.integer("broker.partitions", None, 1..=PARTITIONS_MAX)?,
            max_pending_requests: layers.integer("broker.max_pending_requests", None, 1..=REQUESTS_MAX)?,
            skill_delivery_limit: layers.integer("broker.skill_delivery_limit", None, 1..=DELIVERY_LIMIT_MAX)?,
            consumer_timeout: layers.duration("broker.consumer_timeout", None, TIMEOUT_MAX)?,
            queue_type: layers.parsed("broker.queue_type", |text| match text.as_str() {
                "quorum" => Ok(QueueKind::Quorum),
                "classic" => Ok(QueueKind::Classic),
                _ => Err("it is neither `quorum` nor `classic`".into()),
            })?,
            declare: layers.parsed("broker.declare", |text| match text.as_str() {
                "always" => Ok(Declare::Always),
                "check" => Ok(Declare::Check),
                _ => Err("it is neither `always` nor `check`".into()),
            })?,
        };
        let store = Store {
            url: layers.url_or("store.url", crate::store::MEMORY, &["sqlite:", "postgres://", "postgresql://"])?,
        };
        let agents = Agents {
            heartbeat_interval: layers.duration("agents.heartbeat_interval", None, HEARTBEAT_MAX)?,
            progress_interval: layers.duration("agents.progress_interval", None, PROGRESS_MAX)?,
            shutdown_timeout: layers.duration("agents.shutdown_timeout", None, GRACE_MAX)?,
            coordinator_timeout: layers.duration("agents.coordinator_timeout", None, AWAY_MAX)?,
            slots: layers.integer("agents.slots", None, 1..=SLOTS_MAX)?,
        };
        let attempts = Attempts {
            timeout: layers.duration("attempts.timeout", None, TIMEOUT_MAX)?,
            start_timeout: layers.duration("attempts.start_timeout", None, TIMEOUT_MAX)?,
            answer_timeout: layers.duration("attempts.answer_timeout", None, TIMEOUT_MAX)?,
        };
        let playbooks = Playbooks { folder: layers.optional_text("playbooks.folder")?.map(PathBuf::from) };
        let log = Log {
            filter: layers.parsed("log.filter", Ok)?,
            format: layers.parsed("log.format", |text| match text.as_str() {
                "text" => Ok(Format::Text),
                "json" => Ok(Format::Json),
                _ => Err("it is neither `text` nor `json`".into()),
            })?,
        };
        let skills = skills::read(&mut layers, &agents, &attempts)?;
        let entries = layers.into_entries();
        Ok(Self { broker, store, agents, attempts, playbooks, log, skills, entries })
    }

    /// Every key with its value and where it is from, in the order of the file that ships; passwords masked.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the shape of the topology depends on.
    pub fn topology(&self) -> TopologyOptions {
        TopologyOptions {
            namespace: self.broker.namespace.clone(),
            partitions: self.broker.partitions,
            skills: self.skills.keys().cloned().collect(),
            requests_max: self.broker.max_pending_requests,
            skill_delivery_limit: self.broker.skill_delivery_limit,
            queue_kind: self.broker.queue_type,
        }
    }
}

/// `{key: {value, source}}`, for `config show --json`.
pub fn entries_json(entries: &[Entry]) -> Value {
    let entry = |entry: &Entry| serde_json::json!({ "value": entry.value, "source": entry.source });
    Value::Object(entries.iter().map(|one| (one.key.clone(), entry(one))).collect())
}

#[cfg(test)]
mod tests;
