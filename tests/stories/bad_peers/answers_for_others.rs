//! An executor that answers for subtasks whose command it was not given.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trireme::wire::{Status, SubtaskPlan};
use uuid::Uuid;

use super::crew::{Crew, SKILL, chain, result, subtask};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_counts_for_the_subtask_of_its_command_only() {
    let crew = Crew::start().await;
    let (mut liar, mut honest) = (crew.peer("liar").await, None);
    let two = ["mine", "theirs"].map(|name| SubtaskPlan::new(name, SKILL)).to_vec();
    let id = crew.submit(1, two).await;
    let (mut mine, mut theirs) = (liar.take().await, liar.take().await);
    if mine.task() == "theirs" {
        std::mem::swap(&mut mine, &mut theirs);
    }
    let lie = |change: &dyn Fn(&mut Value)| {
        let mut content = liar.completion(&mine, json!("a lie"));
        change(&mut content);
        content
    };
    let lies = [
        // With the command that it has, for a subtask that it has not; with a command that there never was.
        lie(&|content| content["subtask_id"] = json!("1.1")),
        lie(&|content| content["in_reply_to"] = json!(Uuid::from_u128(7))),
        lie(&|content| {
            content["subtask_id"] = json!("1.1");
            content["in_reply_to"] = json!(Uuid::from_u128(7));
        }),
        lie(&|content| content["in_reply_to"] = json!(id)),
        // Of no subtask, of no phase of this project.
        lie(&|content| content["subtask_id"] = json!("1.2")),
        lie(&|content| content["subtask_id"] = json!("2.0")),
        lie(&|content| content["subtask_id"] = json!("0.0")),
    ];
    for content in lies {
        liar.say(&mine, content).await;
    }
    // Of another project that has begun, and of one that nobody knows.
    let other = crew.submit(2, chain(&["other"])).await;
    let others = liar.take().await;
    let mut stranger = liar.envelope(&mine, liar.completion(&mine, json!("a lie")));
    for project in [json!(other), json!(Uuid::from_u128(99))] {
        stranger["task_id"] = project;
        stranger["message_id"] = json!(Uuid::now_v7());
        liar.publish(&others.reply_to, stranger.to_string().as_bytes()).await;
    }

    // The truth, by whoever has the command.
    liar.answer(mine, json!("the truth")).await;
    liar.answer(others, json!("the truth")).await;
    drop(theirs);
    liar.die().await;
    let honest = honest.insert(crew.peer("honest").await);
    let theirs = honest.take().await;
    assert!(theirs.redelivered && theirs.task() == "theirs");
    honest.answer(theirs, json!("the truth")).await;
    for (project, names) in [(id, &["mine", "theirs"][..]), (other, &["other"][..])] {
        let view = crew.ended(project).await;
        assert_eq!(view.status, Status::Completed);
        for name in names {
            assert_eq!((result(&view, name), subtask(&view, name).attempts), ("\"the truth\"".into(), 1), "{name}");
        }
        assert_eq!(crew.recorded(project, "Completed").await.len(), names.len());
        assert_eq!(crew.recorded(project, "Failed").await, [""; 0]);
    }
    assert_eq!(subtask(&crew.ended(id).await, "theirs").agent_id.as_deref(), Some("honest"));
    let mut reasons: Vec<_> = crew.dead(4).await.into_iter().map(|letter| (letter.reason, letter.sender)).collect();
    reasons.sort();
    let expected = ["no_such_phase", "unknown_stream", "unknown_stream", "unknown_subtask"];
    assert_eq!(reasons, expected.map(|reason| (reason.to_owned(), Some("liar".to_owned()))));
    crew.leave().await;
}

/// The way back is not the one that the command names: the owner of the phase is another, or the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_through_another_partition_is_recorded_once() {
    let crew = Crew::start().await;
    let mut peer = crew.peer("astray").await;
    let id = crew.submit(1, chain(&["first", "second", "third"])).await;
    let mut known = BTreeSet::new();
    while known.len() < 3 {
        let command = peer.take().await;
        let name = command.task().to_owned();
        // Two that decide on one phase may send the same command, under its one id.
        if !known.insert(command.id().to_owned()) {
            peer.ack(command).await;
            continue;
        }
        let astray = if command.reply_to == "p.0" { "p.1" } else { "p.0" };
        let answer = peer.envelope(&command, peer.completion(&command, json!(name))).to_string();
        peer.publish(astray, answer.as_bytes()).await;
        peer.publish(&command.reply_to, answer.as_bytes()).await;
        peer.ack(command).await;
    }
    let view = crew.ended(id).await;
    assert_eq!((view.status, view.counts.completed), (Status::Completed, 3));
    assert_eq!(crew.recorded(id, "Completed").await, ["1.0", "1.1", "1.2"]);
    assert_eq!(crew.dead(0).await, []);
    peer.die().await;
    crew.leave().await;
}
