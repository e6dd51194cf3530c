//! The servers go away under the workers and come back: the workers go on by themselves, say so once, and the
//! project ends whole.

use std::collections::BTreeMap;

use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::servers::Server;
use crate::status::{check_order, completed, has_ended, subtasks};

const SUBTASKS: u64 = 301;
pub const LONG: &str = r#"
name = "Long"
[[goals]]
name = "Only"
[[goals.subtasks]]
name = "work"
skill = "sleep"
repeat = 300
input = { ms = 100 }
[[goals.subtasks]]
name = "join"
skill = "noop"
dependencies = ["work"]
"#;

/// A manager, two coordinators and two executors.
pub fn team(place: &Place) -> Vec<Worker> {
    ["manager", "coordinator", "coordinator", "executor", "executor"].map(|layer| place.worker(&[layer])).into()
}

/// Waits until so many subtasks are done; the outage that follows is in mid-run.
pub fn reach(place: &Place, id: &str, done: u64) {
    let status = place.wait(id, |status| completed(status) >= done);
    assert!(!has_ended(&status), "the project was over before the outage: {}", status["counts"]);
}

/// The project ends whole: every subtask is completed, and that is recorded once.
pub fn ends_whole(place: &Place, id: &str) {
    let status = place.wait(id, has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert_eq!(completed(&status), SUBTASKS);
    check_order(&status);
    assert_eq!(subtasks(&status).len() as u64, SUBTASKS);
    let mut recorded: BTreeMap<String, u32> = BTreeMap::new();
    let history = place.json(&["history", id, "--json"]);
    let events = history.as_array().expect("events").iter();
    for event in events.filter(|event| event["event"] == "Completed") {
        *recorded.entry(event["subtask_ids"].to_string()).or_default() += 1;
    }
    assert_eq!(recorded.len() as u64, SUBTASKS, "{recorded:?}");
    assert!(recorded.values().all(|&times| times == 1), "{recorded:?}");
    // Whatever else was written on the way is as it has to be too.
    place.run(&["check", id]);
}

/// The same processes are there and whole again. Gives how often each said that something is broken: once an outage
/// at the most, and no other warnings, but for what was refused meanwhile, and sent again.
pub fn went_on(place: &Place, team: &mut [Worker], outages: usize) -> Vec<usize> {
    let of = |said: &str, words: &str| said.lines().filter(|line| line.contains(words)).count();
    let spoke = |worker: &mut Worker| {
        place.wait_until("a worker is whole again", || {
            of(&worker.said(), "whole again") == of(&worker.said(), "broken; ")
        });
        let said = worker.said();
        let broken = of(&said, "broken; ");
        assert!(worker.is_alive(), "it did not go on:\n{said}");
        let warnings = of(&said, "WARN") + of(&said, "ERROR") - of(&said, "a publish was refused");
        assert!(broken <= outages && warnings == broken, "{said}");
        broken
    };
    team.iter_mut().map(spoke).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_is_restarted_and_killed_and_closes_all_connections() {
    let mut broker = Server::rabbitmq();
    let place = Place::alone(&broker.url, Shared::SqliteFile, "broker").await;
    place.run(&["topology", "declare"]);
    let mut team = team(&place);
    let id = place.submit(LONG);
    reach(&place, &id, 30);
    broker.stop();
    broker.again();
    reach(&place, &id, 90);
    // The queues are older than the 5 s within which a kill can lose one.
    broker.kill();
    broker.again();
    reach(&place, &id, 150);
    broker.close_all_connections();
    ends_whole(&place, &id);
    // The connections that are closed are back before that is worth a word.
    assert!(went_on(&place, &mut team, 3).iter().all(|&times| times >= 1));
    drop(team);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_restarted_and_killed() {
    let mut database = Server::postgres();
    let store_url = database.url.clone();
    let database = tokio::sync::Mutex::new(&mut database);
    on_every_broker(async |broker_url| {
        let place = Place::new(broker_url, Shared::Own(&store_url), "database").await;
        let mut team = team(&place);
        let id = place.submit(LONG);
        let mut database = database.lock().await;
        reach(&place, &id, 30);
        database.stop();
        place.wait_until("a coordinator misses it", || team.iter().any(|worker| worker.said().contains("broken; ")));
        database.again();
        reach(&place, &id, 120);
        database.kill();
        database.again();
        ends_whole(&place, &id);
        went_on(&place, &mut team, 2);
        drop(team);
        place.leave().await;
    })
    .await;
}
