//! What is true: pure data and pure functions. Nothing here waits, logs, reads a clock or touches the world.

pub mod bad_input;
pub mod check;
pub mod nearest;

pub use bad_input::BadInput;
