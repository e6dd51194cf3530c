//! Clocks are compared by answers that may be slow, and by owners that come and go.

use tokio::time::advance;

use super::*;
use crate::wire::AgentStatus;

const HERE: Timestamp = Timestamp(1_000_000_000);
const HOUR_MS: i64 = 3_600_000;

fn owner(name: &str, last_seen: Timestamp) -> Presence {
    Presence {
        agent_id: AgentId::new(name).expect("a word"),
        name: name.into(),
        layer: Layer::Coordination,
        status: AgentStatus::Idle,
        skills: Vec::new(),
        slots: 0,
        busy: 0,
        version: String::new(),
        host: String::new(),
        pid: 0,
        last_seen,
        store_id: None,
        holds: Vec::new(),
        waits_for: Vec::new(),
        unable: Vec::new(),
        queues_lost: Vec::new(),
        clock_ahead_ms: None,
        commands: Vec::new(),
        trouble: None,
        published: 0,
        leaving: false,
        peers: Vec::new(),
    }
}

/// Asks, and the answer of a clock that is `behind_ms` behind comes when `took_ms` are over.
async fn asked(clocks: &mut Clocks, name: &str, behind_ms: i64, took_ms: u64) {
    clocks.ask();
    advance(Duration::from_millis(took_ms)).await;
    clocks.compare(&owner(name, Timestamp(HERE.0 - behind_ms)), HERE);
}

fn told(clocks: &mut Clocks) -> Option<i64> {
    clocks.difference_ms(Layer::Execution, None)
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_no_difference_of_clocks() {
    let mut clocks = Clocks::default();
    // The owner's clock is right, and its answer lay in a queue for 4 s.
    asked(&mut clocks, "c1", 4_000, 4_000).await;
    assert_eq!(told(&mut clocks), None);
    assert_eq!(clocks.ahead_of("c1"), Some(4_000), "a command is late when it is late for certain");
    advance(ROUND_TRIP_MAX).await;
    asked(&mut clocks, "c1", 10, 20).await;
    assert_eq!(clocks.ahead_of("c1"), Some(10), "a quicker answer is better");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_the_first_of_two_questions_is_not_taken_for_one_to_the_second() {
    let mut clocks = Clocks::default();
    clocks.ask();
    advance(Duration::from_millis(2_900)).await;
    asked(&mut clocks, "c1", 3_000, 100).await;
    assert_eq!(told(&mut clocks), None, "the owner may have answered 3 s ago");
}

#[tokio::test(start_paused = true)]
async fn an_hour_is_told_in_both_directions_also_when_the_answer_was_slow() {
    for ahead_ms in [HOUR_MS, -HOUR_MS] {
        let mut clocks = Clocks::default();
        asked(&mut clocks, "c1", ahead_ms, 1_000).await;
        let told = told(&mut clocks).expect("it is told");
        assert!((told - ahead_ms).abs() <= 1_000, "{told}");
    }
}

/// One that is gone, and had the clock that this machine has, would hide the difference for ever.
#[tokio::test(start_paused = true)]
async fn owners_that_are_gone_are_forgotten() {
    let mut clocks = Clocks::default();
    asked(&mut clocks, "gone", 0, 10).await;
    advance(ROUND_TRIP_MAX).await;
    asked(&mut clocks, "c1", HOUR_MS, 10).await;
    assert_eq!(told(&mut clocks), None);
    assert_eq!(clocks.ahead_of_any(), Some(HOUR_MS), "as the one that answered last");
    advance(REMEMBERED).await;
    asked(&mut clocks, "c1", HOUR_MS, 10).await;
    assert_eq!(told(&mut clocks), Some(HOUR_MS - 10));
    assert_eq!(clocks.ahead_of("gone"), None);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_is_known_by_the_next_answer() {
    let mut clocks = Clocks::default();
    asked(&mut clocks, "c1", 0, 10).await;
    advance(ROUND_TRIP_MAX).await;
    asked(&mut clocks, "c1", HOUR_MS, 50).await;
    assert_eq!(clocks.ahead_of("c1"), Some(HOUR_MS));
}

#[test]
fn a_difference_that_goes_away_slowly_is_not_told_at_each_step() {
    assert!(!is_worth_a_word(HOUR_MS, HOUR_MS - 1_500));
    assert!(is_worth_a_word(HOUR_MS, HOUR_MS / 2));
    assert!(is_worth_a_word(2_000, 3_500));
    assert!(is_worth_a_word(HOUR_MS, -HOUR_MS));
}
