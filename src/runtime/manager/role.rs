//! The project machine in its place: what comes to a manager, and what it sends.

use std::sync::Arc;

use crate::domain::decision::{Decision, Effect};
use crate::domain::phase::{Refusal, Why};
use crate::domain::project::{self, Context, DeadPhase, Event, Input, PhaseReport, Project, Request};
use crate::runtime::letter::{Letter, Pen};
use crate::runtime::options::World;
use crate::runtime::port::{Outgoing, Payload, PlannedGoals, Snapshot, Summary};
use crate::runtime::presence::Post;
use crate::runtime::role::{Message, RenderError, Rendered, Role, Unfit};
use crate::wire::address::{Address, Tier};
use crate::wire::content::{Alarm, FinalReport, Layer, NewProject, ProjectCompletion, StartProjectPhase};
use crate::wire::{AgentId, Content, Envelope, MessageId, ProjectId, Status, StreamId, Timestamp};

/// A manager's end of a shared queue.
pub(crate) struct ManagerRole {
    pub(super) world: World,
    pub(super) pen: Pen,
    pub(super) post: Arc<Post>,
}

impl Role for ManagerRole {
    type State = Project;
    type Event = Event;
    type Input = Input;
    // Any manager may get the next delivery about a project: what was loaded for one is of no use for another.
    const KEEPS_STATES: bool = false;

    fn read(&mut self, letter: &Letter) -> Result<Message<Input>, Unfit> {
        let envelope = &letter.envelope;
        let project = envelope.task_id;
        let (project, input) = match &envelope.content {
            Content::NewProject(request) => (project, Input::Request(Box::new(self.request(envelope, request)))),
            Content::ProjectStatusUpdate(update) => (
                project,
                Input::Report(PhaseReport {
                    run: update.run,
                    phase: update.phase,
                    status: update.status,
                    counts: update.counts,
                    error: update.error_message.clone(),
                }),
            ),
            Content::Alarm(alarm) => match (alarm.stream, &letter.death) {
                (StreamId::Project(project), _) => (project, Input::Alarm { number: alarm.number }),
                (StreamId::Phase(project, phase), reason) => {
                    let reason = format!("its alarm became a dead letter ({})", reason_of(reason.as_ref()));
                    (project, Input::DeadPhase(DeadPhase { phase, reason }))
                }
            },
            Content::StartProjectPhase(start) => {
                let reason = format!("its start became a dead letter ({})", reason_of(letter.death.as_ref()));
                (project, Input::DeadPhase(DeadPhase { phase: start.phase, reason }))
            }
            Content::Recover(_) => (project, Input::Recover),
            _ => return Err(Unfit::Misdirected("not_for_a_manager")),
        };
        let stream = StreamId::Project(project);
        Ok(Message { stream, cause: envelope.message_id, input, result: None, log: None })
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
        message: &Message<Input>,
        now: Timestamp,
    ) -> Decision<Event> {
        let context = Context { now, partitions: self.world.topology.partitions };
        project::decide(state, message.cause, &message.input, &context)
    }

    fn payloads(&mut self, _: StreamId, _: &[Event], _: &Message<Input>) -> Vec<Payload> {
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

    fn effects(&self, state: &Project, cause: MessageId) -> Vec<Effect> {
        project::effects(state, cause)
    }

    async fn render(
        &mut self,
        stream: StreamId,
        state: &Project,
        effect: Effect,
        now: Timestamp,
    ) -> Result<Rendered, RenderError> {
        let project = stream.project();
        let gone = || RenderError::Unsendable { id: MessageId(project.0), why: "it is not current any more".into() };
        let (address, content, cause) = match effect {
            Effect::StartPhase { phase } => self.start(project, state, phase).ok_or_else(gone)?,
            Effect::Alarm { number } => {
                let alarm = state.alarms().numbered(number).ok_or_else(gone)?;
                let content = Content::Alarm(Alarm { stream, number, not_before: alarm.not_before });
                (Address::project_alarm(alarm.tier.tier()), content, alarm.cause)
            }
            Effect::Execute { .. } | Effect::Report | Effect::Ask { .. } | Effect::Tell { .. } => return Err(gone()),
        };
        let id = state.id_of(cause, effect).ok_or_else(gone)?;
        let sent = self.pen.must_arrive(id, address, project, content, now);
        let outgoing = sent.map_err(|error| RenderError::Unsendable { id, why: error.to_string() })?;
        Ok(Rendered { id, outgoing })
    }

    fn notices(&self, stream: StreamId, state: &Project, events: &[Event], now: Timestamp) -> Vec<Outgoing> {
        let mut notices = Vec::new();
        let has = |wanted: fn(&Event) -> bool| events.iter().any(wanted);
        let ended = has(|event| matches!(event, Event::Ended { .. }));
        let what = match (ended, has(|event| matches!(event, Event::Accepted(_) | Event::PhaseStarted { .. }))) {
            (true, _) => "ended",
            (false, true) => "progress",
            (false, false) => return notices,
        };
        let Some(content) = completion(stream.project(), state) else { return notices };
        let address = Address::event(Layer::Management, what, stream.project());
        notices.extend(self.best_effort(address, stream.project(), content.clone(), now));
        if ended {
            let requester = state.accepted().map(|accepted| accepted.requester.clone()).unwrap_or_default();
            notices.extend(self.tell(&requester, stream.project(), content, now));
        }
        notices
    }

    fn answer(
        &self,
        stream: StreamId,
        state: &Project,
        message: &Message<Input>,
        refused: Option<&str>,
        now: Timestamp,
    ) -> Option<Outgoing> {
        let Input::Request(request) = &message.input else { return None };
        let mut content = completion(stream.project(), state)?;
        if refused.is_some() {
            content.status = Status::Error;
            content.error_message = Some(format!(
                "another project has the id {}: `{}`",
                stream.project(),
                state.accepted().map(|accepted| accepted.name.as_str()).unwrap_or_default()
            ));
        }
        self.tell(&request.requester, stream.project(), content, now)
    }

    fn after_panic(&self, letter: &Letter, now: Timestamp) -> Option<Outgoing> {
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

    fn refused(&self, effect: Effect, id: MessageId, why: Why) -> Input {
        Input::Refused(Refusal { effect, id, why })
    }

    fn forget(&mut self, _: StreamId) {}
}

impl ManagerRole {
    fn request(&self, envelope: &Envelope, request: &NewProject) -> Request {
        let planned = plan(&self.world, request);
        let (plan, playbook) = match planned {
            Ok(PlannedGoals { goals, playbook }) => (Ok(goals), playbook),
            Err(error) => (Err(error), None),
        };
        Request {
            project_id: envelope.task_id,
            requester: envelope.sender_id.clone(),
            request: request.clone(),
            fingerprint: project::fingerprint(request),
            plan,
            playbook,
            id_namespace: self.world.clock.fresh_id(),
        }
    }

    fn start(&self, project: ProjectId, state: &Project, phase: u32) -> Option<(Address, Content, MessageId)> {
        let (accepted, phase) = (state.accepted()?, state.phase(phase)?);
        let partition = phase.partition?;
        let content = Content::StartProjectPhase(StartProjectPhase {
            project_id: project,
            project_name: accepted.name.clone(),
            project_version: phase.started_version,
            run: accepted.run,
            store_id: self.world.store_id,
            phase: phase.number,
            priority: phase.priority,
            partition,
            strategic_goals: state.goals_of(phase).cloned().collect(),
            parameters: accepted.parameters.clone(),
            policy: accepted.policy.clone(),
            id_namespace: accepted.id_namespace,
            playbook: accepted.playbook.clone(),
            former: None,
        });
        Some((Address::phases(partition), content, phase.started_by?))
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

/// The goals of a request: of the first planner that knows.
fn plan(world: &World, request: &NewProject) -> Result<PlannedGoals, String> {
    for planner in world.planners.iter() {
        if let Some(goals) = planner.goals(request).map_err(|error| error.message)? {
            return Ok(goals);
        }
    }
    Err("no planner knows what to do with this request".into())
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

fn reason_of(death: Option<&crate::runtime::port::Death>) -> &str {
    death.map_or("its decision panicked", |death| death.reason.as_str())
}
