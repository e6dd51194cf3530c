//! What every store promises when several processes write at once. Each racer has a store of its own.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use trireme::runtime::port::{Append, Removal, Store, StoreError};
use trireme::wire::StreamId;

use super::{Bed, append, events, load, phase, project, raw};

/// Conflicts of one writer in a row that a fair fight could not bring about.
const CONFLICTS_MAX: usize = 2_000;

pub async fn of_two_creators_one_gets_a_conflict(bed: &dyn Bed) {
    let (one, two) = (bed.open().await, bed.open().await);
    for number in 0..50 {
        let batch = |n| vec![append(project(number), 0, events(n..=n)), append(phase(number, 1), 0, events(n..=n))];
        let (left, right) = tokio::join!(one.append(batch(1)), two.append(batch(2)));
        let winner = match (left, right) {
            (Ok(()), Err(StoreError::Conflict)) => 1,
            (Err(StoreError::Conflict), Ok(())) => 2,
            other => panic!("{number}: {other:?}"),
        };
        for stream in [project(number), phase(number, 1)] {
            assert_eq!(load(&*one, stream).await.events, events(winner..=winner));
        }
    }
}

/// Appends to `streams`, 200 times, whatever version they are at.
async fn race(store: Arc<dyn Store>, streams: Vec<StreamId>, writer: u64) {
    const ROUNDS: u64 = 200;
    for round in 0..ROUNDS {
        let mut conflicts = 0;
        loop {
            let stored = store.load(&streams).await.expect("load");
            let event = || vec![raw(&format!("{{\"writer\": {writer}, \"round\": {round}}}"))];
            let parts = streams.iter().zip(stored).map(|(stream, at)| append(*stream, at.version, event()));
            match store.append(parts.collect()).await {
                Ok(()) => break,
                Err(StoreError::Conflict) => conflicts += 1,
                Err(other) => panic!("{writer} in round {round}: {other:?}"),
            }
            assert!(conflicts < CONFLICTS_MAX, "{writer} in round {round} never wins");
        }
    }
}

async fn race_two(bed: &dyn Bed, streams: [Vec<StreamId>; 2]) {
    let all = streams[0].clone();
    let mut racers = JoinSet::new();
    for (streams, writer) in streams.into_iter().zip(0..) {
        racers.spawn(race(bed.open().await, streams, writer));
    }
    while let Some(done) = racers.join_next().await {
        done.expect("a racer");
    }
    let store = bed.open().await;
    for stream in all {
        let stored = load(&*store, stream).await;
        assert_eq!(stored.version, 400, "{stream}");
        // Nothing lost, nothing doubled, and each writer's own in its order.
        for writer in 0..2 {
            let mark = format!("{{\"writer\": {writer},");
            let rounds: Vec<&str> = stored.events.iter().map(|e| e.get()).filter(|e| e.starts_with(&mark)).collect();
            let expected: Vec<String> = (0..200).map(|round| format!("{mark} \"round\": {round}}}")).collect();
            assert_eq!(rounds, expected);
        }
    }
}

pub async fn two_writers_lose_and_double_nothing(bed: &dyn Bed) {
    race_two(bed, [vec![project(1)], vec![project(1)]]).await;
}

pub async fn two_orders_of_the_same_streams_are_no_deadlock(bed: &dyn Bed) {
    let (a, b, c) = (phase(1, 1), phase(1, 2), project(1));
    race_two(bed, [vec![a, b, c], vec![c, b, a]]).await;
}

pub async fn nothing_slips_past_an_assertion(bed: &dyn Bed) {
    // Each creates its own stream only while the other's is not there. Were an assertion a mere look, both would.
    let stores = [bed.open().await, bed.open().await];
    for number in 0..50 {
        let barrier = Arc::new(Barrier::new(2));
        let mut racers = JoinSet::new();
        for (store, (mine, other)) in stores.iter().zip([(1, 2), (2, 1)]) {
            let (store, barrier) = (store.clone(), barrier.clone());
            racers.spawn(async move {
                let parts =
                    vec![append(phase(number, mine), 0, events(1..=1)), Append::assertion(phase(number, other), 0)];
                barrier.wait().await;
                store.append(parts).await
            });
        }
        let answers = racers.join_all().await;
        let stored = stores[0].load(&[phase(number, 1), phase(number, 2)]).await.expect("load");
        let made: u64 = stored.iter().map(|stream| stream.version).sum();
        assert_eq!((made, answers.iter().filter(|answer| answer.is_ok()).count()), (1, 1), "{answers:?}");
        assert!(answers.contains(&Err(StoreError::Conflict)), "{answers:?}");
    }
    // The same for streams that are there: each moves its own only while the other's has not moved.
    for number in 100..150 {
        let made = [1, 2].map(|n| append(phase(number, n), 0, events(1..=1)));
        stores[0].append(made.into()).await.expect("append");
        let batch = |mine, other| {
            vec![append(phase(number, mine), 1, events(2..=2)), Append::assertion(phase(number, other), 1)]
        };
        let (left, right) = tokio::join!(stores[0].append(batch(1, 2)), stores[1].append(batch(2, 1)));
        assert!(left.is_ok() != right.is_ok(), "{left:?} {right:?}");
        assert!([left, right].contains(&Err(StoreError::Conflict)));
    }
}

pub async fn many_open_a_new_store_at_once(bed: &dyn Bed) {
    let stores = futures_util::future::join_all((0..8).map(|_| bed.open())).await;
    let identities = futures_util::future::join_all(stores.iter().map(|store| store.identity(8))).await;
    assert!(identities.iter().all(|identity| identity.is_ok() && *identity == identities[0]), "{identities:?}");
}

pub async fn what_is_removed_meanwhile_is_gone_or_there_as_a_whole(bed: &dyn Bed) {
    let (writer, remover) = (bed.open().await, bed.open().await);
    let streams = [project(1), phase(1, 1), phase(1, 2)];
    let write = async {
        for round in 0..100 {
            let version = load(&*writer, streams[0]).await.version;
            // A third stream comes now and then, and another is appended to.
            let parts = streams.iter().take(2 + round % 2).map(|&stream| append(stream, version, events(1..=2)));
            match writer.append(parts.collect()).await {
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(other) => panic!("round {round}: {other:?}"),
            }
        }
    };
    let remove = async {
        for round in 0..100 {
            match remover.remove(project(1).project(), Removal::Whatever).await {
                Ok(0..=3) | Err(StoreError::Conflict) => {}
                other => panic!("round {round}: {other:?}"),
            }
        }
    };
    tokio::join!(write, remove);
    for stream in streams {
        // Damage is an error of a load.
        load(&*writer, stream).await;
        let page = writer.page(stream, 0).await.expect("a page");
        assert_eq!(page.version, page.chunks.last().map_or(0, |chunk| chunk.last), "{stream}");
    }
    remover.remove(project(1).project(), Removal::Whatever).await.expect("removed");
    assert_eq!(load(&*writer, streams[1]).await.version, 0);
}
