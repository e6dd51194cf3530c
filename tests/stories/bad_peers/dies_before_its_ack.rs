//! An executor that dies after its result and before its ack: the broker gives the command to another.

use serde_json::json;
use trireme::wire::Status;

use super::crew::{Crew, chain, result, subtask};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_result_counts_and_the_second_run_changes_nothing() {
    let crew = Crew::start().await;
    let mut mortal = crew.peer("mortal").await;
    let id = crew.submit(1, chain(&["work", "after"])).await;
    let command = mortal.take().await;
    let first = command.id().to_owned();
    mortal.say(&command, mortal.completion(&command, json!("of the dead"))).await;
    mortal.die().await;

    let mut heir = crew.peer("heir").await;
    let mut again = heir.take().await;
    let mut after = heir.take().await;
    if again.task() == "after" {
        std::mem::swap(&mut again, &mut after);
    }
    assert!(again.redelivered && again.id() == first, "the same command, to somebody else");
    assert_eq!(after.envelope["content"]["deps"], json!({ "work": "of the dead" }));
    heir.answer(again, json!("of the heir")).await;
    heir.answer(after, json!("end")).await;
    let view = crew.ended(id).await;
    assert_eq!((view.status, result(&view, "work")), (Status::Completed, "\"of the dead\"".into()));
    let work = subtask(&view, "work");
    assert_eq!((work.attempts, work.agent_id.as_deref()), (1, Some("mortal")));
    assert_eq!(crew.recorded(id, "Completed").await, ["1.0", "1.1"]);
    assert_eq!(crew.dead(0).await, []);
    heir.die().await;
    crew.leave().await;
}
