//! The adapters of the port `Transport`.

pub mod memory;
