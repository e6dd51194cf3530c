//! A project that asks: the question outlives everybody who could remember it, and the answer is what is done. On
//! PostgreSQL.

use serde_json::Value;

use super::planned_anew::{WORK, all_completed, project, ran, team};
use super::{place, recorded, stands};
use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::status::has_ended;

/// Waits for a question that is not this one, and gives its id.
fn asked(place: &Place, id: &str, not: &Value) -> Value {
    let question = |status: &Value| status["waiting_for"][0]["question"].clone();
    let status = place.wait(id, |status| !question(status).is_null() && question(status) != *not);
    assert_eq!((&status["status"], &status["waiting_for"][0]["name"]), (&"WAITING".into(), &"fragile".into()));
    question(&status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_outlives_the_whole_team_and_is_answered() {
    on_every_broker(async |url| answered(place(url, Shared::Postgres, "ask", WORK).await).await).await;
}

async fn answered(place: Place) {
    place.write("failures", "2");
    let first_team = team(&place);
    let id = place.submit(&project("ask"));
    let question = asked(&place, &id, &Value::Null);
    first_team.into_iter().for_each(Worker::kill);
    let _team = team(&place);
    // Tried again it fails again, and that is another question.
    place.run(&["decide", &id, "--retry"]);
    asked(&place, &id, &question);
    assert_eq!(ran(&place), [1, 2, 0, 1, 0]);
    place.run(&["decide", &id, "--retry"]);
    all_completed(&place.wait(&id, has_ended));
    assert_eq!(ran(&place), [1, 3, 1, 1, 1]);
    place.run(&["check", &id]);

    // Skipped, with what depends on it.
    place.write("failures", "100");
    let skipped = place.submit(&project("ask"));
    asked(&place, &skipped, &Value::Null);
    place.run(&["decide", &skipped, "--skip"]);
    let status = place.wait(&skipped, has_ended);
    let wanted = [
        ("solid", "COMPLETED"),
        ("fragile", "SKIPPED"),
        ("after", "SKIPPED"),
        ("untouched", "COMPLETED"),
        ("last", "COMPLETED"),
    ];
    assert_eq!((&status["status"], stands(&status)), (&"COMPLETED".into(), wanted.into()), "{status}");

    // Given up; what was completed is kept by the retry.
    let failed = place.submit(&project("ask"));
    asked(&place, &failed, &Value::Null);
    place.run(&["decide", &failed, "--fail"]);
    assert_eq!(place.wait(&failed, has_ended)["status"], "ERROR");
    assert_eq!(ran(&place), [3, 5, 1, 3, 2]);
    place.write("failures", "0");
    place.run(&["retry", &failed, "--failed"]);
    let status = place.wait(&failed, |status| status["run"] == 2 && has_ended(status));
    all_completed(&status);
    assert_eq!(ran(&place), [3, 6, 2, 3, 3]);
    assert_eq!(recorded(&place, &failed, "Kept").len(), 1);
    for id in [&skipped, &failed] {
        place.run(&["check", id]);
    }
    place.leave().await;
}

/// Three that fail for good, and nothing depends on them.
const THREE: &str = r#"
name = "Three"
policy = { on_failure = "ask" }
[[goals]]
name = "g"
subtasks = [{ name = "one", skill = "once" }, { name = "two", skill = "once" }, { name = "three", skill = "once" }]
"#;

/// Waits until exactly these are asked about, none of them by one of those questions; gives the questions.
fn asked_about(place: &Place, id: &str, names: &[&str], not: &[Value]) -> Vec<Value> {
    let open = |status: &Value| status["waiting_for"].as_array().cloned().unwrap_or_default();
    let is_so = |status: &Value| {
        let open = open(status);
        let mut asked: Vec<&str> = open.iter().filter_map(|question| question["name"].as_str()).collect();
        asked.sort_unstable();
        asked == names && !open.iter().any(|question| not.contains(&question["question"]))
    };
    open(&place.wait(id, is_so)).into_iter().map(|question| question["question"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_anew_or_cancelled_does_not_stay_open() {
    on_every_broker(async |url| closed(place(url, Shared::SqliteFile, "ask", "exit 1").await).await).await;
}

async fn closed(place: Place) {
    let _team = team(&place);
    let id = place.submit(THREE);
    let first = asked_about(&place, &id, &["one", "three", "two"], &[]);
    place.run(&["retry", &id, "--stuck"]);
    asked_about(&place, &id, &["one", "three", "two"], &first);
    place.run(&["decide", &id, "--skip", "--subtask", "one"]);
    place.run(&["cancel", &id, "--subtask", "two"]);
    asked_about(&place, &id, &["three"], &[]);
    place.run(&["check", &id]);
    // It is the only one: there is no need to name it.
    place.run(&["decide", &id, "--skip"]);
    let status = place.wait(&id, has_ended);
    let wanted = [("one", "SKIPPED"), ("two", "CANCELLED"), ("three", "SKIPPED")];
    assert_eq!((&status["status"], stands(&status)), (&"COMPLETED".into(), wanted.into()), "{status}");
    place.run(&["check", &id]);
    place.leave().await;
}
