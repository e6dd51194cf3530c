//! A leased command is accepted, acked when it begins, listed by every heartbeat, and answered like any other.

use std::collections::BTreeSet;

use trireme::domain::decision::accepted_id;
use trireme::wire::content::ExecuteSubtask;
use trireme::wire::{Content, FailureKind, Timestamp};

use super::on_both;
use super::owner::{Owner, command};
use super::place::{HELD, LEASED, Place};

fn leased(ordinal: u32) -> ExecuteSubtask {
    ExecuteSubtask { lease_ms: Some(30_000), ..command(LEASED, ordinal) }
}

async fn accepted(owner: &mut Owner, ordinal: u32) {
    let answer = owner.answer().await;
    match answer.content {
        Content::SubtaskAccepted(accepted) => {
            assert_eq!((accepted.subtask_id.ordinal, accepted.attempt, accepted.lease_ms), (ordinal, 1, Some(30_000)));
            assert_eq!(answer.message_id, accepted_id(accepted.in_reply_to, "worker"));
        }
        other => panic!("an acceptance was expected: {other:?}"),
    }
}

async fn one_after_the_other(place: &Place) {
    let mut worker = place.executor("worker", 2);
    let mut owner = Owner::join(place).await;
    let first = owner.command(leased(1)).await;
    accepted(&mut owner, 1).await;
    assert_eq!(worker.begun().await, 1);
    owner.heartbeat_with(&[first]).await;
    // Its consumer takes one at a time: that the second comes means that the first was acked.
    let second = owner.command(leased(2)).await;
    accepted(&mut owner, 2).await;
    assert_eq!(worker.begun().await, 2);
    owner.heartbeat_with(&[first, second]).await;
    // There is no room for a third: it is not taken, and others could have it.
    let third = owner.command(leased(3)).await;
    owner.until_queue_has(LEASED, 1, 0).await;
    worker.open(1);
    let (done, _) = owner.completion().await;
    accepted(&mut owner, 3).await;
    assert_eq!(worker.begun().await, 3);
    // What is answered is listed no more.
    owner.heartbeat_with(&[if done == 1 { second } else { first }, third]).await;
    worker.open(2);
    owner.completion().await;
    owner.completion().await;
    owner.heartbeat_with(&[]).await;
    owner.until_queue_has(LEASED, 0, 1).await;
    worker.drained().await;
}

#[tokio::test]
async fn leased_commands_are_accepted_as_there_is_room_and_listed_until_they_are_answered() {
    on_both(one_after_the_other).await;
}

async fn too_late(place: &Place) {
    let worker = place.executor("worker", 1);
    let mut owner = Owner::join(place).await;
    owner.command(ExecuteSubtask { not_after: Timestamp(0), ..leased(1) }).await;
    let refused = owner.failure(FailureKind::Timeout).await;
    assert_eq!(refused.started_at, None);
    owner.until_queue_has(LEASED, 0, 1).await;
    worker.drained().await;
}

#[tokio::test]
async fn a_leased_command_that_comes_too_late_is_neither_accepted_nor_run() {
    on_both(too_late).await;
}

/// The command has come, and waits for the room that another skill has taken, when the connection breaks.
#[tokio::test]
async fn a_leased_command_whose_channel_breaks_while_it_waits_for_room_is_run_all_the_same() {
    let place = Place::in_memory().await;
    let Place::Memory(broker) = &place else { panic!("a broker in memory") };
    let mut worker = place.executor_of("worker", 1, 1);
    let mut owner = Owner::join(&place).await;
    owner.until_queue_has(LEASED, 0, 1).await;
    let held = owner.command(command(HELD, 1)).await;
    assert_eq!(worker.begun().await, 1);
    let leased = owner.command(leased(2)).await;
    owner.heartbeat_with(&[held, leased]).await;
    broker.disconnect("worker");
    // What the connection gives back may be run a second time: whoever sent it fences the answer.
    worker.open(10);
    let mut completed = BTreeSet::new();
    while completed.len() < 2 {
        if let Content::SubtaskCompletion(completion) = owner.answer().await.content {
            completed.insert(completion.subtask_id.ordinal);
        }
    }
    for skill in [HELD, LEASED] {
        owner.until_queue_has(skill, 0, 1).await;
    }
    worker.drained().await;
    owner.until_queue_has(LEASED, 0, 0).await;
}
