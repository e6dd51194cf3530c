//! A project is forgotten while its alarms are still out: they come back and are nobody's. What was done for it is kept.

use std::time::Duration;

use serde_json::{Value, json};

use crate::place::{Place, Shared, on_every_broker};
use crate::status::subtasks;

/// Its own alarm, and its phase's, come back within five seconds.
fn project(ms: u32) -> String {
    format!(
        r#"
name = "Soon over"
deadline = "8s"
[[goals]]
name = "All"
subtasks = [{{ name = "work", skill = "sleep", input = {{ ms = {ms} }}, timeout = "6s" }}]
"#
    )
}

const SETTINGS: &str = r#"
attempts.start_timeout = "1s"
attempts.answer_timeout = "1s"
"#;

/// When the last of them has come back.
const BACK_WITHIN: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_alarms_of_what_was_forgotten_leave_nothing_behind() {
    on_every_broker(story).await;
}

async fn story(broker_url: &str) {
    let place = Place::with_settings(broker_url, Shared::SqliteFile, "forgotten", SETTINGS).await;
    let owners = ["manager", "coordinator"].map(|layer| place.worker(&[layer]));
    let _executor = place.worker(&["executor"]);
    let file = place.file(&project(0)).display().to_string();
    let ended = place.json(&["submit", &file, "--wait", "--json", "-q"]);
    place.run(&["forget", ended["project_id"].as_str().expect("an id"), "--yes"]);
    std::thread::sleep(BACK_WITHIN);
    assert_eq!(letters(&place), json!([]));
    for owner in &owners {
        assert!(!owner.said().contains("set aside"), "{}", owner.said());
    }

    // A result is more than a word to its owner: somebody may still want it.
    let id = place.submit(&project(3_000));
    place.wait(&id, |status| subtasks(status).iter().any(|subtask| subtask["status"] == "BUSY"));
    place.run(&["forget", &id, "--yes", "--force"]);
    std::thread::sleep(BACK_WITHIN);
    let letters = letters(&place);
    let all = letters.as_array().expect("a list").iter();
    let kept: Vec<_> = all.map(|letter| (&letter["type"], &letter["reason"])).collect();
    assert_eq!(kept, [(&json!("SubtaskCompletion"), &json!("unknown_stream"))], "{letters}");
    place.leave().await;
}

fn letters(place: &Place) -> Value {
    place.json(&["dead", "list", "--json"])
}
