//! Following a project to its end by looking into the store: used by `watch`, `submit --wait` and `run`.
//!
//! The store is asked often for the few summary rows, and for the detail only when those changed. Who is there is
//! asked of the agents, where a client is at hand: the store does not know. Nothing here can change a project.

mod bars;
mod elsewhere;
mod lines;
mod waiting;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use tokio::time::Instant;
use trireme::config::{Performer, Settings, Skill};
use trireme::domain::view::ProjectView;
use trireme::runtime::client::Client;
use trireme::runtime::port::{Clock, Store, StoreError, Summary, SystemClock};
use trireme::runtime::reader;
use trireme::wire::address::Address;
use trireme::wire::content::{Layer, Presence};
use trireme::wire::{ProjectId, Status as ProjectStatus, StreamId, Timestamp};
use uuid::Uuid;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::show::Now;
use bars::Bars;
pub use elsewhere::{elsewhere, store_id};
use lines::{Lines, Objects};

/// Between two looks at the summaries: quick for an eye, and little work for a store.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Between two questions to the agents.
const ASK_PAUSE: Duration = Duration::from_secs(2);
/// The detail of a large project takes time: it may take a tenth of it all.
const DETAIL_SHARE: u32 = 9;
/// A store that restarts comes back within this.
const STORE_PATIENCE: Duration = Duration::from_secs(15);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// On standard error, beside the data: bars on a terminal, else plain lines.
    Beside,
    /// As the data itself: bars on a terminal, else plain lines on standard output.
    Data,
    /// As the data itself: one JSON object a line, whenever something changed.
    Objects,
}

/// What is known at one moment.
struct Picture<'a> {
    /// None: no manager has taken it yet.
    view: Option<&'a ProjectView>,
    /// The executors that answered last; none when nobody can be asked.
    executors: Option<&'a [Presence]>,
    /// The skills of workers that are none of ours: they answer nobody.
    external: &'a BTreeSet<String>,
    now: Timestamp,
}

/// Shows how a project goes on until it has ended, and gives it as it is then, without its results. It need not
/// be in the store yet. With a client, of these settings, the agents are asked who is free.
pub async fn follow(
    store: &dyn Store,
    id: ProjectId,
    output: &Output,
    show: Show,
    client: Option<(&mut Client, &Settings)>,
) -> Result<ProjectView, Failure> {
    let external = client.as_ref().map(|(_, settings)| external(settings)).unwrap_or_default();
    let client = client.map(|(client, _)| client);
    let mut painter = Painter::new(output, show);
    let mut follower = Follower { store, id, rows: Vec::new(), view: None, next_detail: None, deaf_since: None };
    let store_id = if client.is_some() { store_id(store).await } else { None };
    let mut crew = Crew { client, executors: None, next: Instant::now(), store_id, was_elsewhere: false };
    loop {
        follower.look().await?;
        let ended = follower.view.as_ref().filter(|view| view.status.is_ended());
        let view = follower.view.as_ref();
        let (executors, now) = (crew.executors.as_deref(), SystemClock.now());
        painter.paint(&Picture { view, executors, external: &external, now })?;
        if ended.is_some() {
            painter.finish();
            // What was just looked at.
            return follower.view.ok_or_else(|| Failure::bug("a project that ended is gone"));
        }
        crew.pause().await?;
    }
}

/// How much of what an open project has handed out runs, how far that is where runners say so, and what it waits for.
pub fn now(view: &ProjectView, executors: Option<&[Presence]>, settings: &Settings) -> Now {
    let external = external(settings);
    let picture = Picture { view: Some(view), executors, external: &external, now: SystemClock.now() };
    let waits = waiting::on_the_way(&picture).chain(waiting::reasons(&picture)).collect();
    Now { begun: waiting::begun_of_all(&picture), waits }
}

fn external(settings: &Settings) -> BTreeSet<String> {
    let is_external = |(_, skill): &(&String, &Skill)| skill.performer == Performer::External;
    settings.skills.iter().filter(is_external).map(|(name, _)| name.clone()).collect()
}

/// `work` about a project, unless Ctrl-C comes first: the project goes on, and its id is said.
pub async fn unless_interrupted<T>(
    id: ProjectId,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Err(interrupted(id)),
        done = work => done,
    }
}

fn interrupted(id: ProjectId) -> Failure {
    Failure { status: Status::Interrupted, message: format!("interrupted; project {id} goes on"), hint: None }
        .hint(format!("`trireme watch {id}` follows it"))
}

/// What the end of a project means to the exit status.
pub fn verdict(status: ProjectStatus) -> Status {
    match status {
        ProjectStatus::Completed => Status::Done,
        _ => Status::Negative,
    }
}

/// What the store said last.
struct Follower<'a> {
    store: &'a dyn Store,
    id: ProjectId,
    rows: Vec<Summary>,
    view: Option<ProjectView>,
    /// The detail is stale, and may be looked at then.
    next_detail: Option<Instant>,
    deaf_since: Option<Instant>,
}

impl Follower<'_> {
    async fn look(&mut self) -> Result<(), Failure> {
        match self.try_look().await {
            Ok(()) => self.deaf_since = None,
            Err(StoreError::Unreachable(why) | StoreError::Unknown(why)) => {
                let since = *self.deaf_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= STORE_PATIENCE {
                    return Err(StoreError::Unreachable(why).into());
                }
                tracing::debug!(why, "the store does not answer");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn try_look(&mut self) -> Result<(), StoreError> {
        let rows = reader::summaries(self.store, self.id).await?;
        let has_ended = rows.iter().any(|row| matches!(row.stream, StreamId::Project(_)) && row.status.is_ended());
        let changed = rows != self.rows;
        let may = self.next_detail.is_none_or(|then| Instant::now() >= then);
        if (changed || self.view.is_none()) && !rows.is_empty() && (may || has_ended) {
            let began = Instant::now();
            self.view = reader::project(self.store, self.id, false).await?;
            self.next_detail = Some(Instant::now() + began.elapsed() * DETAIL_SHARE);
            self.rows = rows;
        }
        Ok(())
    }
}

/// Who can be asked, and who answered.
struct Crew<'a> {
    client: Option<&'a mut Client>,
    executors: Option<Vec<Presence>>,
    next: Instant,
    /// The store that is looked into.
    store_id: Option<Uuid>,
    /// Those who answered last work on another one.
    was_elsewhere: bool,
}

impl Crew<'_> {
    /// Waits for the next look; asks who is there meanwhile, now and then.
    async fn pause(&mut self) -> Result<(), Failure> {
        let Some(client) = self.client.as_mut().filter(|_| Instant::now() >= self.next) else {
            tokio::time::sleep(LOOK_PAUSE).await;
            return Ok(());
        };
        match client.ping(Address::everybody(), LOOK_PAUSE, None).await {
            Ok(answers) => {
                let elsewhere = elsewhere(self.store_id, answers.answered.values());
                // Once may be by chance: others may have been slow to answer.
                match (elsewhere, self.was_elsewhere) {
                    (Some(failure), true) => return Err(failure),
                    (elsewhere, _) => self.was_elsewhere = elsewhere.is_some(),
                }
                let is_executor = |agent: &Presence| agent.layer == Layer::Execution;
                self.executors = Some(answers.answered.into_values().filter(is_executor).collect());
                self.next = Instant::now() + ASK_PAUSE;
            }
            Err(error) => {
                // It is only for show.
                tracing::debug!(%error, "the agents can not be asked");
                (self.client, self.executors) = (None, None);
            }
        }
        Ok(())
    }
}

/// Who draws.
enum Painter<'a> {
    Bars(Bars),
    Lines(Lines<'a>),
    Objects(Objects<'a>),
    Nothing,
}

impl<'a> Painter<'a> {
    fn new(output: &'a Output, show: Show) -> Self {
        let (on_error, on_output) = (std::io::stderr().is_terminal(), std::io::stdout().is_terminal());
        match show {
            Show::Objects => Self::Objects(Objects::new(output)),
            Show::Data if on_error && on_output => Self::Bars(Bars::new()),
            Show::Data => Self::Lines(Lines::new(output, true)),
            Show::Beside if output.is_quiet() => Self::Nothing,
            Show::Beside if on_error => Self::Bars(Bars::new()),
            Show::Beside => Self::Lines(Lines::new(output, false)),
        }
    }

    fn paint(&mut self, picture: &Picture<'_>) -> Result<(), Failure> {
        match self {
            Self::Bars(bars) => bars.paint(picture),
            Self::Lines(lines) => lines.paint(picture),
            Self::Objects(objects) => return objects.paint(picture),
            Self::Nothing => {}
        }
        Ok(())
    }

    fn finish(&self) {
        if let Self::Bars(bars) = self {
            bars.finish();
        }
    }
}

impl Drop for Painter<'_> {
    fn drop(&mut self) {
        // However it ends: what is said next must not be drawn over.
        self.finish();
    }
}
