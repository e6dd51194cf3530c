//! Executors that are written against nothing but the description of the wire, and that do not keep to it. Whatever
//! they do, the project ends, every outcome is recorded once, and what nobody could handle lies among the dead.

mod crew;
mod peer;

mod answers_for_others;
mod answers_garbage;
mod answers_twice;
mod claims_a_later_attempt;
mod dies_before_its_ack;
mod never_answers;
