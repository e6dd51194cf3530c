//! One contract suite a port, passed by every adapter of it. The names of the tests name the adapter.

mod store;
mod transport;
