//! The project machine: accepts a request, hands it over phase by phase, follows, and reports. Managers run it.
//!
//! ```text
//!   NewProject --> Accepted, GoalPlanned*, PhaseStarted 1 --> PhaseReported 1 --> PhaseStarted 2 --> ...
//!                      |                                          | failed                   | last
//!                      `--no plan--> Ended ERROR <----------------'        Ended COMPLETED <-'
//!
//!   policy replan:  PhaseReported n (failed) --> GoalReplanned*, PhaseAdded m, PhaseStarted m     (twice a run)
//!   policy ask:     Asked --> Decided --> Told n: Decide             (about a subtask of the current phase)
//!                   Asked --> Decided --> PhaseAdded | PhaseSkipped | Ended      (about a phase given up)
//!   Cancel:         CancelAsked, Told n: Cancel --> PhaseReported n --> Ended CANCELLED
//!   Retry:          Ended --> RunStarted, PhaseAdded*, PhaseStarted ...
//! ```
//!
//! | input | open project | ended project | unknown project |
//! | --- | --- | --- | --- |
//! | Request, the same | nothing, answered with how it stands | the same | accepts it; cancelled or paused at once when that was said before |
//! | Request, another under the same id | refused | refused | |
//! | Report of the current phase | recorded | nothing | refused |
//! | Report of another, or of another run | nothing | nothing | refused |
//! | Report with absurd counts | refused | nothing | refused |
//! | Question of the current phase | recorded; nothing when it is being cancelled | nothing | refused |
//! | Alarm, not stale | sweeps, next alarm | nothing | refused |
//! | DeadPhase (its start or its alarm), Refused | recorded | nothing | refused |
//! | Recover | current phase handed over again, next alarm | nothing | refused |
//! | Cancel | ends when its phase has closed everything; at once without one | nothing | remembered |
//! | Cancel of a subtask | told to its phase, when that begins | nothing | refused |
//! | Pause, Resume | recorded, told | nothing | remembered |
//! | Decide | told, or done, when it is the open question's first answer; else nothing | nothing | refused |
//! | Retry | nothing | opens the next run | refused |
//! | any of the last five, heard before | nothing | nothing | nothing |
//!
//! A project that is cancelled stays open until its phase has reported. While it is paused no phase is started and
//! the deadline stands still; reports are taken all the same.

mod alarm;
mod apply;
mod event;
mod given_up;
mod input;
mod phases;
mod questions;
mod request;
mod runs;
mod state;
mod words;

pub use event::{Accepted, Added, Event};
pub use input::{Context, DeadPhase, Input, PhaseReport, Request, fingerprint};
pub use questions::{Answer, AskedSubtask, Open, Question};
pub use request::DEADLINE_MS_MAX;
pub use runs::{REPLANS_MAX, Retry};
pub use state::{CancelAsked, Ended, PhaseState, Project, Unwanted};
pub use words::{Cancel, Told, Word};

use super::decision::{Decision, Effect, UNKNOWN_STREAM};
use crate::wire::MessageId;

/// What an input means to a project. `cause` is the id of the message that brought it. The state is moved on by
/// exactly the events that are returned: when they can not be committed it is to be thrown away.
pub fn decide(project: &mut Project, cause: MessageId, input: &Input, context: &Context<'_>) -> Decision<Event> {
    let (is_known, has_ended) = (project.accepted.is_some(), project.ended.is_some());
    if is_word(input) && project.has_heard(cause) {
        return Decision::Nothing("it was heard before");
    }
    let mut draft = Draft { project, cause, context, events: Vec::new() };
    let verdict = match (input, is_known, has_ended) {
        (Input::Request(request), false, _) => request::on_request(&mut draft, request),
        (Input::Request(request), true, _) => request::on_request_again(&draft, request),

        (Input::Cancel(cancel), false, _) => words::on_early_cancel(&mut draft, cancel),
        (Input::Pause, false, _) => words::on_pause(&mut draft),
        (Input::Resume, false, _) => words::on_resume(&mut draft),
        (
            Input::Report(_)
            | Input::Question(_)
            | Input::DeadPhase(_)
            | Input::Refused(_)
            | Input::Alarm { .. }
            | Input::Recover
            | Input::Retry(_)
            | Input::Decide { .. },
            false,
            _,
        ) => Err(Decision::Refuse(UNKNOWN_STREAM)),

        (Input::Report(report), true, false) => phases::on_report(&mut draft, report),
        (Input::Question(question), true, false) => questions::on_question(&mut draft, question),
        (Input::DeadPhase(dead), true, false) => given_up::on_dead_phase(&mut draft, dead),
        (Input::Refused(refusal), true, _) => given_up::on_refused(&mut draft, refusal),
        (Input::Alarm { number }, true, false) => alarm::on_alarm(&mut draft, *number),
        (Input::Recover, true, false) => words::on_recover(&mut draft),
        (Input::Cancel(cancel), true, false) => words::on_cancel(&mut draft, cancel),
        (Input::Pause, true, false) => words::on_pause(&mut draft),
        (Input::Resume, true, false) => words::on_resume(&mut draft),
        (Input::Decide { question, answer }, true, false) => questions::on_decide(&mut draft, *question, *answer),
        (Input::Retry(_), true, false) => Err(Decision::Nothing("the project is still open")),

        (Input::Retry(retry), true, true) => runs::on_retry(&mut draft, retry),
        (
            Input::Report(_)
            | Input::Question(_)
            | Input::DeadPhase(_)
            | Input::Alarm { .. }
            | Input::Recover
            | Input::Cancel(_)
            | Input::Pause
            | Input::Resume
            | Input::Decide { .. },
            true,
            true,
        ) => Err(Decision::Nothing("the project has ended")),
    };
    match verdict {
        Ok(()) => Decision::Record(draft.events),
        Err(otherwise) => otherwise,
    }
}

/// What an operator says: each message of it means something once, also when others have been said since.
pub fn is_word(input: &Input) -> bool {
    match input {
        Input::Cancel(_) | Input::Pause | Input::Resume | Input::Retry(_) | Input::Decide { .. } | Input::Recover => {
            true
        }
        Input::Request(_)
        | Input::Report(_)
        | Input::Question(_)
        | Input::Alarm { .. }
        | Input::DeadPhase(_)
        | Input::Refused(_) => false,
    }
}

/// What `cause` had sent and what is still current.
pub fn effects(project: &Project, cause: MessageId) -> Vec<Effect> {
    // Of an ended project there may be a last word to a phase that was given up.
    let told = project.told().iter().filter(|(_, told)| told.cause == cause && told.again_at.is_none());
    // What is cancelled before its phase begins is not to be handed out: the phase hears of that first.
    let (first, then): (Vec<_>, Vec<_>) = told.partition(|(_, told)| told.word.cancelled_subtask().is_some());
    let tell = |(&number, _): (&u32, &Told)| Effect::Tell { number };
    let mut effects: Vec<Effect> = first.into_iter().map(tell).collect();
    if let Some(phase) = project.current().filter(|phase| phase.started_by == Some(cause)) {
        effects.push(Effect::StartPhase { phase: phase.number });
    }
    effects.extend(then.into_iter().map(tell));
    if project.is_open() {
        effects.extend(project.alarms.caused_by(cause));
    }
    effects
}

/// A decision in the making: its events so far, and the state as it is after them.
struct Draft<'a> {
    project: &'a mut Project,
    cause: MessageId,
    context: &'a Context<'a>,
    events: Vec<Event>,
}

impl Draft<'_> {
    fn record(&mut self, event: Event) {
        self.project.apply(&event);
        self.events.push(event);
    }
}

#[cfg(test)]
mod tests;
