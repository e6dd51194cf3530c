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
[ -e poison ] && kill -9 "$PPID"
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
