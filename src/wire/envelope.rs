//! The envelope round every message: seven fields, all of which survive a round trip.

use serde::{Deserialize, Serialize};

use super::{Content, MessageId, ProjectId, Timestamp};

/// The seven fields. On the wire `content` is an object whose `type` names its shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope {
    pub message_id: MessageId,
    /// The agent that sent it.
    pub sender_id: String,
    /// Whom it is for: an agent, or the routing key of whoever may take it.
    pub receiver_id: String,
    pub message_type: MessageType,
    pub content: Content,
    pub timestamp: Timestamp,
    /// The project that it is about; nil for messages about agents.
    pub task_id: ProjectId,
}

/// What kind of message it is, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MessageType {
    Request,
    Response,
    StatusUpdate,
    Error,
    Command,
    Result,
}
