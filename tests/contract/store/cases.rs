//! What every store promises when nobody else is at work.

use trireme::runtime::port::{Append, Payload, PayloadKind, Snapshot, StoreError, Stored, SummaryQuery};
use trireme::wire::{Raw, Status};

use super::{Bed, append, events, load, phase, project, raw, result, snapshot, summary};

const MIB: usize = 1024 * 1024;

pub async fn what_was_appended_is_loaded(bed: &dyn Bed) {
    let store = bed.open().await;
    assert_eq!(load(&*store, project(1)).await, Stored::default());
    store.append(vec![append(project(1), 0, events(1..=3))]).await.expect("append");
    store.append(vec![append(project(1), 3, events(4..=4))]).await.expect("append");
    let stored = Stored { snapshot: None, events: events(1..=4), version: 4 };
    assert_eq!(load(&*store, project(1)).await, stored);
    assert_eq!(store.load_from_start(project(1)).await, Ok(stored));
    assert_eq!(store.load_from_start(project(2)).await, Ok(Stored::default()));
    assert_eq!(store.append(vec![]).await, Ok(()));
    assert_eq!(store.probe_write().await, Ok(()));
    assert_eq!(load(&*store, project(1)).await.version, 4, "a probe changes nothing");
}

pub async fn answers_come_in_the_order_of_the_questions(bed: &dyn Bed) {
    let store = bed.open().await;
    let parts = (1..=12).map(|n| append(phase(1, n), 0, events(1..=u64::from(n)))).collect();
    store.append(parts).await.expect("append");
    let asked = [phase(1, 11), phase(1, 2), phase(9, 9), phase(1, 10), phase(1, 2)];
    let versions: Vec<u64> = store.load(&asked).await.expect("load").iter().map(|stored| stored.version).collect();
    assert_eq!(versions, [11, 2, 0, 10, 2]);
    assert_eq!(store.load(&[]).await, Ok(vec![]));
}

pub async fn a_version_other_than_the_streams_is_a_conflict(bed: &dyn Bed) {
    let store = bed.open().await;
    store.append(vec![append(project(1), 0, events(1..=2))]).await.expect("append");
    for expected in [0, 1, 3, i64::MAX as u64 - 1] {
        let again = store.append(vec![append(project(1), expected, events(9..=9))]).await;
        assert_eq!(again, Err(StoreError::Conflict), "at {expected}");
    }
    assert_eq!(store.append(vec![append(project(2), 1, events(1..=1))]).await, Err(StoreError::Conflict));
    assert_eq!(load(&*store, project(1)).await.events, events(1..=2));
    assert_eq!(load(&*store, project(2)).await, Stored::default());
}

pub async fn a_conflict_leaves_nothing_behind(bed: &dyn Bed) {
    let store = bed.open().await;
    store.append(vec![append(phase(2, 1), 0, events(1..=1))]).await.expect("append");
    // The stale one is first, in the middle and last in the order of the streams.
    for stale in [phase(1, 1), phase(3, 1), phase(4, 1)] {
        let full = |stream, expected| Append {
            payloads: vec![result(0, 1, "1")],
            summary: Some(summary(stream, Status::Busy, 1)),
            snapshot: snapshot(expected + 1, "s"),
            ..append(stream, expected, events(7..=7))
        };
        let good = [(phase(1, 1), 0), (phase(2, 1), 1), (phase(3, 1), 0), (phase(4, 1), 0)];
        let parts = good.map(|(stream, version)| full(stream, if stream == stale { 5 } else { version }));
        assert_eq!(store.append(parts.into()).await, Err(StoreError::Conflict));
        for (stream, version) in good {
            let stored = load(&*store, stream).await;
            assert_eq!((stored.version, stored.snapshot), (version, None));
            assert_eq!(store.payloads(stream, PayloadKind::Result, &[0]).await, Ok(vec![]));
        }
        assert_eq!(store.summaries(&SummaryQuery::default()).await, Ok(vec![]));
    }
}

pub async fn a_stale_assertion_stops_the_batch(bed: &dyn Bed) {
    let store = bed.open().await;
    store.append(vec![append(project(1), 0, events(1..=2))]).await.expect("append");
    let with = |assertion: Append| vec![append(project(2), 0, events(1..=1)), assertion];
    for stale in [Append::assertion(project(1), 1), Append::assertion(project(1), 0), Append::assertion(project(3), 1)]
    {
        assert_eq!(store.append(vec![stale.clone()]).await, Err(StoreError::Conflict));
        assert_eq!(store.append(with(stale)).await, Err(StoreError::Conflict));
    }
    assert_eq!(load(&*store, project(2)).await.version, 0);
    assert_eq!(store.append(vec![Append::assertion(project(1), 2), Append::assertion(project(3), 0)]).await, Ok(()));
    assert_eq!(store.append(with(Append::assertion(project(1), 2))).await, Ok(()));
    // An assertion does not make the stream that it asserts not to be there.
    let there_is_none = vec![append(project(4), 0, events(1..=1)), Append::assertion(project(3), 0)];
    assert_eq!(store.append(there_is_none).await, Ok(()));
    assert_eq!(load(&*store, project(3)).await, Stored::default());
    assert_eq!(store.append(vec![append(project(3), 0, events(1..=1))]).await, Ok(()));
}

pub async fn large_batches_come_back_whole(bed: &dyn Bed) {
    let store = bed.open().await;
    // 3 MiB in small events, one event above a chunk, and small ones around it.
    let small: Vec<Raw> =
        (0..3 * 1024).map(|n| raw(&format!("{{\"n\": {n}, \"x\": \"{}\"}}", "é".repeat(512)))).collect();
    let large = raw(&format!("{{\"x\": \"{}\"}}", "y".repeat(2 * MIB)));
    let mixed = vec![raw("{}"), large, raw("{\"last\": true}")];
    store
        .append(vec![append(phase(1, 1), 0, small.clone()), append(phase(1, 2), 0, mixed.clone())])
        .await
        .expect("append");
    assert_eq!(load(&*store, phase(1, 1)).await.events, small);
    assert_eq!(load(&*store, phase(1, 2)).await.events, mixed);
    // Batches of their own and cut at the same places: 20,000 events in 100 batches.
    for batch in 0..100 {
        store
            .append(vec![append(phase(1, 3), batch * 200, events(batch * 200..(batch + 1) * 200))])
            .await
            .expect("append");
    }
    assert_eq!(load(&*store, phase(1, 3)).await, Stored { snapshot: None, events: events(0..20_000), version: 20_000 });
}

pub async fn a_newer_snapshot_replaces_an_older_one_and_never_the_other_way(bed: &dyn Bed) {
    let store = bed.open().await;
    let stream = phase(1, 1);
    let part =
        |expected, count, snapshot| Append { snapshot, ..append(stream, expected, events(expected..expected + count)) };
    let at = async |version| match load(&*store, stream).await {
        Stored { snapshot: Some(snapshot), version: found, .. } if found == version => {
            (snapshot.version, snapshot.state)
        }
        other => panic!("{other:?}"),
    };
    // Larger than a chunk, then smaller: no piece of the old one stays.
    store.append(vec![part(0, 4, snapshot(4, vec![7; 2 * MIB + 5]))]).await.expect("append");
    assert_eq!(at(4).await, (4, vec![7; 2 * MIB + 5]));
    store.append(vec![part(4, 2, snapshot(3, "older"))]).await.expect("append");
    assert_eq!(at(6).await.0, 4);
    store.append(vec![part(6, 0, snapshot(4, "as old"))]).await.expect("append");
    assert_eq!(at(6).await.1.len(), 2 * MIB + 5);
    store.append(vec![part(6, 1, snapshot(7, "newer"))]).await.expect("append");
    assert_eq!(at(7).await, (7, b"newer".to_vec()));
    store.append(vec![part(7, 1, snapshot(8, ""))]).await.expect("append");
    assert_eq!(at(8).await, (8, vec![]));
}

pub async fn a_load_is_the_snapshot_and_what_came_after_it(bed: &dyn Bed) {
    let store = bed.open().await;
    let format_9 = Some(Snapshot { version: 5, format: 9, state: b"five".to_vec() });
    store.append(vec![append(project(1), 0, events(1..=3))]).await.expect("append");
    // In the middle of the chunk of 4 to 7.
    store
        .append(vec![Append { snapshot: format_9.clone(), ..append(project(1), 3, events(4..=7)) }])
        .await
        .expect("append");
    store.append(vec![append(project(1), 7, events(8..=8))]).await.expect("append");
    let stored = Stored { snapshot: format_9, events: events(6..=8), version: 8 };
    assert_eq!(load(&*store, project(1)).await, stored);
    // Who does not know format 9 starts at the beginning.
    let whole = Stored { snapshot: None, events: events(1..=8), version: 8 };
    assert_eq!(store.load_from_start(project(1)).await, Ok(whole));
    let exact = Append { snapshot: snapshot(9, "nine"), ..append(project(1), 8, events(9..=9)) };
    store.append(vec![exact]).await.expect("append");
    assert_eq!(load(&*store, project(1)).await, Stored { snapshot: snapshot(9, "nine"), events: vec![], version: 9 });
}

pub async fn of_payloads_the_newest_attempt_is_read(bed: &dyn Bed) {
    let store = bed.open().await;
    let log = Payload { kind: PayloadKind::Log, ..result(2, 9, "\"a log\"") };
    let first = vec![
        result(12, 1, "12"),
        result(2, 2, "\"new\""),
        result(2, 1, "\"old\""),
        log.clone(),
        result(u32::MAX, 1, "null"),
    ];
    store.append(vec![Append { payloads: first, ..append(phase(1, 1), 0, events(1..=1)) }]).await.expect("append");
    let find = async |kind, ordinals: &[u32]| store.payloads(phase(1, 1), kind, ordinals).await.expect("payloads");
    let both = vec![result(2, 2, "\"new\""), result(12, 1, "12")];
    assert_eq!(find(PayloadKind::Result, &[12, 2, 3, 12]).await, both);
    assert_eq!(find(PayloadKind::Result, &[u32::MAX]).await, [result(u32::MAX, 1, "null")]);
    assert_eq!(find(PayloadKind::Log, &[2, 12]).await, [log]);
    assert_eq!(find(PayloadKind::Result, &[]).await, []);
    assert_eq!(store.payloads(phase(1, 2), PayloadKind::Result, &[2]).await, Ok(vec![]));
    // The same attempt again, twice in one batch and without events: the last word stays.
    let again = vec![result(2, 2, "[1]"), result(2, 2, "[2]"), result(12, 10, "{}")];
    store.append(vec![Append { payloads: again, ..Append::assertion(phase(1, 1), 1) }]).await.expect("append");
    assert_eq!(find(PayloadKind::Result, &[2, 12]).await, [result(2, 2, "[2]"), result(12, 10, "{}")]);
}

pub async fn text_comes_back_byte_by_byte(bed: &dyn Bed) {
    let store = bed.open().await;
    let texts = [
        "{\"a\": \"\\u0000 stays six characters\", \"b\":1.50,  \"a\": 1e400}",
        "{\"\u{1F6A3}\": \"\u{7f}\u{2028}\\ud800 \\\" \\\\ ' \\/ \u{FFFD}\"}",
        "{\"line\":\n\"break\"}",
    ];
    let written: Vec<Raw> = texts.iter().map(|text| raw(text)).collect();
    let payloads = vec![result(0, 1, texts[0]), result(1, 1, texts[1]), result(2, 1, "\"\\u0000\"")];
    let name = "Tri\u{300}r\u{e8}me \u{1F6A3} '; drop table streams; --";
    let summary = trireme::runtime::port::Summary { name: name.into(), ..summary(phase(1, 1), Status::Busy, -1) };
    let part = append(phase(1, 1), 0, written.clone());
    store
        .append(vec![Append { payloads: payloads.clone(), summary: Some(summary.clone()), ..part }])
        .await
        .expect("append");
    assert_eq!(load(&*store, phase(1, 1)).await.events, written);
    assert_eq!(store.payloads(phase(1, 1), PayloadKind::Result, &[0, 1, 2]).await, Ok(payloads));
    assert_eq!(store.summaries(&SummaryQuery::default()).await, Ok(vec![summary]));
}

pub async fn what_can_not_be_written_is_refused(bed: &dyn Bed) {
    let store = bed.open().await;
    let part = |stream| append(stream, 0, events(1..=1));
    let with_summary = |of| Append { summary: Some(summary(of, Status::Busy, 1)), ..part(of) };
    let mut nul = with_summary(project(1));
    nul.summary.as_mut().expect("a summary").name = "a\0b".into();
    let refused = [
        (vec![part(project(1)), part(project(2)), part(project(1))], "twice"),
        (vec![append(project(1), u64::MAX, events(1..=1))], "too large"),
        (vec![append(project(1), i64::MAX as u64, events(1..=1))], "too large"),
        (vec![Append { snapshot: snapshot(2, "s"), ..part(project(1)) }], "snapshot"),
        (vec![Append { snapshot: snapshot(0, "s"), ..part(project(1)) }], "snapshot"),
        (vec![Append { summary: Some(summary(project(2), Status::Busy, 1)), ..part(project(1)) }], "another stream"),
        (vec![with_summary(phase(1, 0))], "phase 0"),
        (vec![nul], "NUL"),
    ];
    for (parts, why) in refused {
        match store.append(parts).await {
            Err(StoreError::Unusable(text)) => assert!(text.contains(why), "{text}"),
            other => panic!("{why}: {other:?}"),
        }
    }
    assert_eq!(load(&*store, project(1)).await, Stored::default());
}

pub async fn opening_it_again_keeps_everything(bed: &dyn Bed) {
    let store = bed.open().await;
    let identity = store.identity(8).await.expect("identity");
    let part = Append {
        payloads: vec![result(0, 1, "1")],
        summary: Some(summary(project(1), Status::Completed, 1)),
        snapshot: snapshot(1, "one"),
        ..append(project(1), 0, events(1..=2))
    };
    store.append(vec![part.clone()]).await.expect("append");
    let (stored, summaries) = (load(&*store, project(1)).await, store.summaries(&SummaryQuery::default()).await);
    drop(store);
    let again = bed.open().await;
    assert_eq!(load(&*again, project(1)).await, stored);
    assert_eq!(again.summaries(&SummaryQuery::default()).await, summaries);
    assert_eq!(again.payloads(project(1), PayloadKind::Result, &[0]).await, Ok(part.payloads));
    assert_eq!(again.identity(3).await, Ok(identity));
    assert_eq!(again.append(vec![append(project(1), 2, events(3..=3))]).await, Ok(()));
}

pub async fn the_first_decides_on_the_partitions(bed: &dyn Bed) {
    let (one, two) = (bed.open().await, bed.open().await);
    let (first, second) = tokio::join!(one.identity(8), two.identity(5));
    let (first, second) = (first.expect("identity"), second.expect("identity"));
    assert_eq!(first, second);
    assert!([5, 8].contains(&first.partitions));
    assert_eq!(bed.open().await.identity(77).await, Ok(first));
}
