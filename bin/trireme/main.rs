//! The command line. Parses, wires up, runs: no business here.

fn main() {}
