//! What still runs when a subtask of its project has failed: by the project's policy it is ended, with all that it
//! started, or runs to its end. Nothing new is begun either way.

use super::{is_running, place, stands};
use crate::place::{Place, Shared, on_every_broker};
use crate::status::{has_ended, subtasks};

/// `bad` fails as soon as it may; every other says who it and its child are, and goes on until it may end.
const WORK: &str = r#"
name=$(sed 's/.*"task_name":"\([^"]*\)".*/\1/')
case $name in bad*) until [ -e "$name" ]; do sleep 0.1; done; exit 1;; esac
sh -c 'echo $$ >> "'"$name"'"; exec sleep 600' &
echo $$ >> "$name"
until [ -e "may_end_$name" ]; do sleep 0.1; done
echo '"done"'
"#;

fn project(running: &str) -> String {
    format!(
        r#"
name = "Running"
policy = {{ running = "{running}" }}
[[goals]]
name = "First"
subtasks = [
    {{ name = "bad {running}", skill = "held" }},
    {{ name = "held {running}", skill = "held" }},
    {{ name = "leased {running}", skill = "leased" }},
    {{ name = "after", skill = "noop", dependencies = ["held {running}"] }},
]
[[goals]]
name = "Second"
priority = 2
subtasks = [{{ name = "last", skill = "noop" }}]
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_when_a_project_fails_is_ended_or_runs_to_its_end() {
    on_every_broker(async |url| both(place(url, Shared::SqliteFile, "running", WORK).await).await).await;
}

async fn both(place: Place) {
    let _team = ["manager", "coordinator", "executor"].map(|layer| place.worker(&[layer]));
    for (running, ends) in [("cancel", "CANCELLED"), ("finish", "COMPLETED")] {
        let id = place.submit(&project(running));
        let programs = ["held", "leased"].map(|skill| format!("{skill} {running}"));
        place.wait_until("all have begun", || programs.iter().all(|name| place.lines(name).len() == 2));
        let processes: Vec<String> = programs.iter().flat_map(|name| place.lines(name)).collect();
        assert!(processes.iter().all(|pid| is_running(pid)), "{processes:?}");
        place.write(&format!("bad {running}"), "");
        let status = place.wait(&id, |status| subtasks(status)[0]["status"] == "ERROR");
        if running == "finish" {
            assert!(!has_ended(&status) && processes.iter().all(|pid| is_running(pid)), "{status}");
            programs.iter().for_each(|name| drop(place.write(&format!("may_end_{name}"), "")));
        }
        let status = place.wait(&id, has_ended);
        let error = format!("subtask `bad {running}` failed: permanent: exit status 1");
        assert_eq!((&status["status"], &status["error"]), (&"ERROR".into(), &error.into()), "{status}");
        let names: Vec<&str> = programs.iter().map(String::as_str).collect();
        assert_eq!(stands(&status)[1..], [(names[0], ends), (names[1], ends), ("after", "IDLE")], "{status}");
        place.wait_until("the programs end", || !processes.iter().any(|pid| is_running(pid)));
        place.run(&["check", &id]);
    }
    place.leave().await;
}
