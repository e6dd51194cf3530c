//! What a coordinator has to load to take a phase over: bounded by what the phase is, not by what has happened to it.

use std::time::Duration;

use trireme::wire::{ProjectId, Raw, StreamId, SubtaskPlan};
use uuid::Uuid;

use crate::team::{Team, request};

const SUBTASKS: u32 = 40_000;
/// No snapshot is made before a stream has grown by so much; and what one commit may add.
const SLACK: usize = 2 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_loads_no_more_than_the_state_twice() {
    let team = Team::start().await;
    let mut client = team.client().await;
    let id = ProjectId(Uuid::from_u128(7));
    let work = SubtaskPlan { repeat: Some(SUBTASKS), ..SubtaskPlan::new("work", "noop") };
    client.submit(id, request("many", vec![work])).await.expect("submitted");
    let ended = tokio::time::timeout(Duration::from_secs(120), client.completion());
    tokio::pin!(ended);
    let (stream, mut loads, mut most) = (StreamId::Phase(id, 1), 0, 0);
    loop {
        tokio::select! {
            ended = &mut ended => {
                ended.expect("in time").expect("a word about it");
                break;
            }
            // At any moment somebody may have to take over.
            () = tokio::time::sleep(Duration::from_millis(10)) => {
                let stored = team.store.load(&[stream]).await.expect("a load").pop().expect("an answer");
                let snapshot = stored.snapshot.map_or(0, |snapshot| snapshot.state.len());
                let events: usize = stored.events.iter().map(Raw::bytes).sum();
                assert!(events <= snapshot + SLACK, "{events} bytes of events after {snapshot} of a snapshot");
                loads += usize::from(snapshot > 0);
                most = most.max(events);
            }
        }
    }
    let all = team.store.load_from_start(stream).await.expect("a load");
    let bytes: usize = all.events.iter().map(Raw::bytes).sum();
    assert!(loads > 0, "it was never looked at");
    assert!(most * 2 < bytes, "{most} bytes were to be loaded of a stream of {bytes}: too few to tell");
    team.leave().await;
}
