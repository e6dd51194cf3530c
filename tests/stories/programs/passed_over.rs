//! A subtask that failed for good is passed over: with all that depends on it, which is named, or alone. The project
//! completes either way.

use serde_json::json;

use super::{place, stands};
use crate::place::{Place, Shared, on_every_broker};
use crate::status::has_ended;

/// `bad` fails; every other says what it was handed.
const WORK: &str = r#"
command=$(cat)
case $command in *'"task_name":"bad"'*) echo "no way" >&2; exit 1;; esac
echo "$command" | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["deps"]))'
"#;

fn project(policy: &str) -> String {
    format!(
        r#"
name = "Passed over"
policy = {{ on_failure = "{policy}" }}
[[goals]]
name = "First"
subtasks = [
    {{ name = "bad", skill = "held" }},
    {{ name = "after", skill = "held", dependencies = ["bad", "beside"] }},
    {{ name = "after that", skill = "held", dependencies = ["after"] }},
    {{ name = "beside", skill = "held" }},
]
[[goals]]
name = "Second"
priority = 2
subtasks = [{{ name = "last", skill = "held" }}]
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_passed_over_with_its_dependants_or_without_them() {
    on_every_broker(async |url| both_ways(place(url, Shared::SqliteFile, "passed_over", WORK).await).await).await;
}

async fn both_ways(place: Place) {
    let _team = ["manager", "coordinator", "executor"].map(|layer| place.worker(&[layer]));
    for (policy, rest, count) in
        [("skip", "SKIPPED", "3 subtasks skipped"), ("continue", "COMPLETED", "1 subtask skipped")]
    {
        let file = place.file(&project(policy)).display().to_string();
        let submitted = place.trireme(&["submit", &file, "--wait", "--json"]).output().expect("a command");
        let said = String::from_utf8_lossy(&submitted.stderr);
        assert_eq!(submitted.status.code(), Some(0), "{said}");
        assert!(said.contains(&format!("project COMPLETED, {count}")), "{said}");
        assert!(said.contains("`bad`, attempt 1: permanent: exit status 1: no way"), "{said}");
        let status: serde_json::Value = serde_json::from_slice(&submitted.stdout).expect("JSON");
        let wanted =
            [("bad", "SKIPPED"), ("after", rest), ("after that", rest), ("beside", "COMPLETED"), ("last", "COMPLETED")];
        assert!(has_ended(&status) && status["error"].is_null(), "{status}");
        assert_eq!((&status["status"], stands(&status)), (&"COMPLETED".into(), wanted.into()), "{status}");

        let id = status["project_id"].as_str().expect("an id");
        let results = place.json(&["result", id, "--json"])["goals"]["First"].clone();
        // Whoever runs all the same is handed null, beside what is there.
        let handed = if policy == "skip" { json!(null) } else { json!({ "bad": null, "beside": {} }) };
        assert_eq!((&results["after"], &results["beside"], &results["bad"]), (&handed, &json!({}), &json!(null)));
        place.run(&["check", id]);
    }
    place.leave().await;
}
