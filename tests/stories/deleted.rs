//! Somebody deletes every queue and exchange under a team that works: it makes them again, and works on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use trireme::runtime::port::Topology;
use trireme::runtime::topology::topology;
use trireme::store::memory::MemoryStore;
use trireme::transport::memory::MemoryBroker;
use trireme::wire::address::{Address, Namespace, Queue};
use trireme::wire::content::Layer;
use trireme::wire::{ProjectId, Status, StreamId, SubtaskPlan};
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
        lose(&team, |queue| *queue == doomed).await;
        let ended = tokio::time::timeout(Duration::from_secs(3_600), client.completion()).await;
        let ended = ended.unwrap_or_else(|_| panic!("without {doomed:?} it never ends")).expect("a word about it");
        assert_eq!((ended.status, ended.final_report.counts.completed), (Status::Completed, 20), "{doomed:?}");
        team.leave().await;
    }
}

/// The start of a phase, and its report: the project's alarm finds that they are gone.
#[tokio::test(start_paused = true)]
async fn what_a_project_waits_for_was_in_a_queue_that_was_deleted() {
    let (broker, store) =
        (MemoryBroker::new(Namespace::new("stories").expect("a word")), MemoryStore::new(Uuid::nil()));
    let mut team = Team::of_nobody(broker, Arc::new(store)).await;
    let mut client = team.client().await;
    let id = ProjectId(Uuid::from_u128(7));
    let input = Some(json!({ "ms": 1_000 }).into());
    let work = SubtaskPlan { input, ..SubtaskPlan::new("work", "sleep") };
    client.submit(id, request("work", vec![work])).await.expect("submitted");

    team.join(Layer::Management).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(lose(&team, |queue| matches!(queue, Queue::Coordination(_))).await, 1, "its start");
    team.declare().await;
    team.join(Layer::Execution).await;
    team.join(Layer::Coordination).await;
    let begun = async {
        while team.store.load_from_start(StreamId::Phase(id, 1)).await.expect("a store").events.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(400), begun).await.expect("it is handed over again");

    team.dismiss(Layer::Management).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(lose(&team, |queue| *queue == Queue::Management).await, 1, "its report");
    team.declare().await;
    team.join(Layer::Management).await;
    let ended = tokio::time::timeout(Duration::from_secs(400), client.completion()).await;
    let ended = ended.expect("it reports again").expect("a word about it");
    assert_eq!((ended.status, ended.final_report.counts.completed), (Status::Completed, 1));
    team.leave().await;
}

/// A result, and the alarm that would miss it: the project's alarm finds that its phase sleeps.
#[tokio::test(start_paused = true)]
async fn a_phase_whose_alarm_was_in_a_queue_that_was_deleted_is_woken() {
    let mut team = Team::start().await;
    let mut client = team.client().await;
    let work = SubtaskPlan { input: Some(json!({ "ms": 1_000 }).into()), ..SubtaskPlan::new("work", "sleep") };
    client.submit(ProjectId(Uuid::from_u128(7)), request("work", vec![work])).await.expect("submitted");
    tokio::time::sleep(Duration::from_millis(500)).await;
    team.dismiss(Layer::Coordination).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(lose(&team, |queue| matches!(queue, Queue::Coordination(_))).await, 2, "a result and an alarm");
    team.declare().await;
    team.join(Layer::Coordination).await;
    // The deadline of its attempt is eleven minutes away.
    let ended = tokio::time::timeout(Duration::from_secs(1_200), client.completion()).await;
    let ended = ended.expect("it is woken").expect("a word about it");
    assert_eq!((ended.status, ended.final_report.counts.completed), (Status::Completed, 1));
    team.leave().await;
}

/// Deletes these queues; the answer is how many messages that were ready are lost.
async fn lose(team: &Team, which: impl Fn(&Queue) -> bool) -> u32 {
    let stranger = team.world("stranger").await;
    let all = topology(&stranger.topology);
    let queues: Vec<_> = all.queues.iter().filter(|spec| which(&spec.queue)).cloned().collect();
    let mut lost = 0;
    for spec in &queues {
        lost += stranger.transport.depth(&spec.queue).await.expect("a broker").map_or(0, |depth| depth.ready);
    }
    let only = Topology { exchanges: Vec::new(), queues, bindings: Vec::new(), ..all };
    stranger.transport.delete(&only).await.expect("deleted");
    lost
}
