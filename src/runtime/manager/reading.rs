//! What comes to a manager, as inputs of the project machine.

use super::role::{Heard, ManagerRole};
use crate::domain::dossier::Dossier;
use crate::domain::project::{
    self, Answer, AskedSubtask, Cancel, DeadPhase, Input, PhaseReport, Question, Request, Retry,
};
use crate::runtime::letter::Letter;
use crate::runtime::options::World;
use crate::runtime::port::{Death, PlannedGoals, guarded};
use crate::runtime::role::Unfit;
use crate::wire::content::{Control, NewProject, ProjectStatusUpdate};
use crate::wire::{Content, Envelope, MessageId, StreamId, SubtaskId};

impl ManagerRole {
    pub(super) fn input(&self, letter: &Letter) -> Result<Heard, Unfit> {
        let envelope = &letter.envelope;
        let input = match &envelope.content {
            Content::NewProject(request) => Input::Request(Box::new(self.request(envelope, request))),
            Content::ProjectStatusUpdate(update) => match update.asks {
                Some(subtask) => question(envelope.message_id, update, subtask)?,
                None => report(update),
            },
            Content::Alarm(alarm) => match alarm.stream {
                StreamId::Project(project) if project != envelope.task_id => {
                    return Err(Unfit::Misdirected("task_id_is_not_project_id"));
                }
                StreamId::Project(_) => Input::Alarm { number: alarm.number },
                StreamId::Phase(_, phase) => dead(phase, "its alarm", letter.death.as_ref()),
            },
            Content::StartProjectPhase(start) => dead(start.phase, "its start", letter.death.as_ref()),
            Content::Cancel(control)
            | Content::Pause(control)
            | Content::Resume(control)
            | Content::Retry(control)
            | Content::Recover(control)
            | Content::Decide(control) => word(letter, control)?,
            Content::ExecuteSubtask(_)
            | Content::SubtaskAccepted(_)
            | Content::SubtaskProgress(_)
            | Content::SubtaskCompletion(_)
            | Content::SubtaskFailure(_)
            | Content::ProjectCompletion(_)
            | Content::Heartbeat(_)
            | Content::Ping(_)
            | Content::Pong(_) => return Err(Unfit::Misdirected("not_for_a_manager")),
        };
        Ok(Heard { input, sender: envelope.sender_id.clone() })
    }

    fn request(&self, envelope: &Envelope, request: &NewProject) -> Request {
        let (plan, playbook) = match guarded(|| plan(&self.world, request)) {
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

fn report(update: &ProjectStatusUpdate) -> Input {
    Input::Report(PhaseReport {
        run: update.run,
        phase: update.phase,
        status: update.status,
        counts: update.counts,
        error: update.error_message.clone(),
        dossier: dossier(update),
    })
}

/// A dossier that can not be read says nothing; what it is about is acted on all the same.
fn dossier(update: &ProjectStatusUpdate) -> Dossier {
    let Some(raw) = &update.dossier else { return Dossier::default() };
    raw.read().unwrap_or_else(|error| {
        let (project, phase) = (update.project_id, update.phase);
        tracing::warn!(%project, phase, %error, "what failed in a phase can not be read: its planner is told nothing of it");
        Dossier::default()
    })
}

fn question(id: MessageId, update: &ProjectStatusUpdate, subtask: SubtaskId) -> Result<Input, Unfit> {
    if subtask.phase != update.phase {
        return Err(Unfit::Misdirected("asks_about_another_phase"));
    }
    let failed = dossier(update).failed.into_iter().find(|failed| failed.subtask_id == subtask);
    let last = failed.as_ref().and_then(|failed| failed.attempts.last());
    let is_cancelled = update.asking.is_some_and(|asking| asking.after_cancel);
    let error = match (last, &update.error_message) {
        _ if is_cancelled => "it was cancelled".into(),
        (Some(last), _) => format!("{}: {}", last.kind.as_str(), last.error),
        (None, Some(error)) => error.clone(),
        (None, None) => "it failed".into(),
    };
    let name = failed.map_or_else(|| subtask.to_string(), |failed| failed.name);
    let subtask = AskedSubtask { id: subtask, name };
    Ok(Input::Question(Box::new(Question { id, run: update.run, subtask, error, asking: update.asking })))
}

fn dead(phase: u32, what: &str, death: Option<&Death>) -> Input {
    let why = death.map_or("its decision panicked", |death| death.reason.as_str());
    Input::DeadPhase(DeadPhase { phase, reason: format!("{what} became a dead letter ({why})") })
}

fn word(letter: &Letter, control: &Control) -> Result<Input, Unfit> {
    let envelope = &letter.envelope;
    if control.project_id != envelope.task_id {
        return Err(Unfit::Misdirected("task_id_is_not_project_id"));
    }
    match (control.stream, &letter.death) {
        (Some(StreamId::Phase(_, phase)), Some(death)) => return Ok(dead(phase, "a word to it", Some(death))),
        (Some(StreamId::Phase(..)), None) => return Err(Unfit::Misdirected("word_for_a_phase_at_a_manager")),
        (Some(StreamId::Project(project)), _) if project != envelope.task_id => {
            return Err(Unfit::Misdirected("task_id_is_not_project_id"));
        }
        (Some(StreamId::Project(_)) | None, _) => {}
    }
    Ok(match &envelope.content {
        Content::Cancel(_) => Input::Cancel(Cancel { subtask: control.subtask_id, reason: control.reason.clone() }),
        Content::Pause(_) => Input::Pause,
        Content::Resume(_) => Input::Resume,
        Content::Retry(_) => Input::Retry(Retry {
            subtask: control.subtask_id,
            failed_only: control.failed_only,
            requester: envelope.sender_id.clone(),
        }),
        Content::Decide(_) => {
            let question = control.question.map(MessageId).ok_or(Unfit::Misdirected("no_question"))?;
            let answer = control.answer.as_deref().and_then(Answer::read);
            Input::Decide { question, answer: answer.ok_or(Unfit::Misdirected("no_such_answer"))? }
        }
        _ => Input::Recover,
    })
}
