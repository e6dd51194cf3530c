//! The files of this repository that no compiler looks at.

mod compose;
mod features;
mod limits;
mod profiles;
mod style;
