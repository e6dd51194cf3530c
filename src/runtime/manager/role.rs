//! The project machine in its place: what it decides with, and what it sends.

use std::sync::Arc;

use crate::domain::decision::{Decision, Effect};
use crate::domain::dossier::Dossier;
use crate::domain::phase::{Refusal, Why};
use crate::domain::project::{self, Context, Event, Input, Project, Word};
use crate::runtime::letter::{Letter, Pen};
use crate::runtime::options::World;
use crate::runtime::port::{Outgoing, Payload, Snapshot, Summary, guarded};
use crate::runtime::presence::{Listening, Post};
use crate::runtime::role::{Message, PACK_MAX, RenderError, Rendered, Role, Unfit};
use crate::wire::address::{Address, Tier};
use crate::wire::content::{Alarm, Control, StartProjectPhase};
use crate::wire::{Content, GoalPlan, MessageId, ProjectId, Raw, StreamId, Timestamp};

/// A manager's end of a shared queue.
pub(crate) struct ManagerRole {
    pub(super) world: World,
    pub(super) pen: Pen,
    /// What it hears of others.
    pub(super) post: Arc<Post>,
}

/// An input, and who sent it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(super) input: Input,
    pub(super) sender: String,
}

impl Role for ManagerRole {
    type State = Project;
    type Event = Event;
    type Input = Heard;
    // Any manager may get the next delivery about a project: what was loaded for one is of no use for another.
    const KEEPS_STATES: bool = false;

    fn read(&mut self, letter: &Letter) -> Result<Message<Heard>, Unfit> {
        let input = self.input(letter)?;
        let stream = StreamId::Project(letter.envelope.task_id);
        Ok(Message { stream, cause: letter.envelope.message_id, input, result: None, log: None })
    }

    fn fresh(&self, stream: StreamId) -> Project {
        Project::new(stream.project())
    }

    fn restore(&self, _: &Snapshot) -> Option<Project> {
        None
    }

    fn snapshot(&self, _: &Project) -> Option<Snapshot> {
        // A project's stream has a handful of events a phase.
        None
    }

    fn apply(&self, state: &mut Project, event: &Event) {
        state.apply(event);
    }

    fn version(&self, state: &Project) -> u64 {
        state.version()
    }

    fn is_over(&self, state: &Project) -> bool {
        state.ended().is_some()
    }

    fn decide(
        &mut self,
        _: StreamId,
        state: &mut Project,
        message: &Message<Heard>,
        _: bool,
        now: Timestamp,
    ) -> Decision<Event> {
        let planners = &self.world.planners;
        let replan = |goal: &GoalPlan, dossier: &Dossier| {
            for planner in planners.iter() {
                if let Some(goal) = guarded(|| planner.replan(goal, dossier).map_err(|error| error.message))? {
                    return Ok(goal);
                }
            }
            // Nobody has anything better.
            Ok(goal.clone())
        };
        project::decide(state, message.cause, &message.input.input, &self.context(now, &replan))
    }

    fn payloads(&mut self, _: StreamId, _: &[Event], _: &Message<Heard>) -> Vec<Payload> {
        Vec::new()
    }

    fn summary(&self, stream: StreamId, state: &Project) -> Option<Summary> {
        let accepted = state.accepted()?;
        Some(Summary {
            stream,
            name: accepted.name.clone(),
            status: state.status(),
            counts: state.counts(),
            submitted_at: accepted.at,
            finished_at: state.ended().map(|ended| ended.at),
        })
    }

    fn sent_again(&self, cause: MessageId, at: Timestamp) -> Event {
        Event::SentAgain { at, cause }
    }

    fn effects(&self, state: &Project, cause: MessageId) -> Vec<Effect> {
        project::effects(state, cause)
    }

    fn render(
        &self,
        stream: StreamId,
        state: &Project,
        effect: Effect,
        _: Raw,
        now: Timestamp,
    ) -> Result<Rendered, RenderError> {
        let project = stream.project();
        let gone = || RenderError::Unsendable { id: MessageId(project.0), why: "it is not current any more".into() };
        let (address, content, cause) = match effect {
            Effect::StartPhase { phase } => self.start(project, state, phase).ok_or_else(gone)?,
            Effect::Tell { number } => word(project, state, number).ok_or_else(gone)?,
            Effect::Alarm { number } => {
                let alarm = state.alarms().numbered(number).ok_or_else(gone)?;
                let content = Content::Alarm(Alarm {
                    stream,
                    number,
                    not_before: alarm.not_before,
                    store_id: Some(self.world.store_id),
                });
                (Address::project_alarm(alarm.tier.tier()), content, alarm.cause)
            }
            Effect::Execute { .. } | Effect::Report | Effect::Ask { .. } => return Err(gone()),
        };
        let id = state.id_of(cause, effect).ok_or_else(gone)?;
        let sent = self.pen.must_arrive(id, address, project, content, now);
        let outgoing = sent.map_err(|error| RenderError::Unsendable { id, why: error.to_string() })?;
        Ok(Rendered { id, outgoing, pack_max: PACK_MAX })
    }

    fn is_untimely(&self, heard: &Heard) -> bool {
        project::is_word(&heard.input)
    }

    fn notices(&self, stream: StreamId, state: &Project, events: &[Event], now: Timestamp) -> Vec<Outgoing> {
        self.news(stream.project(), state, events, now)
    }

    fn answer(
        &self,
        stream: StreamId,
        state: &Project,
        message: &Message<Heard>,
        why: Option<&str>,
        now: Timestamp,
    ) -> Option<Outgoing> {
        if state.has_heard(message.cause) {
            // It was done, and nothing of it is news.
            return None;
        }
        self.reply(stream.project(), state, &message.input, why, now)
    }

    fn instead(&self, letter: &Letter, now: Timestamp) -> Option<Outgoing> {
        // A project must not be left without its alarm; everything else is set aside.
        let Content::Alarm(Alarm { stream: StreamId::Project(project), .. }) = letter.envelope.content else {
            return None;
        };
        let id = MessageId(self.world.clock.fresh_id());
        let address = Address::project_alarm(Tier::LONGEST);
        self.pen.must_arrive(id, address, project, letter.envelope.content.clone(), now).ok()
    }

    fn at_work(&self) {
        self.post.at_work();
    }

    fn pen(&self) -> &Pen {
        &self.pen
    }

    fn refused(&self, effect: Effect, id: MessageId, why: Why) -> Heard {
        Heard { input: Input::Refused(Refusal { effect, id, why }), sender: String::new() }
    }

    fn forget(&mut self, _: StreamId) {}
}

impl ManagerRole {
    pub(super) fn context<'a>(
        &self,
        now: Timestamp,
        replan: &'a dyn Fn(&GoalPlan, &Dossier) -> Result<GoalPlan, String>,
    ) -> Context<'a> {
        let Listening { since, coordinator_heard } = self.post.listening();
        Context {
            now,
            partitions: self.world.topology.partitions,
            coordinator_heard,
            listening_since: since,
            away_ms: u64::try_from(self.world.timing.away.as_millis()).unwrap_or(u64::MAX),
            replan,
        }
    }

    fn start(&self, project: ProjectId, state: &Project, phase: u32) -> Option<(Address, Content, MessageId)> {
        let (accepted, phase) = (state.accepted()?, state.phase(phase)?);
        let partition = phase.partition?;
        let content = Content::StartProjectPhase(StartProjectPhase {
            project_id: project,
            project_name: accepted.name.clone(),
            project_version: phase.started_version,
            run: state.run(),
            store_id: self.world.store_id,
            phase: phase.number,
            priority: phase.priority,
            partition,
            strategic_goals: state.goals_of(phase).cloned().collect(),
            parameters: accepted.parameters.clone(),
            policy: accepted.policy.clone(),
            id_namespace: accepted.id_namespace,
            playbook: accepted.playbook.clone(),
            former: phase.former,
            before: state.before(phase.former),
            left_out: state.left_out(phase.number),
        });
        Some((Address::phases(partition), content, phase.started_by?))
    }
}

/// What a phase is told. Of cancel, pause and resume the newest wins, so they say how new they are.
fn word(project: ProjectId, state: &Project, number: u32) -> Option<(Address, Content, MessageId)> {
    let told = state.told().get(&number)?;
    let partition = state.phase(told.phase)?.partition?;
    let control = Control { stream: Some(StreamId::Phase(project, told.phase)), ..Control::about(project) };
    let versioned = Control { project_version: Some(told.version), ..control.clone() };
    let content = match &told.word {
        Word::Cancel { subtask, reason } => {
            let reason = (!reason.is_empty()).then(|| reason.clone());
            Content::Cancel(Control { subtask_id: *subtask, reason, ..versioned })
        }
        Word::Pause => Content::Pause(versioned),
        Word::Resume => Content::Resume(versioned),
        Word::Decide { question, answer } => {
            Content::Decide(Control { question: Some(question.0), answer: Some(answer.as_str().to_owned()), ..control })
        }
        Word::Recover => Content::Recover(control),
    };
    Some((Address::phases(partition), content, told.cause))
}
