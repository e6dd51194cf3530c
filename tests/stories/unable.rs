//! Executors that can not perform a skill that they offer, by a condition of their own: the work goes to others.

use serde_json::Value;

use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::status::{completed, has_ended, subtasks};

/// `mytool` takes 200 ms where it is there; where it is missing an attempt ends at once.
const SETTINGS: &str = r#"
[skills.MyTool]
runner = "command"
[skills.MyTool.command]
argv = ["mytool"]
"#;

const FORTY: &str = r#"
name = "Forty"
policy = { on_failure = "skip" }
[[goals]]
name = "Work"
[[goals.subtasks]]
name = "work"
skill = "MyTool"
repeat = 40
"#;

async fn place(broker_url: &str, name: &str, settings: &str) -> (Place, [Worker; 2]) {
    let place = Place::with_settings(broker_url, Shared::SqliteFile, name, settings).await;
    let owners = [place.worker(&["manager"]), place.worker(&["coordinator"])];
    (place, owners)
}

fn write_tool(place: &Place, name: &str, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let path = place.write(name, text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
}

fn agent<'a>(agents: &'a Value, id: &str) -> &'a Value {
    let all = agents.as_array().expect("a list");
    all.iter().find(|agent| agent["agent_id"] == id).unwrap_or_else(|| panic!("{id} is not among {agents}"))
}

/// Before, an executor without the program took 38 of 40 subtasks and failed them for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_without_the_program_leaves_all_work_to_one_that_has_it() {
    on_every_broker(without_the_program).await;
}

async fn without_the_program(broker_url: &str) {
    let (place, _owners) = place(broker_url, "unable", SETTINGS).await;
    write_tool(&place, "tools/mytool", "#!/bin/sh\nsleep 0.2\necho '{}'\n", 0o755);
    let bad = place.worker(&["executor", "--id", "bad", "--slots", "2"]);
    let _good = place.worker_after("PATH=$PWD/tools:$PATH", &["executor", "--id", "good", "--slots", "2"]);
    let reason = "there is no program `mytool` on its PATH";
    place.wait_until("the one without the program says so", || {
        let agents = place.json(&["agents", "--json"]);
        agents.as_array().is_some_and(|all| all.len() == 4 && all.iter().any(|agent| agent["status"] == "ERROR"))
    });
    let agents = place.json(&["agents", "--json"]);
    assert_eq!(agent(&agents, "bad")["unable"][0]["skill"], "MyTool", "{agents}");
    assert!(agent(&agents, "bad")["trouble"].as_str().expect("trouble").contains(reason), "{agents}");
    assert_eq!(agent(&agents, "good")["status"], "IDLE", "{agents}");
    let health = place.trireme(&["health"]).output().expect("health");
    let said = String::from_utf8_lossy(&health.stdout) + String::from_utf8_lossy(&health.stderr);
    assert_eq!(health.status.code(), Some(1), "{said}");
    assert!(said.contains("bad is in trouble: skill `MyTool`: ") && said.contains(reason), "{said}");
    assert_eq!(bad.said().matches("this executor can not perform the skill").count(), 1, "{}", bad.said());

    let id = place.submit(FORTY);
    let status = place.wait(&id, has_ended);
    assert_eq!((&status["status"], completed(&status)), (&"COMPLETED".into(), 40), "{status}");
    assert!(subtasks(&status).iter().all(|subtask| subtask["agent_id"] == "good"), "{status}");
    place.leave().await;
}

/// The program comes back: the executor finds that out by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_taken_away_and_given_back_costs_no_subtask() {
    on_every_broker(given_back).await;
}

async fn given_back(broker_url: &str) {
    let (place, _owners) = place(broker_url, "given_back", &SETTINGS.replace("\"mytool\"", "\"./mytool\"")).await;
    write_tool(&place, "mytool", "#!/bin/sh\nsleep 0.2\necho '{}'\n", 0o755);
    let first = place.worker(&["executor", "--id", "first", "--slots", "2"]);
    let id = place.submit(FORTY);
    place.wait(&id, |status| completed(status) >= 4);
    // The only executor that there is lacks it: attempts are charged, but three of them take seconds.
    place.remove("mytool");
    place.wait_until("it says that it can not", || first.said().contains("there is no program `./mytool`"));
    write_tool(&place, "mytool", "#!/bin/sh\nsleep 0.2\necho '{}'\n", 0o755);
    let status = place.wait(&id, has_ended);
    assert_eq!((&status["status"], completed(&status)), (&"COMPLETED".into(), 40), "{status}");
    place.wait_until("it says that it can again", || first.said().contains("can perform the skill again"));
    place.leave().await;
}

/// When no executor can do it the project ends, with the reason, and within its attempts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_executor_can_perform_fails_with_the_reason() {
    on_every_broker(no_executor).await;
}

async fn no_executor(broker_url: &str) {
    let (place, _owners) = place(broker_url, "no_executor", &SETTINGS.replace("\"mytool\"", "\"./mytool\"")).await;
    write_tool(&place, "mytool", "#!/no/such/interpreter\r\n", 0o755);
    let _bad = [place.worker(&["executor", "--id", "one"]), place.worker(&["executor", "--id", "two"])];
    let id = place.submit(&FORTY.replace("policy = { on_failure = \"skip\" }\n", ""));
    let status = place.wait(&id, has_ended);
    assert_eq!(status["status"], "ERROR", "{status}");
    let error = status["error"].as_str().expect("an error");
    assert!(error.contains("unsupported: ") && error.contains("ends with a carriage return (CRLF)"), "{error}");
    place.leave().await;
}

/// Before, 48 of 60 subtasks were lost to `Too many open files`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_with_few_files_has_fewer_slots_and_loses_nothing() {
    on_every_broker(few_files).await;
}

async fn few_files(broker_url: &str) {
    let settings = SETTINGS.replace("\"mytool\"", "\"sh\", \"-c\", \"sleep 0.05\"");
    let (place, _owners) = place(broker_url, "few_files", &settings).await;
    let few = place.worker_after("ulimit -n 60", &["executor", "--slots", "50"]);
    let id = place.submit(&FORTY.replace("repeat = 40", "repeat = 60"));
    let status = place.wait(&id, has_ended);
    assert_eq!((&status["status"], completed(&status)), (&"COMPLETED".into(), 60), "{status}");
    assert!(few.said().contains("fewer slots than configured"), "{}", few.said());
    place.leave().await;
}
