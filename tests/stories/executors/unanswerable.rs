//! Commands whose answers no queue takes: they keep nobody from the others, and do not stay for ever.

use std::time::Duration;

use trireme::runtime::port::Delivery;
use trireme::wire::address::Queue;
use trireme::wire::codec;
use trireme::wire::content::ExecuteSubtask;

use super::on_both;
use super::owner::{Owner, command};
use super::place::{HELD, LEASED, Place, WITHIN, agent};

/// Well formed, and of no partition that there is.
const UNBOUND: &str = "p.7";

fn of(skill: &str, ordinal: u32) -> ExecuteSubtask {
    ExecuteSubtask { lease_ms: (skill == LEASED).then_some(30_000), ..command(skill, ordinal) }
}

/// Takes answers until this subtask is completed.
async fn until_done(owner: &mut Owner, ordinal: u32) {
    loop {
        let answer = owner.answer().await;
        if let trireme::wire::Content::SubtaskCompletion(done) = answer.content {
            assert_eq!(done.subtask_id.ordinal, ordinal);
            return;
        }
    }
}

/// The dead letters, until they are so many messages.
async fn dead(owner: &Owner, messages: usize) -> Vec<Delivery> {
    let mut consumer = owner.transport.consume(&Queue::Dead, 1_000).await.expect("the dead letters");
    let mut letters = Vec::new();
    let found = |letters: &[Delivery]| letters.iter().map(|letter| codec::decode(&letter.body).len()).sum::<usize>();
    while found(&letters) < messages {
        let more = tokio::time::timeout(WITHIN, consumer.next(1_000)).await;
        letters.extend(more.unwrap_or_else(|_| panic!("only {letters:?}")).expect("open"));
    }
    assert_eq!(found(&letters), messages);
    for letter in &letters {
        consumer.acker().ack(letter.tag, false).await.expect("acked");
    }
    letters
}

async fn a_good_one_behind_bad_ones(place: &Place, skill: &str) {
    let worker = place.executor("worker", 3);
    let mut owner = Owner::join(place).await;
    worker.open(10);
    for (ordinal, reply_to) in (1..).zip(["nobody", "p.", "p.01", "p.-1", "told.0", UNBOUND, UNBOUND]) {
        owner.command_answered_to(reply_to, of(skill, ordinal)).await;
    }
    owner.command(of(skill, 8)).await;
    until_done(&mut owner, 8).await;
    for letter in dead(&owner, 5).await {
        let reason = letter.properties.reason.unwrap_or_default();
        assert!(reason.starts_with("bad_reply_to: "), "{reason}");
    }
    let trouble = owner.pong(&agent("worker")).await.trouble.unwrap_or_default();
    assert!(trouble.contains("no queue takes `p.7`"), "{trouble}");
    worker.stop.leave();
    worker.ended().await;
}

#[tokio::test]
async fn a_command_that_can_not_be_answered_is_not_in_the_way_of_others() {
    for skill in [HELD, LEASED] {
        on_both(async |place: &Place| a_good_one_behind_bad_ones(place, skill).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_no_queue_takes_for_a_minute_is_a_dead_letter() {
    for skill in [HELD, LEASED] {
        let place = Place::in_memory().await;
        let worker = place.executor("worker", 4);
        let mut owner = Owner::join(&place).await;
        worker.open(100);
        for ordinal in 1..=20 {
            owner.command_answered_to(UNBOUND, of(skill, ordinal)).await;
        }
        owner.command(of(skill, 21)).await;
        tokio::time::sleep(Duration::from_secs(55)).await;
        assert_eq!(owner.transport.depth(&Queue::Dead).await.expect("a queue").expect("declared").ready, 0);
        tokio::time::sleep(Duration::from_secs(45)).await;
        until_done(&mut owner, 21).await;
        for letter in dead(&owner, 20).await {
            assert_eq!(
                (letter.key.as_str(), letter.properties.origin.as_deref()),
                (UNBOUND, Some("executors.results"))
            );
            let reason = letter.properties.reason.unwrap_or_default();
            assert!(reason.starts_with("no_queue: "), "{reason}");
        }
        owner.until_queue_has(skill, 0, 1).await;
        assert_eq!(owner.pong(&agent("worker")).await.trouble, None);
        worker.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_was_deleted_comes_back_and_gets_its_answer() {
    let place = Place::in_memory().await;
    let mut worker = place.executor("worker", 4);
    let owner = Owner::join(&place).await;
    owner.command(of(HELD, 1)).await;
    assert_eq!(worker.begun().await, 1);
    drop(owner);
    place.delete_the_partition().await;
    worker.open(1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    until_done(&mut Owner::join(&place).await, 1).await;
    worker.drained().await;
}
