//! The port `Transport`: what every adapter of it does the same.
//!
//! `cases` asks for nothing but a [`Broker`]; one file per adapter says how to come by one and lists the cases,
//! so that the name of a test says whom it is about.

mod broker;
mod cases;
mod memory;
mod rabbit;
