//! `[skills.<name>]`: what executors can do. A project file names skills and nothing more: what runs on a
//! machine is this section's matter alone.

use std::collections::BTreeMap;
use std::time::Duration;

use config::ValueKind;
use serde_json::{Map, Value};

use super::layers::Layers;
use super::terms::{self, Mode, OtherSkill};
use super::{Agents, Attempts, SLOTS_MAX, TIMEOUT_MAX};
use crate::domain::bad_input::{BadInput, quote};
use crate::domain::check::ATTEMPTS_MAX;
use crate::domain::expand::{Fallback, SkillDefaults};
use crate::domain::nearest;
use crate::domain::retry::Retry;
use crate::runner;
use crate::wire::address::check_skill;

/// The skills that are always there, performed by the runners of the same name.
pub const ALWAYS: [&str; 2] = ["noop", "sleep"];
/// The runner of a skill that other programs perform: its queue is declared, and nothing of ours consumes it.
const EXTERNAL: &str = "external";
const KEYS: [&str; 15] = [
    "runner",
    "concurrency",
    "prefetch",
    "batch",
    "timeout",
    "max_attempts",
    "backoff",
    "backoff_factor",
    "backoff_max",
    "retry_on",
    "queue_wait",
    "mode",
    "lease",
    "fallback",
    "fallback_after",
];
/// Charged failures that end a subtask, unless its plan or its skill says otherwise.
const ATTEMPTS: u32 = 3;
/// A `noop` takes no time: the more of them one round trip brings, the better.
const NOOP_PREFETCH: u32 = 512;
const PREFETCH_MAX: u32 = u16::MAX as u32;

/// One skill.
#[derive(Debug, Clone, PartialEq)]
pub struct Skill {
    pub performer: Performer,
    /// How many subtasks of this skill an executor runs at once; `agents.slots` by default.
    pub concurrency: u32,
    /// How many commands an executor holds at once; `concurrency` by default, so that none waits behind it. Leased
    /// ones are taken one at a time.
    pub prefetch: u16,
    /// How many of its commands may share one message; none: as its work allows.
    pub batch: Option<u32>,
    /// How long one attempt may run, unless the plan says otherwise.
    pub timeout: Duration,
    /// How many charged failures end a subtask, unless the plan says otherwise.
    pub max_attempts: u32,
    /// Which failures are tried again, and how long that waits, unless the plan says otherwise.
    pub retry: Retry,
    /// How long a command may wait to begin before that is charged as a failure.
    pub queue_wait: Option<Duration>,
    pub mode: Mode,
    /// The skill that is asked when this one has failed.
    pub fallback: Option<OtherSkill>,
}

impl Skill {
    /// What holds for its subtasks where they do not say it themselves. `all` has its fallback.
    pub fn defaults(&self, all: &BTreeMap<String, Self>) -> SkillDefaults {
        let fallback = self.fallback.as_ref().and_then(|other| Some((other, all.get(&other.skill)?)));
        SkillDefaults {
            timeout_ms: milliseconds(self.timeout),
            max_attempts: self.max_attempts,
            retry: self.retry.clone(),
            queue_wait_ms: self.queue_wait.map(milliseconds),
            lease_ms: self.mode.lease().map(milliseconds),
            fallback: fallback.map(|(other, terms)| Fallback {
                after: other.after,
                skill: other.skill.clone(),
                timeout_ms: milliseconds(terms.timeout),
                max_attempts: terms.max_attempts,
                retry: terms.retry.clone(),
                queue_wait_ms: terms.queue_wait.map(milliseconds),
                lease_ms: terms.mode.lease().map(milliseconds),
            }),
        }
    }
}

/// Durations of settings are far below what 64 bits have.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Who performs a skill.
#[derive(Debug, Clone, PartialEq)]
pub enum Performer {
    /// Programs that are none of ours.
    External,
    /// A runner of an executor, with `[skills.<name>.<kind>]` as its options.
    Runner { kind: String, options: Option<Value> },
}

/// The keys of the skills of a file. What is unset here depends on other settings, or is not to be left out.
pub fn defaults(file: &Map<String, Value>) -> BTreeMap<String, ValueKind> {
    let of_skill = |name: String| {
        let runner = if ALWAYS.contains(&name.as_str()) { name.as_str().into() } else { ValueKind::Nil };
        KEYS.map(|key| (format!("skills.{name}.{key}"), if key == "runner" { runner.clone() } else { ValueKind::Nil }))
    };
    sections(file).into_keys().filter(|name| check_skill(name).is_ok()).flat_map(of_skill).collect()
}

pub fn read(layers: &mut Layers, agents: &Agents, attempts: &Attempts) -> Result<BTreeMap<String, Skill>, BadInput> {
    let skills: BTreeMap<String, Skill> = sections(layers.file())
        .into_iter()
        .map(|(name, section)| Ok((name.clone(), read_one(layers, &name, &section, agents, attempts)?)))
        .collect::<Result<_, BadInput>>()?;
    let names = || skills.keys().map(String::as_str);
    for (name, skill) in &skills {
        if let Some(other) = &skill.fallback {
            terms::check_fallback(layers, name, other, names())?;
        }
        if let Performer::Runner { kind, options } = &skill.performer {
            let place = format!("`skills.{name}.runner` from {}", layers.source(&format!("skills.{name}.runner")));
            runner::check(kind, options.as_ref()).map_err(|error| error.bad_input().at(place))?;
        }
    }
    Ok(skills)
}

fn sections(file: &Map<String, Value>) -> BTreeMap<String, Value> {
    let always = ALWAYS.map(|name| (name.to_owned(), Value::Object(Map::new())));
    let own = file.get("skills").and_then(Value::as_object).cloned().unwrap_or_default();
    always.into_iter().chain(own).collect()
}

/// What is wrong with a section that names no runner: perhaps it does, by another name.
fn no_runner(layers: &Layers, name: &str, section: &Map<String, Value>) -> BadInput {
    let unknown = section.keys().filter(|key| !KEYS.contains(&key.as_str()));
    let meant = unknown.filter_map(|key| Some((key, nearest::hint(key, KEYS)?))).next();
    match meant {
        Some((key, hint)) => unknown_key(layers, name, key, Some(hint)),
        None => BadInput::new(format!("`skills.{name}.runner` from `default`: skill `{name}` has no runner")),
    }
}

fn unknown_key(layers: &Layers, name: &str, key: &str, hint: Option<String>) -> BadInput {
    BadInput::new(format!("unknown key `skills.{name}.{key}` in {}", quote(layers.file_name()))).or_perhaps(hint)
}

fn read_one(
    layers: &mut Layers,
    name: &str,
    section: &Value,
    agents: &Agents,
    attempts: &Attempts,
) -> Result<Skill, BadInput> {
    let file = quote(layers.file_name());
    check_skill(name).map_err(|error| BadInput::new(format!("{error} in {file}")))?;
    let Value::Object(section) = section else {
        return Err(BadInput::new(format!("`skills.{name}` in {file} is no table")));
    };
    let key = |word: &str| format!("skills.{name}.{word}");
    let kind = layers.optional_text(&key("runner"))?.ok_or_else(|| no_runner(layers, name, section))?;
    let performer = read_performer(layers, name, kind, section)?;
    let concurrency = layers.integer(&key("concurrency"), Some(agents.slots), 1..=SLOTS_MAX)?;
    let mode = terms::read_mode(layers, name, agents.heartbeat_interval)?;
    Ok(Skill {
        performer,
        concurrency,
        prefetch: read_prefetch(layers, name, mode, concurrency)?,
        batch: terms::read_batch(layers, name, mode)?,
        timeout: layers.duration(&key("timeout"), Some(attempts.timeout), TIMEOUT_MAX)?,
        max_attempts: layers.integer(&key("max_attempts"), Some(ATTEMPTS), 1..=ATTEMPTS_MAX)?,
        retry: terms::read_retry(layers, name)?,
        queue_wait: layers.optional_duration(&key("queue_wait"), TIMEOUT_MAX)?,
        mode,
        fallback: terms::read_fallback(layers, name)?,
    })
}

/// A leased command leaves the prefetch window when it begins: with a wider one the next would wait behind it.
fn read_prefetch(layers: &mut Layers, name: &str, mode: Mode, concurrency: u32) -> Result<u16, BadInput> {
    let key = format!("skills.{name}.prefetch");
    let prefetch = match mode {
        Mode::Held => {
            let unset = if name == "noop" { NOOP_PREFETCH.max(concurrency) } else { concurrency };
            layers.integer(&key, Some(unset), 1..=PREFETCH_MAX)?
        }
        Mode::Leased { .. } if layers.optional_integer(&key, 1..=PREFETCH_MAX)?.is_some() => {
            let what = "has no effect on a leased skill: an executor takes one command at a time";
            return Err(BadInput::new(format!("`{key}` from {} {what}", layers.source(&key))));
        }
        Mode::Leased { .. } => 1,
    };
    Ok(u16::try_from(prefetch).unwrap_or(u16::MAX))
}

/// The runner's own table is the only one that a skill may have; what is in it is the runner's to judge.
fn read_performer(
    layers: &mut Layers,
    name: &str,
    kind: String,
    section: &Map<String, Value>,
) -> Result<Performer, BadInput> {
    let is_known = |key: &str| KEYS.contains(&key) || (key == kind && kind != EXTERNAL);
    if let Some(key) = section.keys().find(|key| !is_known(key)) {
        let own = [kind.as_str()].into_iter().filter(|kind| *kind != EXTERNAL);
        return Err(unknown_key(layers, name, key, nearest::hint(key, KEYS.into_iter().chain(own))));
    }
    if kind == EXTERNAL {
        return Ok(Performer::External);
    }
    let options = section.get(&kind).cloned();
    let source = layers.file_name().to_owned();
    for (option, value) in options.iter().filter_map(Value::as_object).flatten() {
        layers.note(format!("skills.{name}.{kind}.{option}"), value.clone(), source.clone());
    }
    Ok(Performer::Runner { kind, options })
}
