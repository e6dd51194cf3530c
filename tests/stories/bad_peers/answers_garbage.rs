//! An executor that answers with what is no answer. What can be told whose it is fails its attempt with the reason; the
//! rest lies among the dead, and the attempt waits for an answer.

use serde_json::{Value, json};
use trireme::wire::{FailureKind, Status};

use super::crew::{Crew, chain, result, subtask};
use super::peer::{Command, Peer};

/// The bytes of an answer to a command.
type Write = fn(&Peer, &Command) -> Vec<u8>;

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// An honest answer with a change.
fn changed(peer: &Peer, command: &Command, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut envelope = peer.envelope(command, peer.completion(command, json!("garbage")));
    change(&mut envelope);
    envelope.to_string().into_bytes()
}

/// What nobody can tell whose it is, with the reason that it dies of.
const UNREADABLE: [(&str, Write); 14] = [
    ("not_json", |_, _| Vec::new()),
    ("not_json", |_, _| b"done!".to_vec()),
    ("not_json", |_, _| vec![0xff, 0xfe, 0x00]),
    ("not_json", |peer, command| {
        let whole = changed(peer, command, |_| {});
        whole[..whole.len() / 2].to_vec()
    }),
    ("not_an_envelope", |_, _| b"[]".to_vec()),
    ("not_an_envelope", |peer, command| changed(peer, command, |envelope| *envelope = envelope["content"].clone())),
    ("not_an_envelope", |peer, command| changed(peer, command, |envelope| envelope["task_id"] = json!("mine"))),
    ("not_an_envelope", |peer, command| changed(peer, command, |envelope| envelope["content"] = json!("done"))),
    ("unknown_type", |peer, command| changed(peer, command, |envelope| envelope["content"]["type"] = json!("Done"))),
    ("bad_content", |peer, command| changed(peer, command, |envelope| envelope["content"]["attempt"] = json!("one"))),
    ("bad_content", |peer, command| changed(peer, command, |envelope| envelope["content"]["in_reply_to"] = json!(1))),
    ("bad_content", |peer, command| changed(peer, command, |envelope| envelope["content"]["subtask_id"] = json!("x"))),
    ("nul", |peer, command| {
        changed(peer, command, |envelope| {
            envelope["sender_id"] = json!("\u{0}");
        })
    }),
    ("not_for_a_coordinator", |peer, command| {
        changed(peer, command, |envelope| envelope["content"] = json!({ "type": "NewProject", "project_name": "x" }))
    }),
];

/// What is the answer to a command and can not be taken, with a word of the reason.
const UNACCEPTABLE: [(&str, Write); 7] = [
    ("the cap is", |peer, command| {
        changed(peer, command, |envelope| envelope["content"]["result"] = json!("x".repeat(2 * 1024 * 1024)))
    }),
    ("deeper than 64", |peer, command| changed(peer, command, |envelope| envelope["content"]["result"] = deep(100))),
    ("NUL", |peer, command| {
        changed(peer, command, |envelope| envelope["content"]["result"] = json!({ "text": "a\u{0}b" }))
    }),
    ("surrogate", |peer, command| {
        let answer = changed(peer, command, |_| {});
        String::from_utf8(answer).expect("text").replace("garbage", "\\ud800").into_bytes()
    }),
    ("missing field `result`", |peer, command| {
        changed(peer, command, |envelope| drop(envelope["content"].as_object_mut().map(|it| it.remove("result"))))
    }),
    ("RFC 3339", |peer, command| {
        changed(peer, command, |envelope| envelope["content"]["started_at"] = json!("yesterday"))
    }),
    ("unknown variant", |peer, command| {
        changed(peer, command, |envelope| {
            envelope["content"]["type"] = json!("SubtaskFailure");
            envelope["content"]["kind"] = json!("bored");
            envelope["content"]["error_message"] = json!("no");
        })
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_read_lies_among_the_dead_and_the_attempt_goes_on() {
    let crew = Crew::start().await;
    let mut peer = crew.peer("babbler").await;
    let id = crew.submit(1, chain(&["work"])).await;
    let command = peer.take().await;
    for (_, write) in UNREADABLE {
        peer.publish(&command.reply_to, &write(&peer, &command)).await;
    }
    // Garbage beside an answer does not spoil it.
    let honest = peer.envelope(&command, peer.completion(&command, json!("sense")));
    peer.publish(&command.reply_to, json!([1, honest, { "no": "envelope" }]).to_string().as_bytes()).await;
    peer.ack(command).await;
    let view = crew.ended(id).await;
    assert_eq!((view.status, result(&view, "work")), (Status::Completed, "\"sense\"".into()));
    assert_eq!(subtask(&view, "work").attempts, 1);
    assert_eq!(crew.recorded(id, "Completed").await, ["1.0"]);
    let mut reasons: Vec<_> = crew.dead(UNREADABLE.len() + 1).await.into_iter().map(|letter| letter.reason).collect();
    let mut expected: Vec<_> = UNREADABLE.iter().map(|(reason, _)| *reason).collect();
    // What is unreadable for one reason in one body is one letter.
    expected.push("not_an_envelope");
    reasons.sort();
    expected.sort_unstable();
    assert_eq!(reasons, expected);
    peer.die().await;
    crew.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_can_not_be_taken_fails_its_attempt_with_the_reason() {
    let crew = Crew::start().await;
    let mut peer = crew.peer("babbler").await;
    for (number, (reason, write)) in (1..).zip(UNACCEPTABLE) {
        let id = crew.submit(number, chain(&["work"])).await;
        let command = peer.take().await;
        peer.publish(&command.reply_to, &write(&peer, &command)).await;
        // The truth comes too late: its own attempt has failed.
        peer.answer(command, json!("sense")).await;
        let view = crew.ended(id).await;
        let work = subtask(&view, "work");
        let error = work.error.as_deref().unwrap_or_default();
        assert!(error.starts_with("the answer was not accepted: ") && error.contains(reason), "{reason}: {error}");
        assert_eq!((view.status, work.attempts, result(&view, "work")), (Status::Error, 1, String::new()), "{reason}");
        assert_eq!(work.attempt_log[0].kind, Some(FailureKind::Permanent), "{reason}");
        assert_eq!(crew.recorded(id, "Failed").await, ["1.0"], "{reason}");
        assert_eq!(crew.recorded(id, "Completed").await, [""; 0], "{reason}");
    }
    assert_eq!(crew.dead(0).await, []);
    peer.die().await;
    crew.leave().await;
}
