//! A stop uses up nobody's attempt: what is not finished within the grace period is answered `released`, what was not
//! begun at once. Nothing goes back to the queue, where coming back too often would count against it.

use trireme::wire::FailureKind;
use trireme::wire::content::ExecuteSubtask;

use super::on_both;
use super::owner::{Owner, command};
use super::place::{HELD, LEASED, Place};

async fn everything_is_released(place: &Place) {
    let mut worker = place.executor("worker", 1);
    let mut owner = Owner::join(place).await;
    owner.command(command(HELD, 1)).await;
    assert_eq!(worker.begun().await, 1);
    owner.command(ExecuteSubtask { lease_ms: Some(30_000), ..command(LEASED, 2) }).await;
    owner.answer().await;
    assert_eq!(worker.begun().await, 2);
    // These two are held, and wait for room.
    for ordinal in [3, 4] {
        owner.command(command(HELD, ordinal)).await;
    }
    let held = [1, 3, 4].map(|ordinal| trireme::wire::MessageId(uuid::Uuid::from_u128(1_000 + ordinal)));
    let leased = trireme::wire::MessageId(uuid::Uuid::from_u128(1_002));
    // Leased ones are listed first.
    owner.heartbeat_with(&[&[leased][..], &held].concat()).await;
    worker.stop.drain();
    for _ in [3, 4] {
        let waiting = owner.failure(FailureKind::Released).await;
        assert!(waiting.subtask_id.ordinal > 2 && waiting.started_at.is_none(), "{waiting:?}");
    }
    for _ in [1, 2] {
        let running = owner.failure(FailureKind::Released).await;
        assert!(running.subtask_id.ordinal < 3 && running.started_at.is_some(), "{running:?}");
    }
    assert!(!worker.has_begun());
    worker.ended().await;
    // All of them were acked: the next one gets what is sent to it, and nothing else.
    let mut next = place.executor("next", 1);
    owner.command(command(HELD, 5)).await;
    assert_eq!(next.begun().await, 5);
    next.open(1);
    assert_eq!(owner.completion().await.0, 5);
    owner.until_queue_has(HELD, 0, 1).await;
    assert!(!next.has_begun());
    next.drained().await;
}

#[tokio::test]
async fn a_stop_answers_what_it_does_not_finish() {
    on_both(everything_is_released).await;
}

async fn what_ends_in_time_is_answered(place: &Place) {
    let mut worker = place.executor("worker", 1);
    let mut owner = Owner::join(place).await;
    owner.command(command(HELD, 1)).await;
    assert_eq!(worker.begun().await, 1);
    worker.stop.drain();
    worker.open(1);
    assert_eq!(owner.completion().await.0, 1);
    worker.ended().await;
}

#[tokio::test]
async fn what_ends_within_the_grace_period_is_answered() {
    on_both(what_ends_in_time_is_answered).await;
}
