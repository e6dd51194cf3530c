//! The files of this repository that no compiler looks at.

mod compose;
mod limits;
mod profiles;
