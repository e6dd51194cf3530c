//! What agents say of themselves: those who own streams are busy while these move, and idle while nothing happens.

use std::time::Duration;

use serde_json::json;
use trireme::runtime::client::Client;
use trireme::wire::address::Address;
use trireme::wire::{AgentStatus, ProjectId, Status, SubtaskPlan};
use uuid::Uuid;

use crate::team::{Team, request};

/// The statuses of manager, coordinator and executor.
async fn statuses(client: &mut Client) -> [AgentStatus; 3] {
    let answers = client.ping(Address::everybody(), Duration::from_secs(1), Some(3)).await.expect("answers");
    ["m", "c", "e"].map(|name| {
        let named = answers.answered.values().find(|agent| agent.agent_id.as_str() == name);
        named.unwrap_or_else(|| panic!("`{name}` does not answer")).status
    })
}

#[tokio::test(start_paused = true)]
async fn owners_are_busy_while_their_streams_move() {
    use AgentStatus::{Busy, Idle};
    let team = Team::start().await;
    let (mut client, mut asker) = (team.client().await, team.client().await);
    // Peers come and go, partitions are asked for, and nobody has anything to do.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(statuses(&mut asker).await, [Idle, Idle, Idle]);

    let long = SubtaskPlan {
        input: Some(json!({ "ms": 90_000 }).into()),
        timeout_ms: Some(7_200_000),
        ..SubtaskPlan::new("long", "sleep")
    };
    client.submit(ProjectId(Uuid::from_u128(7)), request("busy", vec![long])).await.expect("submitted");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(statuses(&mut asker).await, [Busy, Busy, Busy]);

    // Only the executor has something to do. Alarms come and go, one of them a second ago.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(statuses(&mut asker).await, [Idle, Idle, Busy]);

    assert_eq!(client.completion().await.expect("a word about it").status, Status::Completed);
    assert_eq!(statuses(&mut asker).await, [Busy, Busy, Idle]);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(statuses(&mut asker).await, [Idle, Idle, Idle]);
}
