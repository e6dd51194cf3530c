//! `run_after`: what is cleaned up, whatever happened, and what the cleanup is told.

use super::{Home, subtasks};

/// A program that fails, one that works, and one that keeps what it is told.
const SKILLS: &str = r#"
[skills.work]
runner = "command"
[skills.work.command]
argv = ["sh", "-c", "echo '{\"made\": 7}'"]

[skills.break]
runner = "command"
[skills.break.command]
argv = ["sh", "-c", "exit 3"]

[skills.keep]
runner = "command"
[skills.keep.command]
argv = ["sh", "-c", "cat > told.json; echo null"]
"#;

fn project(job: &str, run_after: &str) -> String {
    format!(
        r#"
name = "cleaned"
[[goals]]
name = "only"
subtasks = [
    {{ name = "create", skill = "work" }},
    {{ name = "job", skill = "{job}", dependencies = ["create"] }},
    {{ name = "publish", skill = "work", dependencies = ["job"] }},
    {{ name = "delete", skill = "keep", dependencies = ["create", "job", "publish"], run_after = "{run_after}" }},
]
"#
    )
}

async fn run(job: &str, run_after: &str) -> (Home, Option<i32>, serde_json::Value) {
    let home = Home::new();
    home.write("queues.toml", SKILLS);
    home.write("cleaned.toml", &project(job, run_after));
    let done = home.run(&["run", "cleaned.toml", "--json"]).await;
    let view = done.json();
    (home, done.status, view)
}

#[tokio::test]
async fn a_cleanup_runs_after_a_failure_is_told_what_happened_and_the_project_ends_in_error() {
    for run_after in ["always", "failure"] {
        let (home, status, view) = run("break", run_after).await;
        assert_eq!((status, &view["status"]), (Some(1), &"ERROR".into()), "{view}");
        assert!(view["error"].as_str().expect("an error").starts_with("subtask `job` failed"), "{view}");
        let statuses: Vec<_> = subtasks(&view).iter().map(|subtask| subtask["status"].clone()).collect();
        assert_eq!(statuses, ["COMPLETED", "ERROR", "IDLE", "COMPLETED"], "{run_after}");
        let told = std::fs::read_to_string(home.path("told.json")).expect("what it was told");
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(told["deps"], serde_json::json!({ "create": { "made": 7 }, "job": null, "publish": null }));
        assert_eq!(
            told["deps_status"],
            serde_json::json!({ "create": "COMPLETED", "job": "ERROR", "publish": "IDLE" })
        );
    }
}

#[tokio::test]
async fn when_all_goes_well_what_runs_always_runs_and_what_runs_after_a_failure_is_skipped() {
    let (home, status, view) = run("work", "always").await;
    assert_eq!((status, &view["status"]), (Some(0), &"COMPLETED".into()), "{view}");
    assert!(home.path("told.json").exists());

    let (home, status, view) = run("work", "failure").await;
    assert_eq!((status, &view["status"]), (Some(0), &"COMPLETED".into()), "{view}");
    assert!(!home.path("told.json").exists());
    let delete = &subtasks(&view)[3];
    assert_eq!(delete["status"], "SKIPPED");
    assert_eq!(delete["run_after"], "failure");
    assert_eq!(delete["error"], "none of its dependencies has failed");
}
