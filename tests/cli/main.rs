//! The command line as it is met by people and scripts: the real binary, its output and its exit status. Bad input
//! of every kind gives one line, a hint where there is a way out, and never a panic.

mod agents;
mod bad_files;
mod bad_places;
mod bad_settings;
mod bad_usage;
mod call;
mod json_failures;
mod keeping;
mod reading;
mod running;
mod terminal;
