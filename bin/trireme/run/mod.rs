//! `trireme run`: a project to its end with a whole team in this process. It needs no broker, no network and no
//! account; what it may need to go on later is in the store that `--store` names.

mod place;
mod wish;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgGroup, ValueHint};
use trireme::config::{Given, Settings};
use trireme::domain::view::ProjectView;
use trireme::planner::{self, Library};
use trireme::runtime::client::Client;
use trireme::runtime::port::{Clock, Store, SystemClock, Transport};
use trireme::runtime::recover::recover;
use trireme::runtime::{Stop, reader};
use trireme::wire::Content;
use trireme::wire::content::Control;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::progress::{self, Show};
use crate::team::Team;
use crate::wanted::Wanted;
use crate::{files, open_files, process, show, wiring};
use place::Place;
use wish::Wish;

#[derive(clap::Args)]
#[command(group = ArgGroup::new("what").args(["file", "name", "resume"]).required(true), after_help = "\
Examples:
  trireme run examples/ecommerce.toml --out made
  trireme run --name shop --description \"an e-commerce platform\" --out made
  trireme run examples/ecommerce.toml --store sqlite:shop.db
  trireme run --resume 0192d3c4 --store sqlite:shop.db

The same project `id` in the file is the same project: with --store an unfinished one is gone on with, and a finished \
one is reported as it is. The exit status is 0 when the project completed, 1 when it ended in ERROR or CANCELLED, and \
130 after Ctrl-C, which finishes what runs when there is a --store; a second one leaves at once.")]
pub struct Arguments {
    #[command(flatten)]
    wanted: Wanted,
    /// At the end, write the files of all results to DIR/<goal>/<subtask>/<path>, and everything to DIR/report.json
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// Overwrite files that exist in DIR
    #[arg(long, requires = "out")]
    force: bool,
    /// Keep the project there, so that it can be resumed: sqlite:PATH or postgres://...; without it nothing is kept once
    /// its results are written
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Go on with a project that is in the store: its id, or its beginning or end
    #[arg(long, value_name = "ID", requires = "store")]
    resume: Option<String>,
    /// How many subtasks run at once
    #[arg(long, value_name = "N")]
    slots: Option<String>,
}

impl Arguments {
    pub fn given(&self) -> Vec<Given> {
        let slots = |value: &String| Given { key: "agents.slots", option: "--slots", value: value.clone() };
        let store = |value: &String| Given { key: "store.url", option: "--store", value: value.clone() };
        self.slots.iter().map(slots).chain(self.store.iter().map(store)).collect()
    }
}

/// How following a project ended.
enum Ended {
    Whole,
    Interrupted,
    Failed(Failure),
}

/// Runs it. `common` are the options that all commands take, for the command that goes on with it.
pub async fn run(
    arguments: Arguments,
    common: Vec<OsString>,
    settings: &Settings,
    output: &Output,
) -> Result<Status, Failure> {
    let stop = process::stop_on_signals()?;
    let library = Arc::new(Library::load(settings.playbooks.folder.as_deref())?);
    let planners = planner::planners_with(library.clone());
    let new = match &arguments.resume {
        None => {
            let file = tokio::select! {
                biased;
                () = stop.draining() => return Err(unread()),
                file = wish::read(&arguments.wanted) => file?,
            };
            Some(Wish::of_file(&arguments.wanted.place(), file, &library, &planners, settings)?)
        }
        Some(_) => None,
    };
    let mut offered = wiring::offered(settings, None)?;
    open_files::bound_slots(&mut offered);
    trireme::runner::guard::enable();
    if let Some(dir) = &arguments.out {
        files::check(dir, arguments.force)?;
    }
    let place = Place::open(&arguments, settings).await?;
    let store = place.store.clone();
    let wish = match (new, &arguments.resume) {
        (Some(new), _) => new,
        (None, Some(named)) => Wish::resume(named, store.as_ref()).await?,
        (None, None) => return Err(Failure::usage("there is nothing to run").hint("name a project file")),
    };
    let is_known = wish.check(store.as_ref()).await?;
    let ended = match reader::project(store.as_ref(), wish.id(), false).await? {
        Some(view) if view.status.is_ended() => Ended::Whole,
        _ => {
            let mut team = Team::start(settings, planners, offered, store.clone()).await?;
            let transport = team.transport();
            let ended = tokio::select! {
                biased;
                () = stop.draining() => Ended::Interrupted,
                failure = team.failed() => Ended::Failed(failure),
                done = follow(&wish, is_known, &transport, store.as_ref(), output) => match done {
                    Ok(_) => Ended::Whole,
                    Err(failure) => Ended::Failed(failure),
                },
            };
            dismiss(team, &ended, &place, &stop, output).await;
            ended
        }
    };
    match ended {
        Ended::Whole => {
            let dir = arguments.out.as_deref();
            let shown = show::ending(store.as_ref(), wish.id(), dir, arguments.force, output).await;
            shown.map_err(|failure| place.not_shown(wish.id(), dir.is_some(), failure))
        }
        Ended::Failed(failure) => Err(failure),
        Ended::Interrupted => {
            let is_taken = reader::accepted(store.as_ref(), wish.id()).await?.is_some();
            Err(place.interrupted(&arguments, common, wish.id(), is_taken, output))
        }
    }
}

fn unread() -> Failure {
    let message = "interrupted before the project file was read: nothing was run".into();
    Failure { status: Status::Interrupted, message, hint: None }
}

/// Asks the team for it and follows it to its end.
async fn follow(
    wish: &Wish,
    is_known: bool,
    transport: &dyn Transport,
    store: &dyn Store,
    output: &Output,
) -> Result<ProjectView, Failure> {
    let client = Client::connect(transport, Arc::new(SystemClock)).await?;
    match wish {
        Wish::New { id, request } if !is_known => {
            client.submit(*id, request.clone()).await?;
        }
        Wish::New { id, .. } | Wish::Resume { id } => {
            recover(&client, SystemClock.fresh_id(), *id).await?;
            tracing::debug!(project = %id, "resumed");
        }
    }
    if matches!(wish, Wish::Resume { .. }) {
        // It may have been paused: whoever resumes it wants it to go on. Where it was not, this changes nothing.
        client.say(wish.id(), Content::Resume(Control::about(wish.id()))).await?;
    }
    // Who is there need not be asked: every skill of the plan has its executor.
    progress::follow(store, wish.id(), output, Show::Beside, None).await
}

/// The team goes: calmly where what it holds is worth something, and at once where it is not.
async fn dismiss(team: Team, ended: &Ended, place: &Place, stop: &Stop, output: &Output) {
    match ended {
        Ended::Interrupted if place.is_kept() => {
            output.note("interrupted: what runs is finished first; once more to leave at once");
            team.drain(stop.leaving()).await;
        }
        _ => team.leave().await,
    }
}
