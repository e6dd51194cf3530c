//! Stories: what users and their peers do, from the first message to the last.

mod bad_letters;
mod deleted;
mod drain;
mod kills;
mod outages;
mod place;
mod processes;
mod servers;
mod status;
mod team;
