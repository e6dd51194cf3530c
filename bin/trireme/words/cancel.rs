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
    let subtask = arguments.subtask.as_deref().map(|named| reading::subtask(&spoken.view, named)).transpose()?;
    if let Some(subtask) = subtask {
        check_open(subtask)?;
    }
    let subtask_id = subtask.map(|subtask| subtask.id);
    let mut asker = spoken.asker().await?;
    let word = Content::Cancel(Control { subtask_id, reason: arguments.reason.clone(), ..Control::about(spoken.id()) });
    let heard = spoken.say(&mut asker, word).await;
    asker.close().await;
    match (heard?, subtask) {
        (None, _) => spoken.sent(),
        (Some(_), None) => whole(&spoken).await,
        (Some(_), Some(subtask)) => one(&spoken, subtask).await,
    }
}

async fn whole(spoken: &Spoken<'_>) -> Result<Status, Failure> {
    let view = spoken.look_for(|view| view.status.is_ended()).await?;
    match view.status.is_ended() {
        true => spoken.tell(&view, &view.status.as_str().to_lowercase(), &format!("project {}", view.status)),
        false => spoken.tell(&view, "cancelling", "it ends when the phase that runs has closed everything"),
    }
}

async fn one(spoken: &Spoken<'_>, subtask: &SubtaskView) -> Result<Status, Failure> {
    let is_seen =
        |view: &ProjectView| question(view, subtask.id).is_some() || status(view, subtask.id).is_none_or(has_ended);
    let view = spoken.look_for(is_seen).await?;
    let which = format!("subtask {} {}", subtask.id, quote(&subtask.name));
    match (question(&view, subtask.id), status(&view, subtask.id).filter(|status| has_ended(*status))) {
        (Some(question), _) => {
            let answer = decide::command(&view, question);
            let line = format!("{which} is cancelled, and what depends on it waits for an answer: {answer}");
            spoken.tell(&view, "waiting", &line)
        }
        (None, Some(status)) => spoken.tell(&view, &status.as_str().to_lowercase(), &format!("{which} {status}")),
        (None, None) => spoken.tell(&view, "cancelling", &format!("{which} is being cancelled")),
    }
}

/// What a person is asked about a subtask that others depend on: what was asked before it was cancelled is over.
fn question(view: &ProjectView, id: SubtaskId) -> Option<&QuestionView> {
    view.waiting_for.iter().find(|question| question.subtask_id == Some(id))
}

fn status(view: &ProjectView, id: SubtaskId) -> Option<SubtaskStatus> {
    view.subtasks().find(|subtask| subtask.id == id).map(|subtask| subtask.status)
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
