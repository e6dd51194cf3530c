//! What watchers hear of a phase: soon after its first step, then how it stands once a second as long as it moves, and
//! its end.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use trireme::runtime::port::Consumer;
use trireme::wire::address::{Exchange, Queue};
use trireme::wire::{Content, ProjectId, SubtaskPlan, codec};
use uuid::Uuid;

use crate::team::{Team, request};

/// What comes until nothing has come for ten seconds: milliseconds since `began`, the key's second word, and how many
/// subtasks were completed.
async fn heard(events: &mut dyn Consumer, began: Instant) -> Vec<(u64, String, u32)> {
    let mut heard = Vec::new();
    while let Ok(batch) = tokio::time::timeout(Duration::from_secs(10), events.next(64)).await {
        for delivery in batch.expect("open") {
            let what = delivery.key.split('.').nth(1).expect("a word").to_owned();
            for part in codec::decode(&delivery.body) {
                let Content::ProjectStatusUpdate(update) = part.expect("ours").content else { panic!("no update") };
                let ms = u64::try_from(began.elapsed().as_millis()).expect("soon");
                heard.push((ms, what.clone(), update.counts.completed));
            }
        }
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn watchers_are_told_of_steps_once_a_second_and_of_the_end_at_once() {
    let team = Team::start().await;
    let transport = team.world("watcher").await.transport;
    let all = [(Exchange::Events, "coordination.*.*".to_owned())];
    let mut events = transport.subscribe(&Queue::Watcher("w".into()), &all).await.expect("a queue");
    // Twenty steps in two seconds, and one that takes five.
    let sleep = |name: &str, ms: u64, after: Vec<String>| SubtaskPlan {
        input: Some(json!({ "ms": ms }).into()),
        dependencies: after,
        ..SubtaskPlan::new(name, "sleep")
    };
    let step =
        |at: u32| sleep(&format!("s{at}"), 100, at.checked_sub(1).map(|at| format!("s{at}")).into_iter().collect());
    let mut subtasks: Vec<SubtaskPlan> = (0..20).map(step).collect();
    subtasks.push(sleep("long", 7_000, Vec::new()));
    let (client, began) = (team.client().await, Instant::now());
    client.submit(ProjectId(Uuid::from_u128(7)), request("watched", subtasks)).await.expect("submitted");
    let heard = heard(&mut *events, began).await;
    let near = |ms: u64, wanted: u64| (wanted..wanted + 150).contains(&ms);
    let told: Vec<(&str, u32)> = heard.iter().map(|(_, what, completed)| (what.as_str(), *completed)).collect();
    let [("progress", 2), ("progress", 11 | 12), ("progress", 20), rest @ ..] = told.as_slice() else {
        panic!("{heard:?}")
    };
    // The last steps are told of although nothing follows them for long.
    assert!(matches!(rest, [("ended", 21)] | [("progress", 20), ("ended", 21)]), "{heard:?}");
    assert!(heard[..3].iter().zip([250, 1_250, 2_250]).all(|((ms, ..), wanted)| near(*ms, wanted)), "{heard:?}");
    assert!(near(heard[heard.len() - 1].0, 7_000), "{heard:?}");
    team.leave().await;
}
