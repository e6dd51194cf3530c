//! The project machine: accepts a request, hands it over phase by phase, follows, and reports. Managers run it.
//!
//! ```text
//!   NewProject --> Accepted, GoalPlanned*, PhaseStarted 1 --> PhaseReported 1 --> PhaseStarted 2 --> ...
//!                      |                                          | failed                   | last
//!                      `--no plan--> Ended ERROR <----------------'        Ended COMPLETED <-'
//! ```
//!
//! | input | open project | ended project | unknown project |
//! | --- | --- | --- | --- |
//! | Request, the same | nothing, answered with how it stands | the same | accepts it |
//! | Request, another under the same id | refused | refused | |
//! | Report of the current phase | recorded | nothing | refused |
//! | Report of another | nothing | nothing | refused |
//! | Report with absurd counts | refused | nothing | refused |
//! | Alarm, not stale | sweeps, next alarm | nothing | refused |
//! | DeadPhase (its start or its alarm), Refused | recorded | nothing | refused |
//! | Recover | current phase handed over again, next alarm | nothing | refused |

mod event;
mod input;
mod phases;
mod request;
mod state;

pub use event::{Accepted, Event};
pub use input::{Context, DeadPhase, Input, PhaseReport, Request, fingerprint};
pub use state::{Ended, PhaseState, Project};

use super::decision::{Decision, Effect};
use crate::wire::MessageId;

/// What an input means to a project. `cause` is the id of the message that brought it. The state is moved on by
/// exactly the events that are returned: when they can not be committed it is to be thrown away.
pub fn decide(project: &mut Project, cause: MessageId, input: &Input, context: &Context) -> Decision<Event> {
    let (is_known, has_ended) = (project.accepted.is_some(), project.ended.is_some());
    let mut draft = Draft { project, cause, context, events: Vec::new() };
    let verdict = match (input, is_known, has_ended) {
        (Input::Request(request), false, _) => request::on_request(&mut draft, request),
        (Input::Request(request), true, _) => request::on_request_again(&draft, request),
        (_, false, _) => Err(Decision::Refuse("unknown_stream")),
        (Input::Report(report), true, false) => phases::on_report(&mut draft, report),
        (Input::DeadPhase(dead), true, false) => phases::on_dead_phase(&mut draft, dead),
        (Input::Refused(refusal), true, false) => phases::on_refused(&mut draft, refusal),
        (Input::Alarm { number }, true, false) => phases::on_alarm(&mut draft, *number),
        (Input::Recover, true, false) => phases::on_recover(&mut draft),
        (
            Input::Report(_) | Input::DeadPhase(_) | Input::Refused(_) | Input::Alarm { .. } | Input::Recover,
            true,
            true,
        ) => Err(Decision::Nothing("the project has ended")),
    };
    match verdict {
        Ok(()) => Decision::Record(draft.events),
        Err(otherwise) => otherwise,
    }
}

/// What `cause` had sent and what is still current.
pub fn effects(project: &Project, cause: MessageId) -> Vec<Effect> {
    if project.ended.is_some() {
        return Vec::new();
    }
    let mut effects = Vec::new();
    if let Some(phase) = project.current().filter(|phase| phase.started_by == Some(cause)) {
        effects.push(Effect::StartPhase { phase: phase.number });
    }
    effects.extend(project.alarms.caused_by(cause));
    effects
}

/// A decision in the making: its events so far, and the state as it is after them.
struct Draft<'a> {
    project: &'a mut Project,
    cause: MessageId,
    context: &'a Context,
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
