//! A command that takes every executor with it ends among the dead letters. When the executors are mended, one word
//! has its subtask done again, and the project goes on from there.

use serde_json::json;
use trireme::runtime::port::{Topology, Transport};
use trireme::wire::address::Queue;

use super::{place, recorded, stands};
use crate::place::{Place, Shared, on_every_broker};
use crate::status::has_ended;

/// What the settings say: so many returns, and one delivery more.
const DELIVERIES: usize = 6;
/// Whatever runs the poison dies of it.
const WORK: &str = r#"
echo "$TRIREME_SUBTASK_ID" >> ran
[ "$TRIREME_SUBTASK_ID" != 1.1 ] && exit 0
[ -e poison ] && kill -9 $(ps -o ppid= -p $PPID)
exit 0
"#;
const POISONED: &str = r#"
name = "Poisoned"
[[goals]]
name = "Only"
subtasks = [
    { name = "before", skill = "held" },
    { name = "poison", skill = "once", dependencies = ["before"] },
    { name = "after", skill = "held", dependencies = ["poison"] },
]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_command_is_redriven_and_the_project_completes() {
    on_every_broker(async |url| redriven(place(url, Shared::SqliteFile, "redriven", WORK).await).await).await;
}

async fn redriven(place: Place) {
    place.write("poison", "");
    let manager = place.worker(&["manager"]);
    let _coordinator = place.worker(&["coordinator"]);
    let id = place.submit(POISONED);
    for death in 1..=DELIVERIES {
        let mut victim = place.worker(&["executor"]);
        place.wait_until("the executor dies of it", || !victim.is_alive());
        assert_eq!(place.lines("ran").len(), 1 + death);
    }
    let status = place.wait(&id, has_ended);
    assert_eq!((&status["status"], &status["run"]), (&"ERROR".into(), &1.into()), "{status}");
    let crashed = [("before", "COMPLETED"), ("poison", "ERROR"), ("after", "IDLE")];
    assert_eq!(stands(&status), crashed, "{status}");

    let letters = place.json(&["dead", "list", "--json"]);
    assert_eq!((letters.as_array().map(Vec::len), &letters[0]["subtask_id"]), (Some(1), &json!("1.1")), "{letters}");
    let letter = letters[0]["id"].as_str().expect("an id").to_owned();
    place.remove("poison");
    manager.kill();
    // As long as no queue takes the word, the letter stays.
    let (transport, topology) = (place.transport(), place.topology());
    let requests = topology.queues.iter().filter(|spec| spec.queue == Queue::Requests).cloned().collect();
    let only = Topology { exchanges: Vec::new(), queues: requests, bindings: Vec::new(), ..topology.clone() };
    transport.delete(&only).await.expect("deleted");
    let refused = place.trireme(&["dead", "redrive", &letter[..8]]).output().expect("a command");
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(place.json(&["dead", "list", "--json"])[0]["id"], letter[..]);
    // No manager has to be there: the broker has confirmed it, so it may go.
    transport.declare(topology).await.expect("declared");
    let redriven = place.json(&["dead", "redrive", &letter[..8], "--json"]);
    assert_eq!(redriven, json!({ "redriven": 1, "left": 0, "not_redriven": [] }));
    assert_eq!(place.json(&["dead", "list", "--json"]), json!([]));
    assert_eq!(place.json(&["status", &id, "--json"])["run"], 1);

    let _again = [place.worker(&["manager"]), place.worker(&["executor"])];
    let status = place.wait(&id, |status| status["run"] == 2 && has_ended(status));
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert_eq!(stands(&status), ["before", "poison", "after"].map(|name| (name, "COMPLETED")), "{status}");
    // What was completed is kept, and not done again; the second run has a phase of its own.
    assert_eq!(place.lines("ran")[1 + DELIVERIES..], ["2.1".to_owned(), "2.2".to_owned()]);
    assert_eq!(recorded(&place, &id, "RunStarted").len(), 1);
    place.run(&["check", &id]);
    transport.close().await;
    place.leave().await;
}

/// Two that nobody survives, and the project goes on without either.
const TWICE_POISONED: &str = r#"
name = "Twice poisoned"
[policy]
on_failure = "skip"
[[goals]]
name = "Only"
subtasks = [
    { name = "before", skill = "held" },
    { name = "poison", skill = "once", dependencies = ["before"], repeat = 2 },
    { name = "after", skill = "held", dependencies = ["poison"] },
]
"#;
const DEADLY: &str = r#"
echo "$TRIREME_SUBTASK_ID" >> ran
case "$TRIREME_SUBTASK_ID" in *.1|*.2) [ -e poison ] && kill -9 $(ps -o ppid= -p $PPID) ;; esac
exit 0
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_dead_commands_of_a_project_are_redriven_by_one_run() {
    on_every_broker(async |url| redriven_together(place(url, Shared::SqliteFile, "together", DEADLY).await).await)
        .await;
}

/// A project of which two commands have killed every executor that had them, and their letters lie there.
async fn twice_poisoned(place: &Place) -> String {
    place.write("poison", "");
    let id = place.submit(TWICE_POISONED);
    let mut victim = place.worker(&["executor"]);
    let status = place.wait(&id, |status| {
        if !victim.is_alive() {
            victim = place.worker(&["executor"]);
        }
        has_ended(status)
    });
    let skipped = [("before", "COMPLETED"), ("poison 1", "SKIPPED"), ("poison 2", "SKIPPED"), ("after", "SKIPPED")];
    assert_eq!((&status["status"], &stands(&status)[..]), (&"COMPLETED".into(), &skipped[..]), "{status}");
    place.remove("poison");
    let dead = place.json(&["dead", "list", "--json"]).as_array().map_or(0, Vec::len);
    assert_eq!(dead, 2);
    id
}

async fn redriven_together(place: Place) {
    let _above = [place.worker(&["manager"]), place.worker(&["coordinator"])];
    let id = twice_poisoned(&place).await;
    assert_eq!(place.json(&["dead", "drop", "--settled", "--yes", "--json"]), json!({ "dropped": 0 }));
    let redriven = place.json(&["dead", "redrive", "--all", "--yes", "--json"]);
    assert_eq!(redriven, json!({ "redriven": 2, "left": 0, "not_redriven": [] }));
    let _executor = place.worker(&["executor"]);
    let status = place.wait(&id, |status| status["run"] == 2 && has_ended(status));
    let all = ["before", "poison 1", "poison 2", "after"].map(|name| (name, "COMPLETED"));
    assert_eq!((&status["status"], &stands(&status)[..]), (&"COMPLETED".into(), &all[..]), "{status}");
    assert_eq!(recorded(&place, &id, "RunStarted").len(), 1, "one run does both again");
    assert_eq!(place.json(&["dead", "list", "--json"]), json!([]));
    place.run(&["check", &id]);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_what_was_done_without_them_are_dropped_together() {
    on_every_broker(async |url| settled(place(url, Shared::SqliteFile, "settled", DEADLY).await).await).await;
}

async fn settled(place: Place) {
    let _above = [place.worker(&["manager"]), place.worker(&["coordinator"])];
    let id = twice_poisoned(&place).await;
    let _executor = place.worker(&["executor"]);
    place.run(&["retry", &id]);
    place.wait(&id, |status| status["run"] == 2 && has_ended(status));
    let refused = place.trireme(&["dead", "redrive", "--all", "--yes"]).output().expect("a command");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("`dead drop --settled` what is done"), "{said}");
    assert_eq!(place.json(&["dead", "drop", "--settled", "--yes", "--json"]), json!({ "dropped": 2 }));
    assert_eq!(place.json(&["dead", "list", "--json"]), json!([]));
    place.leave().await;
}
