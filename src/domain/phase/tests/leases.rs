//! Leased attempts.

use super::*;

const LEASE_MS: u64 = 20_000;

fn leased() -> Bench {
    let mut specs = graph("a; b");
    specs[0].lease_ms = Some(LEASE_MS);
    Bench::of(specs)
}

fn accept(bench: &mut Bench, agent: &str) -> Step {
    let in_reply_to = bench.command(0);
    bench.give(Input::Accepted(Accepted { ordinal: 0, in_reply_to, agent: agent.into() }))
}

#[test]
fn an_executor_that_is_not_heard_of_has_crashed() {
    let mut bench = leased();
    let step = accept(&mut bench, "one");
    assert!(matches!(&step.events()[0], Event::Accepted { agent, until, .. }
        if agent == "one" && *until == NOON.plus_ms(LEASE_MS)));
    assert!(step.effects.contains(&Effect::Alarm { number: 2 }), "{step:?}");
    let (old, late) = (bench.command(0), bench.answer(0, done()));
    while bench.shows().starts_with("B1") {
        bench.alarm();
    }
    assert_eq!(bench.now, NOON.plus_ms(LEASE_MS));
    assert_eq!(bench.phase.subtask(0).map(|subtask| (subtask.crashes, subtask.failures)), Some((1, 0)));
    assert_eq!(bench.shows(), "B2 B1");
    // It had it, whatever it says: others are to have the next.
    assert_eq!(bench.phase.avoided(0), [AgentId::new("one").expect("a word")]);
    // One that comes back late is fenced, and told to stop.
    assert!(bench.phase.unwanted().contains_key(&old));
    assert_eq!(bench.give(late).commands(), []);
    assert_eq!(bench.shows(), "B2 B1");
}

#[test]
fn one_that_is_heard_of_keeps_its_lease() {
    let mut bench = leased();
    accept(&mut bench, "one");
    for round in 1..=10 {
        bench.heard.insert(bench.command(0), bench.now.plus_ms(1_000));
        while bench.now < NOON.plus_ms(round * 15_000) {
            bench.alarm();
        }
        assert_eq!(bench.shows(), "B1 B1", "{round}");
    }
    let renewals = bench.events.iter().filter(|event| matches!(event, Event::LeasesRenewed { .. })).count();
    assert!((3..=10).contains(&renewals), "{renewals}");
    bench.complete(0);
    bench.complete(1);
    assert_eq!(bench.ended().0, Status::Completed);
}

#[test]
fn an_owner_that_was_deaf_grants_a_full_lease() {
    let mut bench = leased();
    accept(&mut bench, "one");
    // It has just taken over.
    bench.pass_ms(19_000);
    bench.listening_since = bench.now;
    bench.sleep_until(NOON.plus_ms(LEASE_MS));
    assert_eq!(bench.shows(), "B1 B1");
    while bench.shows().starts_with("B1") {
        bench.alarm();
    }
    assert_eq!(bench.now, NOON.plus_ms(19_000 + LEASE_MS));
}

#[test]
fn the_last_one_that_accepted_has_it() {
    let mut bench = leased();
    accept(&mut bench, "one");
    bench.pass_ms(5_000);
    accept(&mut bench, "two");
    assert_eq!(bench.phase.flights()[&0].lease, Some(NOON.plus_ms(5_000 + LEASE_MS)));
    let in_reply_to = bench.command(1);
    let held = Accepted { ordinal: 1, in_reply_to, agent: "one".into() };
    assert!(bench.give(Input::Accepted(held)).is_nothing(), "a skill that is not leased");
    let other = Accepted { ordinal: 0, in_reply_to: cause(404), agent: "one".into() };
    assert!(bench.give(Input::Accepted(other)).is_nothing());
    let nobody = Accepted { ordinal: 9, in_reply_to, agent: "one".into() };
    assert_eq!(bench.give(Input::Accepted(nobody)).decision, Decision::Refuse("unknown_subtask"));
}

#[test]
fn a_leased_attempt_has_a_deadline_all_the_same() {
    let mut bench = leased();
    accept(&mut bench, "one");
    while bench.shows().starts_with("B1") {
        bench.heard.insert(bench.command(0), bench.now);
        bench.alarm();
    }
    assert_eq!(bench.now, NOON.plus_ms(START_WITHIN_MS + TIMEOUT_MS + ANSWER_WITHIN_MS));
    assert_eq!(bench.phase.subtask(0).map(|subtask| subtask.failures), Some(1));
}

#[test]
fn three_crashes_use_it_up() {
    let mut bench = leased();
    for crash in 1..=3 {
        accept(&mut bench, "one");
        while bench.phase.subtask(0).is_some_and(|subtask| subtask.crashes < crash) {
            bench.alarm();
        }
    }
    bench.complete(1);
    let error = "subtask `a` failed: crashed: its executor was not heard of for 20000 ms";
    assert_eq!(bench.ended(), (Status::Error, Some(error)));
}
