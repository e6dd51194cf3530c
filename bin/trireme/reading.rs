//! What the commands share that only look into the store: opening it, and finding what a person named there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trireme::config::{Settings, masked};
use trireme::domain::bad_input::quote;
use trireme::domain::nearest;
use trireme::domain::to_come::ToCome;
use trireme::domain::view::{ProjectView, SubtaskView};
use trireme::runtime::port::{Store, StoreError};
use trireme::runtime::reader::{self, Listed};
use trireme::store;
use trireme::wire::{ProjectId, SubtaskId};

use crate::failure::Failure;
use crate::output::Output;

/// An id may be given by so many of its first characters, or of its last: ids of one minute begin alike.
const PART_MIN: usize = 4;
/// A part is looked for among so many projects, the newest.
const SEARCHED_MAX: u32 = 1_000;
/// Of more that it could be only so many are shown.
const SHOWN_MAX: usize = 5;

/// Workers make a store within seconds of their start; whoever waits for longer waits for nobody.
const READY_WITHIN: Duration = Duration::from_secs(30);
const READY_PAUSE: Duration = Duration::from_millis(200);

/// A project, as a person names it.
#[derive(clap::Args)]
pub struct Named {
    /// The project's id, or its beginning or end: 4 characters or more that no other project's id begins or ends with
    #[arg(value_name = "ID")]
    project: String,
}

/// The store of the settings, for reading.
pub async fn open(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    Ok(store::open_to_read(&settings.store.url).await?)
}

/// The store of the settings, for reading, once a worker has made it.
pub async fn open_soon(settings: &Settings, output: &Output) -> Result<Arc<dyn Store>, Failure> {
    let (began, mut is_said) = (Instant::now(), false);
    loop {
        match store::open_to_read(&settings.store.url).await {
            Err(StoreError::NotReady(_)) if began.elapsed() < READY_WITHIN => {
                if !is_said {
                    let url = masked(&settings.store.url);
                    output.note(&format!(
                        "waits for a manager to make the store `{url}`; is it the one that the agents work on?"
                    ));
                    is_said = true;
                }
                tokio::time::sleep(READY_PAUSE).await;
            }
            done => return Ok(done?),
        }
    }
}

impl Named {
    pub fn new(project: &str) -> Self {
        Self { project: project.to_owned() }
    }

    /// Its id. A whole one is taken as it is.
    pub async fn find(&self, store: &dyn Store) -> Result<ProjectId, Failure> {
        let text = self.project.trim();
        if let Ok(id) = text.parse::<ProjectId>() {
            return Ok(id);
        }
        let is_part = text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') && text.len() >= PART_MIN;
        if !is_part {
            return Err(Failure::usage(format!("{} is no project id: not a UUID", quote(text)))
                .hint("`trireme list` shows the projects; the last 4 characters of an id are enough"));
        }
        let part = text.to_lowercase();
        let mut found = reader::list(store, None, SEARCHED_MAX).await?;
        found.retain(|listed| {
            let id = listed.project_id.to_string();
            id.starts_with(&part) || id.ends_with(&part)
        });
        match found.as_slice() {
            [] => Err(unknown(text)),
            [only] => Ok(only.project_id),
            several => Err(ambiguous(text, several)),
        }
    }

    /// The project, whole.
    pub async fn view(&self, store: &dyn Store, results: bool) -> Result<ProjectView, Failure> {
        let id = self.find(store).await?;
        reader::project(store, id, results).await?.ok_or_else(|| unknown(&id.to_string()))
    }
}

/// Which projects it could be, the newest first.
fn ambiguous(text: &str, found: &[Listed]) -> Failure {
    let show = |listed: &Listed| format!("`{}` {} ({})", listed.project_id, quote(&listed.name), listed.status);
    let mut shown: Vec<String> = found.iter().take(SHOWN_MAX).map(show).collect();
    if found.len() > SHOWN_MAX {
        shown.push(format!("{} more", found.len() - SHOWN_MAX));
    }
    Failure::usage(format!("{} begins or ends the ids of {} projects", quote(text), found.len()))
        .hint(format!("give more of it, or the end of an id: {}", shown.join(", ")))
}

/// Nobody has heard of it.
pub fn unknown(id: &str) -> Failure {
    Failure::usage(format!("the store knows no project {}", quote(id)))
        .hint("`trireme list` shows what it knows; a new one is there when a manager has taken it")
}

/// A subtask by its id, as in `1.3`, or by its name.
pub fn subtask<'a>(view: &'a ProjectView, named: &str) -> Result<&'a SubtaskView, Failure> {
    let id: Option<SubtaskId> = named.parse().ok();
    let mut found = view.subtasks().filter(|subtask| Some(subtask.id) == id);
    let mut named_so = view.subtasks().filter(|subtask| subtask.name == named);
    match (found.next().or_else(|| named_so.next()), named_so.next()) {
        (Some(subtask), None) => Ok(subtask),
        (Some(subtask), Some(_)) if Some(subtask.id) == id => Ok(subtask),
        (Some(first), Some(second)) => Err(Failure::usage(format!("two subtasks have the name {}", quote(named)))
            .hint(format!("name it by its id: `{}` or `{}`", first.id, second.id))),
        (None, _) if let Some(phase) = phase_to_come(view, named, id) => {
            Err(Failure::usage(format!("subtask {} is of phase {phase}, which has not begun", quote(named)))
                .hint(format!("`trireme status {}` shows how far it is", view.project_id)))
        }
        (None, _) => {
            let failure = Failure::usage(format!("the project has no subtask {}", quote(named)));
            let to_come = view.phases.iter().filter_map(|phase| phase.to_come.as_ref()).flat_map(ToCome::names);
            let names: Vec<&str> = view.subtasks().map(|subtask| subtask.name.as_str()).chain(to_come).collect();
            Err(match nearest::nearest(named, names).filter(|_| !named.trim().is_empty()) {
                Some(near) => failure.hint(format!("did you mean {}?", quote(near))),
                None => failure.hint(format!("`trireme status {}` lists them", view.project_id)),
            })
        }
    }
}

/// The phase that has not begun which will have this subtask: by its name in the plan, or by its id.
fn phase_to_come(view: &ProjectView, named: &str, id: Option<SubtaskId>) -> Option<u32> {
    let is_its = |to_come: &ToCome| id.is_some_and(|id| to_come.may_have(id)) || to_come.meant_by(named).is_some();
    view.phases.iter().find(|phase| phase.to_come.as_ref().is_some_and(is_its)).map(|phase| phase.phase)
}
