//! Goals that failed are planned anew, and what was completed is neither lost nor done again. On PostgreSQL.

use super::{place, place_with, recorded, stands};
use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::status::{has_ended, subtasks};

/// `fragile` fails as often as the file says; everything else works. Each says that it ran.
pub const WORK: &str = r#"
name=$(sed 's/.*"task_name":"\([^"]*\)".*/\1/')
echo "$name" >> ran
[ "$name" = fragile ] && [ "$(grep -c fragile ran)" -le "$(cat failures)" ] && exit 1
exit 0
"#;
const GOALS: &str = r#"
[[goals]]
name = "First"
subtasks = [
    { name = "solid", skill = "held" },
    { name = "fragile", skill = "held", dependencies = ["solid"] },
    { name = "after", skill = "leased", dependencies = ["fragile"] },
]
[[goals]]
name = "Beside"
subtasks = [{ name = "untouched", skill = "held" }]
[[goals]]
name = "Second"
priority = 2
subtasks = [{ name = "last", skill = "held" }]
"#;
const NAMES: [&str; 5] = ["solid", "fragile", "after", "untouched", "last"];

/// A project of these goals under a policy.
pub fn project(policy: &str) -> String {
    format!("name = \"Fragile\"\npolicy = {{ on_failure = \"{policy}\" }}\n{GOALS}")
}

pub fn team(place: &Place) -> Vec<Worker> {
    ["manager", "coordinator", "executor"].map(|layer| place.worker(&[layer])).into()
}

/// How often each program ran, in the order of the plan.
pub fn ran(place: &Place) -> [usize; 5] {
    let ran = place.lines("ran");
    NAMES.map(|name| ran.iter().filter(|other| *other == name).count())
}

/// Every one of them is completed, and says who did it and when, also what is kept from an earlier phase.
pub fn all_completed(status: &serde_json::Value) {
    for subtask in subtasks(status) {
        let is_told = ["agent_id", "started_at", "finished_at"].iter().all(|&key| subtask[key].is_string());
        let attempts = subtask["attempt_log"].as_array().expect("a list").len();
        assert!(is_told && attempts > 0 && subtask["attempts"] == attempts, "{subtask}");
    }
    assert_eq!(
        (&status["status"], stands(status)),
        (&"COMPLETED".into(), NAMES.map(|name| (name, "COMPLETED")).into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goals_that_fail_are_planned_anew_twice() {
    on_every_broker(async |url| {
        // In the project's own words, and in those of a playbook.
        let place = place_with(url, Shared::Postgres, "anew", WORK, "playbooks.folder = \"books\"").await;
        twice(place).await;
    })
    .await;
}

async fn twice(place: Place) {
    place.write("books/fragile.toml", GOALS);
    place.write("failures", "2");
    let _team = team(&place);
    let by_playbook = "name = \"Fragile\"\nplaybook = \"fragile\"\npolicy = { on_failure = \"replan\" }\n";
    for project in [project("replan"), by_playbook.to_owned()] {
        let id = place.submit(&project);
        let status = place.wait(&id, has_ended);
        assert_eq!(status["run"], 1, "{status}");
        all_completed(&status);
        assert_eq!(ran(&place), [1, 3, 1, 1, 1]);
        assert_eq!(recorded(&place, &id, "GoalReplanned").len(), 2, "only the goal that failed, each time");
        place.run(&["check", &id]);
        place.remove("ran");
    }
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_every_time_ends_the_project_and_a_retry_keeps_what_was_done() {
    on_every_broker(async |url| every_time(place(url, Shared::Postgres, "failed", WORK).await).await).await;
}

async fn every_time(place: Place) {
    place.write("failures", "100");
    let _team = team(&place);
    let id = place.submit(&project("replan"));
    let status = place.wait(&id, has_ended);
    let error = status["error"].as_str().unwrap_or_default();
    assert!(status["status"] == "ERROR" && error.contains("it was planned anew 2 times"), "{status}");
    assert_eq!(ran(&place), [1, 3, 0, 1, 0]);
    // The first of the next run fails once more, and is planned anew.
    place.write("failures", "4");
    place.run(&["retry", &id, "--failed"]);
    let status = place.wait(&id, |status| status["run"] == 2 && has_ended(status));
    all_completed(&status);
    assert_eq!(ran(&place), [1, 5, 1, 1, 1]);
    place.run(&["check", &id]);
    place.leave().await;
}
