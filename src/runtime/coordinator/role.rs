//! The phase machine in its place: what comes to a coordinator, and what it sends.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::decision::{Decision, Effect};
use crate::domain::phase::{self, Context, Event, Input, Offer, Phase, Refusal, Team, Why, Word};
use crate::runtime::letter::{Letter, Pen};
use crate::runtime::options::{SkillOptions, World};
use crate::runtime::port::{Outgoing, Payload, PayloadKind, Snapshot, StoreError, Summary};
use crate::runtime::presence::Post;
use crate::runtime::role::{Message, PACK_MAX, RenderError, Rendered, Role, Unfit};
use crate::wire::AgentId;
use crate::wire::address::Address;
use crate::wire::content::{Alarm, Asking, ProjectStatusUpdate};
use crate::wire::{Content, MessageId, ProjectId, Raw, Status, StreamId, SubtaskId, Timestamp};

use super::results::{DepsError, Results};
use super::window::{Share, Window};
use super::{notices, planning, reading};

/// Whoever lives has said so within so many heartbeats.
const CATCH_UP_HEARTBEATS: u32 = 3;

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
        reading::read(self, letter)
    }

    async fn prepare(&mut self, message: &mut Message<Input>) -> Result<(), StoreError> {
        let stream = message.stream;
        match &mut message.input {
            Input::Start(start) => planning::keep(self.world.store.as_ref(), stream.project(), start).await,
            _ => Ok(()),
        }
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
        is_one_of_many: bool,
        now: Timestamp,
    ) -> Decision<Event> {
        self.share.see(&self.window, stream, state);
        let hearsay = Hearsay { role: self, now };
        let context = Context { is_one_of_many, ..hearsay.context() };
        let decision = phase::decide(state, message.cause, &message.input, &context);
        if let Decision::Record(events) = &decision {
            for event in events {
                if let Event::Completed { ordinal, started_at, finished_at, .. } = event {
                    let took_ms = finished_at.ms_since(*started_at);
                    self.share.completed(state.terms(*ordinal).skill, took_ms, now);
                }
            }
        }
        self.share.see(&self.window, stream, state);
        decision
    }

    fn settle(&mut self, stream: StreamId, state: &mut Phase, cause: MessageId, now: Timestamp) -> Vec<Event> {
        self.share.see(&self.window, stream, state);
        let hearsay = Hearsay { role: self, now };
        let events = phase::settle(state, cause, &hearsay.context());
        self.share.see(&self.window, stream, state);
        events
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

    fn sent_again(&self, cause: MessageId, at: Timestamp) -> Event {
        Event::SentAgain { at, cause }
    }

    fn effects(&self, state: &Phase, cause: MessageId) -> Vec<Effect> {
        phase::effects(state, cause)
    }

    fn must_gather(&self, state: &Phase, effect: Effect) -> bool {
        matches!(effect, Effect::Execute { ordinal, .. } if !state.spec(ordinal).dependencies.is_empty())
    }

    async fn gather(&mut self, stream: StreamId, state: &Phase, effect: Effect) -> Result<Raw, RenderError> {
        let Effect::Execute { ordinal, .. } = effect else { return Ok(Raw::empty_object()) };
        let deps = self.results.deps(self.world.store.as_ref(), stream, state, ordinal).await;
        deps.map_err(|error| match error {
            DepsError::Store(error) => RenderError::Store(error),
            DepsError::Missing(name) => RenderError::Unsendable {
                id: state.command_id(ordinal).unwrap_or(MessageId(stream.project().0)),
                why: format!("the result of `{name}` is not in the store"),
            },
        })
    }

    fn render(
        &self,
        stream: StreamId,
        state: &Phase,
        effect: Effect,
        gathered: Raw,
        now: Timestamp,
    ) -> Result<Rendered, RenderError> {
        let project = stream.project();
        let (address, content, cause, reply_to) = match effect {
            Effect::Execute { ordinal, .. } => command(state, ordinal, gathered)?,
            Effect::Report => self.report(project, state)?,
            Effect::Alarm { number } => self.alarm(stream, state, number)?,
            Effect::Ask { ordinal, .. } => self.question(project, state, ordinal)?,
            Effect::StartPhase { .. } | Effect::Tell { .. } => {
                return Err(gone(MessageId(uuid::Uuid::nil())));
            }
        };
        let id = state.id_of(cause, effect).ok_or_else(|| gone(cause))?;
        let sent = self.pen.must_arrive(id, address, project, content, now);
        let mut outgoing = sent.map_err(|error| RenderError::Unsendable { id, why: error.to_string() })?;
        outgoing.properties.reply_to = reply_to;
        Ok(Rendered { id, outgoing, pack_max: self.pack_max(state, effect) })
    }

    fn notices(&self, stream: StreamId, state: &Phase, events: &[Event], now: Timestamp) -> Vec<Outgoing> {
        notices::notices(self, stream, state, events, now)
    }

    fn has_moved(&self, state: &Phase, events: &[Event]) -> bool {
        notices::has_moved(state, events)
    }

    fn standing(&self, stream: StreamId, state: &Phase, now: Timestamp) -> Option<Outgoing> {
        notices::standing(self, stream, state, now)
    }

    fn answer(&self, _: StreamId, _: &Phase, _: &Message<Input>, _: Option<&str>, _: Timestamp) -> Option<Outgoing> {
        None
    }

    fn instead(&self, _: &Letter, _: Timestamp) -> Option<Outgoing> {
        None
    }

    /// What was said before anything of a batch is sent holds for all of it. Of these words the newest wins, in whatever
    /// order they come.
    fn comes_first(&self, input: &Input) -> bool {
        matches!(input, Input::Word(word) if !matches!(word, Word::Decide { .. }))
    }

    /// What else was read has come before the time that it tells of was up, for all that is known.
    fn comes_last(&self, input: &Input) -> bool {
        matches!(input, Input::Alarm { .. })
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
        self.share.forget(&self.window, stream);
    }
}

type Parts = (Address, Content, MessageId, Option<String>);

impl CoordinatorRole {
    /// Commands of a first attempt only: what dies together may have died of one of them, so each is tried again alone.
    fn pack_max(&self, state: &Phase, effect: Effect) -> u32 {
        let (ordinal, attempt) = match effect {
            Effect::Execute { ordinal, attempt } => (ordinal, attempt),
            _ => return PACK_MAX,
        };
        let terms = state.terms(ordinal);
        match self.world.skills.get(terms.skill) {
            _ if attempt > 1 || terms.lease_ms.is_some() => 1,
            Some(SkillOptions { batch: Some(most), .. }) => *most,
            // What is not ours may not know that a body can have several.
            Some(SkillOptions { is_external: true, .. }) => 1,
            _ => self.share.batch_of(&self.window, terms.skill),
        }
    }

    fn report(&self, project: ProjectId, state: &Phase) -> Result<Parts, RenderError> {
        let (Some(opened), Some(ended)) = (state.opened(), state.ended()) else {
            return Err(gone(MessageId(project.0)));
        };
        let update = ProjectStatusUpdate {
            dossier: state.dossier(None).map(|dossier| dossier.to_raw()),
            ..status_update(opened, state)
        };
        Ok((Address::reports(), Content::ProjectStatusUpdate(update), ended.cause, None))
    }

    /// What is to become of a subtask that failed for good? The message's id is the question's.
    fn question(&self, project: ProjectId, state: &Phase, ordinal: u32) -> Result<Parts, RenderError> {
        let (Some(opened), Some(question)) = (state.opened(), state.questions().get(&ordinal)) else {
            return Err(gone(MessageId(project.0)));
        };
        let update = ProjectStatusUpdate {
            status: Status::Waiting,
            dossier: state.dossier(Some(ordinal)).map(|dossier| dossier.to_raw()),
            asks: Some(SubtaskId { phase: opened.phase, ordinal }),
            asking: Some(Asking { version: question.version, after_cancel: state.is_cancelled_by_hand(ordinal) }),
            ..status_update(opened, state)
        };
        Ok((Address::reports(), Content::ProjectStatusUpdate(update), question.cause, None))
    }

    fn alarm(&self, stream: StreamId, state: &Phase, number: u64) -> Result<Parts, RenderError> {
        let (Some(opened), Some(alarm)) = (state.opened(), state.alarms().numbered(number)) else {
            return Err(gone(MessageId(stream.project().0)));
        };
        let address = Address::phase_alarm(alarm.tier.tier(), opened.partition);
        let content =
            Content::Alarm(Alarm { stream, number, not_before: alarm.not_before, store_id: Some(self.world.store_id) });
        Ok((address, content, alarm.cause, None))
    }
}

fn command(state: &Phase, ordinal: u32, deps: Raw) -> Result<Parts, RenderError> {
    let opened = state.opened().ok_or_else(|| gone(MessageId(uuid::Uuid::nil())))?;
    let flight = state.flights().get(&ordinal).ok_or_else(|| gone(opened.cause))?;
    let command = planning::command(opened, state, ordinal, flight, deps);
    let address = Address::skill(&command.skill, opened.partition);
    let reply_to = crate::wire::address::partition_key(opened.partition);
    Ok((address, Content::ExecuteSubtask(command), flight.cause, Some(reply_to)))
}

/// What this process has heard of executors.
struct Hearsay<'a> {
    role: &'a CoordinatorRole,
    now: Timestamp,
}

impl Hearsay<'_> {
    /// For a decision about one input.
    fn context(&self) -> Context<'_> {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let timing = &self.role.world.timing;
        Context {
            now: self.now,
            start_within_ms: ms(timing.start_within),
            answer_within_ms: ms(timing.answer_within),
            catch_up_ms: ms(timing.answer_within.max(timing.heartbeat * CATCH_UP_HEARTBEATS)),
            team: self,
            is_one_of_many: false,
        }
    }
}

impl Team for Hearsay<'_> {
    fn allowance(&self, skill: &str) -> u32 {
        self.role.share.of(&self.role.window, skill, self.now)
    }

    fn offer(&self, skill: &str) -> Offer {
        let is_external = || self.role.world.skills.get(skill).is_some_and(|options| options.is_external);
        match self.role.window.is_offered(skill) {
            true => Offer::Announced,
            false if is_external() => Offer::External,
            false => Offer::Nobody,
        }
    }

    fn is_able(&self, skill: &str, beside: &[AgentId]) -> bool {
        self.role.window.is_able(skill, beside)
    }

    fn heard_of(&self, command: MessageId) -> Option<Timestamp> {
        self.role.window.heard_of(command)
    }

    fn queue_lost_at(&self, skill: &str) -> Option<Timestamp> {
        self.role.window.queue_lost_at(skill)
    }

    fn listening_since(&self) -> Timestamp {
        self.role.window.listening_since()
    }
}

pub(super) fn status_update(opened: &phase::Opened, state: &Phase) -> ProjectStatusUpdate {
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
        asking: None,
    }
}

/// An effect that the state has no trace of: it cannot be sent, and nobody waits for it.
fn gone(id: MessageId) -> RenderError {
    RenderError::Unsendable { id, why: "it is not current any more".into() }
}
