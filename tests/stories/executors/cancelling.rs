//! A cancel ends what runs, drops what waits, and what comes later.

use serde_json::json;
use trireme::wire::FailureKind;
use trireme::wire::address::Address;
use trireme::wire::content::{Control, Layer};

use super::on_both;
use super::owner::{Owner, PHASE, PROJECT, command, command_id};
use super::place::{HELD, Place, agent};

async fn what_runs_and_what_waits(place: &Place) {
    let mut worker = place.executor("worker", 1);
    let mut owner = Owner::join(place).await;
    let runs = owner.command(command(HELD, 1)).await;
    assert_eq!(worker.begun().await, 1);
    let waits = owner.command(command(HELD, 2)).await;
    owner.heartbeat_with(&[runs, waits]).await;
    // A directed one, of a command that waits: answered at once, although there is no room for it.
    let control = Control { commands: vec![waits], ..Control::about(PROJECT) };
    owner.cancel(Address::agent(&agent("worker")), control).await;
    let failure = owner.failure(FailureKind::Cancelled).await;
    assert_eq!((failure.in_reply_to, failure.started_at), (waits, None));
    // A broadcast, of one that runs.
    let control = Control { commands: vec![runs], ..Control::about(PROJECT) };
    owner.cancel(Address::layer(Layer::Execution), control).await;
    let failure = owner.failure(FailureKind::Cancelled).await;
    assert_eq!(failure.in_reply_to, runs);
    assert!(failure.started_at.is_some());
    owner.until_queue_has(HELD, 0, 1).await;
    worker.drained().await;
}

#[tokio::test]
async fn a_cancel_ends_what_runs_and_drops_what_waits() {
    on_both(what_runs_and_what_waits).await;
}

async fn before_the_command(place: &Place) {
    let mut worker = place.executor("worker", 1);
    let mut owner = Owner::join(place).await;
    owner.pong(&agent("worker")).await;
    let control = Control { commands: vec![command_id(1)], ..Control::about(PROJECT) };
    owner.cancel(Address::layer(Layer::Execution), control).await;
    // It reads its letters in order: what it answers now it answers after the cancel.
    owner.pong(&agent("worker")).await;
    let dropped = owner.command(command(HELD, 1)).await;
    let failure = owner.failure(FailureKind::Cancelled).await;
    assert_eq!((failure.in_reply_to, failure.started_at), (dropped, None));
    // Another phase of the same project is another matter.
    let mut other = command(HELD, 2);
    (other.phase, other.subtask_id.phase) = (PHASE + 1, PHASE + 1);
    owner.command(other).await;
    assert_eq!(worker.begun().await, 2);
    worker.open(1);
    assert_eq!(owner.completion().await.0, 2);
    worker.drained().await;
}

#[tokio::test]
async fn a_cancel_that_comes_before_the_command_is_remembered() {
    on_both(before_the_command).await;
}

/// The program that runs, and what it started, are gone when the answer comes.
async fn a_process_group(place: &Place) {
    let folder = tempfile::tempdir().expect("a folder");
    let pids = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; wait", pids.display());
    let options = json!({ "argv": ["sh", "-c", script] });
    let runner = trireme::runner::build("command", Some(&options)).expect("a runner");
    let worker = place.executor_with("worker", (1, 16), runner, None);
    let mut owner = Owner::join(place).await;
    let runs = owner.command(command(HELD, 1)).await;
    let written = async {
        while !pids.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(super::place::WITHIN, written).await.expect("it begins in time");
    let control = Control { commands: vec![runs], ..Control::about(PROJECT) };
    owner.cancel(Address::agent(&agent("worker")), control).await;
    assert_eq!(owner.failure(FailureKind::Cancelled).await.in_reply_to, runs);
    for pid in std::fs::read_to_string(&pids).expect("pids").split_whitespace() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        assert!(status.is_empty() || status.contains("State:\tZ"), "{pid} is alive: {status}");
    }
    worker.drained().await;
}

#[tokio::test]
async fn a_cancel_ends_a_program_with_all_that_it_started() {
    on_both(a_process_group).await;
}
