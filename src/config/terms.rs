//! What a skill says of its attempts: how they are tried again, whether they are held or leased, and who is asked
//! when they have failed.

use std::time::Duration;

use super::TIMEOUT_MAX;
use super::layers::Layers;
use crate::domain::bad_input::{BadInput, quote};
use crate::domain::check::{ATTEMPTS_MAX, BACKOFF_FACTOR_MAX, BACKOFF_MS_MAX};
use crate::domain::nearest;
use crate::domain::retry::{self, Retry};
use crate::planner::duration;

const BACKOFF_MAX: Duration = Duration::from_millis(BACKOFF_MS_MAX);
const LEASE: Duration = Duration::from_secs(30);
/// A lease has to outlast this many heartbeats: one that gets lost must not cost an attempt.
const LEASE_HEARTBEATS: u32 = 3;

/// So many commands in one message: what a delivery limit strikes together is to stay small.
pub const BATCH_MAX: u32 = 256;

/// How an executor keeps what it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The command stays unacked until it is answered: for what ends within the broker's consumer timeout.
    Held,
    /// The command is accepted and acked; its executor is heard of at least this often.
    Leased { lease: Duration },
}

impl Mode {
    pub fn lease(self) -> Option<Duration> {
        match self {
            Self::Held => None,
            Self::Leased { lease } => Some(lease),
        }
    }
}

/// The skill that is asked when another has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherSkill {
    pub skill: String,
    /// After so many failures; when all attempts are used up, if it is not said.
    pub after: Option<u32>,
}

pub fn read_retry(layers: &mut Layers, skill: &str) -> Result<Retry, BadInput> {
    let key = |word: &str| format!("skills.{skill}.{word}");
    let Retry { first_ms, factor, max_ms, on } = Retry::default();
    let mut wait = |word: &str, unset: u64| {
        let duration = layers.duration(&key(word), Some(Duration::from_millis(unset)), BACKOFF_MAX)?;
        Ok(u64::try_from(duration.as_millis()).unwrap_or(BACKOFF_MS_MAX))
    };
    let (first_ms, max_ms) = (wait("backoff", first_ms)?, wait("backoff_max", max_ms)?);
    let factor = layers.integer(&key("backoff_factor"), Some(factor), 1..=BACKOFF_FACTOR_MAX)?;
    let names = layers.texts(&key("retry_on"), on.iter().map(|kind| kind.as_str().to_owned()).collect())?;
    let on = retry::kinds(names.iter().map(String::as_str)).map_err(|bad| {
        let key = key("retry_on");
        bad.at(format!("`{key}` from {}", layers.source(&key)))
    })?;
    Ok(Retry { first_ms, factor, max_ms, on })
}

pub fn read_mode(layers: &mut Layers, skill: &str, heartbeat: Duration) -> Result<Mode, BadInput> {
    let (mode, lease) = (format!("skills.{skill}.mode"), format!("skills.{skill}.lease"));
    match layers.text(&mode, "held")?.as_str() {
        "held" => match layers.optional_duration(&lease, TIMEOUT_MAX)? {
            None => Ok(Mode::Held),
            Some(_) => {
                let source = layers.source(&lease);
                Err(BadInput::new(format!("`{lease}` from {source} has no effect on a skill that is not leased"))
                    .or_else(format!("set `{mode} = \"leased\"`, or leave it out")))
            }
        },
        "leased" => {
            let duration = layers.duration(&lease, Some(LEASE), TIMEOUT_MAX)?;
            check_lease(layers, &lease, duration, heartbeat)?;
            Ok(Mode::Leased { lease: duration })
        }
        other => {
            let message = format!("`{mode}` from {} is {}, not `held` or `leased`", layers.source(&mode), quote(other));
            Err(BadInput::new(message))
        }
    }
}

/// How many commands may share one message; none: `auto`.
pub fn read_batch(layers: &mut Layers, skill: &str, mode: Mode) -> Result<Option<u32>, BadInput> {
    let key = format!("skills.{skill}.batch");
    let batch = layers.integer_or(&key, "auto", 1..=BATCH_MAX)?;
    match (batch, mode) {
        (Some(2..), Mode::Leased { .. }) => {
            let what = "has no effect on a leased skill: an executor takes one command at a time";
            Err(BadInput::new(format!("`{key}` from {} {what}", layers.source(&key))))
        }
        _ => Ok(batch),
    }
}

fn check_lease(layers: &Layers, key: &str, lease: Duration, heartbeat: Duration) -> Result<(), BadInput> {
    let least = heartbeat * LEASE_HEARTBEATS;
    if lease >= least {
        return Ok(());
    }
    let (lease, least, heartbeat) = (duration::print(lease), duration::print(least), duration::print(heartbeat));
    let message = format!(
        "`{key}` from {} is `{lease}`, shorter than {LEASE_HEARTBEATS} heartbeats of {heartbeat}",
        layers.source(key)
    );
    Err(BadInput::new(message).or_else(format!("make it at least \"{least}\", or `agents.heartbeat_interval` shorter")))
}

pub fn read_fallback(layers: &mut Layers, skill: &str) -> Result<Option<OtherSkill>, BadInput> {
    let other = layers.optional_text(&format!("skills.{skill}.fallback"))?;
    let key = format!("skills.{skill}.fallback_after");
    let after = layers.optional_integer(&key, 1..=ATTEMPTS_MAX)?;
    match (other, after) {
        (Some(skill), after) => Ok(Some(OtherSkill { skill, after })),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(BadInput::new(format!("`{key}` from {} has no effect without a `fallback`", layers.source(&key))))
        }
    }
}

/// Whether a skill's fallback is one: another skill, and a configured one.
pub fn check_fallback<'a>(
    layers: &Layers,
    skill: &str,
    OtherSkill { skill: other, .. }: &OtherSkill,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), BadInput> {
    let key = format!("skills.{skill}.fallback");
    let bad = |what: &str| BadInput::new(format!("`{key}` from {} is {}, {what}", layers.source(&key), quote(other)));
    if other == skill {
        return Err(bad("the skill itself"));
    }
    match known.clone().any(|known| known == other) {
        true => Ok(()),
        false => {
            Err(bad("which is not configured").or_perhaps(nearest::hint(other, known.filter(|known| *known != skill))))
        }
    }
}
