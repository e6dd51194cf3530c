//! The cases, by what they are about.

pub mod acking;
pub mod browsing;
pub mod dying;
pub mod publishing;
pub mod routing;
pub mod topology;
