//! Layer after layer is killed again and again while a project runs on a shared SQLite file.

use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::status::{check_order, completed, has_ended};

const SUBTASKS: u64 = 502;
const SLEEPERS: &str = r#"
name = "Sleepers"
[[goals]]
name = "First"
[[goals.subtasks]]
name = "work"
skill = "sleep"
repeat = 280
input = { ms = 200 }
[[goals.subtasks]]
name = "join"
skill = "noop"
dependencies = ["work"]
[[goals]]
name = "Second"
priority = 2
[[goals.subtasks]]
name = "more"
skill = "sleep"
repeat = 220
input = { ms = 200 }
[[goals.subtasks]]
name = "end"
skill = "noop"
dependencies = ["more"]
"#;

/// So many completions are between two kills: each of them meets a team that works.
const BETWEEN: u64 = 25;
const KILLS: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_on_a_sqlite_file_outlives_kills_of_every_layer() {
    on_every_broker(kill_again_and_again).await;
}

async fn kill_again_and_again(broker_url: &str) {
    let place = Place::new(broker_url, Shared::SqliteFile, "sqlite").await;
    let start = |layer| (layer, place.worker(&[layer]));
    // The one at the front is the next to be killed; whoever takes its place is at the back.
    let layers = ["executor", "coordinator", "manager", "executor", "coordinator", "executor"];
    let mut team: std::collections::VecDeque<(&str, Worker)> = layers.map(start).into();
    let id = place.submit(SLEEPERS);
    for kill in 1..=KILLS {
        let status = place.wait(&id, |status| completed(status) >= kill as u64 * BETWEEN);
        assert!(!has_ended(&status), "it was over before kill {kill}: {}", status["counts"]);
        let (layer, victim) = team.pop_front().expect("a worker");
        victim.kill();
        team.push_back(start(layer));
    }
    let status = place.wait(&id, has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert_eq!(completed(&status), SUBTASKS);
    check_order(&status);
    drop(team);
    place.leave().await;
}
