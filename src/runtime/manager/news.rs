//! What a manager tells others, as far as they listen: how a project stands, to whoever watches or asked for it, and
//! alerts.

use super::role::{Heard, ManagerRole};
use crate::domain::decision::UNKNOWN_STREAM;
use crate::domain::duration;
use crate::domain::project::{Event, Input, Project};
use crate::runtime::port::Outgoing;
use crate::wire::address::Address;
use crate::wire::content::{FinalReport, Layer, ProjectCompletion};
use crate::wire::{AgentId, Content, MessageId, ProjectId, Status, Timestamp};

/// Coordinators that have been silent for this long are worth an alert.
const ALERT_MS: u64 = 60_000;

impl ManagerRole {
    pub(super) fn news(&self, id: ProjectId, state: &Project, events: &[Event], now: Timestamp) -> Vec<Outgoing> {
        let mut news = Vec::new();
        let Some(content) = completion(id, state) else { return news };
        for alert in self.alerts(state, events, now) {
            let content = ProjectCompletion { error_message: Some(alert), ..content.clone() };
            news.extend(self.best_effort(Address::event(Layer::Management, "alert", id), id, content, now));
        }
        let has_ended = events.iter().any(|event| matches!(event, Event::Ended { .. }));
        let what = match (has_ended, events.iter().any(is_progress)) {
            (true, _) => "ended",
            (false, true) => "progress",
            (false, false) => return news,
        };
        news.extend(self.best_effort(Address::event(Layer::Management, what, id), id, content.clone(), now));
        if has_ended {
            news.extend(self.tell(state.requester(), id, content, now));
        }
        news
    }

    fn alerts(&self, state: &Project, events: &[Event], now: Timestamp) -> Vec<String> {
        let given_up = |event: &Event| match event {
            Event::Told { number, phase, .. } if state.told().get(number).is_some_and(|told| told.is_farewell) => {
                state.phase(*phase)?.error.clone()
            }
            _ => None,
        };
        let mut alerts: Vec<String> = events.iter().filter_map(given_up).collect();
        // Every open project looks at least once a minute.
        let has_looked = events.iter().any(|event| matches!(event, Event::AlarmSet { .. }));
        if let Some(current) = state.current().filter(|_| has_looked) {
            let silence_ms = self.context(now, &|_, _| Err(String::new())).silence_ms(current.started_at);
            if silence_ms >= ALERT_MS {
                let silence = duration::print(std::time::Duration::from_secs(silence_ms / 1_000));
                alerts.push(format!(
                    "no coordinator has been heard of for {silence}: phase {} waits for one",
                    current.number
                ));
            }
        }
        alerts
    }

    /// What whoever sent `heard`, which changed nothing, is told.
    pub(super) fn reply(
        &self,
        id: ProjectId,
        state: &Project,
        heard: &Heard,
        why: Option<&str>,
        now: Timestamp,
    ) -> Option<Outgoing> {
        let content = match &heard.input {
            Input::Request(_) => {
                let mut content = completion(id, state)?;
                if why == Some(ANOTHER_REQUEST) {
                    content.status = Status::Error;
                    content.error_message = Some(format!(
                        "another project has the id {id}: `{}`",
                        state.accepted().map(|accepted| accepted.name.as_str()).unwrap_or_default()
                    ));
                }
                content
            }
            Input::Cancel(_)
            | Input::Pause
            | Input::Resume
            | Input::Retry(_)
            | Input::Decide { .. }
            | Input::Recover => {
                let why = match why? {
                    UNKNOWN_STREAM => "nobody knows the project",
                    why => why,
                };
                let content = completion(id, state).unwrap_or_else(|| unknown(id, now));
                ProjectCompletion { error_message: Some(why.to_owned()), ..content }
            }
            Input::Report(_) | Input::Question(_) | Input::Alarm { .. } | Input::DeadPhase(_) | Input::Refused(_) => {
                return None;
            }
        };
        self.tell(&heard.sender, id, content, now)
    }

    /// Tells an agent, as far as it listens.
    fn tell(&self, agent: &str, project: ProjectId, content: ProjectCompletion, now: Timestamp) -> Option<Outgoing> {
        self.best_effort(Address::agent(&AgentId::new(agent).ok()?), project, content, now)
    }

    fn best_effort(
        &self,
        address: Address,
        project: ProjectId,
        content: ProjectCompletion,
        now: Timestamp,
    ) -> Option<Outgoing> {
        let id = MessageId(self.world.clock.fresh_id());
        self.pen.best_effort(id, address, project, Content::ProjectCompletion(content), now)
    }
}

/// Why the machine refuses a request under the id of another project.
const ANOTHER_REQUEST: &str = "another_request_under_this_id";

/// Whether watchers want to hear of it.
fn is_progress(event: &Event) -> bool {
    match event {
        Event::Accepted(_)
        | Event::PhaseStarted { .. }
        | Event::CancelAsked { .. }
        | Event::SubtaskUnwanted { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Asked { .. }
        | Event::Decided { .. }
        | Event::RunStarted { .. } => true,
        Event::GoalPlanned { .. }
        | Event::StartRefused { .. }
        | Event::PhaseReported { .. }
        | Event::PhaseSkipped { .. }
        | Event::GoalReplanned { .. }
        | Event::PhaseAdded { .. }
        | Event::AlarmSet { .. }
        | Event::Told { .. }
        | Event::TellRefused { .. }
        | Event::SentAgain { .. }
        | Event::Recovered { .. }
        | Event::Ended { .. } => false,
    }
}

fn completion(project_id: ProjectId, state: &Project) -> Option<ProjectCompletion> {
    let accepted = state.accepted()?;
    let ended = state.ended();
    Some(ProjectCompletion {
        project_id,
        status: state.status(),
        final_report: FinalReport {
            project_name: accepted.name.clone(),
            counts: state.counts(),
            submitted_at: accepted.at,
            finished_at: ended.map(|ended| ended.at),
        },
        error_message: ended.and_then(|ended| ended.error.clone()),
    })
}

/// What is said of a project that nobody knows.
fn unknown(project_id: ProjectId, now: Timestamp) -> ProjectCompletion {
    ProjectCompletion {
        project_id,
        status: Status::Idle,
        final_report: FinalReport {
            project_name: String::new(),
            counts: crate::wire::Counts::default(),
            submitted_at: now,
            finished_at: None,
        },
        error_message: None,
    }
}
