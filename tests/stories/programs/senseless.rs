//! Streams that a coordinator can make no sense of: one with an event of tomorrow, one whose events do not fit. The manager
//! hears of it, says so, and the project's policy says what becomes of it; nobody else's work suffers.

use serde_json::{Value, json};
use trireme::runtime::port::{Append, Store};
use trireme::store;
use trireme::wire::{Raw, StreamId};

use super::away::{alert, alerts};
use super::{place_with, stands};
use crate::place::{Place, Shared, on_every_broker};
use crate::status::has_ended;

/// The first phase waits for leave to end, and the second one's stream is spoilt meanwhile.
const WORK: &str = "until [ -e may_end ]; do sleep 0.1; done";

fn project(policy: &str) -> String {
    format!(
        "name = \"{policy}\"\npolicy = {{ on_failure = \"{policy}\" }}\n[[goals]]\nname = \"First\"\n\
         subtasks = [{{ name = \"work\", skill = \"held\" }}]\n[[goals]]\nname = \"Second\"\npriority = 2\n\
         subtasks = [{{ name = \"last\", skill = \"noop\" }}]\n"
    )
}

/// Begins the stream of a project's second phase.
async fn spoil(store: &dyn Store, id: &str, event: Value) {
    let stream = StreamId::Phase(id.parse().expect("an id"), 2);
    let part = Append { events: vec![Raw::from(event)], ..Append::assertion(stream, 0) };
    store.append(vec![part]).await.expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_says_what_becomes_of_a_phase_that_nobody_can_read() {
    on_every_broker(async |url| {
        senseless(place_with(url, Shared::SqliteFile, "senseless", WORK, "").await).await;
    })
    .await;
}

async fn senseless(place: Place) {
    let transport = place.transport();
    let mut alerts = alerts(&transport).await;
    let (_others, mut coordinator) =
        ([place.worker(&["manager"]), place.worker(&["executor"])], place.worker(&["coordinator"]));
    let ids = ["fail", "skip", "ask", "fail", "skip"].map(|policy| place.submit(&project(policy)));
    let [fail, skip, ask, panics, innocent] = &ids;
    for id in &ids {
        place.wait(id, |status| status["counts"]["handed_out"] == 1);
    }
    let store = store::open(&format!("sqlite:{}", place.sqlite_file())).await.expect("the store");
    for id in [fail, skip, ask] {
        spoil(&*store, id, json!({ "OfTomorrow": { "at": "2025-11-22T08:26:40.000Z" } })).await;
    }
    // Of a phase that has no subtasks none can be completed.
    let at = "2025-11-22T08:26:40.000Z";
    let completed = json!({ "at": at, "ordinal": 999, "attempt": 1, "agent": "x", "started_at": at, "finished_at": at,
        "bytes": 4 });
    spoil(&*store, panics, json!({ "Completed": completed })).await;
    place.write("may_end", "");

    let said = alert(&mut *alerts, fail).await;
    assert!(said.starts_with("phase 2 was given up") && said.contains("can not be read by this version"), "{said}");
    for id in [fail, panics] {
        let status = place.wait(id, has_ended);
        assert_eq!((&status["status"], &status["counts"]["completed"]), (&"ERROR".into(), &1.into()), "{status}");
    }
    let status = place.wait(skip, has_ended);
    let counts = &status["counts"];
    assert_eq!(
        (&status["status"], &counts["completed"], &counts["skipped"]),
        (&"COMPLETED".into(), &1.into(), &1.into())
    );
    place.wait(ask, |status| status["status"] == "WAITING");
    // Another phase takes its place, and that one can be read.
    place.run(&["decide", ask, "--retry"]);
    for id in [ask, innocent] {
        let status = place.wait(id, has_ended);
        assert_eq!(status["status"], "COMPLETED", "{status}");
        assert_eq!(stands(&status), [("work", "COMPLETED"), ("last", "COMPLETED")], "{status}");
    }
    assert!(coordinator.is_alive(), "{}", coordinator.said());
    let letters = place.json(&["dead", "list", "--json"]);
    let starts: Vec<&Value> =
        letters.as_array().expect("letters").iter().filter(|one| one["type"] == "StartProjectPhase").collect();
    let is_unreadable = |start: &&Value| start["reason"] == "its stream can not be read by this version";
    assert!(starts.len() == 4 && starts.iter().all(is_unreadable), "{letters}");
    transport.close().await;
    place.leave().await;
}
