//! A program that takes its executor with it, every time: it ends as crashed after so many crashes, however many attempts
//! it has, and those who were beside it in the executors that died of it complete.

use super::{place_with, stands};
use crate::place::{Place, Shared, on_every_broker};
use crate::status::{has_ended, subtasks};

/// A command comes back once, and dies of the second time.
const SETTING: &str = "broker.skill_delivery_limit = 1";
const DELIVERIES: usize = 2;
/// So many commands are tried.
const CRASHES: usize = 3;
const WORK: &str = r#"
name=$(sed 's/.*"task_name":"\([^"]*\)".*/\1/')
echo "$TRIREME_ATTEMPT" >> "$name"
sleep 0.2
# Whoever began beside it is through by then, and who comes later is not.
[ "$name" != poison ] || { sleep 0.4; kill -9 $(ps -o ppid= -p $PPID); }
"#;
const POISONED: &str = r#"
name = "Poisoned"
policy = { on_failure = "skip" }
[[goals]]
name = "Only"
subtasks = [
    { name = "poison", skill = "held", max_attempts = 10, backoff = "200ms" },
    { name = "neighbour", skill = "held", repeat = 6, backoff = "200ms" },
    { name = "after", skill = "noop", dependencies = ["poison"] },
    { name = "join", skill = "noop", dependencies = ["neighbour"] },
]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_kills_its_executors_ends_as_crashed_and_its_neighbours_complete() {
    on_every_broker(async |url| {
        poisoned(place_with(url, Shared::SqliteFile, "poison", WORK, SETTING).await).await;
    })
    .await;
}

async fn poisoned(place: Place) {
    let _owners = [place.worker(&["manager"]), place.worker(&["coordinator"])];
    let mut executors = [place.worker(&["executor"]), place.worker(&["executor"])];
    let id = place.submit(POISONED);
    let mut deaths = 0;
    // Whoever died is started again.
    let status = place.wait(&id, |status| {
        for dead in executors.iter_mut().filter_map(|executor| (!executor.is_alive()).then_some(executor)) {
            *dead = place.worker(&["executor"]);
            deaths += 1;
        }
        has_ended(status)
    });
    assert_eq!(status["status"], "COMPLETED", "{status}");
    let all = stands(&status);
    assert!(all.iter().all(|(name, stands)| (*stands == "SKIPPED") == ["poison", "after"].contains(name)), "{status}");
    assert_eq!((all.len(), &status["counts"]["completed"], &status["counts"]["skipped"]), (9, &7.into(), &2.into()));
    assert_eq!((deaths, place.lines("poison").len()), (CRASHES * DELIVERIES, CRASHES * DELIVERIES), "{status}");
    let log = subtasks(&status)[0]["attempt_log"].as_array().expect("a log").clone();
    assert!(log.len() == CRASHES && log.iter().all(|attempt| attempt["kind"] == "crashed"), "{status}");
    place.run(&["check", &id]);
    place.leave().await;
}
