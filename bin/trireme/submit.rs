//! `trireme submit`: asks the managers for a project.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgGroup;
use serde_json::json;
use trireme::config::Settings;
use trireme::domain::bad_input::quote;
use trireme::domain::project::fingerprint;
use trireme::planner::{Known, Library, ProjectFile};
use trireme::runtime::client::{Client, ClientError};
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
    if let Err(error) = asker.client.submit(id, request.clone()).await {
        return Err(not_confirmed(id, error));
    }
    let submitted = Submitted { id, request, settings, output };
    let told = match arguments.wait {
        true => submitted.see_through(store, &mut asker, &arguments).await,
        false => submitted.tell(),
    };
    let status = told.map_err(|failure| naming(id, failure, &watching(id)))?;
    asker.close().await;
    Ok(status)
}

/// A request that the broker has. Nothing that goes wrong from here on makes it undone.
struct Submitted<'a> {
    id: ProjectId,
    request: NewProject,
    settings: &'a Settings,
    output: &'a Output,
}

impl Submitted<'_> {
    fn tell(&self) -> Result<Status, Failure> {
        match self.output.is_json() {
            true => self.output.json(&json!({ "project_id": self.id }))?,
            false => self.output.line(&self.id.to_string()),
        }
        self.output.unwritten().map_or(Ok(Status::Done), Err)
    }

    async fn see_through(
        &self,
        store: Option<Arc<dyn Store>>,
        asker: &mut Asker,
        arguments: &Arguments,
    ) -> Result<Status, Failure> {
        let Self { id, settings, output, .. } = self;
        output.note(&format!("submitted project {id}"));
        let soon = async {
            match store {
                Some(store) => Ok(store),
                None => reading::open_soon(settings, output).await,
            }
        };
        let store = progress::unless_interrupted(*id, soon).await?;
        progress::unless_interrupted(*id, wait(&*store, asker, self)).await?;
        let status = show::ending(&*store, *id, arguments.out.as_deref(), arguments.force, output).await?;
        output.unwritten().map_or(Ok(status), Err)
    }
}

/// Why it is not known to be with the broker. Where it may be there all the same, its id says how to make sure.
fn not_confirmed(id: ProjectId, error: ClientError) -> Failure {
    let may_be_there = matches!(error, ClientError::Unknown | ClientError::Transport(_));
    let failure = Failure::from(error);
    match may_be_there {
        true => naming(id, failure, &format!("submit it again with `--id {id}`: it stays one project")),
        false => failure,
    }
}

fn watching(id: ProjectId) -> String {
    format!("project `{id}` is submitted: `trireme watch {id}` follows it")
}

/// The failure with the project's id in it, and what is to be done with that.
fn naming(id: ProjectId, failure: Failure, what: &str) -> Failure {
    let has_it = |text: &str| text.contains(&id.to_string());
    if has_it(&failure.message) || failure.hint.as_deref().is_some_and(has_it) {
        return failure;
    }
    let hint = failure.hint.as_ref().map_or_else(|| what.to_owned(), |hint| format!("{hint}; {what}"));
    failure.hint(hint)
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
async fn wait(store: &dyn Store, asker: &mut Asker, submitted: &Submitted<'_>) -> Result<(), Failure> {
    let Submitted { id, request, settings, output } = submitted;
    let id = *id;
    let mut watcher = asker.another().await?;
    tokio::select! {
        biased;
        refusal = refusal(&mut asker.client, store, id, request) => return Err(refusal),
        ended = progress::follow(store, id, output, Show::Beside, Some((&mut watcher, settings))) => drop(ended?),
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

#[cfg(test)]
mod tests {
    use trireme::runtime::port::TransportError;

    use super::*;

    /// Without it nobody could ask again for the same, or find out what became of it.
    #[test]
    fn what_may_be_with_the_broker_is_named() {
        let id = ProjectId(Uuid::from_u128(7));
        let lost = not_confirmed(id, TransportError::Unreachable("gone".into()).into());
        for failure in [not_confirmed(id, ClientError::Unknown), lost] {
            let hint = failure.hint.expect("a hint");
            assert!(hint.ends_with(&format!("submit it again with `--id {id}`: it stays one project")), "{hint}");
        }
        let refused = not_confirmed(id, ClientError::Full);
        assert_eq!(refused.hint.as_deref(), Some("are there managers? see `trireme agents`"));
    }

    #[test]
    fn a_failure_names_the_project_once() {
        let id = ProjectId(Uuid::from_u128(7));
        let named = naming(id, Failure::unreachable("the store is gone").hint("does it run?"), &watching(id));
        let hint = named.hint.as_deref().expect("a hint");
        assert_eq!(hint, format!("does it run?; project `{id}` is submitted: `trireme watch {id}` follows it"));
        let again = naming(id, taken(id, "other"), &watching(id));
        assert_eq!(again.hint, taken(id, "other").hint);
    }
}
