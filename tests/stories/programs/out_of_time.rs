//! What has to happen in time and does not: a project past its deadline, and a subtask that waits in its queue for
//! longer than it may.

use super::{is_running, place, place_with, stands};
use crate::place::{Place, Shared, on_every_broker};
use crate::status::{has_ended, subtasks};

/// Says who it is, as does a child of it, and goes on until it may end.
const WORK: &str = r#"
name=$(sed 's/.*"task_name":"\([^"]*\)".*/\1/')
sh -c 'echo $$ >> "'"$name"'"; exec sleep 600' &
echo $$ >> "$name"
until [ -e "may_end_$name" ]; do sleep 0.1; done
"#;

fn hopeless(running: &str) -> String {
    format!(
        r#"
name = "Hopeless"
deadline = "4s"
policy = {{ running = "{running}" }}
[[goals]]
name = "First"
subtasks = [
    {{ name = "runs {running}", skill = "held" }},
    {{ name = "leased {running}", skill = "leased" }},
    {{ name = "nobody's", skill = "once" }},
    {{ name = "after", skill = "noop", dependencies = ["runs {running}"] }},
]
[[goals]]
name = "Second"
priority = 2
subtasks = [{{ name = "last", skill = "noop" }}]
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_past_its_deadline_ends_in_error_with_all_that_runs() {
    on_every_broker(async |url| past_it(place(url, Shared::SqliteFile, "deadline", WORK).await).await).await;
}

/// A deadline does not wait for anything: whatever the policy says of what runs when a subtask fails.
async fn past_it(place: Place) {
    let team = [
        place.worker(&["manager"]),
        place.worker(&["coordinator"]),
        place.worker(&["executor", "--skills", "held,leased,noop"]),
    ];
    place.wait_until("all are at work", || team.iter().all(|worker| worker.said().contains(" ready ")));
    let ids = ["finish", "cancel"].map(|running| place.submit(&hopeless(running)));
    let programs = ["runs finish", "leased finish", "runs cancel", "leased cancel"];
    place.wait_until("all have begun", || programs.iter().all(|name| place.lines(name).len() == 2));
    let processes: Vec<String> = programs.iter().flat_map(|name| place.lines(name)).collect();
    assert!(processes.iter().all(|pid| is_running(pid)), "{processes:?}");
    for (id, running) in ids.iter().zip(["finish", "cancel"]) {
        let status = place.wait(id, has_ended);
        assert_eq!((&status["status"], &status["error"]), (&"ERROR".into(), &"the deadline of 4s passed".into()));
        let (runs, leased) = (format!("runs {running}"), format!("leased {running}"));
        let wanted = [runs.as_str(), &leased, "nobody's", "after"].map(|name| (name, "CANCELLED"));
        assert_eq!(stands(&status), wanted, "of the next phase nothing is there: {status}");
        let log = &subtasks(&status)[0]["attempt_log"][0];
        assert_eq!((&log["kind"], &log["error"]), (&"cancelled".into(), &"the deadline of 4s passed".into()));
        place.run(&["check", id]);
    }
    place.wait_until("the programs end", || !processes.iter().any(|pid| is_running(pid)));
    place.leave().await;
}

/// How long its owner goes on to wait for an answer: that it begins in time may be what it has not heard yet.
const SETTING: &str = "attempts.answer_timeout = \"1s\"";
const HOG: &str = "name = \"Hog\"\n[[goals]]\nname = \"g\"\nsubtasks = [{ name = \"hog\", skill = \"held\" }]\n";

fn waiting(policy: &str) -> String {
    format!(
        r#"
name = "Waiting"
policy = {{ on_failure = "{policy}" }}
[[goals]]
name = "g"
subtasks = [
    {{ name = "late {policy}", skill = "held", queue_wait = "1s", max_attempts = 2, backoff = "50ms" }},
    {{ name = "patient {policy}", skill = "held", dependencies = ["free"] }},
    {{ name = "free", skill = "noop" }},
    {{ name = "after", skill = "noop", dependencies = ["late {policy}"] }},
]
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subtask_that_waits_too_long_for_its_skill_is_a_timeout() {
    on_every_broker(async |url| too_long(place_with(url, Shared::SqliteFile, "queue_wait", WORK, SETTING).await).await)
        .await;
}

async fn too_long(place: Place) {
    let _owners = [place.worker(&["manager"]), place.worker(&["coordinator"])];
    // One place for work, which is taken. Another does what takes no place.
    let _executors = [
        place.worker(&["executor", "--slots", "1", "--skills", "held"]),
        place.worker(&["executor", "--skills", "noop"]),
    ];
    let hog = place.submit(HOG);
    place.wait_until("the place is taken", || place.lines("hog").len() == 2);
    let [fail, skip] = ["fail", "skip"].map(|policy| place.submit(&waiting(policy)));
    let is_late = |status: &serde_json::Value| {
        let late = subtasks(status).first().map(|subtask| subtask["status"].clone());
        late.is_some_and(|status| status == "ERROR" || status == "SKIPPED")
    };
    for (id, ends) in [(&fail, "ERROR"), (&skip, "SKIPPED")] {
        let status = place.wait(id, is_late);
        let late = subtasks(&status)[0].clone();
        assert_eq!((&late["status"], &late["attempts"]), (&ends.into(), &2.into()), "{status}");
        for attempt in late["attempt_log"].as_array().expect("a log") {
            let (kind, error) = (&attempt["kind"], &attempt["error"]);
            assert_eq!((kind, error), (&"timeout".into(), &"it waited in its queue for longer than 1000 ms".into()));
            assert!(attempt["started_at"].is_null() && attempt["agent_id"].is_null(), "{attempt}");
        }
    }
    // Who may wait for longer does, and is not charged for it.
    ["hog", "patient fail", "patient skip"].iter().for_each(|name| drop(place.write(&format!("may_end_{name}"), "")));
    let (failed, skipped) = (place.wait(&fail, has_ended), place.wait(&skip, has_ended));
    let error = failed["error"].as_str().unwrap_or_default();
    assert!(
        failed["status"] == "ERROR" && error.contains("`late fail` failed: timeout: it waited in its queue"),
        "{failed}"
    );
    let wanted = [("late skip", "SKIPPED"), ("patient skip", "COMPLETED"), ("free", "COMPLETED"), ("after", "SKIPPED")];
    assert_eq!((&skipped["status"], stands(&skipped)), (&"COMPLETED".into(), wanted.into()), "{skipped}");
    assert_eq!(subtasks(&skipped)[1]["attempts"], 1);
    assert_eq!(place.wait(&hog, has_ended)["status"], "COMPLETED");
    assert_eq!([place.lines("late fail").len(), place.lines("late skip").len()], [0, 0], "nobody runs it later");
    for id in [&hog, &fail, &skip] {
        place.run(&["check", id]);
    }
    place.leave().await;
}
