//! Leased attempts whose executor is cut off: between its acceptance and its ack, and for longer than its lease. What
//! was done is recorded once, and whoever comes back late changes nothing.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{place, recorded};
use crate::connections::at;
use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::relay::Relay;
use crate::status::{has_ended, subtasks};

/// Each attempt waits for its own leave to end.
const WORK: &str = r#"
echo "$TRIREME_ATTEMPT" >> began
until [ -e "may_end_$TRIREME_ATTEMPT" ]; do sleep 0.1; done
echo "\"of $TRIREME_ATTEMPT\""
"#;
const ONE: &str = r#"
name = "Leased"
[[goals]]
name = "Only"
subtasks = [{ name = "work", skill = "leased" }, { name = "after", skill = "noop", dependencies = ["work"] }]
"#;

fn owners(place: &Place) -> [Worker; 2] {
    [place.worker(&["manager"]), place.worker(&["coordinator"])]
}

/// How often an executor has accepted a command.
fn accepted(place: &Place, id: &str) -> usize {
    place.wait(id, |_| true);
    // A project is accepted too, without a subtask.
    recorded(place, id, "Accepted").iter().filter(|subtasks| subtasks.starts_with('[')).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_breaks_between_the_acceptance_and_its_ack() {
    on_every_broker(async |url| {
        for executors in 1..=2 {
            cut_before_its_ack(url, executors).await;
        }
    })
    .await;
}

async fn cut_before_its_ack(broker_url: &str, executors: usize) {
    let (_, server) = at(broker_url, 0);
    let relay = Relay::to(server).await;
    let (through, _) = at(broker_url, relay.port);
    let place = place(broker_url, Shared::SqliteFile, "leased", WORK).await;
    let _owners = owners(&place);
    let names = ["one", "other"];
    let team: Vec<Worker> =
        names[..executors].iter().map(|name| place.worker_at(&through, &["executor", "--id", name])).collect();
    relay.cut_the_ack_after("\"SubtaskAccepted\"");
    let id = place.submit(ONE);
    place.wait_until("its ack is cut off", || relay.has_cut());
    // The command is delivered again: to the same, which has it already, or to the other, which begins it too.
    place.wait_until("it is whole again", || team.iter().any(|worker| worker.said().contains("whole again")));
    place.wait_until("it has begun", || accepted(&place, &id) == place.lines("began").len());
    assert!((1..=executors).contains(&accepted(&place, &id)));
    place.write("may_end_1", "");
    let status = place.wait(&id, has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert_eq!((recorded(&place, &id, "Completed").len(), recorded(&place, &id, "Failed").len()), (2, 0), "{status}");
    assert_eq!(subtasks(&status)[0]["attempts"], 1);
    place.run(&["check", &id]);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_far_it_is_is_in_the_heartbeats() {
    on_every_broker(async |url| {
        let work = format!("echo '{{\"progress\": {{\"done\": 3, \"of\": 10, \"note\": \"pages\"}}}}' >&2\n{WORK}");
        told(place(url, Shared::SqliteFile, "progress", &work).await).await;
    })
    .await;
}

async fn told(place: Place) {
    let _workers = (owners(&place), place.worker(&["executor", "--id", "teller"]));
    let id = place.submit(ONE);
    let mut said = Value::Null;
    place.wait_until("it says how far it is", || {
        let agents = place.json(&["agents", "--json"]);
        let mut tellers = agents.as_array().expect("agents").iter().filter(|agent| agent["agent_id"] == "teller");
        said = tellers.next().map(|teller| teller["commands"][0].clone()).unwrap_or_default();
        said["progress"].is_object()
    });
    let progress = json!({ "done": 3.0, "of": 10.0, "note": "pages" });
    assert_eq!((&said["project_id"], &said["subtask_id"], &said["progress"]), (&json!(id), &json!("1.0"), &progress));
    let status = String::from_utf8(place.run(&["status", &id])).expect("text");
    assert!(status.contains("subtask 1.0 `work`: 3 of 10: pages"), "{status}");
    place.write("may_end_1", "");
    let status = place.wait(&id, has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert_eq!(place.json(&["agents", "--json"])[2].get("commands"), None, "it runs nothing any more");
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_that_comes_back_after_its_lease_is_fenced() {
    on_every_broker(async |url| late(place(url, Shared::SqliteFile, "late", WORK).await).await).await;
}

async fn late(place: Place) {
    let _owners = owners(&place);
    // With one place for work it waits for no other command while it sleeps.
    let sleeper = place.worker(&["executor", "--id", "sleeper", "--slots", "1"]);
    let id = place.submit(ONE);
    place.wait_until("it is accepted", || accepted(&place, &id) == 1);
    place.wait_until("it has begun", || place.lines("began") == ["1"]);
    sleeper.signal(Signal::STOP);
    let _heir = place.worker(&["executor", "--id", "heir"]);
    // Its program ends, and it sleeps.
    place.write("may_end_1", "");
    place.wait_until("another has it", || place.lines("began") == ["1", "2"]);
    sleeper.signal(Signal::CONT);
    // It says what it has, or hears that nobody wants it: either way its owner need not tell it again.
    place.wait_until("its answer has come", || recorded(&place, &id, "Hushed").len() == 1);
    assert_eq!(recorded(&place, &id, "Completed").len(), 0);
    place.write("may_end_2", "");
    let status = place.wait(&id, has_ended);
    let work = subtasks(&status)[0].clone();
    assert_eq!((&status["status"], &work["agent_id"]), (&"COMPLETED".into(), &"heir".into()), "{status}");
    assert_eq!((&work["attempts"], &work["attempt_log"][0]["kind"]), (&2.into(), &"crashed".into()), "{status}");
    let result = place.json(&["result", &id, "--json"]);
    assert!(result.to_string().contains("of 2") && !result.to_string().contains("of 1"), "{result}");
    assert_eq!((recorded(&place, &id, "Completed").len(), recorded(&place, &id, "Failed").len()), (2, 1));
    place.run(&["check", &id]);
    place.leave().await;
}
