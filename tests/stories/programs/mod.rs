//! Worker processes whose skills are a program of the test: what it leaves behind says what was really run, and when.

mod away;
mod back_off;
mod cancelled;
mod fallbacks;
mod leased;
mod out_of_time;
mod passed_over;
mod planned_anew;
mod poison;
mod questions;
mod redriven;
mod senseless;
mod still_running;

use serde_json::Value;

use crate::place::{Place, Shared};
use crate::status::subtasks;

/// `work.sh` as a skill whose command its executor holds, as one that it leases, and as one that is not tried again.
const SETTINGS: &str = r#"
agents.heartbeat_interval = "1s"
agents.shutdown_timeout = "2s"

[skills.held]
runner = "command"
[skills.held.command]
argv = ["sh", "work.sh"]

[skills.leased]
runner = "command"
mode = "leased"
lease = "3s"
[skills.leased.command]
argv = ["sh", "work.sh"]

[skills.once]
runner = "command"
retry_on = []
[skills.once.command]
argv = ["sh", "work.sh"]
"#;

/// A place whose skills run this script.
async fn place(broker_url: &str, shared: Shared<'_>, name: &str, work: &str) -> Place {
    place_with(broker_url, shared, name, work, "").await
}

/// The same with one more setting.
async fn place_with(broker_url: &str, shared: Shared<'_>, name: &str, work: &str, setting: &str) -> Place {
    let place = Place::with_settings(broker_url, shared, name, &format!("{setting}\n{SETTINGS}")).await;
    place.write("work.sh", work);
    place
}

/// The events of a project that are called so, each with the subtasks that it is about.
fn recorded(place: &Place, id: &str, event: &str) -> Vec<String> {
    let history = place.json(&["history", id, "--json"]);
    let found = history.as_array().expect("events").iter().filter(|found| found["event"] == event);
    found.map(|found| found["subtask_ids"].to_string()).collect()
}

/// Every subtask's name and how it stands.
fn stands<'a>(status: &'a Value) -> Vec<(&'a str, &'a str)> {
    let stand = |subtask: &'a Value| Some((subtask["name"].as_str()?, subtask["status"].as_str()?));
    subtasks(status).into_iter().map(|subtask| stand(subtask).expect("texts")).collect()
}

/// Who is there of the script's processes: what is dead and not buried counts as gone.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}
