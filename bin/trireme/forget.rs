//! `trireme forget` and `trireme prune`: remove projects from the store, for good. They are the only commands that
//! write to it: `runtime::retention` says why.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use trireme::config::Settings;
use trireme::domain::bad_input::quote;
use trireme::runtime::port::{Removal, Store};
use trireme::runtime::reader::Listed;
use trireme::runtime::retention::{self, Forgotten};
use trireme::store;
use trireme::wire::{ProjectId, Status as ProjectStatus, Timestamp};

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::show::count;
use crate::table::{Column, Table};
use crate::{consent, reading, show, usage};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme forget 0197a3c1
  trireme forget 0197a3c1 --yes --json

Its streams, results, logs and snapshots go, and can not be brought back. An open project is refused. With --force it \
goes too: nobody ends it, executors finish what they run of it, and what is still sent about it becomes a dead letter.")]
pub struct Arguments {
    #[command(flatten)]
    project: reading::Named,
    /// Also when it has not ended
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme prune --older-than 30d --dry-run
  trireme prune --older-than 12h --status COMPLETED --yes

Open projects are never among them.")]
pub struct PruneArguments {
    /// Projects that ended longer ago than this, as in `30d` or `12h`
    #[arg(long, value_name = "TIME", value_parser = usage::age)]
    older_than: Duration,
    /// Only those that ended in this status: COMPLETED, ERROR or CANCELLED
    #[arg(long, value_name = "STATUS")]
    status: Option<ProjectStatus>,
    /// Only say which
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// One of what `--json` prints.
#[derive(Serialize)]
struct Gone {
    project_id: ProjectId,
    name: String,
    status: ProjectStatus,
    finished_at: Option<Timestamp>,
    /// How many streams were removed; none yet in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    streams: Option<u64>,
}

impl Gone {
    fn new(Listed { project_id, name, status, finished_at, .. }: Listed, streams: Option<u64>) -> Self {
        Self { project_id, name, status, finished_at, streams }
    }
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    // Opened for reading first: a store that is not there is not to be made for this.
    let store = reading::open(settings).await?;
    let id = arguments.project.find(&*store).await?;
    let found = retention::find(&*store, id).await?.ok_or_else(|| reading::unknown(&id.to_string()))?;
    if !found.status.is_ended() && !arguments.force {
        return Err(still_open(&found));
    }
    let question = format!("forget project {id} {} ({}) for good?", quote(&found.name), found.status);
    if !arguments.yes && !confirm("removes a project", question).await? {
        output.note("nothing was removed");
        return Ok(Status::Done);
    }
    let removal = if arguments.force { Removal::Whatever } else { Removal::Ended };
    let store = writing(settings).await?;
    let Forgotten::Streams(streams) = retention::forget(&*store, id, removal).await? else {
        return Err(still_open(&found));
    };
    match output.is_json() {
        true => output.json(&Gone::new(found, Some(streams)))?,
        false => output.note(&format!("removed project {id}: {}", count(streams, "stream"))),
    }
    Ok(Status::Done)
}

fn still_open(found: &Listed) -> Failure {
    Failure::usage(format!("project {} has not ended: it is {}", found.project_id, found.status))
        .hint("`trireme cancel` ends it; with --force it goes as it is, and messages about it become dead letters")
}

pub async fn prune(arguments: PruneArguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    if let Some(status) = arguments.status.filter(|status| !status.is_ended()) {
        return Err(Failure::usage(format!("projects that are {status} have not ended"))
            .hint("COMPLETED, ERROR or CANCELLED; `trireme forget ID --force` removes an open one"));
    }
    let age_ms = u64::try_from(arguments.older_than.as_millis()).unwrap_or(u64::MAX);
    let store = reading::open(settings).await?;
    // By the clock that the ends were written down by: this machine's may be a month ahead.
    let before = store.now().await?.minus_ms(age_ms);
    let old = retention::ended_before(&*store, before, arguments.status).await?;
    if old.is_empty() {
        output.note(&format!("no project ended longer ago than {}", usage::print_age(arguments.older_than)));
    } else if !arguments.dry_run && !arguments.yes {
        list(&old, output);
        if !confirm("removes projects", format!("forget {} for good?", count(old.len(), "project"))).await? {
            output.note("nothing was removed");
            return Ok(Status::Done);
        }
    }
    let gone = match arguments.dry_run || old.is_empty() {
        true => old.into_iter().map(|listed| Gone::new(listed, None)).collect(),
        false => remove(&*writing(settings).await?, old, output).await?,
    };
    if output.is_json() {
        output.json(&gone)?;
        return Ok(Status::Done);
    }
    gone.iter().for_each(|gone| output.line(&gone.project_id.to_string()));
    let what = if arguments.dry_run { "would be removed" } else { "removed" };
    if !gone.is_empty() {
        output.note(&format!("{what}: {}", count(gone.len(), "project")));
    }
    Ok(Status::Done)
}

/// One transaction a project: what was removed stays removed when it is interrupted.
async fn remove(store: &dyn Store, old: Vec<Listed>, output: &Output) -> Result<Vec<Gone>, Failure> {
    let mut gone = Vec::with_capacity(old.len());
    for listed in old {
        match retention::forget(store, listed.project_id, Removal::Ended).await? {
            Forgotten::Streams(streams) => gone.push(Gone::new(listed, Some(streams))),
            Forgotten::Open => output.note(&format!("left alone: {} was opened again", listed.project_id)),
        }
    }
    Ok(gone)
}

fn list(old: &[Listed], output: &Output) {
    /// More are counted: a person is asked about them.
    const SHOWN_MAX: usize = 20;
    let mut table = Table::new([
        Column::new("PROJECT"),
        Column::text("NAME").left_out(2),
        Column::new("STATUS"),
        Column::new("FINISHED").left_out(1),
    ]);
    for listed in old.iter().take(SHOWN_MAX) {
        let (id, finished) = (listed.project_id.to_string(), show::time(listed.finished_at));
        table.row([id, listed.name.clone(), listed.status.to_string(), finished]);
    }
    output.note_table(&table);
    if old.len() > SHOWN_MAX {
        output.note(&format!("... and {} more", old.len() - SHOWN_MAX));
    }
}

/// The store, which is there already.
async fn writing(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    Ok(store::open(&settings.store.url).await?)
}

async fn confirm(what: &str, question: String) -> Result<bool, Failure> {
    consent::check_terminal(what)?;
    consent::ask(question).await
}
