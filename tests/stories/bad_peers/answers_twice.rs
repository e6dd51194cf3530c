//! An executor that answers twice: the same again, and something else; at once, and long after.

use serde_json::json;
use trireme::wire::Status;

use super::crew::{Crew, chain, result, subtask};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_answer_counts_and_no_other_changes_anything() {
    let crew = Crew::start().await;
    let mut peer = crew.peer("twice").await;
    let id = crew.submit(1, chain(&["first", "second"])).await;

    let first = peer.take().await;
    let honest = peer.envelope(&first, peer.completion(&first, json!("one")));
    for _ in 0..3 {
        peer.publish(&first.reply_to, honest.to_string().as_bytes()).await;
    }
    peer.say(&first, peer.completion(&first, json!("two"))).await;
    let mut failure = peer.completion(&first, json!(null));
    failure["type"] = json!("SubtaskFailure");
    failure["kind"] = json!("permanent");
    failure["error_message"] = json!("on second thoughts");
    peer.say(&first, failure.clone()).await;
    // Several in one body, the same and not the same.
    let array = json!([honest, peer.envelope(&first, peer.completion(&first, json!("three"))), honest]);
    peer.publish(&first.reply_to, array.to_string().as_bytes()).await;

    // All of that was handled before the answer to the second, which goes the same way.
    let second = peer.take().await;
    assert_eq!((second.task(), &second.envelope["content"]["deps"]), ("second", &json!({ "first": "one" })));
    peer.say(&second, peer.completion(&second, json!("end"))).await;
    peer.say(&second, peer.completion(&second, json!("the end"))).await;
    peer.say(&first, failure).await;
    peer.ack(first).await;
    peer.ack(second).await;

    let view = crew.ended(id).await;
    assert_eq!(view.status, Status::Completed);
    assert_eq!((result(&view, "first"), result(&view, "second")), ("\"one\"".into(), "\"end\"".into()));
    assert_eq!(subtask(&view, "first").attempts, 1);
    // One more project through the same queue: what came after the end was handled by then.
    let after = crew.submit(2, chain(&["first"])).await;
    let command = peer.take().await;
    peer.answer(command, json!("other")).await;
    assert_eq!(crew.ended(after).await.status, Status::Completed);
    assert_eq!(crew.recorded(id, "Completed").await, ["1.0", "1.1"]);
    assert_eq!(crew.recorded(id, "Failed").await, [""; 0]);
    assert_eq!(crew.dead(0).await, []);
    peer.die().await;
    crew.leave().await;
}
