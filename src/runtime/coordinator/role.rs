//! The phase machine in its place: what comes to a coordinator, and what it sends.

use std::sync::Arc;

use crate::domain::decision::{Decision, Effect};
use crate::domain::phase::{self, Answer, AnswerBody, Context, DeadCommand, Event, Input, Phase, Refusal, Why};
use crate::runtime::letter::{Letter, Pen};
use crate::runtime::options::World;
use crate::runtime::port::{Outgoing, Payload, PayloadKind, Snapshot, Summary};
use crate::runtime::presence::Post;
use crate::runtime::role::{Message, RenderError, Rendered, Role, Unfit};
use crate::wire::address::Address;
use crate::wire::content::{Alarm, Layer, ProjectStatusUpdate};
use crate::wire::{Content, MessageId, ProjectId, StreamId, Timestamp};

use super::planning;
use super::results::{DepsError, Results};
use super::window::{Share, Window};

/// A coordinator's end of one partition.
pub(crate) struct CoordinatorRole {
    pub(super) world: World,
    pub(super) pen: Pen,
    pub(super) post: Arc<Post>,
    pub(super) window: Arc<Window>,
    pub(super) share: Share,
    pub(super) results: Results,
    /// Told when a ping of a peer came through the partition.
    pub(super) held_by_us: Box<dyn Fn() + Send + Sync>,
    /// Whether there are managers, and all of them work on another store.
    pub(super) is_alone: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Role for CoordinatorRole {
    type State = Phase;
    type Event = Event;
    type Input = Input;
    const KEEPS_STATES: bool = true;

    fn read(&mut self, letter: &Letter) -> Result<Message<Input>, Unfit> {
        let envelope = &letter.envelope;
        let of_phase = |phase| StreamId::Phase(envelope.task_id, phase);
        let (stream, input, result, log) = match &envelope.content {
            Content::StartProjectPhase(start) => {
                if start.store_id != self.world.store_id {
                    // Who is wrong, it or we? A letter alone must not be able to end all coordinators.
                    return Err(match (self.is_alone)() {
                        false => Unfit::Misdirected("wrong_store"),
                        true => Unfit::WrongStore(format!(
                            "the managers work on the store {}, this process on {}",
                            start.store_id, self.world.store_id
                        )),
                    });
                }
                if start.project_id != envelope.task_id {
                    return Err(Unfit::Misdirected("task_id_is_not_project_id"));
                }
                let start = planning::plan(&self.world, &self.window, start);
                (of_phase(start.phase), Input::Start(Box::new(start)), None, None)
            }
            Content::SubtaskCompletion(completion) => {
                let bytes = u32::try_from(completion.result.bytes()).unwrap_or(u32::MAX);
                let input = Input::Answer(Answer {
                    ordinal: completion.subtask_id.ordinal,
                    in_reply_to: completion.in_reply_to,
                    agent: envelope.sender_id.clone(),
                    started_at: Some(completion.started_at),
                    finished_at: Some(completion.finished_at),
                    body: AnswerBody::Completed { bytes, usage: completion.usage.clone() },
                });
                let result = Some(completion.result.clone());
                (of_phase(completion.subtask_id.phase), input, result, completion.log.clone())
            }
            Content::SubtaskFailure(failure) => {
                let input = Input::Answer(Answer {
                    ordinal: failure.subtask_id.ordinal,
                    in_reply_to: failure.in_reply_to,
                    agent: envelope.sender_id.clone(),
                    started_at: failure.started_at,
                    finished_at: failure.finished_at,
                    body: AnswerBody::Failed(crate::wire::Failure {
                        kind: failure.kind,
                        message: failure.error_message.clone(),
                        retry_after_ms: failure.retry_after_ms,
                    }),
                });
                (of_phase(failure.subtask_id.phase), input, None, failure.log.clone())
            }
            Content::ExecuteSubtask(command) => match &letter.death {
                Some(death) => {
                    let dead = DeadCommand {
                        ordinal: command.subtask_id.ordinal,
                        id: envelope.message_id,
                        reason: death.reason.clone(),
                    };
                    (of_phase(command.subtask_id.phase), Input::DeadCommand(dead), None, None)
                }
                None => return Err(Unfit::Misdirected("command_at_a_coordinator")),
            },
            Content::Alarm(alarm) => match alarm.stream {
                StreamId::Phase(..) => (alarm.stream, Input::Alarm { number: alarm.number }, None, None),
                StreamId::Project(_) => return Err(Unfit::Misdirected("alarm_of_a_project_at_a_coordinator")),
            },
            Content::Recover(control) => match control.stream {
                Some(stream @ StreamId::Phase(..)) => (stream, Input::Recover, None, None),
                _ => return Err(Unfit::Misdirected("recover_without_a_phase")),
            },
            Content::Ping(_) => {
                (self.held_by_us)();
                return Err(Unfit::Handled);
            }
            _ => return Err(Unfit::Misdirected("not_for_a_coordinator")),
        };
        Ok(Message { stream, cause: envelope.message_id, input, result, log })
    }

    fn fresh(&self, _: StreamId) -> Phase {
        Phase::default()
    }

    fn restore(&self, snapshot: &Snapshot) -> Option<Phase> {
        (snapshot.format == phase::SNAPSHOT_FORMAT).then(|| serde_json::from_slice(&snapshot.state).ok()).flatten()
    }

    fn snapshot(&self, state: &Phase) -> Option<Snapshot> {
        let bytes = serde_json::to_vec(state).ok()?;
        Some(Snapshot { version: state.version(), format: phase::SNAPSHOT_FORMAT, state: bytes })
    }

    fn apply(&self, state: &mut Phase, event: &Event) {
        state.apply(event);
    }

    fn version(&self, state: &Phase) -> u64 {
        state.version()
    }

    fn is_over(&self, state: &Phase) -> bool {
        state.ended().is_some()
    }

    fn decide(
        &mut self,
        stream: StreamId,
        state: &mut Phase,
        message: &Message<Input>,
        now: Timestamp,
    ) -> Decision<Event> {
        self.share.see(stream, state);
        let allowance = |skill: &str| self.share.of(&self.window, skill, now);
        let start_within_ms = u64::try_from(self.world.timing.start_within.as_millis()).unwrap_or(u64::MAX);
        let context = Context { now, allowance: &allowance, start_within_ms };
        let decision = phase::decide(state, message.cause, &message.input, &context);
        if let Decision::Record(events) = &decision {
            for event in events {
                if let Event::Completed { ordinal, .. } = event {
                    self.share.completed(&state.spec(*ordinal).skill, now);
                }
            }
        }
        self.share.see(stream, state);
        decision
    }

    fn payloads(&mut self, stream: StreamId, events: &[Event], message: &Message<Input>) -> Vec<Payload> {
        let mut payloads = Vec::new();
        for event in events {
            let (ordinal, attempt) = match event {
                Event::Completed { ordinal, attempt, .. } => {
                    let data = message.result.clone().unwrap_or_default();
                    self.results.keep(stream, *ordinal, data.clone());
                    payloads.push(Payload { ordinal: *ordinal, attempt: *attempt, kind: PayloadKind::Result, data });
                    (*ordinal, *attempt)
                }
                Event::Failed { ordinal, attempt, .. } => (*ordinal, *attempt),
                _ => continue,
            };
            if let Some(data) = message.log.as_ref().and_then(|log| crate::wire::Raw::from_serialize(log).ok()) {
                payloads.push(Payload { ordinal, attempt, kind: PayloadKind::Log, data });
            }
        }
        payloads
    }

    fn summary(&self, stream: StreamId, state: &Phase) -> Option<Summary> {
        let opened = state.opened()?;
        Some(Summary {
            stream,
            name: opened.project_name.clone(),
            status: state.status(),
            counts: state.counts(),
            submitted_at: opened.at,
            finished_at: state.ended().map(|ended| ended.at),
        })
    }

    fn effects(&self, state: &Phase, cause: MessageId) -> Vec<Effect> {
        phase::effects(state, cause)
    }

    async fn render(
        &mut self,
        stream: StreamId,
        state: &Phase,
        effect: Effect,
        now: Timestamp,
    ) -> Result<Rendered, RenderError> {
        let project = stream.project();
        let (address, content, cause, reply_to) = match effect {
            Effect::Execute { ordinal, .. } => self.command(stream, state, ordinal).await?,
            Effect::Report => self.report(project, state)?,
            Effect::Alarm { number } => self.alarm(stream, state, number)?,
            Effect::StartPhase { .. } | Effect::Ask { .. } | Effect::Tell { .. } => {
                return Err(gone(MessageId(uuid::Uuid::nil())));
            }
        };
        let id = state.id_of(cause, effect).ok_or_else(|| gone(cause))?;
        let sent = self.pen.must_arrive(id, address, project, content, now);
        let mut outgoing = sent.map_err(|error| RenderError::Unsendable { id, why: error.to_string() })?;
        outgoing.properties.reply_to = reply_to;
        Ok(Rendered { id, outgoing })
    }

    fn notices(&self, stream: StreamId, state: &Phase, events: &[Event], now: Timestamp) -> Vec<Outgoing> {
        let Some(opened) = state.opened() else { return Vec::new() };
        let moved = events.iter().any(|event| !matches!(event, Event::AlarmSet { .. } | Event::ReportAgain { .. }));
        if !moved {
            return Vec::new();
        }
        let what = if state.ended().is_some() { "ended" } else { "progress" };
        let address = Address::event(Layer::Coordination, what, stream.project());
        let content = Content::ProjectStatusUpdate(status_update(opened, state));
        let id = MessageId(self.world.clock.fresh_id());
        self.pen.best_effort(id, address, stream.project(), content, now).into_iter().collect()
    }

    fn answer(&self, _: StreamId, _: &Phase, _: &Message<Input>, _: Option<&str>, _: Timestamp) -> Option<Outgoing> {
        None
    }

    fn after_panic(&self, _: &Letter, _: Timestamp) -> Option<Outgoing> {
        None
    }

    fn at_work(&self) {
        self.post.at_work();
    }

    fn pen(&self) -> &Pen {
        &self.pen
    }

    fn refused(&self, effect: Effect, id: MessageId, why: Why) -> Input {
        Input::Refused(Refusal { effect, id, why })
    }

    fn forget(&mut self, stream: StreamId) {
        self.results.forget(stream);
        self.share.forget(stream);
    }
}

type Parts = (Address, Content, MessageId, Option<String>);

impl CoordinatorRole {
    async fn command(&mut self, stream: StreamId, state: &Phase, ordinal: u32) -> Result<Parts, RenderError> {
        let opened = state.opened().ok_or_else(|| gone(MessageId(uuid::Uuid::nil())))?;
        let flight = state.flights().get(&ordinal).ok_or_else(|| gone(opened.cause))?;
        let deps = self.results.deps(self.world.store.as_ref(), stream, state, ordinal).await;
        let deps = deps.map_err(|error| match error {
            DepsError::Store(error) => RenderError::Store(error),
            DepsError::Missing(name) => RenderError::Unsendable {
                id: state.command_id(ordinal).unwrap_or(opened.cause),
                why: format!("the result of `{name}` is not in the store"),
            },
        })?;
        let command = planning::command(opened, state.spec(ordinal), ordinal, flight, deps);
        let address = Address::skill(&command.skill, opened.partition);
        let reply_to = crate::wire::address::partition_key(opened.partition);
        Ok((address, Content::ExecuteSubtask(command), flight.cause, Some(reply_to)))
    }

    fn report(&self, project: ProjectId, state: &Phase) -> Result<Parts, RenderError> {
        let (Some(opened), Some(ended)) = (state.opened(), state.ended()) else {
            return Err(gone(MessageId(project.0)));
        };
        Ok((Address::reports(), Content::ProjectStatusUpdate(status_update(opened, state)), ended.cause, None))
    }

    fn alarm(&self, stream: StreamId, state: &Phase, number: u64) -> Result<Parts, RenderError> {
        let (Some(opened), Some(alarm)) = (state.opened(), state.alarms().numbered(number)) else {
            return Err(gone(MessageId(stream.project().0)));
        };
        let address = Address::phase_alarm(alarm.tier.tier(), opened.partition);
        let content = Content::Alarm(Alarm { stream, number, not_before: alarm.not_before });
        Ok((address, content, alarm.cause, None))
    }
}

fn status_update(opened: &phase::Opened, state: &Phase) -> ProjectStatusUpdate {
    ProjectStatusUpdate {
        project_id: opened.project_id,
        run: opened.run,
        phase: opened.phase,
        status: state.status(),
        counts: state.counts(),
        outputs: None,
        error_message: state.ended().and_then(|ended| ended.error.clone()),
        dossier: None,
        asks: None,
    }
}

/// An effect that the state has no trace of: it cannot be sent, and nobody waits for it.
fn gone(id: MessageId) -> RenderError {
    RenderError::Unsendable { id, why: "it is not current any more".into() }
}
