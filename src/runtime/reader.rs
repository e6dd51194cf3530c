//! The read side: what the store knows of projects, folded from their streams when somebody asks. It never
//! writes, and needs nothing but the store.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::port::{Payload, PayloadKind, Store, StoreError, Stored, Summary, SummaryQuery};
use super::states;
use crate::domain::view::{self, ProjectView, SubtaskView};
use crate::domain::{phase, project};
use crate::wire::{Counts, ProjectId, Raw, Status, StreamId, SubtaskId, SubtaskStatus, Timestamp};

/// So many results are asked for at once: one may have a mebibyte.
const RESULTS_MAX: usize = 64;

/// A project that was accepted has said so among so many events.
const EARLY_MAX: usize = 100;

/// A project's state, as its managers see it.
pub async fn state(store: &dyn Store, id: ProjectId) -> Result<project::Project, StoreError> {
    let stream = StreamId::Project(id);
    let events: Vec<project::Event> = read(stream, &store.load_from_start(stream).await?)?;
    Ok(folded(id, &events))
}

fn folded(id: ProjectId, events: &[project::Event]) -> project::Project {
    let mut state = project::Project::new(id);
    events.iter().for_each(|event| state.apply(event));
    state
}

/// A project, whole; `None` when the store does not know it. With `results` those of its completed subtasks too.
pub async fn project(store: &dyn Store, id: ProjectId, results: bool) -> Result<Option<ProjectView>, StoreError> {
    let stream = StreamId::Project(id);
    let events: Vec<project::Event> = read(stream, &store.load_from_start(stream).await?)?;
    // A word about a project that nobody has accepted is no project.
    if !events.iter().any(|event| matches!(event, project::Event::Accepted(_))) {
        return Ok(None);
    }
    let mut phases: BTreeMap<u32, Vec<phase::Event>> = BTreeMap::new();
    let state = folded(id, &events);
    let mut wanted: Vec<u32> = state.phases().iter().map(|phase| phase.number).collect();
    while let Some(number) = wanted.pop() {
        if let Entry::Vacant(place) = phases.entry(number) {
            let stream = StreamId::Phase(id, number);
            let stored = store.load_from_start(stream).await?;
            let is_lost = state.phase(number).is_some_and(has_failed) && !makes_sense(&stored);
            // How it ended is known without it.
            let events = place.insert(if is_lost { Vec::new() } else { read(stream, &stored)? });
            wanted.extend(view::kept_from(events));
        }
    }
    let phases: Vec<_> = phases.into_iter().collect();
    let mut view = ProjectView::fold(id, &events, &phases);
    if results {
        fill_results(store, &mut view).await?;
    }
    Ok(Some(view))
}

/// The request as it was taken, without the rest; `None` when the store does not know the project.
pub async fn accepted(store: &dyn Store, id: ProjectId) -> Result<Option<project::Accepted>, StoreError> {
    let stream = StreamId::Project(id);
    let stored = store.load_from_start(stream).await?;
    // It is the first event, or right behind what was said before anybody knew the project.
    for event in stored.events.iter().take(EARLY_MAX) {
        if let project::Event::Accepted(accepted) = event.read().map_err(|error| unreadable(stream, &error))? {
            return Ok(Some(accepted));
        }
    }
    Ok(None)
}

/// A project's rows on the read side: its own, and those of its phases in their order.
pub async fn summaries(store: &dyn Store, id: ProjectId) -> Result<Vec<Summary>, StoreError> {
    store.summaries(&SummaryQuery { project: Some(id), ..SummaryQuery::default() }).await
}

/// A project in one line: the shape of `list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    pub project_id: ProjectId,
    pub name: String,
    pub status: Status,
    pub submitted_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub counts: Counts,
}

impl Listed {
    /// From a project's own row and those of its phases. Its own counts what the phases of this run have reported, and
    /// they report when they end; what is open now counts itself. Before there is any of that, a report is on its way.
    fn of(own: Summary, phases: &[Summary]) -> Self {
        let sum =
            |of: &mut dyn Iterator<Item = &Summary>| of.fold(Counts::default(), |sum, phase| sum.plus(&phase.counts));
        let open = sum(&mut phases.iter().filter(|phase| !phase.status.is_ended()));
        let counts = match own.counts.plus(&open) {
            counts if counts.total == 0 => sum(&mut phases.iter()),
            counts => counts,
        };
        // A phase that was given up may not have heard of it; it starts nothing for all that.
        let counts = if own.status.is_ended() { counts.laid_down() } else { counts };
        Self {
            project_id: own.stream.project(),
            name: own.name,
            status: own.status,
            submitted_at: own.submitted_at,
            finished_at: own.finished_at,
            counts,
        }
    }

    /// From all rows of a project, of which the first is its own wherever there is one.
    pub(crate) fn lead(rows: &[Summary]) -> Option<Self> {
        rows.split_first().map(|(first, others)| Self::of(first.clone(), others))
    }
}

/// At most `limit` projects, newest first.
pub async fn list(store: &dyn Store, status: Option<Status>, limit: u32) -> Result<Vec<Listed>, StoreError> {
    let query = SummaryQuery { status, limit: Some(limit), ..SummaryQuery::default() };
    let rows = store.summaries(&query).await?;
    let of_project = rows.chunk_by(is_of_one);
    let listed = of_project.filter_map(|rows| match rows {
        [own, phases @ ..] if matches!(own.stream, StreamId::Project(_)) => Some(Listed::of(own.clone(), phases)),
        // A phase whose project's row is not there yet.
        _ => None,
    });
    Ok(listed.collect())
}

/// All projects, newest first, page by page: `on_page` gets each page in its turn.
pub async fn pages<E: From<StoreError>>(
    store: &dyn Store,
    status: Option<Status>,
    mut on_page: impl AsyncFnMut(Vec<Listed>) -> Result<(), E>,
) -> Result<(), E> {
    const PAGE: u32 = 500;
    let mut query = SummaryQuery { status, limit: Some(PAGE), ..SummaryQuery::default() };
    loop {
        let rows = store.summaries(&query).await?;
        let page: Vec<Listed> = rows.chunk_by(is_of_one).filter_map(Listed::lead).collect();
        let Some(last) = page.last() else { return Ok(()) };
        query.after = Some((last.submitted_at, last.project_id));
        on_page(page).await?;
    }
}

fn is_of_one(one: &Summary, other: &Summary) -> bool {
    one.stream.project() == other.stream.project()
}

/// One event of a project, in the words of the stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// When it was decided; an event that does not say so has the time of the one before it.
    pub at: Timestamp,
    pub stream: StreamId,
    pub version: u64,
    /// What happened, as in `Completed`.
    pub event: String,
    /// The subtasks that it is about, where it is about some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subtask_ids: Vec<SubtaskId>,
    /// The event's own fields.
    pub data: Value,
}

/// Everything that happened to a project, oldest first; `None` when the store does not know it. Events that only
/// a newer program knows are among them: they are shown, not understood.
pub async fn history(store: &dyn Store, id: ProjectId) -> Result<Option<Vec<Recorded>>, StoreError> {
    let stream = StreamId::Project(id);
    let stored = store.load_from_start(stream).await?;
    if stored.events.is_empty() {
        return Ok(None);
    }
    let mut all = recorded(stream, &stored)?;
    let rows = summaries(store, id).await?;
    for stream in rows.into_iter().map(|row| row.stream).filter(|stream| matches!(stream, StreamId::Phase(..))) {
        all.extend(recorded(stream, &store.load_from_start(stream).await?)?);
    }
    // Times rise within a stream; of equal ones the project's comes first.
    all.sort_by_key(|event| (event.at, event.stream, event.version));
    Ok(Some(all))
}

/// The newest log that an attempt of a subtask left behind: its attempt, and the text.
pub async fn log(
    store: &dyn Store,
    project: ProjectId,
    subtask: SubtaskId,
) -> Result<Option<(u32, String)>, StoreError> {
    let stream = StreamId::Phase(project, subtask.phase);
    let found = store.payloads(stream, PayloadKind::Log, &[subtask.ordinal]).await?;
    let Some(payload) = found.into_iter().next() else { return Ok(None) };
    let text = payload.data.read().map_err(|error| unreadable(stream, &error))?;
    Ok(Some((payload.attempt, text)))
}

async fn fill_results(store: &dyn Store, view: &mut ProjectView) -> Result<(), StoreError> {
    let id = view.project_id;
    // By where the result is: what is kept from an earlier run is where it was made.
    let place = |subtask: &SubtaskView| subtask.kept_from.unwrap_or(subtask.id);
    let goals = view.phases.iter_mut().flat_map(|phase| &mut phase.goals);
    let mut subtasks: Vec<_> = goals.flat_map(|goal| &mut goal.subtasks).collect();
    subtasks.retain(|subtask| subtask.status == SubtaskStatus::Completed);
    subtasks.sort_by_key(|subtask| place(subtask));
    for of_phase in subtasks.chunk_by_mut(|one, other| place(one).phase == place(other).phase) {
        let Some(stream) = of_phase.first().map(|subtask| StreamId::Phase(id, place(subtask).phase)) else { continue };
        for chunk in of_phase.chunks_mut(RESULTS_MAX) {
            let ordinals: Vec<u32> = chunk.iter().map(|subtask| place(subtask).ordinal).collect();
            for Payload { ordinal, data, .. } in store.payloads(stream, PayloadKind::Result, &ordinals).await? {
                if let Ok(at) = ordinals.binary_search(&ordinal) {
                    chunk[at].result = Some(data);
                }
            }
        }
    }
    Ok(())
}

/// It has ended, and was not completed.
fn has_failed(phase: &project::PhaseState) -> bool {
    phase.status.is_ended() && phase.status != Status::Completed
}

/// Whether this version can read a phase, and fold it.
fn makes_sense(stored: &Stored) -> bool {
    let mut phase = phase::Phase::default();
    stored.events.iter().all(|raw| states::apply(raw, |event: phase::Event| phase.apply(&event)).is_ok())
}

fn read<E: DeserializeOwned>(stream: StreamId, stored: &Stored) -> Result<Vec<E>, StoreError> {
    stored.events.iter().map(|event| event.read().map_err(|error| unreadable(stream, &error))).collect()
}

fn unreadable(stream: StreamId, error: &serde_json::Error) -> StoreError {
    StoreError::Unusable(format!(
        "this trireme can not read the stream `{stream}`: {error}\nhint: was it written by a newer one? use that one"
    ))
}

fn recorded(stream: StreamId, stored: &Stored) -> Result<Vec<Recorded>, StoreError> {
    let mut at = Timestamp::default();
    let mut all = Vec::with_capacity(stored.events.len());
    for (version, event) in (1..).zip(&stored.events) {
        let (name, data) = named(event).map_err(|error| unreadable(stream, &error))?;
        let said = data.get("at").and_then(Value::as_str).and_then(|at| at.parse().ok());
        at = said.map_or(at, |said: Timestamp| said.max(at));
        let subtask_ids = ordinals(&data).map(|ordinal| SubtaskId { phase: phase_of(stream), ordinal }).collect();
        all.push(Recorded { at, stream, version, event: name, subtask_ids, data });
    }
    Ok(all)
}

/// An event is an object with one key: what happened.
fn named(event: &Raw) -> Result<(String, Value), serde_json::Error> {
    let map: Map<String, Value> = event.read()?;
    let first = map.into_iter().next();
    first.ok_or_else(|| serde::de::Error::custom("an event without a name"))
}

fn phase_of(stream: StreamId) -> u32 {
    match stream {
        StreamId::Project(_) => 0,
        StreamId::Phase(_, phase) => phase,
    }
}

/// The subtasks that an event names: by `ordinal`, or by the pairs in `commands`.
fn ordinals(data: &Value) -> impl Iterator<Item = u32> {
    let one = data.get("ordinal").into_iter();
    let pairs = data.get("commands").and_then(Value::as_array).into_iter().flatten();
    let ordinal = |value: &Value| value.as_u64().and_then(|ordinal| u32::try_from(ordinal).ok());
    one.chain(pairs.filter_map(|pair| pair.get(0))).filter_map(ordinal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_counts_what_this_run_reported_and_what_is_open() {
        let id = ProjectId(uuid::Uuid::from_u128(7));
        let row = |stream, status, completed, failed| Summary {
            stream,
            name: "p".into(),
            status,
            counts: Counts { total: completed + failed, completed, failed, ..Counts::default() },
            submitted_at: Timestamp(1),
            finished_at: None,
        };
        let own = |status, completed| row(StreamId::Project(id), status, completed, 0);
        let phase = |number, status, completed, failed| row(StreamId::Phase(id, number), status, completed, failed);
        let failed = phase(1, Status::Error, 2, 1);
        for (rows, total) in [
            // A second run took the place of the first.
            (vec![own(Status::Completed, 3), failed.clone(), phase(2, Status::Completed, 3, 0)], 3),
            (
                vec![
                    own(Status::Busy, 2),
                    failed.clone(),
                    phase(2, Status::Completed, 2, 0),
                    phase(3, Status::Busy, 4, 0),
                ],
                6,
            ),
            // The first report is on its way.
            (vec![own(Status::Busy, 0), failed], 3),
            (vec![own(Status::Busy, 0)], 0),
        ] {
            assert_eq!(Listed::lead(&rows).map(|listed| listed.counts.total), Some(total), "{rows:?}");
        }
        // A phase that was given up, and has not heard of it: nothing waits there.
        let waits = Counts { total: 3, waiting: 1, ready: 1, completed: 1, ..Counts::default() };
        let phase = Summary { counts: waits, ..phase(1, Status::Busy, 0, 0) };
        let counts = |status| Listed::lead(&[own(status, 0), phase.clone()]).map(|listed| listed.counts);
        let still = Counts { total: 3, idle: 2, completed: 1, ..Counts::default() };
        assert_eq!((counts(Status::Busy), counts(Status::Error)), (Some(waits), Some(still)));
    }
}
