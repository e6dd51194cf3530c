//! How it runs: the ports, the step of the delivery protocol, and the loops of the three layers.

pub mod check;
pub mod client;
pub mod coordinator;
pub mod dead;
pub mod executor;
pub mod manager;
pub mod options;
mod outage;
mod patience;
pub mod port;
pub mod reader;
pub mod recover;
pub mod retention;
pub mod stop;
pub mod supervise;
pub mod topology;

mod clocks;
mod commit;
mod herald;
mod inbox;
mod lane;
mod letter;
mod presence;
mod role;
mod states;
mod watch;

pub use options::{Ground, Identity, SkillOptions, Timing, World};
pub use stop::Stop;
pub use supervise::Fatal;
