//! An executor that claims a later attempt than the one that it was given. The command that an answer names is what
//! counts; the number only tells attempts apart.

use serde_json::json;
use trireme::wire::Status;
use uuid::Uuid;

use super::crew::{Crew, chain, result, subtask};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_counts_and_not_the_number() {
    let crew = Crew::start().await;
    let mut peer = crew.peer("ahead").await;
    let id = crew.submit(1, chain(&["work"])).await;

    // The first attempt fails. Its answer says again and again that it is the second one's, and the seventh's.
    let first = peer.take().await;
    let mut failure = peer.completion(&first, json!(null));
    failure["type"] = json!("SubtaskFailure");
    failure["kind"] = json!("transient");
    failure["error_message"] = json!("not today");
    peer.say(&first, failure).await;
    let mut claim = peer.completion(&first, json!("ahead of its time"));
    for attempt in [2, 7, u32::MAX] {
        claim["attempt"] = json!(attempt);
        peer.say(&first, claim.clone()).await;
    }
    let second = peer.take().await;
    assert_eq!(second.envelope["content"]["attempt"], 2);
    for attempt in [2, 3] {
        claim["attempt"] = json!(attempt);
        peer.say(&first, claim.clone()).await;
    }
    // A command that it makes up for the attempt that there is.
    claim["attempt"] = json!(2);
    claim["in_reply_to"] = json!(Uuid::new_v5(&Uuid::from_u128(1), b"attempt 2"));
    peer.say(&second, claim).await;
    peer.ack(first).await;

    // The right command with a wrong number is the answer to that command.
    let mut honest = peer.completion(&second, json!("in time"));
    honest["attempt"] = json!(9);
    peer.say(&second, honest).await;
    peer.ack(second).await;
    let view = crew.ended(id).await;
    assert_eq!((view.status, result(&view, "work")), (Status::Completed, "\"in time\"".into()));
    let work = subtask(&view, "work");
    let attempts: Vec<_> = work.attempt_log.iter().map(|attempt| (attempt.attempt, attempt.kind.is_some())).collect();
    assert_eq!((work.attempts, attempts), (2, vec![(1, true), (2, false)]));
    assert_eq!(
        (crew.recorded(id, "Completed").await, crew.recorded(id, "Failed").await.len()),
        (vec!["1.0".into()], 1)
    );
    assert_eq!(crew.dead(0).await, []);
    peer.die().await;
    crew.leave().await;
}
