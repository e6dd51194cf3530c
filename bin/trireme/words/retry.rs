//! `trireme retry`: another run of a project that has ended, or, with `--stuck`, a push for one that has not.

use trireme::config::Settings;
use trireme::wire::content::Control;
use trireme::wire::{Content, Status as ProjectStatus};

use super::{About, Spoken};
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::progress::{self, Show};
use crate::{reading, show};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme retry 0197a3c1                   all that was not completed, once more
  trireme retry 0197a3c1 --failed --wait   what failed, was skipped or stopped
  trireme retry 0197a3c1 --subtask 1.3     it, and all that depends on it
  trireme retry 0197a3c1 --stuck           no new run: sends lost messages anew

What was completed is kept. With --wait the exit status is 0 when the project completed and 1 when it ended in ERROR or \
CANCELLED.")]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    /// This subtask, what depends on it, and all that was not completed: its id, as in 1.3, or its name
    #[arg(long, value_name = "SUBTASK", group = "which")]
    subtask: Option<String>,
    /// Only what failed, was skipped, or was stopped by a failure or the deadline: what was cancelled by hand stays so
    #[arg(long, group = "which")]
    failed: bool,
    /// For an open project that does not go on: send anew what may have got lost
    #[arg(long, group = "which")]
    stuck: bool,
    /// Follow the project to its end, and print what became of it
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let spoken = Spoken::find(&arguments.about, settings, output).await?;
    let id = spoken.id();
    let word = match arguments.stuck {
        true => {
            spoken.check_open("stuck")?;
            Content::Recover(Control::about(id))
        }
        false => again(&arguments, &spoken)?,
    };
    let mut asker = spoken.asker().await?;
    let heard = match spoken.say(&mut asker, word).await {
        Ok(heard) => heard,
        Err(failure) => {
            asker.close().await;
            return Err(match arguments.failed && failure.status == Status::Negative {
                true => failure.hint(format!("`trireme retry {id}` also runs what was cancelled by hand")),
                false => failure,
            });
        }
    };
    let ended = match (heard, arguments.wait) {
        (None, _) => spoken.sent(),
        (Some(state), true) => {
            output.note(&format!("run {} of project {id}", state.run()));
            let followed =
                progress::follow(&*spoken.store, id, output, Show::Beside, Some((&mut asker.client, spoken.settings)));
            match progress::unless_interrupted(id, followed).await {
                Ok(_) => show::ending(&*spoken.store, id, None, false, output).await,
                Err(failure) => Err(failure),
            }
        }
        (Some(state), false) => {
            let view = spoken.look_for(|_| true).await?;
            match arguments.stuck {
                true => spoken.tell(&view, "recovered", "everything that may have got lost is sent anew"),
                false => spoken.tell(&view, "retried", &format!("run {} has begun", state.run())),
            }
        }
    };
    asker.close().await;
    ended
}

/// Another run, as far as it can be said that there is one.
fn again(arguments: &Arguments, spoken: &Spoken<'_>) -> Result<Content, Failure> {
    let (view, id) = (&spoken.view, spoken.id());
    if !view.status.is_ended() {
        return Err(Failure::usage(format!("project `{id}` is still open ({}): it can not be retried", view.status))
            .hint(format!("does it not go on? `trireme retry {id} --stuck` sends anew what may have got lost")));
    }
    let subtask = arguments.subtask.as_deref().map(|named| reading::subtask(view, named)).transpose()?;
    let nothing = |why: &str| {
        Err(Failure::usage(format!("project `{id}` has nothing to run again: {why}"))
            .hint("--subtask does one again, with all that depends on it"))
    };
    let counts = &view.counts;
    let is_whole = view.status == ProjectStatus::Completed && counts.completed == counts.total;
    if subtask.is_none() && is_whole && view.phases.iter().all(|phase| phase.status == ProjectStatus::Completed) {
        return nothing("everything was completed");
    }
    if view.phases.is_empty() {
        return Err(Failure::usage(format!("project `{id}` has no plan: there is nothing to run again"))
            .hint("mend its file and submit it under another id"));
    }
    Ok(Content::Retry(Control {
        subtask_id: subtask.map(|subtask| subtask.id),
        failed_only: arguments.failed,
        ..Control::about(id)
    }))
}
