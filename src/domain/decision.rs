//! What both machines answer with, and the ids of what they cause.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::{MessageId, ProjectId};

/// What a machine makes of an input.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision<E> {
    /// These events are to be remembered; the input's effects follow from the state after them.
    Record(Vec<E>),
    /// Nothing to remember: the input was handled before, or belongs to what is over. Not an error. This too
    /// holds only at the version that it was decided at.
    Nothing(&'static str),
    /// The input can not be meant for this stream. It is set aside among the dead letters, never dropped.
    Refuse(&'static str),
}

/// Why a machine refuses what is about a stream without a beginning.
pub const UNKNOWN_STREAM: &str = "unknown_stream";

/// What must arrive, by its place in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// The command of one attempt, to its skill's queue.
    Execute { ordinal: u32, attempt: u32 },
    /// A phase, to its partition's coordinator.
    StartPhase { phase: u32 },
    /// That a phase ended, to the managers.
    Report,
    /// The stream's alarm, to its owner, later.
    Alarm { number: u64 },
    /// A question of a phase to the managers: what is to become of a subtask that failed for good?
    Ask { ordinal: u32, attempt: u32 },
    /// A word of a project to its current phase, by its number in the project.
    Tell { number: u32 },
}

/// The longest error that an event keeps, in bytes: enough for a message; a log has its own place.
const ERROR_BYTES_MAX: usize = 4 * 1024;

/// Somebody's error, cut to what an event may carry of it: it travels on in reports, which have to fit.
pub fn cut(error: &str) -> String {
    match error.len() > ERROR_BYTES_MAX {
        true => format!("{} ...", &error[..error.floor_char_boundary(ERROR_BYTES_MAX)]),
        false => error.to_owned(),
    }
}

/// The id of an effect's message: a UUIDv5 in the project's own random namespace, of what caused it and what
/// it is. Sent again, it has the same id; caused by something else, another.
pub fn effect_id(namespace: Uuid, cause: MessageId, stream_phase: u32, effect: Effect) -> MessageId {
    let mut name = [0u8; 16 + 4 + 1 + 12];
    name[..16].copy_from_slice(cause.0.as_bytes());
    name[16..20].copy_from_slice(&stream_phase.to_be_bytes());
    let (kind, first, second) = match effect {
        Effect::Execute { ordinal, attempt } => (1u8, u64::from(ordinal), attempt),
        Effect::StartPhase { phase } => (2, u64::from(phase), 0),
        Effect::Report => (3, 0, 0),
        Effect::Alarm { number } => (4, number, 0),
        Effect::Ask { ordinal, attempt } => (5, u64::from(ordinal), attempt),
        Effect::Tell { number } => (6, u64::from(number), 0),
    };
    name[20] = kind;
    name[21..29].copy_from_slice(&first.to_be_bytes());
    name[29..33].copy_from_slice(&second.to_be_bytes());
    MessageId(Uuid::new_v5(&namespace, &name))
}

/// The id of an executor's answer to a command: the same however often it is given.
pub fn answer_id(command: MessageId, agent: &str) -> MessageId {
    MessageId(Uuid::new_v5(&command.0, agent.as_bytes()))
}

/// The id of an executor's word that it has taken a command on. No agent is called like this, so it is nobody's answer.
pub fn accepted_id(command: MessageId, agent: &str) -> MessageId {
    MessageId(Uuid::new_v5(&command.0, format!("accepted by {agent}").as_bytes()))
}

/// The id that a `Recover` of one start of a process has for one project.
pub fn recover_id(start: Uuid, project: ProjectId, phase: u32) -> MessageId {
    let mut name = [0u8; 20];
    name[..16].copy_from_slice(project.0.as_bytes());
    name[16..].copy_from_slice(&phase.to_be_bytes());
    MessageId(Uuid::new_v5(&start, &name))
}
