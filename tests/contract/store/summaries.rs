//! The read side: one row a stream, newest project first.

use std::sync::Arc;

use trireme::runtime::port::{Append, Store, Summary, SummaryQuery};
use trireme::wire::{ProjectId, Status, StreamId, Timestamp};
use uuid::Uuid;

use super::{Bed, append, events, phase, project, summary};

/// Five projects. The newest has the smallest id, and 3 and 4 are of the same moment; 5 has no row of its own.
async fn filled(bed: &dyn Bed) -> Arc<dyn Store> {
    let store = bed.open().await;
    let rows = [
        (project(1), Status::Busy, 9_000),
        (phase(1, 2), Status::Idle, 9_000),
        (phase(1, 10), Status::Idle, 9_000),
        (phase(1, 1), Status::Completed, 9_000),
        (project(2), Status::Error, 1_000),
        (phase(2, 1), Status::Busy, 1_000),
        (project(3), Status::Busy, 5_000),
        (project(4), Status::Completed, 5_000),
        (phase(4, 1), Status::Completed, 5_000),
        (phase(5, 1), Status::Paused, -4_000),
        (phase(5, 2), Status::Cancelled, -4_000),
    ];
    let part = |(stream, status, at)| Append {
        summary: Some(summary(stream, status, at)),
        ..append(stream, 0, events(1..=1))
    };
    store.append(rows.map(part).into()).await.expect("append");
    store
}

async fn found(store: &dyn Store, query: SummaryQuery) -> Vec<StreamId> {
    store.summaries(&query).await.expect("summaries").iter().map(|summary| summary.stream).collect()
}

const ONE: [fn() -> StreamId; 4] = [|| project(1), || phase(1, 1), || phase(1, 2), || phase(1, 10)];

fn one() -> Vec<StreamId> {
    ONE.iter().map(|stream| stream()).collect()
}

pub async fn newest_first_and_a_project_before_its_phases(bed: &dyn Bed) {
    let store = filled(bed).await;
    let rest = [project(4), phase(4, 1), project(3), project(2), phase(2, 1), phase(5, 1), phase(5, 2)];
    assert_eq!(found(&*store, SummaryQuery::default()).await, [one(), rest.into()].concat());
    let rows = store.summaries(&SummaryQuery::default()).await.expect("summaries");
    assert_eq!(rows[0], summary(project(1), Status::Busy, 9_000));
    assert_eq!(rows[10], summary(phase(5, 2), Status::Cancelled, -4_000));
}

pub async fn the_limit_counts_projects(bed: &dyn Bed) {
    let store = filled(bed).await;
    let limited = async |limit| found(&*store, SummaryQuery { limit: Some(limit), ..Default::default() }).await;
    assert_eq!(limited(0).await, []);
    assert_eq!(limited(1).await, one());
    assert_eq!(limited(3).await, [one(), vec![project(4), phase(4, 1), project(3)]].concat());
    assert_eq!(limited(u32::MAX).await.len(), 11);
}

pub async fn the_status_is_the_projects_own(bed: &dyn Bed) {
    let store = filled(bed).await;
    let with =
        async |status, limit| found(&*store, SummaryQuery { status: Some(status), limit, ..Default::default() }).await;
    assert_eq!(with(Status::Busy, None).await, [one(), vec![project(3)]].concat());
    assert_eq!(with(Status::Busy, Some(1)).await, one());
    assert_eq!(with(Status::Error, None).await, [project(2), phase(2, 1)]);
    assert_eq!(with(Status::Paused, None).await, []);
}

pub async fn open_are_the_streams_that_have_not_ended(bed: &dyn Bed) {
    let store = filled(bed).await;
    let open = SummaryQuery { open: true, ..Default::default() };
    let first = vec![project(1), phase(1, 2), phase(1, 10)];
    let all = [first.clone(), vec![project(3), phase(2, 1), phase(5, 1)]].concat();
    assert_eq!(found(&*store, open.clone()).await, all);
    assert_eq!(found(&*store, SummaryQuery { limit: Some(1), ..open.clone() }).await, first);
    assert_eq!(found(&*store, SummaryQuery { status: Some(Status::Error), ..open.clone() }).await, [phase(2, 1)]);
    assert_eq!(found(&*store, SummaryQuery { status: Some(Status::Completed), ..open }).await, []);
}

pub async fn one_project_can_be_asked_for(bed: &dyn Bed) {
    let store = filled(bed).await;
    let of = async |number| {
        let project = Some(ProjectId(Uuid::from_u128(number)));
        found(&*store, SummaryQuery { project, ..Default::default() }).await
    };
    assert_eq!(of(1).await, one());
    assert_eq!(of(5).await, [phase(5, 1), phase(5, 2)]);
    assert_eq!(of(6).await, []);
}

pub async fn a_row_is_replaced_by_the_next(bed: &dyn Bed) {
    let store = filled(bed).await;
    let part =
        |row: &Summary, expected| Append { summary: Some(row.clone()), ..append(row.stream, expected, events(2..=2)) };
    let times = [i64::MAX, i64::MIN, 0];
    for (time, expected) in times.into_iter().zip(1..) {
        let row = Summary { finished_at: Some(Timestamp(time)), ..summary(project(3), Status::Cancelled, time) };
        store.append(vec![part(&row, expected)]).await.expect("append");
        let query = SummaryQuery { status: Some(Status::Cancelled), ..Default::default() };
        assert_eq!(store.summaries(&query).await, Ok(vec![row]));
    }
    // A part without one leaves it as it is.
    store.append(vec![append(project(3), 4, events(3..=3))]).await.expect("append");
    assert_eq!(found(&*store, SummaryQuery::default()).await.len(), 11);
}

pub async fn the_next_page_begins_behind_a_project(bed: &dyn Bed) {
    let store = filled(bed).await;
    let all = found(&*store, SummaryQuery::default()).await;
    let (mut paged, mut query) = (Vec::new(), SummaryQuery { limit: Some(2), ..SummaryQuery::default() });
    loop {
        let rows = store.summaries(&query).await.expect("rows");
        let Some(last) = rows.last() else { break };
        let own = rows.iter().find(|row| row.stream.project() == last.stream.project()).expect("its first row");
        query.after = Some((own.submitted_at, own.stream.project()));
        paged.extend(rows.iter().map(|row| row.stream));
    }
    assert_eq!(paged, all);
}
