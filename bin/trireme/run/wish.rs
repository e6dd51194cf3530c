//! What `trireme run` is asked for: a new project, or one that is in the store. Everything that can be refused is
//! refused here, before anything starts.

use std::sync::Arc;

use trireme::config::{Performer, Settings};
use trireme::domain::BadInput;
use trireme::domain::bad_input::quote;
use trireme::domain::check::check;
use trireme::domain::project::fingerprint;
use trireme::planner::{Known, Library, ProjectFile, preview};
use trireme::runtime::port::{Planner, Store};
use trireme::runtime::reader;
use trireme::wire::content::NewProject;
use trireme::wire::policy::OnFailure;
use trireme::wire::{GoalPlan, Policy, ProjectId};
use uuid::Uuid;

use crate::failure::Failure;
use crate::reading::{self, Named};
use crate::submit;
use crate::wanted::Wanted;

pub enum Wish {
    New { id: ProjectId, request: NewProject },
    Resume { id: ProjectId },
}

impl Wish {
    /// The new project that a file, or a description, asks for; `place` names it.
    pub fn of_file(
        place: &str,
        file: ProjectFile,
        library: &Library,
        planners: &[Arc<dyn Planner>],
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let names = Known {
            playbooks: library.names().map(Into::into).collect(),
            skills: Some(settings.skills.keys().cloned().collect()),
        };
        file.check_names(&names).map_err(|bad| bad.at(place))?;
        if file.policy.on_failure == OnFailure::Ask {
            return Err(nobody_answers().at(place).into());
        }
        let request = file.request();
        // What the playbook or the fallback adds is looked at too.
        let goals = preview(planners, &request).map_err(|error| BadInput::new(error.message).at(place))?;
        check(&goals).map_err(|bad| bad.at(place))?;
        let whole = ProjectFile { goals: Some(goals), ..file };
        whole.check_names(&names).map_err(|bad| bad.at(place))?;
        check_performed(whole.goals.as_deref().unwrap_or_default(), settings).map_err(|bad| bad.at(place))?;
        Ok(Self::New { id: whole.id.unwrap_or_else(|| ProjectId(Uuid::now_v7())), request })
    }

    /// The project of the store that a person names so.
    pub async fn resume(named: &str, store: &dyn Store) -> Result<Self, Failure> {
        Ok(Self::Resume { id: Named::new(named).find(store).await? })
    }

    pub fn id(&self) -> ProjectId {
        match self {
            Self::New { id, .. } | Self::Resume { id } => *id,
        }
    }

    /// Whether the store has the project already; refused where it has another one under this id, or none that
    /// could be resumed.
    pub async fn check(&self, store: &dyn Store) -> Result<bool, Failure> {
        let known = reader::accepted(store, self.id()).await?;
        match (self, known) {
            (Self::New { .. }, None) => Ok(false),
            (Self::New { request, .. }, Some(accepted)) if accepted.fingerprint == fingerprint(request) => Ok(true),
            (Self::Resume { id }, Some(accepted)) => match Policy::read(&accepted.policy) {
                Ok(policy) if policy.on_failure == OnFailure::Ask => {
                    Err(nobody_answers().at(format!("project `{id}`")).into())
                }
                _ => Ok(true),
            },
            (Self::New { id, .. }, Some(accepted)) => Err(submit::taken(*id, &accepted.name)),
            (Self::Resume { id }, None) => Err(reading::unknown(&id.to_string())),
        }
    }
}

/// Here is no broker through which an answer could come.
fn nobody_answers() -> BadInput {
    BadInput::new("`on_failure` is `ask`, and nobody can answer here")
        .or_else("worker processes on a broker see such a project through, and `trireme decide` answers")
}

/// What is wanted, on a thread of its own: it may take its time.
pub async fn read(wanted: &Wanted) -> Result<ProjectFile, Failure> {
    let wanted = wanted.clone();
    let reading = tokio::task::spawn_blocking(move || wanted.read());
    Ok(reading.await.map_err(|error| Failure::bug(error.to_string()))??)
}

/// Programs that are none of ours are not part of a team in one process.
fn check_performed(goals: &[GoalPlan], settings: &Settings) -> Result<(), BadInput> {
    let is_external =
        |skill: &str| settings.skills.get(skill).is_some_and(|skill| skill.performer == Performer::External);
    for goal in goals {
        if let Some(subtask) = goal.subtasks.iter().flatten().find(|subtask| is_external(&subtask.skill)) {
            return Err(BadInput::new(format!(
                "goal {}: subtask {}: skill {} is external: nobody performs it here",
                quote(&goal.goal_name),
                quote(&subtask.name),
                quote(&subtask.skill)
            ))
            .or_else("`trireme submit` gives the project to worker processes, and to programs of your own"));
        }
    }
    Ok(())
}
