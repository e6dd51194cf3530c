//! What the runtime needs of the world, and nothing of whose: a transport, a store, planners, runners, a clock.
//!
//! A port names no vendor. Each one has two real adapters at least, and one contract suite that all of them pass.

mod clock;
mod planner;
mod runner;
mod store;
mod transport;

pub use clock::{Clock, FOLLOW_EVERY, SteadyClock, SystemClock};
pub(crate) use planner::guarded;
pub use planner::{PlanError, PlannedGoals, Planner};
pub use runner::{Assignment, ExecutorFault, Report, Runner};
pub use store::{
    Append, CHUNK_BYTES_MAX, EventChunk, KEYS_MAX, Page, Payload, PayloadKind, Removal, Snapshot, Store, StoreError,
    StoreIdentity, Stored, Summary, SummaryQuery,
};
pub use transport::{
    Acker, Binding, Browser, Confirmation, Confirmed, Consumer, Death, Delivery, ExchangeKind, Origin, Outgoing,
    Properties, Publisher, QueueDepth, QueueKind, QueueSpec, Tag, Topology, Transport, TransportError,
};
