//! Coordinators that come get their share of the partitions at once, and nothing is executed twice because of it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, Shared, on_every_broker};
use crate::status::{has_ended, subtasks};

const PARTITIONS: usize = 8;
/// From when the second one is there: two seconds, and one for the asking.
const EVEN_WITHIN: Duration = Duration::from_secs(3);

const SLEEPERS: &str = r#"
name = "Sleepers"
[[goals]]
name = "Work"
[[goals.subtasks]]
name = "work"
skill = "sleep"
repeat = 60
input = { ms = 100 }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_coordinator_has_its_share_within_seconds_and_nothing_runs_twice() {
    on_every_broker(shared).await;
}

async fn shared(broker_url: &str) {
    let place = Place::new(broker_url, Shared::Postgres, "share").await;
    let _team = [place.worker(&["manager"]), place.worker(&["coordinator"]), place.worker(&["executor"])];
    let began = Instant::now();
    place.wait_until("one coordinator holds all", || coordinators(&place) == [PARTITIONS]);
    assert!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
    let projects: Vec<String> = (0..8).map(|_| place.submit(SLEEPERS)).collect();
    let _second = place.worker(&["coordinator"]);
    // It is there when it stands in line for what the first one holds.
    place.wait_until("the second answers", || coordinators(&place).len() == 2);
    let came = Instant::now();
    place.wait_until("both hold as many", || coordinators(&place) == [PARTITIONS / 2; 2]);
    let took = came.elapsed();
    assert!(took < EVEN_WITHIN, "it took {took:?}");
    for id in &projects {
        let status = place.wait(id, has_ended);
        assert_eq!(status["status"], "COMPLETED", "{status}");
        for subtask in subtasks(&status) {
            assert_eq!((&subtask["attempts"], subtask["attempt_log"].as_array().map(Vec::len)), (&1.into(), Some(1)));
        }
    }
    place.leave().await;
}

/// How many partitions each coordinator that answers holds.
fn coordinators(place: &Place) -> Vec<usize> {
    let asked = place.trireme(&["ping", "coordination", "--wait", "200ms", "--json"]).output().expect("a command");
    let agents: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
    let all = agents.as_array().into_iter().flatten().filter(|agent| agent["layer"] == "coordination");
    all.map(|agent| agent["holds"].as_array().map_or(0, Vec::len)).collect()
}
