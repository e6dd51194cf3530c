//! What was handed out and what runs are two numbers: a queue holds more than executors have slots for.

use serde_json::Value;

use crate::place::{Place, Shared, on_every_broker};

/// Of one executor with four slots.
const TWELVE: &str = r#"
name = "twelve"
[[goals]]
name = "only"
[[goals.subtasks]]
name = "sleep"
skill = "sleep"
repeat = 12
input = { ms = 1500 }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_queue_is_handed_out_and_only_what_an_executor_has_begun_runs() {
    on_every_broker(async |broker_url| {
        let place = Place::new(broker_url, Shared::SqliteFile, "handed_out").await;
        let workers =
            [place.worker(&["manager"]), place.worker(&["coordinator"]), place.worker(&["executor", "--slots", "4"])];
        let id = place.submit(TWELVE);
        let mut shown = String::new();
        place.wait_until("four run", || {
            shown = String::from_utf8_lossy(&place.trireme(&["status", &id]).output().expect("it runs").stdout).into();
            shown.contains("(4 running)")
        });
        // For people: of at least one more it is known that it only waits.
        assert!(!shown.contains(" 4 handed out (4 running)"), "{shown}");
        // For programs, to the end.
        let output = place.trireme(&["watch", &id, "--json"]).output().expect("it runs");
        let lines = String::from_utf8_lossy(&output.stdout);
        let moments: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let numbers = |moment: &Value| (moment["counts"]["handed_out"].as_u64(), moment["running"].as_u64());
        assert!(moments.iter().any(|moment| matches!(numbers(moment), (Some(out), Some(4)) if out > 4)), "{lines}");
        assert!(moments.iter().all(|moment| numbers(moment).1.is_none_or(|running| running <= 4)), "{lines}");
        assert_eq!(moments.last().map(|moment| moment["counts"]["completed"].clone()), Some(12.into()));
        drop(workers);
        place.leave().await;
    })
    .await;
}
