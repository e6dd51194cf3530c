//! What is true: the project machine, the phase machine, and what both stand on.
//!
//! Everything here is a pure function of a stream's state, an input and the time. Nothing awaits, logs, reads a
//! clock, draws a number or touches a store; the same input gives the same bytes.
//!
//! ```text
//! input --decide(&state)--> events --apply(&mut state)--> state --effects(cause)--> messages
//! ```
//!
//! Effects are not remembered beside the state: they are *read off* it. Each thing that must arrive (a command,
//! a phase start, a report, an alarm) has in the state the id of the message that caused it, and
//! `effects(cause)` gives what that message caused and what is still current. So the first sending, the sending
//! after a crash, and the filter over a batch of inputs are one function.

pub mod alarm;
pub mod audit;
pub mod bad_input;
pub mod check;
pub mod decision;
pub mod dossier;
pub mod duration;
pub mod expand;
pub mod nearest;
pub mod phase;
pub mod project;
pub mod ready;
pub mod retry;
pub mod to_come;
pub mod view;

pub use bad_input::BadInput;
