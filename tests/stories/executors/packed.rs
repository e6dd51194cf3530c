//! Commands share a body because they were quick. When they are not any more, one executor must not sit on those that wait
//! behind others while another has room.

use trireme::wire::FailureKind;

use super::on_both;
use super::owner::{Owner, command};
use super::place::{HELD, Place};

async fn what_waits_is_given_back(place: &Place) {
    let mut worker = place.executor("worker", 1);
    let mut owner = Owner::join(place).await;
    owner.packed(HELD, 1..=3).await;
    assert_eq!(worker.begun().await, 1);
    // It waits as long as it is wanted: nobody took it for quick.
    owner.command(command(HELD, 4)).await;
    for _ in [2, 3] {
        let waited = owner.failure(FailureKind::Released).await;
        assert!([2, 3].contains(&waited.subtask_id.ordinal) && waited.started_at.is_none(), "{waited:?}");
    }
    assert!(!worker.has_begun());
    worker.open(2);
    assert_eq!(worker.begun().await, 4);
    assert_eq!([owner.completion().await.0, owner.completion().await.0], [1, 4]);
    owner.until_queue_has(HELD, 0, 1).await;
    worker.drained().await;
}

#[tokio::test]
async fn what_waits_behind_slow_ones_of_its_body_is_given_back() {
    on_both(what_waits_is_given_back).await;
}
