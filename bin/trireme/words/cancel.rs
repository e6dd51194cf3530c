//! `trireme cancel`: a project, or one subtask of it, ends before it is done.

use trireme::config::Settings;
use trireme::domain::bad_input::quote;
use trireme::domain::view::{ProjectView, QuestionView, SubtaskView};
use trireme::wire::content::Control;
use trireme::wire::{Content, SubtaskId, SubtaskStatus};

use super::{About, Spoken, decide};
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::reading;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme cancel 0197a3c1 --reason \"wrong input\"
  trireme cancel 0197a3c1 --subtask 1.3
  trireme cancel 0197a3c1 --subtask \"Write the report\"

Nothing of it is dispatched any more, and executors end what runs of it. What depends on a cancelled subtask follows the \
project's `on_failure`; where that is `ask`, `trireme decide` answers.")]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    /// Only this subtask: its id, as in 1.3, or its name
    #[arg(long, value_name = "SUBTASK")]
    subtask: Option<String>,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let spoken = Spoken::find(&arguments.about, settings, output).await?;
    spoken.check_open("cancelled")?;
    let subtask_id = arguments.subtask.as_deref().map(|named| find(&spoken.view, named)).transpose()?;
    let mut asker = spoken.asker().await?;
    let word = Content::Cancel(Control { subtask_id, reason: arguments.reason.clone(), ..Control::about(spoken.id()) });
    let heard = spoken.say(&mut asker, word).await;
    asker.close().await;
    match (heard?, subtask_id) {
        (None, _) => spoken.sent(),
        (Some(_), None) => whole(&spoken).await,
        (Some(_), Some(subtask)) => one(&spoken, subtask).await,
    }
}

/// A subtask that has not ended, also of a phase that has not begun.
fn find(view: &ProjectView, named: &str) -> Result<SubtaskId, Failure> {
    if let Some(to_come) = reading::subtask_to_come(view, named)? {
        return Ok(to_come);
    }
    let subtask = reading::subtask(view, named)?;
    check_open(subtask)?;
    Ok(subtask.id)
}

async fn whole(spoken: &Spoken<'_>) -> Result<Status, Failure> {
    let view = spoken.look_for(|view| view.status.is_ended()).await?;
    match view.status.is_ended() {
        true => spoken.tell(&view, &view.status.as_str().to_lowercase(), &format!("project {}", view.status)),
        false => spoken.tell(&view, "cancelling", "it ends when the phase that runs has closed everything"),
    }
}

async fn one(spoken: &Spoken<'_>, id: SubtaskId) -> Result<Status, Failure> {
    let is_seen = |view: &ProjectView| match subtask(view, id) {
        Some(known) => question(view, id).is_some() || has_ended(known.status),
        None => is_kept_in_mind(view, id) || !is_to_come(view, id),
    };
    let view = spoken.look_for(is_seen).await?;
    let known = subtask(&view, id);
    let which = match known {
        Some(known) => format!("subtask {id} {}", quote(&known.name)),
        None => format!("subtask {id}"),
    };
    match (question(&view, id), known.map(|known| known.status).filter(|status| has_ended(*status))) {
        (Some(question), _) => {
            let answer = decide::command(&view, question);
            let line = format!("{which} is cancelled, and what depends on it waits for an answer: {answer}");
            spoken.tell(&view, "waiting", &line)
        }
        (None, Some(status)) => spoken.tell(&view, &status.as_str().to_lowercase(), &format!("{which} {status}")),
        (None, None) if is_kept_in_mind(&view, id) => {
            let line = format!("{which} is cancelled as soon as phase {} has begun", id.phase);
            spoken.tell(&view, "cancelling", &line)
        }
        (None, None) => spoken.tell(&view, "cancelling", &format!("{which} is being cancelled")),
    }
}

fn is_to_come(view: &ProjectView, id: SubtaskId) -> bool {
    view.phases.iter().filter_map(|phase| phase.to_come.as_ref()).any(|phase| phase.may_have(id))
}

/// It is of a phase that has not begun, and will be cancelled then.
fn is_kept_in_mind(view: &ProjectView, id: SubtaskId) -> bool {
    view.phases.iter().any(|phase| phase.unwanted.contains(&id))
}

/// What a person is asked about a subtask that others depend on: what was asked before it was cancelled is over.
fn question(view: &ProjectView, id: SubtaskId) -> Option<&QuestionView> {
    view.waiting_for.iter().find(|question| question.subtask_id == Some(id))
}

fn subtask(view: &ProjectView, id: SubtaskId) -> Option<&SubtaskView> {
    view.subtasks().find(|subtask| subtask.id == id)
}

fn has_ended(status: SubtaskStatus) -> bool {
    match status {
        SubtaskStatus::Completed | SubtaskStatus::Error | SubtaskStatus::Skipped | SubtaskStatus::Cancelled => true,
        SubtaskStatus::Idle | SubtaskStatus::Ready | SubtaskStatus::Busy | SubtaskStatus::Waiting => false,
    }
}

fn check_open(subtask: &SubtaskView) -> Result<(), Failure> {
    match has_ended(subtask.status) {
        true => Err(Failure::usage(format!(
            "subtask {} {} has ended ({}): it can not be cancelled",
            subtask.id,
            quote(&subtask.name),
            subtask.status
        ))),
        false => Ok(()),
    }
}
