//! The phase machine: the graph of one phase, its attempts, and its report. Coordinators run it.
//!
//! ```text
//!   StartProjectPhase --> Opened, SubtasksAdded*, Planned --> BUSY --> Ended (COMPLETED or ERROR)
//!
//!   subtask:  IDLE --dependencies done--> READY --allowance--> BUSY --result--> COMPLETED
//!                                           ^                   |--failure, charged, none left--> ERROR
//!                                           |                   `--failure--> BUSY again (attempt + 1),
//!                                           `------ due ------ WAITING <--uncharged, again and again--'
//! ```
//!
//! | input | open phase | ended phase | unknown phase |
//! | --- | --- | --- | --- |
//! | Start | nothing | reports again if it is a newer word | opens it |
//! | Completion, Failure of the current command | recorded | nothing | refused |
//! | Completion, Failure of another | nothing | nothing | refused |
//! | Completion, Failure of no subtask | refused | nothing | refused |
//! | Alarm, not stale | sweeps, next alarm | nothing | refused |
//! | DeadCommand, Refused | recorded | nothing | refused |
//! | Recover | all in flight again | reports again | refused |
//!
//! `attempt` counts dispatches and only tells them apart; `failures` (those that are charged) is what
//! `max_attempts` bounds. A result is fenced by the id of the command that it answers.

mod answer;
mod dispatch;
mod draft;
mod event;
mod input;
mod open;
mod state;
mod sweep;

pub use event::{Event, Opened, Outcome};
pub use input::{Answer, AnswerBody, Context, DeadCommand, Input, Refusal, Start, Why};
pub use state::{Ended, Flight, Phase, SNAPSHOT_FORMAT, Subtask};

use super::decision::{Decision, Effect};
use crate::wire::MessageId;
use draft::Draft;

/// What an input means to a phase. `cause` is the id of the message that brought it. The state is moved on by
/// exactly the events that are returned: when they can not be committed it is to be thrown away.
pub fn decide(phase: &mut Phase, cause: MessageId, input: &Input, context: &Context<'_>) -> Decision<Event> {
    let (is_open, has_ended) = (phase.opened.is_some(), phase.ended.is_some());
    let mut draft = Draft::new(phase, cause, context);
    let verdict = match (input, is_open, has_ended) {
        (Input::Start(start), false, _) => open::on_start(&mut draft, start),
        (Input::Start(_), true, false) => Err(Decision::Nothing("the phase is open")),
        (Input::Start(start), true, true) => sweep::on_start_after_end(&mut draft, start),
        (_, false, _) => Err(Decision::Refuse("unknown_stream")),

        (Input::Answer(answer), true, false) => answer::on_answer(&mut draft, answer),
        (Input::DeadCommand(dead), true, false) => answer::on_dead_command(&mut draft, dead),
        (Input::Refused(refusal), true, false) => dispatch::on_refused(&mut draft, refusal),
        (Input::Alarm { number }, true, false) => sweep::on_alarm(&mut draft, *number),
        (Input::Recover, true, false) => sweep::on_recover(&mut draft),

        (Input::Refused(refusal), true, true) => sweep::on_report_refused(&mut draft, refusal),
        (Input::Alarm { number }, true, true) => sweep::on_alarm_after_end(&mut draft, *number),
        (Input::Recover, true, true) => sweep::on_recover_after_end(&mut draft),
        (Input::Answer(_) | Input::DeadCommand(_), true, true) => Err(Decision::Nothing("the phase has ended")),
    };
    match verdict {
        Ok(()) => Decision::Record(draft.into_events()),
        Err(otherwise) => otherwise,
    }
}

/// What `cause` had sent and what is still current: the one function behind the first sending, the sending
/// after a crash, and the filter over a batch.
pub fn effects(phase: &Phase, cause: MessageId) -> Vec<Effect> {
    let mut effects = Vec::new();
    for &ordinal in phase.caused.get(&cause).map(|caused| &caused.ordinals).into_iter().flatten() {
        if let Some(flight) = phase.flights.get(&ordinal).filter(|flight| flight.cause == cause) {
            effects.push(Effect::Execute { ordinal, attempt: flight.attempt });
        }
    }
    match &phase.ended {
        Some(ended) if ended.cause == cause => effects.push(Effect::Report),
        _ => {}
    }
    if phase.wants_alarm() {
        effects.extend(phase.alarms.caused_by(cause));
    }
    effects
}

#[cfg(test)]
mod tests;
