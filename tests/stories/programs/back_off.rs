//! Every coordinator is killed while attempts wait for their time: nothing of that is in a process's memory.

use std::time::{Duration, Instant};

use super::{place, recorded};
use crate::place::{Place, Shared, on_every_broker};
use crate::status::{has_ended, subtasks};

/// Each fails once, and says when to come back.
const WORK: &str = r#"
date +%s%3N >> "$TRIREME_SUBTASK_ID"
[ "$TRIREME_ATTEMPT" -gt 1 ] && exit 0
case $TRIREME_SUBTASK_ID in 1.0) soon=3000;; *) soon=10000;; esac
echo "{\"retry_after_ms\": $soon}" >&2
exit 75
"#;
const TWO: &str = r#"
name = "Waiting"
[[goals]]
name = "Only"
subtasks = [{ name = "soon", skill = "held" }, { name = "late", skill = "held" }]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_that_wait_outlive_every_coordinator() {
    on_every_broker(async |url| outlive(place(url, Shared::SqliteFile, "back_off", WORK).await).await).await;
}

async fn outlive(place: Place) {
    let _others = [place.worker(&["manager"]), place.worker(&["executor"])];
    let coordinators = [place.worker(&["coordinator"]), place.worker(&["coordinator"])];
    let id = place.submit(TWO);
    let is_waiting = |status: &serde_json::Value| status["counts"]["waiting"] == 2;
    place.wait(&id, is_waiting);
    let began = Instant::now();
    coordinators.into_iter().for_each(|coordinator| coordinator.kill());

    // The time of the one passes while nobody is there, that of the other does not.
    place.wait_until("the first's time is over", || began.elapsed() > Duration::from_millis(4_000));
    assert_eq!([place.lines("1.0").len(), place.lines("1.1").len()], [1, 1]);
    let _successor = place.worker(&["coordinator"]);
    let status = place.wait(&id, has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert!(subtasks(&status).iter().all(|subtask| subtask["attempts"] == 2), "{status}");
    for (file, soonest, latest) in [("1.0", 4_000, 12_000), ("1.1", 10_000, 14_000)] {
        let times: Vec<u64> = place.lines(file).iter().map(|line| line.parse().expect("a time")).collect();
        let [first, second] = times[..] else { panic!("{file}: {times:?}") };
        assert!((soonest..latest).contains(&(second - first)), "{file}: {times:?}");
    }
    assert_eq!(recorded(&place, &id, "Failed").len(), 2);
    place.run(&["check", &id]);
    place.leave().await;
}
