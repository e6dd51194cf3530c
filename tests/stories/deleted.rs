//! Somebody deletes every queue and exchange under a team that works: it makes them again, and works on.

use std::time::Duration;

use trireme::runtime::topology::topology;
use trireme::wire::address::Address;
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
