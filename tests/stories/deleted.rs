//! Somebody deletes every queue and exchange under a team that works: it makes them again, and works on.

use std::time::Duration;

use serde_json::json;
use trireme::runtime::port::Topology;
use trireme::runtime::topology::topology;
use trireme::wire::address::{Address, Queue};
use trireme::wire::{ProjectId, Status, SubtaskPlan};
use uuid::Uuid;

use crate::team::{Team, request};

#[tokio::test(start_paused = true)]
async fn what_was_deleted_is_made_again() {
    let team = Team::start().await;
    for number in 1..=2 {
        // A client's own queue goes with the exchange that it hangs on: each round has a new one.
        let mut client = team.client().await;
        let work = SubtaskPlan { repeat: Some(50), ..SubtaskPlan::new("work", "noop") };
        client.submit(ProjectId(Uuid::from_u128(number)), request("work", vec![work])).await.expect("submitted");
        let completion = client.completion().await.expect("a word about it");
        assert_eq!((completion.status, completion.final_report.counts.completed), (Status::Completed, 50));
        // All three hear what is said to everybody.
        let heard = client.ping(Address::everybody(), Duration::from_secs(1), None).await.expect("answers");
        assert_eq!(heard.answered.len(), 3);

        let stranger = team.world("stranger").await;
        stranger.transport.delete(&topology(&stranger.topology)).await.expect("deleted");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(team.is_whole());
    }
    team.leave().await;
}

/// Commands that wait, and results: their phase's alarm finds that they are gone, and has them done again.
#[tokio::test(start_paused = true)]
async fn what_was_in_a_queue_that_was_deleted_is_found_by_alarms() {
    for doomed in [Queue::Skill("sleep".into()), Queue::Coordination(0), Queue::Coordination(1)] {
        let team = Team::start().await;
        let mut client = team.client().await;
        let input = Some(json!({ "ms": 1_000 }).into());
        let work = SubtaskPlan { repeat: Some(20), input, ..SubtaskPlan::new("work", "sleep") };
        client.submit(ProjectId(Uuid::from_u128(7)), request("work", vec![work])).await.expect("submitted");
        // Four at once: in the middle of it commands wait in the one queue, and what is done goes to another.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let stranger = team.world("stranger").await;
        let all = topology(&stranger.topology);
        let queues = all.queues.iter().filter(|spec| spec.queue == doomed).cloned().collect();
        let only = Topology { exchanges: Vec::new(), queues, bindings: Vec::new(), ..all };
        stranger.transport.delete(&only).await.expect("deleted");
        let ended = tokio::time::timeout(Duration::from_secs(3_600), client.completion()).await;
        let ended = ended.unwrap_or_else(|_| panic!("without {doomed:?} it never ends")).expect("a word about it");
        assert_eq!((ended.status, ended.final_report.counts.completed), (Status::Completed, 20), "{doomed:?}");
        team.leave().await;
    }
}
