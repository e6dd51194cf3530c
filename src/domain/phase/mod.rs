//! The phase machine: the graph of one phase, its attempts, and its report. Coordinators run it.
//!
//! ```text
//!   StartProjectPhase --> Opened, SubtasksAdded*, Planned --> BUSY --> Ended (COMPLETED, ERROR or CANCELLED)
//!
//!   subtask:  IDLE --dependencies done--> READY --allowance--> BUSY --result--> COMPLETED
//!              |                            ^                   |
//!              |                            `------ due ------ WAITING <--failure, tried again (its skill, or fallback)
//!              |                                                |  ^
//!              |                                       answered |  `--failure, used up, policy `ask`
//!              `--skipped before it--> SKIPPED <----------------|
//!                                        ^                      `--> ERROR <-- used up, `fail`, `replan`
//!                                        `-- used up, `skip`, `continue`      (any) --cancel--> CANCELLED
//! ```
//!
//! | input | open phase | ended phase | unknown phase |
//! | --- | --- | --- | --- |
//! | Start, newer than the last | recorded, and the alarm anew when it got lost | reports again | opens it |
//! | Start, another | nothing, or the alarm anew when it got lost | nothing | |
//! | Completion, Failure of the current command | recorded | nothing | refused |
//! | of one that is not wanted any more | need not be told again | the same | refused |
//! | of another | nothing | nothing | refused |
//! | of no subtask | refused | nothing | refused |
//! | Accepted of the current command | leased | nothing | refused |
//! | Cancel, Pause, Resume, newer than the last | recorded | nothing | tombstone |
//! | CancelSubtask | recorded | nothing | tombstone |
//! | Decide | recorded | nothing | refused |
//! | Alarm, not stale | sweeps, next alarm | while something is still to be told | refused |
//! | DeadCommand, Refused | recorded | a refused report is tried again | refused |
//! | Recover | all in flight and asked again | reports again | remembered |
//! | CancelSubtask, Recover, heard before | nothing | nothing | nothing |
//!
//! A cleanup (`run_after` is `failure` or `always`) is READY when all its dependencies are over, also in a phase that is
//! failing, or SKIPPED when nothing has failed that it was to run after.
//!
//! `attempt` counts dispatches and only tells them apart; `failures` (those that are charged) is what
//! `max_attempts` bounds. A result is fenced by the id of the command that it answers.

mod answer;
mod apply;
mod dispatch;
mod draft;
mod escalate;
mod event;
mod indexes;
mod input;
mod keep;
mod lease;
mod open;
mod state;
mod sweep;
mod words;

pub use event::{Answered, Dependants, Event, Kept, Opened, Outcome, Then};
pub use input::{
    Accepted, Answer, AnswerBody, Context, DeadCommand, Input, LeftOut, Offer, Refusal, Start, Team, Why, Word,
};
pub use keep::keep;
pub use state::{Ended, Flight, Phase, Question, SNAPSHOT_FORMAT, Subtask, Unwanted};

use super::decision::{Decision, Effect, UNKNOWN_STREAM};
use crate::wire::MessageId;
use draft::Draft;

/// What an input means to a phase. `cause` is the id of the message that brought it. The state is moved on by
/// exactly the events that are returned: when they can not be committed it is to be thrown away.
pub fn decide(phase: &mut Phase, cause: MessageId, input: &Input, context: &Context<'_>) -> Decision<Event> {
    let (is_open, has_ended) = (phase.opened.is_some(), phase.ended.is_some());
    if phase.heard.contains(&cause) && is_word(input) {
        return Decision::Nothing("it was heard before");
    }
    let mut draft = Draft::new(phase, cause, context);
    let verdict = match (input, is_open, has_ended) {
        (Input::Start(start), false, _) => open::on_start(&mut draft, start),
        (Input::Start(start), true, _) => sweep::on_start_again(&mut draft, start),
        (Input::Word(word), _, false) => words::on_word(&mut draft, word),
        (Input::Word(_), _, true) => Err(Decision::Nothing("the phase has ended")),
        (Input::Recover, false, _) => sweep::on_early_recover(&mut draft),
        (_, false, _) => Err(Decision::Refuse(UNKNOWN_STREAM)),

        (Input::Answer(answer), true, false) => answer::on_answer(&mut draft, answer),
        (Input::Accepted(accepted), true, false) => lease::on_accepted(&mut draft, accepted),
        (Input::DeadCommand(dead), true, false) => answer::on_dead_command(&mut draft, dead),
        (Input::Refused(refusal), true, false) => dispatch::on_refused(&mut draft, refusal),
        (Input::Alarm { number }, true, false) => sweep::on_alarm(&mut draft, *number),
        (Input::Recover, true, false) => sweep::on_recover(&mut draft),

        (Input::Refused(refusal), true, true) => sweep::on_report_refused(&mut draft, refusal),
        (Input::Alarm { number }, true, true) => sweep::on_alarm_after_end(&mut draft, *number),
        (Input::Recover, true, true) => sweep::on_recover_after_end(&mut draft),
        (Input::Answer(answer), true, true) => answer::on_answer_after_end(&mut draft, answer),
        (Input::Accepted(_) | Input::DeadCommand(_), true, true) => Err(Decision::Nothing("the phase has ended")),
    };
    match verdict {
        Ok(()) => Decision::Record(draft.into_events()),
        Err(otherwise) => otherwise,
    }
}

/// What follows from inputs that were decided together, because of `cause`, the last of them: what they have freed is handed
/// out, the phase ends when nothing is left of it, and its alarm is seen to.
pub fn settle(phase: &mut Phase, cause: MessageId, context: &Context<'_>) -> Vec<Event> {
    if phase.opened.is_none() || phase.ended.is_some() {
        return Vec::new();
    }
    let mut draft = Draft::new(phase, cause, context);
    dispatch::settle(&mut draft, false);
    draft.into_events()
}

/// What is said without a version by which a later word outdates it, or an id by which it is known that it was answered.
fn is_word(input: &Input) -> bool {
    matches!(input, Input::Recover | Input::Word(Word::CancelSubtask { .. }))
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
    for (&ordinal, question) in &phase.questions {
        if question.cause == cause && phase.ended.is_none() {
            effects.push(Effect::Ask { ordinal, attempt: question.attempt });
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
