//! What becomes of attempts: charged and uncharged failures, crashes, answers that are late.

use super::*;

#[test]
fn a_result_is_recorded_in_the_executor_s_own_words() {
    let mut bench = Bench::open("a; b");
    let step = bench.complete(0);
    assert_eq!(
        step.events(),
        [Event::Completed {
            at: NOON,
            ordinal: 0,
            attempt: 1,
            agent: "executor-1".into(),
            started_at: NOON.plus_ms(1),
            finished_at: NOON.plus_ms(2),
            bytes: 4,
            usage: None,
        }]
    );
    assert_eq!(bench.phase.subtask(0).map(|subtask| subtask.bytes), Some(4));
}

#[test]
fn a_charged_failure_is_tried_again_at_once_up_to_max_attempts() {
    for kind in [FailureKind::Transient, FailureKind::Timeout, FailureKind::Crashed, FailureKind::Cancelled] {
        // The allowance is one, and the next in line is as ready: a new attempt goes first all the same.
        let mut bench = Bench::open_with("a; b", 1);
        assert_eq!(bench.fail(0, kind).commands(), [(0, 2)], "{kind}");
        assert_eq!(bench.fail(0, kind).commands(), [(0, 3)], "{kind}");
        let last = bench.fail(0, kind);
        assert_eq!(last.effects, [Effect::Report], "{kind}");
        let error = format!("subtask `a` failed: {kind}: out of order");
        assert_eq!(bench.ended(), (Status::Error, Some(error.as_str())));
        assert_eq!(bench.shows(), "E3 I0");
    }
}

#[test]
fn what_will_fail_the_same_way_every_time_is_not_tried_again() {
    for kind in [FailureKind::Permanent, FailureKind::Unsupported] {
        let mut bench = Bench::open("a");
        let step = bench.fail(0, kind);
        let Event::Failed { outcome, .. } = &step.events()[0] else { panic!("{step:?}") };
        assert_eq!(*outcome, Outcome::Exhausted { budget: event::Budget::Failures });
        assert_eq!((step.effects, bench.shows().as_str()), (vec![Effect::Report], "E1"));
    }
}

#[test]
fn a_failing_phase_starts_nothing_new_and_ends_with_its_last_running_subtask() {
    let mut bench = Bench::open("bad; good; retry; given; next: good");
    assert_eq!(bench.fail(0, FailureKind::Permanent).effects, []);
    assert_eq!(bench.complete(1).commands(), [], "what is ready now stays");
    assert_eq!(bench.fail(2, FailureKind::Transient).commands(), [], "no new attempt either");
    assert_eq!(bench.phase.ended(), None);
    let last = bench.fail(3, FailureKind::Released);
    assert_eq!(last.effects, [Effect::Report]);
    assert_eq!(bench.shows(), "E1 C1 I1 I1 I0");
    assert_eq!(bench.ended(), (Status::Error, Some("subtask `bad` failed: permanent: out of order")));
    let counts = bench.phase.counts();
    assert_eq!((counts.failed, counts.completed, counts.ready, counts.waiting, counts.idle), (1, 1, 0, 0, 3));
}

#[test]
fn the_first_failure_is_the_one_that_is_named() {
    let mut bench = Bench::open("work*3");
    bench.fail(2, FailureKind::Permanent);
    bench.fail(0, FailureKind::Unsupported);
    bench.complete(1);
    assert_eq!(bench.ended(), (Status::Error, Some("subtask `work 3` failed: permanent: out of order")));
}

#[test]
fn what_is_given_back_is_not_charged_and_waits_longer_each_time() {
    let mut bench = Bench::open("a; b");
    let mut waits = Vec::new();
    for attempt in 1..=12 {
        assert_eq!(bench.phase.subtask(0).map(|subtask| subtask.attempt), Some(attempt));
        let step = bench.fail(0, FailureKind::Released);
        let Event::Failed { outcome: Outcome::Wait { until }, .. } = step.events()[0] else { panic!("{step:?}") };
        waits.push(until.ms_since(bench.now));
        assert_eq!(bench.phase.subtask(0).map(|subtask| subtask.failures), Some(0));
        sleep_until(&mut bench, until);
    }
    assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
    assert_eq!(bench.complete(0).effects, []);
    assert_eq!(bench.complete(1).effects, [Effect::Report]);
}

/// Lets alarms come back until the time is `until`: none may come late, and none is cut short.
fn sleep_until(bench: &mut Bench, until: Timestamp) {
    while bench.now < until {
        assert_eq!(bench.shows(), format!("W{} B1", bench.phase.subtask(0).expect("it").attempt));
        let alarm = *bench.phase.alarm().expect("an alarm");
        assert!(alarm.not_before <= until.plus_ms(250), "an alarm that comes late");
        bench.alarm();
    }
}

#[test]
fn a_timeout_that_never_began_is_not_charged_and_one_that_did_is() {
    for (started_at, failures, shows) in [(None, 0, "W1"), (Some(NOON), 1, "B2")] {
        let mut bench = Bench::open("a");
        let Input::Answer(late) = bench.answer(0, failed(FailureKind::Timeout)) else { panic!("no answer") };
        bench.give(Input::Answer(Answer { started_at, ..late }));
        assert_eq!(bench.shows(), shows);
        assert_eq!(bench.phase.subtask(0).map(|subtask| subtask.failures), Some(failures));
    }
}

/// It came back from executors that did not answer it, and then there was no time left: what they died of.
#[test]
fn a_crash_on_the_way_counts_like_a_command_that_the_broker_gave_up() {
    let mut bench = Bench::open("a");
    for crashes in 1..=3 {
        let Input::Answer(late) = bench.answer(0, failed(FailureKind::Crashed)) else { panic!("no answer") };
        bench.give(Input::Answer(Answer { started_at: None, ..late }));
        let subtask = *bench.phase.subtask(0).expect("it");
        assert_eq!((subtask.failures, subtask.crashes), (0, crashes));
    }
    assert_eq!(bench.ended(), (Status::Error, Some("subtask `a` failed: crashed: out of order")));
}

/// Executors that do nothing else must not keep a project open.
#[test]
fn what_is_not_charged_has_a_bound() {
    let mut bench = Bench::open("a");
    let mut answers = 0;
    while bench.ended_status().is_none() {
        let Input::Answer(answer) = bench.answer(0, failed(FailureKind::Timeout)) else { panic!("no answer") };
        bench.give(Input::Answer(Answer { started_at: None, ..answer }));
        answers += 1;
        while bench.shows().starts_with('W') {
            bench.alarm();
        }
    }
    assert_eq!((bench.ended().0, answers), (Status::Error, 100 + 3));
}

/// However often they are stopped, and whatever else it has waited for.
#[test]
fn what_executors_give_back_is_never_charged() {
    let mut bench = Bench::open("a");
    for _ in 0..250 {
        bench.fail(0, FailureKind::Released);
        while bench.shows().starts_with('W') {
            bench.alarm();
        }
    }
    let subtask = *bench.phase.subtask(0).expect("it");
    assert_eq!((bench.ended_status(), subtask.failures, subtask.postponed), (None, 0, 250));
    bench.complete(0);
    assert_eq!(bench.ended().0, Status::Completed);
}

#[test]
fn dead_commands_have_a_small_budget_of_their_own() {
    let mut bench = Bench::open("a");
    bench.fail(0, FailureKind::Transient);
    assert_eq!(bench.give(bench.dead(0)).commands(), [(0, 3)]);
    assert_eq!(bench.give(bench.dead(0)).commands(), [(0, 4)]);
    bench.fail(0, FailureKind::Transient);
    let subtask = *bench.phase.subtask(0).expect("it");
    assert_eq!((subtask.failures, subtask.crashes, subtask.attempt), (2, 2, 5));
    let last = bench.give(bench.dead(0));
    let Event::Failed { agent: None, kind: FailureKind::Crashed, started_at: None, .. } = &last.events()[0] else {
        panic!("{last:?}")
    };
    let error = "subtask `a` failed: crashed: the broker gave the command up: delivery_limit";
    assert_eq!(bench.ended(), (Status::Error, Some(error)));
}

#[test]
fn an_old_command_s_answer_changes_nothing_however_good_it_is() {
    let mut bench = Bench::open("a; b");
    let (old, neighbour) = (bench.command(0), bench.command(1));
    bench.fail(0, FailureKind::Transient);
    assert_ne!(bench.command(0), old);
    for in_reply_to in [old, neighbour] {
        for body in [done(), failed(FailureKind::Permanent)] {
            assert!(bench.give(answer(0, in_reply_to, body)).is_nothing());
        }
    }
    let dead = DeadCommand { ordinal: 0, id: old, reason: "delivery_limit".into() };
    assert!(bench.give(Input::DeadCommand(dead)).is_nothing());
    assert_eq!(bench.shows(), "B2 B1");
    // The current one is taken, once.
    let current = bench.answer(0, done());
    bench.give(current.clone());
    assert!(bench.give(current).is_nothing());
}

#[test]
fn strangers_words_are_cut() {
    let mut bench = Bench::open("a");
    let long = "ö".repeat(500_000);
    let Input::Answer(mut stranger) = bench.answer(0, done()) else { panic!("no answer") };
    stranger.agent = long.clone();
    stranger.body = AnswerBody::Failed(Failure::permanent(long));
    let step = bench.give(Input::Answer(stranger));
    let Event::Failed { agent: Some(agent), error, .. } = &step.events()[0] else { panic!("{step:?}") };
    assert!(agent.len() < 5_000 && error.len() < 5_000, "{} {}", agent.len(), error.len());
}

#[test]
fn what_an_executor_can_not_do_itself_is_charged_only_when_no_other_can() {
    let mut bench = Bench::open("a");
    let (bad, good) = (AgentId::new("bad").expect("an id"), AgentId::new("good").expect("an id"));
    bench.able = vec![bad.clone(), good.clone()];
    let unable = Failure { avoid: true, ..Failure::new(FailureKind::Released, "there is no program `mytool`") };
    let answered = |bench: &mut Bench, agent: &AgentId| {
        let Input::Answer(answer) = bench.answer(0, AnswerBody::Failed(unable.clone())) else { panic!("an answer") };
        let step = bench.give(Input::Answer(Answer { agent: agent.to_string(), started_at: None, ..answer }));
        let Event::Failed { kind, outcome, avoid: true, .. } = step.events()[0] else { panic!("{step:?}") };
        (kind, outcome)
    };
    let (kind, outcome) = answered(&mut bench, &bad);
    let Outcome::Wait { until } = outcome else { panic!("{outcome:?}") };
    assert_eq!(kind, FailureKind::Released, "another can do it, and will");
    assert_eq!(bench.phase.avoided(0), std::slice::from_ref(&bad), "its next command names the one that can not");
    bench.sleep_until(until);

    // The other one can not either: from here on attempts are used up, whatever kinds of failure are tried again.
    for attempt in 1..=3 {
        let (kind, outcome) = answered(&mut bench, &good);
        assert_eq!(kind, FailureKind::Unsupported, "no executor can do it");
        assert_eq!(matches!(outcome, Outcome::Exhausted { .. }), attempt == 3, "{outcome:?}");
    }
    assert_eq!(bench.ended_status(), Some(Status::Error));
}
