//! What happened to a project, stored for ever. A field may be added with a default; none may change its meaning.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::alarm::CurrentAlarm;
use crate::wire::content::PlaybookRef;
use crate::wire::{Counts, GoalPlan, MessageId, Raw, Status, Timestamp};

/// One event of the stream `project/<id>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A manager took the request.
    Accepted(Accepted),
    /// A goal of the plan, in the plan's order.
    GoalPlanned { goal: GoalPlan },
    /// A phase was handed to the coordinators; the same one again when the first time may not have arrived.
    PhaseStarted { at: Timestamp, cause: MessageId, phase: u32, partition: u32 },
    /// A phase could not be handed over: its queue refused it.
    StartRefused { at: Timestamp, phase: u32, again_at: Timestamp, error: String },
    /// A phase ended.
    PhaseReported { at: Timestamp, phase: u32, status: Status, counts: Counts, error: Option<String> },
    /// The stream's alarm from now on.
    AlarmSet { at: Timestamp, alarm: CurrentAlarm },
    /// Nothing more will happen here by itself.
    Ended { at: Timestamp, cause: MessageId, status: Status, error: Option<String> },
}

/// The request as it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    pub at: Timestamp,
    pub cause: MessageId,
    pub name: String,
    pub description: String,
    /// The agent to be told of the end.
    pub requester: String,
    pub run: u32,
    pub id_namespace: Uuid,
    /// The blake3 hash of the request, in hexadecimal: another request under the same id is refused by it.
    pub fingerprint: String,
    pub partitions: u32,
    pub parameters: Raw,
    pub policy: Raw,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookRef>,
}
