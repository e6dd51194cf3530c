//! An executor that takes commands and never answers, whether it keeps them or acks them: each attempt is over when its
//! time and the time for an answer are, and whoever is honest has the next.

use std::time::Duration;

use serde_json::json;
use trireme::runtime::Timing;
use trireme::wire::{FailureKind, Status, SubtaskPlan, SubtaskStatus};

use super::crew::{Crew, SKILL, result, subtask};

/// Together with what the subtask says, the whole life of a command.
fn quick() -> Timing {
    let half = Duration::from_millis(500);
    Timing { start_within: half, answer_within: half, ..Timing::default() }
}
const TIMEOUT_MS: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_attempts_are_timeouts_and_its_late_answers_change_nothing() {
    let crew = Crew::start_with(quick()).await;
    let mut silent = crew.peer("silent").await;
    let work = SubtaskPlan { timeout_ms: Some(TIMEOUT_MS), ..SubtaskPlan::new("work", SKILL) };
    let after = SubtaskPlan { dependencies: vec!["work".into()], ..SubtaskPlan::new("after", SKILL) };
    let id = crew.submit(1, vec![work, after]).await;

    // The first it keeps and never acks, the second it acks: nothing of that is in the broker any more.
    let first = silent.take().await;
    let second = silent.take().await;
    assert_ne!(first.id(), second.id());
    assert!(!second.redelivered && second.envelope["content"]["attempt"] == 2);
    let late = [&first, &second].map(|command| silent.envelope(command, silent.completion(command, json!("late"))));
    let late = json!(late).to_string();
    silent.take_no_more().await;
    silent.ack(second).await;

    let mut honest = crew.peer("honest").await;
    let third = honest.take().await;
    assert_eq!((third.task(), &third.envelope["content"]["attempt"]), ("work", &json!(3)));
    silent.publish(&third.reply_to, late.as_bytes()).await;
    honest.say(&third, honest.completion(&third, json!("in time"))).await;
    silent.publish(&third.reply_to, late.as_bytes()).await;
    silent.ack(first).await;
    honest.ack(third).await;
    let after = honest.take().await;
    assert_eq!(after.envelope["content"]["deps"], json!({ "work": "in time" }));
    honest.answer(after, json!("end")).await;

    let view = crew.ended(id).await;
    assert_eq!((view.status, result(&view, "work")), (Status::Completed, "\"in time\"".into()));
    let work = subtask(&view, "work");
    assert_eq!((work.attempts, work.agent_id.as_deref()), (3, Some("honest")));
    let kinds: Vec<_> = work.attempt_log.iter().map(|attempt| attempt.kind).collect();
    assert_eq!(kinds, [Some(FailureKind::Timeout), Some(FailureKind::Timeout), None]);
    assert_eq!(crew.recorded(id, "Failed").await, ["1.0", "1.0"]);
    assert_eq!(crew.recorded(id, "Completed").await, ["1.0", "1.1"]);
    assert_eq!(crew.dead(0).await, []);
    silent.die().await;
    honest.die().await;
    crew.leave().await;
}

/// Nobody else is there: its attempts are used up, and the project ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_attempts_are_used_up_the_project_ends() {
    let crew = Crew::start_with(quick()).await;
    let mut silent = crew.peer("silent").await;
    let plan = SubtaskPlan { max_attempts: Some(2), timeout_ms: Some(500), ..SubtaskPlan::new("work", SKILL) };
    let id = crew.submit(1, vec![plan]).await;
    let commands = [silent.take().await, silent.take().await];
    let view = crew.ended(id).await;
    let work = subtask(&view, "work");
    assert_eq!((view.status, work.status), (Status::Error, SubtaskStatus::Error));
    assert_eq!((work.attempts, work.error.as_deref()), (2, Some("no answer by its deadline")));
    for command in commands {
        silent.answer(command, json!("late")).await;
    }
    // One more project through the same queue: what came after the end was handled by then.
    let other = crew.submit(2, vec![SubtaskPlan::new("work", SKILL)]).await;
    let command = silent.take().await;
    silent.answer(command, json!("other")).await;
    assert_eq!(crew.ended(other).await.status, Status::Completed);
    assert_eq!(crew.ended(id).await.status, Status::Error);
    assert_eq!(crew.recorded(id, "Completed").await, [""; 0]);
    assert_eq!(crew.dead(0).await, []);
    silent.die().await;
    crew.leave().await;
}
