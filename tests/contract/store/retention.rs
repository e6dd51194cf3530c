//! What every store promises to those who check what is stored, and to those who remove it.

use trireme::runtime::port::{Append, Page};
use trireme::runtime::port::{KEYS_MAX, PayloadKind, Removal, StoreError, Stored, SummaryQuery};
use trireme::wire::{Raw, Status, StreamId};

use super::{Bed, append, events, load, phase, project, raw, result, snapshot, summary};

/// The events of a page, with their versions.
fn unfolded(page: &Page) -> Vec<(u64, Raw)> {
    let chunk = |first: u64, last: u64, text: &str| -> Vec<(u64, Raw)> {
        let events: Vec<Raw> = serde_json::from_str(text).expect("an array");
        assert_eq!(events.len() as u64, last + 1 - first);
        (first..).zip(events).collect()
    };
    page.chunks.iter().flat_map(|one| chunk(one.first, one.last, &one.events)).collect()
}

pub async fn a_page_is_the_stream_as_it_is_stored(bed: &dyn Bed) {
    let store = bed.open().await;
    assert_eq!(store.page(phase(1, 1), 0).await, Ok(Page::default()));
    let row = summary(phase(1, 1), Status::Busy, 7);
    let part =
        Append { summary: Some(row.clone()), snapshot: snapshot(3, "s"), ..append(phase(1, 1), 0, events(1..=3)) };
    store.append(vec![part]).await.expect("append");
    store.append(vec![append(phase(1, 1), 3, events(4..=5))]).await.expect("append");
    let page = store.page(phase(1, 1), 0).await.expect("a page");
    assert_eq!((page.version, page.snapshot.clone(), page.summary.clone()), (5, snapshot(3, "s"), Some(row.clone())));
    let numbered: Vec<_> = (1..).zip(events(1..=5)).collect();
    assert_eq!(unfolded(&page), numbered);
    // What comes after the start brings no snapshot.
    let next = store.page(phase(1, 1), 3).await.expect("a page");
    assert_eq!((next.version, next.snapshot.clone(), next.summary.clone()), (5, None, Some(row.clone())));
    assert_eq!(unfolded(&next), numbered[3..]);
    let end = store.page(phase(1, 1), 5).await.expect("a page");
    assert_eq!((end.version, unfolded(&end)), (5, vec![]));
    assert_eq!(end.summary, Some(row));
}

pub async fn a_long_stream_is_read_in_pages(bed: &dyn Bed) {
    let store = bed.open().await;
    // 12 MiB in 12 batches.
    let long = |batch: u64| vec![raw(&format!("{{\"batch\": {batch}, \"x\": \"{}\"}}", "y".repeat(1024 * 1024)))];
    for batch in 0..12 {
        store.append(vec![append(phase(1, 1), batch, long(batch))]).await.expect("append");
    }
    let mut read = Vec::new();
    loop {
        let page = store.page(phase(1, 1), read.len() as u64).await.expect("a page");
        if page.chunks.is_empty() {
            break;
        }
        read.extend(unfolded(&page));
    }
    assert_eq!(read, (1..).zip((0..12).flat_map(long)).collect::<Vec<_>>());
}

pub async fn keys_come_in_their_order_and_in_parts(bed: &dyn Bed) {
    let store = bed.open().await;
    let count = u32::try_from(KEYS_MAX).expect("a number") + 10;
    let payloads = (0..count).rev().map(|ordinal| result(ordinal, 1 + ordinal % 2, "1")).collect();
    store.append(vec![Append { payloads, ..append(phase(1, 1), 0, events(1..=1)) }]).await.expect("append");
    let other = vec![result(0, 9, "1")];
    store.append(vec![Append { payloads: other, ..append(phase(1, 10), 0, events(1..=1)) }]).await.expect("append");
    let keys = async |after| store.payload_keys(phase(1, 1), PayloadKind::Result, after).await.expect("keys");
    let first = keys(None).await;
    assert_eq!(first, (0..count - 10).map(|ordinal| (ordinal, 1 + ordinal % 2)).collect::<Vec<_>>());
    assert_eq!(keys(first.last().copied()).await.len(), 10);
    assert_eq!(keys(Some((count, 0))).await, []);
    assert_eq!(store.payload_keys(phase(1, 1), PayloadKind::Log, None).await, Ok(vec![]));
}

/// Two projects whose names have most letters in common, with everything that there may be of them.
async fn fill(bed: &dyn Bed) -> Vec<Append> {
    let parts: Vec<Append> = [project(1), phase(1, 1), phase(1, 12), project(2), phase(2, 1)]
        .into_iter()
        .map(|stream: StreamId| Append {
            payloads: vec![result(0, 1, "1")],
            summary: Some(summary(stream, if stream == project(2) { Status::Busy } else { Status::Completed }, 1)),
            snapshot: snapshot(2, "s"),
            ..append(stream, 0, events(1..=2))
        })
        .collect();
    bed.open().await.append(parts.clone()).await.expect("append");
    parts
}

pub async fn what_is_removed_is_gone_and_nothing_else(bed: &dyn Bed) {
    let parts = fill(bed).await;
    let store = bed.open().await;
    assert_eq!(store.remove(project(1).project(), Removal::Ended).await, Ok(3));
    for part in &parts {
        let is_there = part.stream.project() == project(2).project();
        let stored = load(&*store, part.stream).await;
        assert_eq!(stored == Stored::default(), !is_there, "{}", part.stream);
        let payloads = store.payloads(part.stream, PayloadKind::Result, &[0]).await.expect("payloads");
        assert_eq!(payloads.len(), usize::from(is_there), "{}", part.stream);
        let page = store.page(part.stream, 0).await.expect("a page");
        assert_eq!((page.summary.is_some(), page.snapshot.is_some()), (is_there, is_there), "{}", part.stream);
    }
    let rows = store.summaries(&SummaryQuery::default()).await.expect("rows");
    assert_eq!(rows.iter().map(|row| row.stream).collect::<Vec<_>>(), [project(2), phase(2, 1)]);
    assert_eq!(store.remove(project(1).project(), Removal::Ended).await, Ok(0));
    // It may come back, as new as any other.
    store.append(vec![append(project(1), 0, events(1..=1))]).await.expect("append");
    assert_eq!(load(&*store, project(1)).await.version, 1);
}

pub async fn an_open_project_goes_only_when_that_is_wanted(bed: &dyn Bed) {
    fill(bed).await;
    let store = bed.open().await;
    assert_eq!(store.remove(project(2).project(), Removal::Ended).await, Err(StoreError::Conflict));
    assert_eq!(load(&*store, phase(2, 1)).await.version, 2);
    assert_eq!(store.remove(project(2).project(), Removal::Whatever).await, Ok(2));
    assert_eq!(load(&*store, phase(2, 1)).await, Stored::default());
}

pub async fn an_append_to_what_was_removed_is_a_conflict(bed: &dyn Bed) {
    fill(bed).await;
    let (owner, store) = (bed.open().await, bed.open().await);
    let next = || vec![append(phase(1, 1), 2, events(3..=3))];
    assert_eq!(store.remove(project(1).project(), Removal::Ended).await, Ok(3));
    assert_eq!(owner.append(next()).await, Err(StoreError::Conflict));
    assert_eq!(owner.append(vec![Append::assertion(phase(1, 1), 2)]).await, Err(StoreError::Conflict));
    assert_eq!(load(&*owner, phase(1, 1)).await, Stored::default());
}

pub async fn every_project_that_has_a_stream_is_listed_once(bed: &dyn Bed) {
    let store = bed.open().await;
    assert_eq!(store.projects().await, Ok(vec![]));
    // With a row and without, with phases and without, and one that has nothing but a phase.
    let with_row =
        Append { summary: Some(summary(project(3), Status::Busy, 7)), ..append(project(3), 0, events(1..=1)) };
    let others = [project(1), phase(1, 1), phase(1, 12), phase(2, 1)].map(|stream| append(stream, 0, events(1..=2)));
    store.append(Vec::from_iter([with_row].into_iter().chain(others))).await.expect("append");
    let expected = [project(1), phase(2, 1), project(3)].map(|stream| stream.project());
    assert_eq!(store.projects().await, Ok(expected.to_vec()));
}
