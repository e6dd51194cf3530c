//! `trireme submit`: asks the managers for a project.

use std::path::PathBuf;

use clap::ArgGroup;
use serde_json::json;
use trireme::config::Settings;
use trireme::domain::bad_input::quote;
use trireme::domain::project::fingerprint;
use trireme::planner::{Known, Library, ProjectFile};
use trireme::runtime::client::Client;
use trireme::runtime::port::{Store, StoreError};
use trireme::runtime::reader;
use trireme::store;
use trireme::wire::content::NewProject;
use trireme::wire::{ProjectId, Status as ProjectStatus};
use uuid::Uuid;

use crate::asking::Asker;
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::progress::{self, Show};
use crate::wanted::Wanted;
use crate::{files, reading, show};

#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("what").args(["file", "name"]).required(true),
    override_usage = "trireme submit [OPTIONS] <FILE>\n       trireme submit [OPTIONS] --name <NAME> --description <TEXT>",
    after_help = "\
Examples:
  trireme submit examples/ecommerce.toml
  trireme submit examples/ecommerce.toml --wait --out made
  trireme submit --name shop --description \"an e-commerce platform\" --json
  sed s/EUR/USD/ shop.toml | trireme submit -

The id is printed when the broker has the request, kept on disk. The same id again is the same project: it is safe to \
submit it once more when an answer got lost. With --wait the exit status is 0 when the project completed and 1 when it \
ended in ERROR or CANCELLED; Ctrl-C leaves the project alone and exits with 130."
)]
pub struct Arguments {
    #[command(flatten)]
    wanted: Wanted,
    /// The project's id, a UUID; without it the file's, else a fresh one
    #[arg(long, value_name = "UUID")]
    id: Option<String>,
    /// Follow the project to its end, and print what became of it
    #[arg(long)]
    wait: bool,
    /// At the end, write the files of all results to DIR/<goal>/<subtask>/<path>, and everything to DIR/report.json
    #[arg(long, value_name = "DIR", requires = "wait")]
    out: Option<PathBuf>,
    /// Overwrite files that exist in DIR
    #[arg(long, requires = "out")]
    force: bool,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let project = arguments.wanted.read()?;
    let id = arguments.choose_id(&project)?;
    check_names(&project, settings).await?;
    if let Some(dir) = &arguments.out {
        files::check(dir, arguments.force)?;
    }
    let request = project.request();
    let store = match store::open_to_read(&settings.store.url).await {
        Ok(store) => Some(store),
        // Workers that are just starting make it soon.
        Err(StoreError::NotReady(_)) => None,
        // Whoever waits reads how it ends from there.
        Err(error) if arguments.wait => return Err(error.into()),
        Err(error) => {
            tracing::debug!(%error, "the store can not be looked into");
            None
        }
    };
    if let Some(store) = &store {
        check_free(&**store, id, &request).await?;
    }
    let mut asker = Asker::connect(settings).await?;
    asker.client.submit(id, request.clone()).await?;
    let store = match (arguments.wait, store) {
        (true, Some(store)) => Some(store),
        (true, None) => Some(reading::open_soon(settings).await?),
        (false, _) => None,
    };
    let status = match store {
        Some(store) => {
            output.note(&format!("submitted project {id}"));
            progress::unless_interrupted(id, wait(&*store, &mut asker, id, &request, output)).await?;
            show::ending(&*store, id, arguments.out.as_deref(), arguments.force, output).await?
        }
        None if output.is_json() => output.json(&json!({ "project_id": id })).map(|()| Status::Done)?,
        None => {
            output.line(&id.to_string());
            Status::Done
        }
    };
    asker.close().await;
    Ok(status)
}

impl Arguments {
    fn choose_id(&self, project: &ProjectFile) -> Result<ProjectId, Failure> {
        let given = self.id.as_deref().map(|text| match text.parse::<ProjectId>() {
            Ok(id) if !id.0.is_nil() => Ok(id),
            _ => {
                Err(Failure::usage(format!("--id is {}, not a UUID", quote(text))).hint("leave it out to be given one"))
            }
        });
        match (given.transpose()?, project.id) {
            (Some(given), Some(own)) if given != own => {
                Err(Failure::usage(format!("--id is `{given}`, and the file's own `id` is `{own}`")).hint("keep one"))
            }
            (given, own) => Ok(given.or(own).unwrap_or_else(|| ProjectId(Uuid::now_v7()))),
        }
    }
}

/// Whether what the project refers to is there, as far as that can be said without a manager.
async fn check_names(project: &ProjectFile, settings: &Settings) -> Result<(), Failure> {
    let library = Library::load(settings.playbooks.folder.as_deref())?;
    let mut known = Known { playbooks: library.names().map(str::to_owned).collect(), skills: None };
    project.check_names(&known)?;
    let mut skills: Vec<String> = settings.skills.keys().cloned().collect();
    known.skills = Some(skills.clone());
    let Err(unknown) = project.check_names(&known) else { return Ok(()) };
    // Somebody may offer what is not configured here. Whether or not the broker can be asked: a name that is
    // known nowhere is most likely a slip.
    let Some(mut asker) = Asker::connect_soon(settings).await else { return Err(unknown.into()) };
    let agents = asker.agents().await.unwrap_or_default();
    asker.close().await;
    skills.extend(agents.into_iter().flat_map(|agent| agent.skills));
    skills.sort();
    skills.dedup();
    known.skills = Some(skills);
    Ok(project.check_names(&known)?)
}

/// The same request again is the same project; another one under its id is refused.
async fn check_free(store: &dyn Store, id: ProjectId, request: &NewProject) -> Result<(), Failure> {
    match reader::accepted(store, id).await? {
        Some(accepted) if accepted.fingerprint != fingerprint(request) => Err(taken(id, &accepted.name)),
        _ => Ok(()),
    }
}

/// Another project has this id.
pub fn taken(id: ProjectId, name: &str) -> Failure {
    Failure::usage(format!("another project has the id `{id}`: {}", quote(name)))
        .hint("leave the id out to be given a fresh one; the same id with the same content is one project")
}

/// Until the project has ended, or a manager says that the id belongs to another.
async fn wait(
    store: &dyn Store,
    asker: &mut Asker,
    id: ProjectId,
    request: &NewProject,
    output: &Output,
) -> Result<(), Failure> {
    let mut watcher = asker.another().await?;
    tokio::select! {
        biased;
        refusal = refusal(&mut asker.client, store, id, request) => return Err(refusal),
        ended = progress::follow(store, id, output, Show::Beside, Some(&mut watcher)) => drop(ended?),
    }
    // An answer may get lost.
    check_free(store, id, request).await
}

/// Waits for a manager's word that the id belongs to another project; for ever when there is none.
async fn refusal(client: &mut Client, store: &dyn Store, id: ProjectId, request: &NewProject) -> Failure {
    loop {
        match client.completion().await {
            Ok(told) if told.project_id == id && told.status == ProjectStatus::Error => {
                if let Err(failure) = check_free(store, id, request).await {
                    return failure;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "the managers' answers are not heard any more");
                return std::future::pending().await;
            }
        }
    }
}
