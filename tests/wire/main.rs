//! What travels and what is kept: a recorded example of every message, what becomes of bytes that are none, and
//! recorded histories that must fold to what they meant for ever.

mod arrays;
mod bytes;
mod faults;
mod histories;
mod mutants;
mod properties;
mod records;
mod strategies;
