//! Reads a project's streams as they are stored, folds them event by event, and hears what the auditors of the
//! domain say. It writes nothing, and a store that others write to meanwhile is checked all the same: what is
//! compared is always of one moment.
//!
//! What is held in memory is the fold of one phase, its snapshot, and a page of events.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::port::{CHUNK_BYTES_MAX, EventChunk, Page, PayloadKind, Snapshot, Store, StoreError, Summary, SummaryQuery};
use crate::domain::audit::{PhaseAudit, PhaseEnd, ProjectAudit, Row, Violation, an_open_question_is_asked};
use crate::domain::phase::{self, Phase, SNAPSHOT_FORMAT};
use crate::domain::project;
use crate::wire::{ProjectId, Raw, StreamId};

/// What came of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub projects: u64,
    pub streams: u64,
    pub events: u64,
    pub violations: Vec<Violation>,
}

/// Checks one project, and adds what it finds to `checked`. Gives whether the store knows the project.
pub async fn project(
    store: &dyn Store,
    id: ProjectId,
    checked: &mut Checked,
    seen: &(dyn Fn(&Checked) + Sync),
) -> Result<bool, StoreError> {
    let mut audit = ProjectAudit::new(id);
    fold(store, &mut audit, checked, seen).await?;
    let query = SummaryQuery { project: Some(id), ..SummaryQuery::default() };
    let rows = store.summaries(&query).await?;
    if rows.is_empty() && audit.state().version() == 0 && !audit.is_lost() {
        return Ok(false);
    }
    // Those that it knows of, and those that say they are its own.
    let known = audit.state().phases().iter().chain(audit.state().superseded());
    let started = known.filter(|phase| phase.partition.is_some()).map(|phase| phase.number);
    let told = rows.iter().filter_map(|row| match row.stream {
        StreamId::Phase(_, number) => Some(number),
        StreamId::Project(_) => None,
    });
    let numbers: BTreeSet<u32> = started.chain(told).collect();
    let (mut ends, mut asked) = (BTreeMap::new(), BTreeMap::new());
    for number in numbers {
        let audit = phase(store, StreamId::Phase(id, number), checked, seen).await?;
        let end = PhaseEnd::of(audit.state());
        if end.is_some_and(|end| !end.has_ended) && !audit.is_lost() {
            asked.insert(number, audit.state().questions().keys().copied().collect::<BTreeSet<u32>>());
        }
        ends.extend(end.map(|end| (number, end)));
        checked.violations.extend(audit.violations());
    }
    audit.phases(&ends);
    if !audit.is_lost() && an_open_question_is_asked(audit.state(), &asked).is_err() {
        // It may have been answered meanwhile.
        let before = audit.state().clone();
        fold_on(store, &mut audit, checked, seen).await?;
        audit.questions(&before, &asked);
    }
    checked.projects += 1;
    checked.violations.extend(audit.violations());
    Ok(true)
}

/// A phase's stream: its events, its snapshot, its row, its results.
async fn phase(
    store: &dyn Store,
    stream: StreamId,
    checked: &mut Checked,
    seen: &(dyn Fn(&Checked) + Sync),
) -> Result<PhaseAudit, StoreError> {
    let mut audit = PhaseAt { audit: PhaseAudit::new(stream), stream, snapshot: None };
    fold(store, &mut audit, checked, seen).await?;
    // Results are written with their completions: those that are there by now have one in the events of a later
    // moment, and those of the events so far have to be there.
    let wanted = audit.audit.completions().clone();
    let mut keys: Vec<(u32, u32)> = Vec::new();
    loop {
        let page = store.payload_keys(stream, PayloadKind::Result, keys.last().copied()).await?;
        if page.is_empty() {
            break;
        }
        keys.extend(page);
    }
    if audit.audit.state().ended().is_none() && !audit.audit.is_lost() {
        fold_on(store, &mut audit, checked, seen).await?;
    }
    if !audit.audit.is_lost() {
        let missing: Vec<_> = wanted.into_iter().filter(|key| keys.binary_search(key).is_err()).collect();
        audit.audit.without_result(&missing);
        keys.iter().for_each(|&(ordinal, attempt)| audit.audit.result(ordinal, attempt));
        audit.audit.finish();
    }
    Ok(audit.audit)
}

/// What a stream is folded into.
trait Fold {
    type Event: DeserializeOwned;
    fn stream(&self) -> StreamId;
    fn version(&self) -> u64;
    fn is_lost(&self) -> bool;
    fn event(&mut self, event: &Self::Event);
    fn committed(&mut self);
    fn stored(&mut self, rule: &'static str, version: u64, detail: String);
    fn begin(&mut self, snapshot: Option<Snapshot>);
    /// The stream is folded to its end, and this is its row at that moment.
    fn row(&mut self, row: Option<&Row>);
}

async fn fold<F: Fold + Send>(
    store: &dyn Store,
    fold: &mut F,
    checked: &mut Checked,
    seen: &(dyn Fn(&Checked) + Sync),
) -> Result<(), StoreError> {
    let mut page = store.page(fold.stream(), 0).await?;
    checked.streams += u64::from(page.version > 0 || !page.chunks.is_empty());
    if page.snapshot.as_ref().is_some_and(|snapshot| snapshot.version > page.version) {
        fold.stored("the_snapshot_is_the_fold", page.version, "it is of a version that there is not".into());
    }
    fold.begin(page.snapshot.take());
    to_the_end(store, fold, page, checked, seen).await
}

/// What was added since.
async fn fold_on<F: Fold + Send>(
    store: &dyn Store,
    fold: &mut F,
    checked: &mut Checked,
    seen: &(dyn Fn(&Checked) + Sync),
) -> Result<(), StoreError> {
    let page = store.page(fold.stream(), fold.version()).await?;
    to_the_end(store, fold, page, checked, seen).await
}

async fn to_the_end<F: Fold + Send>(
    store: &dyn Store,
    fold: &mut F,
    mut page: Page,
    checked: &mut Checked,
    seen: &(dyn Fn(&Checked) + Sync),
) -> Result<(), StoreError> {
    // A chunk that was cut is known by the one that follows it.
    let mut last_bytes = None;
    loop {
        for chunk in &page.chunks {
            take(fold, chunk, &mut last_bytes, checked);
            if fold.is_lost() {
                return Ok(());
            }
        }
        seen(checked);
        if fold.version() == page.version {
            fold.committed();
            fold.row(page.summary.as_ref().map(row).as_ref());
            return Ok(());
        }
        if page.chunks.is_empty() || fold.version() > page.version {
            let (folded, version) = (fold.version(), page.version);
            let detail = format!("there are events up to {folded}, and it says that it is at {version}");
            fold.stored("versions_rise_by_one", folded, detail);
            return Ok(());
        }
        page = store.page(fold.stream(), fold.version()).await?;
    }
}

fn take<F: Fold>(fold: &mut F, chunk: &EventChunk, last_bytes: &mut Option<usize>, checked: &mut Checked) {
    let version = fold.version();
    let events: Vec<Raw> = match serde_json::from_str(&chunk.events) {
        Ok(events) => events,
        Err(error) => return fold.stored("events_can_be_read", version + 1, error.to_string()),
    };
    let count = events.len() as u64;
    if chunk.first != version + 1 || chunk.last != version + count || count == 0 {
        let detail = format!("{count} events are numbered {} to {}, after {version}", chunk.first, chunk.last);
        return fold.stored("versions_rise_by_one", version + 1, detail);
    }
    // Two chunks of one commit are as full as they can be.
    let is_cut = last_bytes.is_some_and(|bytes| bytes + events[0].bytes() + 2 > CHUNK_BYTES_MAX);
    if version > 0 && !is_cut {
        fold.committed();
    }
    *last_bytes = Some(chunk.events.len());
    for raw in &events {
        match raw.read() {
            Ok(event) => fold.event(&event),
            Err(error) => return fold.stored("events_can_be_read", fold.version() + 1, error.to_string()),
        }
        if fold.is_lost() {
            return;
        }
        checked.events += 1;
    }
}

fn row(summary: &Summary) -> Row {
    Row {
        name: summary.name.clone(),
        status: summary.status,
        counts: summary.counts,
        submitted_at: summary.submitted_at,
        finished_at: summary.finished_at,
    }
}

impl Fold for ProjectAudit {
    type Event = project::Event;

    fn stream(&self) -> StreamId {
        self.id()
    }

    fn version(&self) -> u64 {
        self.state().version()
    }

    fn is_lost(&self) -> bool {
        self.is_lost()
    }

    fn event(&mut self, event: &project::Event) {
        self.event(event);
    }

    fn committed(&mut self) {
        self.committed();
    }

    fn stored(&mut self, rule: &'static str, version: u64, detail: String) {
        self.stored(rule, version, detail);
    }

    /// Projects have none.
    fn begin(&mut self, _: Option<Snapshot>) {}

    fn row(&mut self, row: Option<&Row>) {
        self.summary(row);
    }
}

/// A phase's auditor, and the snapshot that it will come by.
struct PhaseAt {
    audit: PhaseAudit,
    stream: StreamId,
    snapshot: Option<Snapshot>,
}

impl Fold for PhaseAt {
    type Event = phase::Event;

    fn stream(&self) -> StreamId {
        self.stream
    }

    fn version(&self) -> u64 {
        self.audit.state().version()
    }

    fn is_lost(&self) -> bool {
        self.audit.is_lost()
    }

    fn event(&mut self, event: &phase::Event) {
        self.audit.event(event);
        let version = self.version();
        if let Some(snapshot) = self.snapshot.take_if(|snapshot| snapshot.version == version) {
            let restored: Option<Phase> = serde_json::from_slice(&snapshot.state).ok();
            self.audit.snapshot(restored.as_ref());
        }
    }

    fn committed(&mut self) {
        self.audit.committed();
    }

    fn stored(&mut self, rule: &'static str, version: u64, detail: String) {
        self.audit.stored(rule, version, detail);
    }

    /// One in another format is nobody's: whoever does not know it folds the stream.
    fn begin(&mut self, snapshot: Option<Snapshot>) {
        self.snapshot = snapshot.filter(|snapshot| snapshot.format == SNAPSHOT_FORMAT);
    }

    fn row(&mut self, row: Option<&Row>) {
        self.audit.summary(row);
    }
}
