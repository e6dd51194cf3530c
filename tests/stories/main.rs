//! Stories: what users and their peers do, from the first message to the last.

mod bad_letters;
mod bad_peers;
mod busy;
mod connections;
mod dead_letters;
mod dead_processes;
mod deleted;
mod drain;
mod executors;
mod failover;
mod fair_share;
mod forgotten;
mod frugal;
mod kills;
mod outages;
mod outlived;
mod place;
mod processes;
mod programs;
mod relay;
mod servers;
mod status;
mod takeover;
mod team;
mod unable;
mod watchers;
