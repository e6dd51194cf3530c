//! Trireme runs hierarchical teams of agents as three layers of worker processes on RabbitMQ.
//!
//! Imports go in one direction, which `tests/architecture.rs` checks:
//!
//! ```text
//! wire -> domain -> runtime (owns the ports) -> { transport, store, planner, runner } -> { config, telemetry } -> bin
//! ```
//!
//! `broken` stands beside them: rules that builds for tests can leave out.

pub mod broken;
pub mod config;
pub mod domain;
pub mod planner;
pub mod runner;
pub mod runtime;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod wire;
