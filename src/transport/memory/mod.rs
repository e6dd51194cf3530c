//! A broker in memory: RabbitMQ's semantics as far as the system leans on them, for `trireme run` and for the
//! simulator.
//!
//! It is deterministic: ordered maps, no random numbers, tokio's time, no threads of its own. The same calls in
//! the same order give the same deliveries. It must never lean on a caller to make progress: a message whose
//! time is up moves although nobody polls anything.
//!
//! ```text
//! MemoryBroker --connect(name)--> MemoryTransport --+-- MemoryConsumer, MemoryAcker --+
//!      |                                            +-- MemoryPublisher --------------+--> Core, behind one lock
//!      +-- one task: answers publishes, moves what expired ---------------------------+
//! ```
//!
//! Every call changes the core under its lock and leaves; nothing is awaited while it is held. What a queue hands
//! out lands in the buffer of the consumer's channel at once, and counts as unacked from then on, as it does with
//! RabbitMQ. A confirm comes with a later turn of the broker's task, and not at all when the connection is cut
//! before that: the publisher does not know then, although the message may have arrived.
//!
//! Deliberately absent: durability (nothing outlives the process), permissions, the consumer timeout, and the
//! standstill of a queue with 32 dead letters that nobody takes (here they wait, and the others pass).

mod broker;
mod browser;
mod channel;
mod connection;
mod consumer;
mod core;
mod deliveries;
mod exchange;
mod inspection;
mod message;
mod publisher;
mod queue;
mod topology;

#[cfg(test)]
mod tests;

pub use broker::MemoryBroker;
pub use connection::MemoryTransport;
pub use inspection::{InspectedMessage, Inspection, Place};
pub use message::Content;
pub use queue::ReturnOrder;
