//! Machines whose clocks differ: each layer an hour ahead and behind, and coordinators that take over from each other.
//!
//! `libfaketime` (Debian's package `faketime`) gives a process another clock. It leaves the time since the machine's start
//! alone when it is told so, as setting a clock does.

use serde_json::Value;

use crate::outages::{LONG, ends_whole};
use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::status::{completed, has_ended};

const PROJECT: &str = r#"
name = "Clocks"
deadline = "30m"
[[goals]]
name = "Work"
[[goals.subtasks]]
name = "work"
skill = "sleep"
repeat = 20
input = { ms = 50 }
timeout = "1m"
queue_wait = "5m"
"#;

/// The environment of a process whose clock differs, as in `+11m` or `-2h`.
fn clock_at(offset: &str) -> [(&str, String); 4] {
    let library = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"]
        .map(|folder| format!("{folder}/faketime/libfaketimeMT.so.1"))
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .expect("libfaketime: apt-get install faketime");
    [
        ("LD_PRELOAD", library),
        ("FAKETIME", offset.to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_DONT_RESET", "1".to_owned()),
    ]
}

/// A worker whose clock differs.
pub fn worker_at(place: &Place, offset: &str, arguments: &[&str]) -> Worker {
    let exports = clock_at(offset).map(|(name, value)| format!("{name}={value}"));
    place.worker_after(&format!("export {}", exports.join(" ")), arguments)
}

/// Before, an executor 11 minutes ahead, or a coordinator 2 hours behind, had nothing run, and nobody said why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_layer_may_be_hours_ahead_or_behind() {
    on_every_broker(each_layer).await;
}

async fn each_layer(broker_url: &str) {
    for (layer, offset) in [
        ("executor", "+1h"),
        ("executor", "-1h"),
        ("coordinator", "+1h"),
        ("coordinator", "-2h"),
        ("manager", "+1h"),
        ("manager", "-1h"),
    ] {
        let place = Place::new(broker_url, Shared::Postgres, &format!("clock_{layer}")).await;
        let team: Vec<Worker> = ["manager", "coordinator", "executor"]
            .map(|other| match other == layer {
                true => worker_at(&place, offset, &[other, "--id", "strange"]),
                false => place.worker(&[other]),
            })
            .into();
        let id = place.submit(PROJECT);
        let status = place.wait(&id, has_ended);
        assert_eq!((&status["status"], completed(&status)), (&"COMPLETED".into(), 20), "{layer} {offset}: {status}");
        let tries = |subtask: &&Value| subtask["attempts"].as_u64() != Some(1);
        let again = crate::status::subtasks(&status).into_iter().filter(tries).count();
        assert_eq!(again, 0, "{layer} {offset}: each ran once: {status}");

        let mut agents = Value::Null;
        place.wait_until("the difference is told", || {
            agents = place.json(&["agents", "--json"]);
            agents.as_array().is_some_and(|all| all.iter().any(|agent| !agent["clock_ahead_ms"].is_null()))
        });
        let agents = agents.as_array().expect("agents");
        let strange = agents.iter().find(|agent| agent["agent_id"] == "strange").expect("it answers");
        let ahead_ms = strange["clock_ahead_ms"].as_i64().unwrap_or_else(|| panic!("{layer} {offset}: {strange}"));
        let expected = if offset.starts_with('+') { 3_600_000 } else { -3_600_000 };
        assert!(
            ahead_ms.signum() == i64::signum(expected) && ahead_ms.abs() > 3_590_000,
            "{layer} {offset}: {ahead_ms}"
        );
        let others = agents.iter().filter(|agent| agent["agent_id"] != "strange");
        assert!(others.clone().all(|agent| agent["clock_ahead_ms"].is_null()), "{agents:?}");
        // The reader's clock says when somebody was last seen.
        let now = jiff::Timestamp::now();
        let seen = |agent: &Value| agent["last_seen"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
        for agent in agents {
            let age = now.duration_since(seen(agent).expect("a time"));
            assert!((0..60).contains(&age.as_secs()), "{agent}");
        }
        let health = String::from_utf8(place.run(&["health"])).expect("text");
        assert!(health.contains("strange: its machine's clock is "), "{health}");
        assert_eq!(team.iter().map(|worker| worker.said().matches("clock differs").count()).sum::<usize>(), 1);
        drop(team);
        place.leave().await;
    }
}

/// What one coordinator has written is judged by the next one, hours ahead or behind: nothing fails early, nothing waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coordinators_hours_apart_take_over_from_each_other() {
    on_every_broker(takeover).await;
}

async fn takeover(broker_url: &str) {
    let place = Place::new(broker_url, Shared::Postgres, "clock_takeover").await;
    let _others = [place.worker(&["manager"]), place.worker(&["executor", "--slots", "8"])];
    let mut coordinator = place.worker(&["coordinator"]);
    let id = place.submit(LONG);
    for (done, offset) in [(40, "+3h"), (120, "-3h"), (200, "+0")] {
        place.wait(&id, |status| completed(status) >= done);
        let next = worker_at(&place, offset, &["coordinator"]);
        std::mem::replace(&mut coordinator, next).kill();
    }
    ends_whole(&place, &id);
    place.leave().await;
}

/// Before, `prune` on a machine a month ahead removed what had ended a moment ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_enough_to_go_is_judged_by_the_clock_of_the_store() {
    on_every_broker(prune).await;
}

async fn prune(broker_url: &str) {
    let place = Place::new(broker_url, Shared::Postgres, "clock_prune").await;
    let team = ["manager", "coordinator", "executor"].map(|layer| place.worker(&[layer]));
    let id = place.submit(PROJECT);
    assert_eq!(place.wait(&id, has_ended)["status"], "COMPLETED");
    let prune = |offset: &str, older_than: &str| {
        let mut command = place.trireme(&["prune", "--older-than", older_than, "--yes", "--json"]);
        let output = command.envs(clock_at(offset)).output().expect("a command");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{offset}: {said}");
        String::from_utf8(output.stdout).expect("text")
    };
    let gone = prune("+31d", "30d");
    assert!(!gone.contains(&id), "it ended a moment ago: {gone}");
    assert_eq!(place.json(&["status", &id, "--json"])["status"], "COMPLETED");
    let gone = prune("-31d", "1ms");
    assert!(gone.contains(&id), "it is older than that: {gone}");
    drop(team);
    place.leave().await;
}
