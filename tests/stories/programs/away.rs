//! No coordinator is there for long: the managers say so, and the project's policy says what becomes of it.

use std::time::Duration;

use trireme::runtime::port::{Consumer, Transport};
use trireme::wire::address::{Exchange, Queue};
use trireme::wire::{Content, codec};

use super::{place_with, stands};
use crate::place::{Place, Shared, on_every_broker};
use crate::status::has_ended;

/// Far longer than it takes, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

fn project(policy: &str) -> String {
    format!(
        "name = \"{policy}\"\npolicy = {{ on_failure = \"{policy}\" }}\n[[goals]]\nname = \"First\"\n\
         subtasks = [{{ name = \"work\", skill = \"held\" }}]\n[[goals]]\nname = \"Second\"\npriority = 2\n\
         subtasks = [{{ name = \"last\", skill = \"held\" }}]\n"
    )
}

/// What managers alert everybody of.
pub(super) async fn alerts(transport: &impl Transport) -> Box<dyn Consumer> {
    let bindings = [(Exchange::Events, "management.alert.#".to_owned())];
    transport.subscribe(&Queue::Watcher("alerts".into()), &bindings).await.expect("a watcher's queue")
}

/// The next alert about a project.
pub(super) async fn alert(alerts: &mut dyn Consumer, id: &str) -> String {
    let heard = async {
        loop {
            for delivery in alerts.next(10).await.expect("open") {
                for envelope in codec::decode(&delivery.body).into_iter().flatten() {
                    if let Content::ProjectCompletion(said) = envelope.content
                        && said.project_id.to_string() == id
                    {
                        return said.error_message.unwrap_or_default();
                    }
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("an alert in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_says_what_becomes_of_a_project_without_coordinators() {
    on_every_broker(async |url| {
        let place = place_with(url, Shared::SqliteFile, "away", "exit 0", "agents.coordinator_timeout = \"3s\"").await;
        without_coordinators(place).await;
    })
    .await;
}

async fn without_coordinators(place: Place) {
    let transport = place.transport();
    let mut alerts = alerts(&transport).await;
    let _others = [place.worker(&["manager"]), place.worker(&["executor"])];
    let ids = ["fail", "skip", "ask"].map(|policy| place.submit(&project(policy)));
    let [fail, skip, ask] = &ids;

    let said = alert(&mut *alerts, fail).await;
    assert!(said.starts_with("phase 1 was given up: no coordinator has been heard of for "), "{said}");
    assert_eq!(place.wait(fail, has_ended)["status"], "ERROR");
    // Both phases of the second are passed over, one after the other; nothing of it was done.
    let status = place.wait(skip, has_ended);
    let counts = &status["counts"];
    assert_eq!((&status["status"], &counts["completed"]), (&"COMPLETED".into(), &0.into()), "{status}");
    assert_eq!((&counts["skipped"], &counts["total"]), (&2.into(), &2.into()), "{status}");
    place.wait(ask, |status| status["status"] == "WAITING");

    // Somebody comes, and somebody says that it is worth another try.
    let _coordinator = place.worker(&["coordinator"]);
    place.run(&["decide", ask, "--retry"]);
    let status = place.wait(ask, has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert_eq!(stands(&status), [("work", "COMPLETED"), ("last", "COMPLETED")], "{status}");
    for id in &ids {
        place.run(&["check", id]);
    }
    transport.close().await;
    place.leave().await;
}
