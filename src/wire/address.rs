//! Where messages go: exchanges, queues and routing keys by name, all under one namespace.
//!
//! | exchange | routing key | queue |
//! | --- | --- | --- |
//! | `<ns>.requests` | `project` | `<ns>.requests` |
//! | `<ns>.phases`, `<ns>.results` | `p.<k>` | `<ns>.coordination.<k>` |
//! | `<ns>.skills` | `<skill>` | `<ns>.skill.<skill>` |
//! | `<ns>.reports` | `project` | `<ns>.management` |
//! | `<ns>.agents` | `agent.<id>`, `layer.<layer>`, `all` | `<ns>.agent.<id>` |
//! | `<ns>.events` | `<layer>.<what>.<project>` | one per watcher |
//! | `<ns>.later` | `<tier>.p.<k>`, `<tier>.project` | `<ns>.later.<tier>` |
//! | `<ns>.alarms` | `*.p.<k>`, `*.project` | `<ns>.coordination.<k>`, `<ns>.management` |
//! | `<ns>.dead` | `#`; `told.<k>`, `told.managers` | `<ns>.dead`; the owners' queues |

use std::fmt;
use std::time::Duration;

use super::content::Layer;
use super::id::is_word;
use super::{AgentId, ProjectId};

/// The first part of every name at the broker: 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace(String);

impl Namespace {
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        match is_word(&text) {
            true => Ok(Self(text)),
            false => Err(format!("namespace `{}` is not 1 to 64 of A-Z a-z 0-9 _ -", text.escape_default())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One exchange per direction, so that the broker's own permissions can say which layer may send what to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exchange {
    Requests,
    Phases,
    Skills,
    Results,
    Reports,
    Agents,
    Events,
    Later,
    Alarms,
    Dead,
}

impl Exchange {
    pub const ALL: [Self; 10] = [
        Self::Requests,
        Self::Phases,
        Self::Skills,
        Self::Results,
        Self::Reports,
        Self::Agents,
        Self::Events,
        Self::Later,
        Self::Alarms,
        Self::Dead,
    ];

    fn suffix(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Phases => "phases",
            Self::Skills => "skills",
            Self::Results => "results",
            Self::Reports => "reports",
            Self::Agents => "agents",
            Self::Events => "events",
            Self::Later => "later",
            Self::Alarms => "alarms",
            Self::Dead => "dead",
        }
    }

    /// Its name at the broker.
    pub fn name(self, namespace: &Namespace) -> String {
        format!("{namespace}.{}", self.suffix())
    }
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    Requests,
    Management,
    Coordination(u32),
    Skill(String),
    Later(Tier),
    Dead,
    Agent(AgentId),
    /// A watcher's own; the text is one word.
    Watcher(String),
}

impl Queue {
    /// Its name at the broker.
    pub fn name(&self, namespace: &Namespace) -> String {
        match self {
            Self::Requests => format!("{namespace}.requests"),
            Self::Management => format!("{namespace}.management"),
            Self::Coordination(partition) => format!("{namespace}.coordination.{partition}"),
            Self::Skill(skill) => format!("{namespace}.skill.{skill}"),
            Self::Later(tier) => format!("{namespace}.later.{}", tier.as_str()),
            Self::Dead => format!("{namespace}.dead"),
            Self::Agent(agent) => format!("{namespace}.agent.{agent}"),
            Self::Watcher(word) => format!("{namespace}.watcher.{word}"),
        }
    }
}

/// Where a message goes: an exchange and a routing key, and a second key that only dead letters are routed by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub exchange: Exchange,
    pub key: String,
    /// Told when the message dies: goes into the header `CC`, where nothing but `<ns>.dead` is bound to it.
    pub told: Option<String>,
}

impl Address {
    fn new(exchange: Exchange, key: impl Into<String>) -> Self {
        Self { exchange, key: key.into(), told: None }
    }

    /// A client's request, to whichever manager takes it.
    pub fn requests() -> Self {
        Self::new(Exchange::Requests, PROJECT_KEY)
    }

    /// From managers to the coordinator that holds a partition; managers are told when it dies.
    pub fn phases(partition: u32) -> Self {
        Self { told: Some(TOLD_MANAGERS.into()), ..Self::new(Exchange::Phases, partition_key(partition)) }
    }

    /// A command of a partition's coordinator, to whichever executor has the skill; the partition is told.
    pub fn skill(skill: &str, partition: u32) -> Self {
        Self { told: Some(told_key(partition)), ..Self::new(Exchange::Skills, skill) }
    }

    /// A command that an executor leaves to another. `reply_to` says whose it is: its partition is told as before.
    pub fn passed_on(skill: &str, reply_to: &str) -> Self {
        let told = reply_to.strip_prefix("p.").map(|partition| format!("told.{partition}"));
        Self { told, ..Self::new(Exchange::Skills, skill) }
    }

    /// An executor's answer, to the `reply_to` of the command.
    pub fn results(reply_to: &str) -> Self {
        Self::new(Exchange::Results, reply_to)
    }

    /// A phase's report, to whichever manager takes it.
    pub fn reports() -> Self {
        Self::new(Exchange::Reports, PROJECT_KEY)
    }

    /// An alarm of a phase in this partition, after `tier`; managers are told when it dies.
    pub fn phase_alarm(tier: Tier, partition: u32) -> Self {
        let key = format!("{}.{}", tier.as_str(), partition_key(partition));
        Self { told: Some(TOLD_MANAGERS.into()), ..Self::new(Exchange::Later, key) }
    }

    /// An alarm of a project, after `tier`.
    pub fn project_alarm(tier: Tier) -> Self {
        Self::new(Exchange::Later, format!("{}.{PROJECT_KEY}", tier.as_str()))
    }

    pub fn agent(agent: &AgentId) -> Self {
        Self::new(Exchange::Agents, agent_key(agent))
    }

    pub fn layer(layer: Layer) -> Self {
        Self::new(Exchange::Agents, layer_key(layer))
    }

    /// Every agent but the sender.
    pub fn everybody() -> Self {
        Self::new(Exchange::Agents, ALL_KEY)
    }

    /// What happened, for watchers: `what` is one word.
    pub fn event(layer: Layer, what: &str, project: ProjectId) -> Self {
        Self::new(Exchange::Events, format!("{layer}.{what}.{project}"))
    }

    /// A letter that nobody here can read; `key` is what it came with.
    pub fn dead(key: &str) -> Self {
        Self::new(Exchange::Dead, key)
    }
}

/// The routing key of requests, reports and projects' alarms.
pub const PROJECT_KEY: &str = "project";
/// The routing key of a broadcast.
pub const ALL_KEY: &str = "all";
/// Dead letters with this second key are shown to the managers too.
pub const TOLD_MANAGERS: &str = "told.managers";

pub fn partition_key(partition: u32) -> String {
    format!("p.{partition}")
}

/// The partition that has this routing key.
pub fn partition_with(key: &str) -> Option<u32> {
    let partition = key.strip_prefix("p.")?.parse().ok()?;
    (partition_key(partition) == key).then_some(partition)
}

/// Dead letters with this second key are shown to the partition's coordinator too.
pub fn told_key(partition: u32) -> String {
    format!("told.{partition}")
}

pub fn agent_key(agent: &AgentId) -> String {
    format!("agent.{agent}")
}

pub fn layer_key(layer: Layer) -> String {
    format!("layer.{layer}")
}

/// A skill's name becomes a routing key and a part of a queue's name: 1 to 64 of `A-Z a-z 0-9 _ -`, which
/// also keeps it apart from the keys `told.*`.
pub fn check_skill(skill: &str) -> Result<(), String> {
    match is_word(skill) {
        true => Ok(()),
        false => Err(format!("skill `{}` is not 1 to 64 of A-Z a-z 0-9 _ -", skill.escape_default())),
    }
}

/// One of the fixed delays of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    Ms250,
    S1,
    S5,
    S15,
    S60,
}

impl Tier {
    /// From the shortest to the longest.
    pub const ALL: [Self; 5] = [Self::Ms250, Self::S1, Self::S5, Self::S15, Self::S60];
    pub const LONGEST: Self = Self::S60;

    pub fn delay(self) -> Duration {
        match self {
            Self::Ms250 => Duration::from_millis(250),
            Self::S1 => Duration::from_secs(1),
            Self::S5 => Duration::from_secs(5),
            Self::S15 => Duration::from_secs(15),
            Self::S60 => Duration::from_secs(60),
        }
    }

    /// Its word in routing keys and queue names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ms250 => "250ms",
            Self::S1 => "1s",
            Self::S5 => "5s",
            Self::S15 => "15s",
            Self::S60 => "60s",
        }
    }
}
