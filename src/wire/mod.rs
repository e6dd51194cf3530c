//! What travels: the envelope, its contents, the addresses it goes to, and the one codec.
//!
//! Everything here is plain data with its JSON form. Nothing here decides, waits or does I/O, and nothing
//! here knows a broker: [`codec`] turns bytes into envelopes and back, [`address`] names exchanges, queues
//! and routing keys.

pub mod address;
pub mod codec;
pub mod content;
pub mod envelope;
pub mod failure;
pub mod id;
pub mod plan;
pub mod policy;
mod presence;
pub mod raw;
pub mod status;
pub mod time;

pub use content::Content;
pub use envelope::{Envelope, MessageType};
pub use failure::{Failure, FailureKind};
pub use id::{AgentId, MessageId, ProjectId, StreamId, SubtaskId};
pub use plan::{GoalPlan, RunAfter, SubtaskPlan};
pub use policy::Policy;
pub use raw::Raw;
pub use status::{AgentStatus, Counts, Status, SubtaskStatus};
pub use time::Timestamp;
