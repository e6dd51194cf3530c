//! A stop: what is held is finished within the grace period or given back, and no attempt is used up by it.

use std::time::Duration;

use serde_json::json;
use trireme::domain::phase::{Event, Phase};
use trireme::wire::{ProjectId, Status, StreamId, SubtaskPlan};
use uuid::Uuid;

use crate::team::{Team, request};

/// Drains a team a second after a subtask of this length was begun, lets another team finish, and gives how long
/// the drain took in virtual seconds and how often the subtask was dispatched.
async fn drained_with_a_subtask_of(ms: u64) -> (u64, u32) {
    let team = Team::start().await;
    let id = ProjectId(Uuid::from_u128(7));
    let subtask = SubtaskPlan {
        input: Some(json!({ "ms": ms }).into()),
        timeout_ms: Some(7_200_000),
        ..SubtaskPlan::new("work", "sleep")
    };
    team.client().await.submit(id, request("drain", vec![subtask])).await.expect("submitted");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (broker, store) = (team.broker.clone(), team.store.clone());
    let began = tokio::time::Instant::now();
    team.leave().await;
    let took = began.elapsed().as_secs();

    let successors = Team::start_on(broker, store.clone()).await;
    let mut client = successors.client().await;
    // The same request again is answered with how the project stands; its end is told to the first client only.
    let phase = StreamId::Phase(id, 1);
    let mut state = Phase::default();
    while state.ended().is_none() {
        tokio::time::sleep(Duration::from_secs(60)).await;
        state = Phase::default();
        for event in store.load_from_start(phase).await.expect("a stream").events {
            state.apply(&event.read::<Event>().expect("an event"));
        }
    }
    assert_eq!(state.status(), Status::Completed);
    let ended = client.ping(trireme::wire::address::Address::everybody(), Duration::from_secs(1), None).await;
    assert_eq!(ended.expect("answers").answered.len(), 3);
    (took, state.subtask(0).expect("a subtask").attempt)
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_finished_within_the_grace_period() {
    assert_eq!(drained_with_a_subtask_of(11_000).await, (10, 1));
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_is_released_and_not_charged() {
    assert_eq!(drained_with_a_subtask_of(600_000).await, (30, 2));
}
