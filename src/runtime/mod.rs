//! How it runs: the ports, the step of the delivery protocol, and the loops of the three layers.

pub mod port;
pub mod topology;
