//! Stories: what users and their peers do, from the first message to the last.

mod bad_letters;
mod busy;
mod drain;
mod processes;
mod team;
