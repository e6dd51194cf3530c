//! The command line, as processes.

mod running;
