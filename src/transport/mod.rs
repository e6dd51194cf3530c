//! The adapters of the port `Transport`. Only `rabbit` names lapin.

pub mod memory;
pub mod rabbit;
