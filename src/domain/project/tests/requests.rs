//! How a project begins, and what is said to those who ask again.

use super::*;

#[test]
fn a_request_is_accepted_planned_and_handed_over() {
    let mut bench = Bench::new();
    let step = bench.give(request(Ok(goals(&[2, 1, 2]))));
    let [Event::Accepted(accepted), plan @ .., Event::PhaseStarted { phase: 1, partition, .. }, Event::AlarmSet { .. }] =
        step.events()
    else {
        panic!("{step:?}")
    };
    assert_eq!((accepted.name.as_str(), accepted.requester.as_str(), accepted.run), ("Shop", "client-1", 1));
    assert_eq!((accepted.partitions, accepted.cause, accepted.at), (PARTITIONS, step.cause, NOON));
    let planned: Vec<Event> = goals(&[2, 1, 2]).into_iter().map(|goal| Event::GoalPlanned { goal }).collect();
    assert_eq!(plan, planned);
    assert_eq!(*partition, StreamId::Phase(id(), 1).partition(PARTITIONS));
    assert_eq!(step.effects, [Effect::StartPhase { phase: 1 }, Effect::Alarm { number: 1 }]);
    assert_eq!(bench.project.status(), Status::Busy);
}

#[test]
fn phases_go_by_priority_and_not_by_place_and_gaps_are_none() {
    let bench = Bench::open(&[9, 1, 5, 9, 1_000]);
    let phases: Vec<_> = bench.project.phases().iter().map(|phase| (phase.number, phase.priority)).collect();
    assert_eq!(phases, [(1, 1), (2, 5), (3, 9), (4, 1_000)]);
    let third = bench.project.phase(3).expect("the third");
    let names: Vec<_> = bench.project.goals_of(third).map(|goal| goal.goal_name.as_str()).collect();
    assert_eq!(names, ["Goal 0", "Goal 3"]);
}

#[test]
fn a_plan_that_is_none_ends_it_in_error_at_once() {
    let two_of_one_name = vec![goals(&[1]).remove(0), goals(&[1]).remove(0)];
    let cases: [(Input, &str); 8] = [
        (request(Err("no playbook is named `x`".into())), "no playbook is named `x`"),
        (request(Ok(Vec::new())), "the plan has no goals"),
        (request(Ok(goals(&[0]))), "goal `Goal 0`: its `priority` is 0, not from 1 to 1000"),
        (request(Ok(two_of_one_name)), "two goals are named `Goal 0`"),
        (request_with(|request| request.request.project_name.clear()), "a project has an empty name"),
        (request_with(|request| request.request.project_name = " \t".into()), "a project has an empty name"),
        (request_with(|request| request.request.project_name = "a\0b".into()), "has a NUL character"),
        (request_with(|request| request.request.project_name = "x".repeat(257)), "has 257 bytes, the most is 256"),
    ];
    for (request, error) in cases {
        let mut bench = Bench::new();
        let step = bench.give(request.clone());
        assert_eq!(step.effects, [], "an ended project has nothing out");
        assert!(matches!(step.events(), [Event::Accepted(_), Event::Ended { .. }]), "{step:?}");
        let (status, why) = bench.ended();
        assert_eq!(status, Status::Error);
        assert!(why.is_some_and(|why| why.contains(error)), "{why:?} is not {error}");
        // Asked again it is the same project, not a second try.
        assert_eq!(bench.give(request).decision, Decision::Nothing("the project is known"));
    }
}

#[test]
fn an_error_as_long_as_a_message_still_fits_an_answer() {
    let mut bench = Bench::new();
    bench.give(request(Err("ü".repeat(1_000_000))));
    let mut reported = Bench::open(&[1]);
    reported.give(Input::Report(PhaseReport { error: Some("ü".repeat(1_000_000)), ..report_of(1, Status::Error) }));
    for bench in [bench, reported] {
        let error = bench.ended().1.expect("an error");
        assert!(error.len() < 5_000 && error.ends_with(" ..."), "{}", error.len());
    }
}

#[test]
fn the_same_request_again_has_its_effects_again_while_they_hold() {
    let mut bench = Bench::open(&[1, 2]);
    let first = cause(1);
    let again = bench.give_again(first, request(Ok(goals(&[1, 2]))));
    assert_eq!(again.effects, [Effect::StartPhase { phase: 1 }, Effect::Alarm { number: 1 }]);
    bench.complete(1);
    let again = bench.give_again(first, request(Ok(goals(&[1, 2]))));
    assert_eq!(again.effects, [Effect::Alarm { number: 1 }]);
}

#[test]
fn ten_thousand_goals_are_taken_in_a_moment() {
    let priorities: Vec<u32> = (0..10_000).map(|at| at * 7 % 1_000 + 1).collect();
    let started = std::time::Instant::now();
    let mut project = Project::new(id());
    let decision = decide(&mut project, cause(1), &request(Ok(goals(&priorities))), &calm(NOON));
    assert!(matches!(decision, Decision::Record(events) if events.len() == 10_003));
    assert_eq!(project.phases().len(), 1_000);
    assert!(project.phases().windows(2).all(|pair| pair[0].priority < pair[1].priority));
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}
