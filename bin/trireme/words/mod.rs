//! The words of operators: cancel, pause, resume, retry and decide. Each is checked against the store as far as that
//! can be said beforehand, published, and then looked for in the store: a word is heard when the project remembers it.

pub mod cancel;
pub mod decide;
pub mod pause;
pub mod retry;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use trireme::config::Settings;
use trireme::domain::project::Project;
use trireme::domain::view::ProjectView;
use trireme::runtime::client::ClientError;
use trireme::runtime::port::Store;
use trireme::runtime::reader;
use trireme::wire::{Content, MessageId, ProjectId};

use crate::asking::Asker;
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::reading;

/// A manager that is there hears a word at once; what its phase makes of it takes a moment more.
const HEARD_WITHIN: Duration = Duration::from_secs(10);
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The project that a word is about.
#[derive(clap::Args)]
pub struct About {
    #[command(flatten)]
    project: reading::Named,
    /// Do not wait until it is seen in the store what came of it
    #[arg(long)]
    no_wait: bool,
}

/// A project that something is to be said of.
struct Spoken<'a> {
    store: Arc<dyn Store>,
    /// As it was before.
    view: ProjectView,
    waits: bool,
    settings: &'a Settings,
    output: &'a Output,
    until: Instant,
}

impl<'a> Spoken<'a> {
    async fn find(about: &About, settings: &'a Settings, output: &'a Output) -> Result<Self, Failure> {
        let store = reading::open(settings).await?;
        let view = about.project.view(&*store, false).await?;
        let until = Instant::now() + HEARD_WITHIN;
        Ok(Self { store, view, waits: !about.no_wait, settings, output, until })
    }

    /// Also one that no manager has taken yet, when it is named by its whole id: what is said of that is remembered.
    async fn find_early(about: &About, settings: &'a Settings, output: &'a Output) -> Result<Self, Failure> {
        let store = reading::open(settings).await?;
        let id = about.project.find(&*store).await?;
        let view = reader::project(&*store, id, false).await?.unwrap_or_else(|| {
            output.note(&format!("the store knows no project `{id}` yet: it will be heard before that begins"));
            ProjectView::fold(id, &[], &[])
        });
        let until = Instant::now() + HEARD_WITHIN;
        Ok(Self { store, view, waits: !about.no_wait, settings, output, until })
    }

    fn id(&self) -> ProjectId {
        self.view.project_id
    }

    /// Refuses what can only be said of an open project.
    fn check_open(&self, what: &str) -> Result<(), Failure> {
        if !self.view.status.is_ended() {
            return Ok(());
        }
        let (id, status, counts) = (self.id(), self.view.status, &self.view.counts);
        let failure = Failure::usage(format!("project `{id}` has ended ({status}): it can not be {what}"));
        let is_whole = counts.completed == counts.total;
        Err(if is_whole { failure } else { failure.hint(format!("`trireme retry {id}` runs it again")) })
    }

    /// Says it, and waits until the project remembers it; `None` when nobody is to wait.
    async fn say(&self, asker: &mut Asker, word: Content) -> Result<Option<Project>, Failure> {
        let id = self.id();
        let said = match asker.client.say(id, word).await {
            Err(error @ ClientError::Unknown) => {
                return Err(Failure::from(error).hint(format!("`trireme history {id}` shows whether it was heard")));
            }
            said => said?,
        };
        if !self.waits {
            return Ok(None);
        }
        loop {
            let state = reader::state(&*self.store, id).await?;
            if state.has_heard(said) {
                return Ok(Some(state));
            }
            if Instant::now() >= self.until {
                return Err(Failure::unreachable(format!(
                    "no manager has heard it within {} s",
                    HEARD_WITHIN.as_secs()
                ))
                .hint("it is kept at the broker until one does; `trireme agents` shows who is there"));
            }
            if let Some(objection) = self.objection(asker, said).await? {
                return Err(Failure { status: Status::Negative, message: objection, hint: None });
            }
        }
    }

    /// What a manager has to say against it, if it says so soon.
    async fn objection(&self, asker: &mut Asker, said: MessageId) -> Result<Option<String>, Failure> {
        let told = match tokio::time::timeout(LOOK_PAUSE, asker.client.completion()).await {
            Err(_) => return Ok(None),
            Ok(told) => told?,
        };
        // What was heard is no objection: the project may have ended since.
        let is_heard = reader::state(&*self.store, self.id()).await?.has_heard(said);
        Ok(told.error_message.filter(|_| told.project_id == self.id() && !is_heard))
    }

    /// Looks again and again, until `is_seen` or the time is up; gives what was seen last.
    async fn look_for(&self, is_seen: impl Fn(&ProjectView) -> bool) -> Result<ProjectView, Failure> {
        loop {
            let view = reader::project(&*self.store, self.id(), false).await?;
            let view = view.ok_or_else(|| reading::unknown(&self.id().to_string()))?;
            if is_seen(&view) || Instant::now() >= self.until {
                return Ok(view);
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    async fn asker(&self) -> Result<Asker, Failure> {
        Asker::connect(self.settings).await
    }

    /// What came of it: `effect` is one word, `line` the whole for people.
    fn tell(&self, view: &ProjectView, effect: &str, line: &str) -> Result<Status, Failure> {
        match self.output.is_json() {
            true => self.output.json(&json!({
                "project_id": self.id(),
                "effect": effect,
                "status": view.status,
                "run": view.run,
            }))?,
            false => self.output.line(line),
        }
        Ok(Status::Done)
    }

    /// It was sent, and nobody waits for more.
    fn sent(&self) -> Result<Status, Failure> {
        self.tell(&self.view, "sent", "sent")
    }
}
