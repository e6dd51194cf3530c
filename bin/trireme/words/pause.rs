//! `trireme pause` and `trireme resume`: nothing new of a project is dispatched, until it is.

use trireme::config::Settings;
use trireme::wire::content::Control;
use trireme::wire::{Content, Status as ProjectStatus};

use super::{About, Spoken};
use crate::failure::{Failure, Status};
use crate::output::Output;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme pause 0197a3c1
  trireme resume 0197a3c1

While a project is paused nothing of it is dispatched; what an executor has runs to its end, and waits and the deadline \
stand still.")]
pub struct Arguments {
    #[command(flatten)]
    about: About,
}

pub async fn pause(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let spoken = Spoken::find_early(&arguments.about, settings, output).await?;
    spoken.check_open("paused")?;
    if spoken.view.status == ProjectStatus::Paused {
        return spoken.tell(&spoken.view, "paused", "it is paused already");
    }
    said(&spoken, Content::Pause(Control::about(spoken.id())), "paused").await
}

pub async fn resume(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let spoken = Spoken::find(&arguments.about, settings, output).await?;
    spoken.check_open("resumed")?;
    if spoken.view.status != ProjectStatus::Paused {
        return spoken.tell(&spoken.view, "resumed", "it is not paused");
    }
    said(&spoken, Content::Resume(Control::about(spoken.id())), "resumed").await
}

async fn said(spoken: &Spoken<'_>, word: Content, effect: &str) -> Result<Status, Failure> {
    let mut asker = spoken.asker().await?;
    let heard = spoken.say(&mut asker, word).await;
    asker.close().await;
    match heard? {
        None => spoken.sent(),
        Some(_) => {
            let view = spoken.look_for(|_| true).await?;
            spoken.tell(&view, effect, effect)
        }
    }
}
