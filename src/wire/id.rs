//! Identities. A newtype each, so that a project's id is never taken for a message's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// A project's id: the `task_id` on every message about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectId(pub Uuid);

/// A message's id. Those of effects are derived (UUIDv5), so that an effect sent again keeps its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub Uuid);

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ProjectId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// The longest agent id and skill name, in bytes: both become part of a queue's name.
pub const NAME_BYTES_MAX: usize = 64;

/// An agent's id: 1 to 64 of `A-Z a-z 0-9 _ -`, because it is one word of a routing key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AgentId(String);

impl AgentId {
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        match is_word(&text) {
            true => Ok(Self(text)),
            false => {
                Err(format!("agent id `{}` is not 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 _ -", text.escape_default()))
            }
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Whether `text` can be one word of a routing key and a part of a queue's name.
pub fn is_word(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// `<phase>.<ordinal>`: the n-th subtask (from 0) of a project's n-th phase (from 1). With the project's id it
/// names the stream that the subtask lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubtaskId {
    pub phase: u32,
    pub ordinal: u32,
}

impl fmt::Display for SubtaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.phase, self.ordinal)
    }
}

impl FromStr for SubtaskId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // As it is written, and not otherwise: `02.1` may be somebody's name for a subtask.
        let digits = |part: &str| part.parse::<u32>().ok().filter(|number| number.to_string() == part);
        text.split_once('.')
            .and_then(|(phase, ordinal)| Some(Self { phase: digits(phase)?, ordinal: digits(ordinal)? }))
            .ok_or_else(|| format!("subtask id `{}` is not <phase>.<ordinal>", text.escape_default()))
    }
}

impl Serialize for SubtaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SubtaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The events of one project, or of one of its phases, numbered by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    Project(ProjectId),
    Phase(ProjectId, u32),
}

impl StreamId {
    pub fn project(&self) -> ProjectId {
        match *self {
            Self::Project(project) | Self::Phase(project, _) => project,
        }
    }

    /// The partition that this stream's messages go through, of `partitions` in all: xxh3 of its name.
    pub fn partition(&self, partitions: u32) -> u32 {
        let hash = xxhash_rust::xxh3::xxh3_64(self.to_string().as_bytes());
        u32::try_from(hash % u64::from(partitions.max(1))).expect("the remainder of a u32 fits a u32")
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(project) => write!(f, "project/{project}"),
            Self::Phase(project, phase) => write!(f, "phase/{project}/{phase}"),
        }
    }
}

impl FromStr for StreamId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("stream `{}` is neither project/<id> nor phase/<id>/<n>", text.escape_default());
        let mut parts = text.split('/');
        let kind = parts.next().ok_or_else(bad)?;
        let project: ProjectId = parts.next().and_then(|id| id.parse().ok()).ok_or_else(bad)?;
        let stream = match (kind, parts.next()) {
            ("project", None) => Self::Project(project),
            ("phase", Some(phase)) => Self::Phase(project, phase.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        };
        parts.next().is_none().then_some(stream).ok_or_else(bad)
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_subtasks_survive_their_text() {
        let project = ProjectId(Uuid::from_u128(7));
        for stream in [StreamId::Project(project), StreamId::Phase(project, 12)] {
            assert_eq!(stream.to_string().parse(), Ok(stream));
        }
        assert_eq!("3.41".parse(), Ok(SubtaskId { phase: 3, ordinal: 41 }));
        for bad in ["", "3", "3.", ".1", "3.1.2", "+3.1", "3.-1", "3.4294967296"] {
            assert!(bad.parse::<SubtaskId>().is_err(), "{bad}");
        }
        for bad in ["", "phase", "phase/x/1", "project/7", "phase/00000000-0000-0000-0000-000000000007"] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_partition_never_moves() {
        // A recorded value: were the hash or the text to change, running phases would lose their owner.
        let stream = StreamId::Phase(ProjectId(Uuid::from_u128(7)), 1);
        assert_eq!(stream.partition(8), RECORDED_PARTITION);
        assert!((0..200).all(|n| StreamId::Phase(ProjectId(Uuid::from_u128(n)), 1).partition(3) < 3));
    }

    const RECORDED_PARTITION: u32 = 0;
}
