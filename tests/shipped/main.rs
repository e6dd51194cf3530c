//! What ships as data: the playbook, the examples, and the scripts that they run.
fn main() {}
