//! Every way in which a plan can be wrong, with the line that says so, and plans of the largest size.

use std::time::{Duration, Instant};

use super::*;
use crate::wire::FailureKind;

fn goal(name: &str, priority: u32, subtasks: Vec<SubtaskPlan>) -> GoalPlan {
    GoalPlan { goal_name: name.into(), priority, description: String::new(), input: None, subtasks: Some(subtasks) }
}

fn subtask(name: &str, dependencies: &[&str]) -> SubtaskPlan {
    SubtaskPlan {
        dependencies: dependencies.iter().map(|name| (*name).into()).collect(),
        ..SubtaskPlan::new(name, "noop")
    }
}

fn refused(goals: &[GoalPlan]) -> String {
    check(goals).expect_err("the plan is bad").in_one_line()
}

#[test]
fn a_good_plan_passes() {
    let first = goal("One", 1, vec![subtask("a", &[]), subtask("b", &["a", "c"])]);
    let beside = goal("Two", 1, vec![SubtaskPlan { repeat: Some(3), ..subtask("c", &["a"]) }, subtask("c 4", &[])]);
    let later = goal("Three", 2, vec![subtask("a", &[])]);
    assert_eq!(check(&[first, beside, later]), Ok(()));
    assert_eq!(check(&[]), Ok(()));
}

#[test]
fn an_open_goal_may_bring_the_missing_name_but_no_way_out_of_a_circle() {
    let open = GoalPlan { subtasks: None, ..goal("Two", 1, vec![]) };
    let waits = goal("One", 1, vec![subtask("a", &["later"])]);
    assert_eq!(check(&[waits.clone(), open.clone()]), Ok(()));
    assert!(check(&[waits, GoalPlan { priority: 2, ..open.clone() }]).is_err());
    let circle = goal("One", 1, vec![subtask("a", &["b"]), subtask("b", &["a"])]);
    assert!(refused(&[circle, open]).contains("circle"));
}

#[test]
fn names_are_unique_where_they_must_be() {
    let a = || vec![subtask("a", &[])];
    assert_eq!(refused(&[goal("One", 1, a()), goal("One", 2, a())]), "two goals are named `One`");
    assert_eq!(
        refused(&[goal("One", 1, vec![subtask("a", &[]), subtask("a", &[])])]),
        "two subtasks are named `a` in goal `One`"
    );
    assert_eq!(
        refused(&[goal("One", 3, a()), goal("Two", 3, a())]),
        "two subtasks are named `a` in goals `One` and `Two`, both of priority 3"
    );
    let repeated = SubtaskPlan { repeat: Some(3), ..subtask("a", &[]) };
    assert_eq!(
        refused(&[goal("One", 1, vec![repeated, subtask("a 2", &[])])]),
        "two subtasks are named `a 2` in goal `One` (`a` repeats, and so names its copies)"
    );
}

#[test]
fn dependencies_exist_in_the_same_phase_and_go_forward() {
    let design = || goal("Design", 1, vec![subtask("draw schema", &[])]);
    assert_eq!(
        refused(&[goal("One", 1, vec![subtask("a", &["draw shema"]), subtask("draw schema", &[])])]),
        "goal `One`: subtask `a` depends on `draw shema`, which does not exist (did you mean `draw schema`?)"
    );
    assert_eq!(
        refused(&[design(), goal("Two", 2, vec![subtask("a", &["draw schema"])])]),
        "goal `Two`: subtask `a` depends on `draw schema`, which is in another phase (goal `Design`, priority 1, \
         not 2) (goals of a lower priority number end before this one starts: leave the dependency out)"
    );
    assert_eq!(
        refused(&[design(), goal("Two", 2, vec![subtask("a", &["draw shema"]), subtask("b", &[])])]),
        "goal `Two`: subtask `a` depends on `draw shema`, which does not exist (did you mean `draw schema`? it is in \
         another phase)"
    );
    assert_eq!(
        refused(&[goal("One", 1, vec![subtask("a", &["zebra"]), subtask("b", &[])])]),
        "goal `One`: subtask `a` depends on `zebra`, which does not exist (known are `b`)"
    );
    assert_eq!(refused(&[goal("One", 1, vec![subtask("a", &["a"])])]), "goal `One`: subtask `a` depends on itself");
    assert_eq!(
        refused(&[goal("One", 1, vec![subtask("a", &["b", "b"]), subtask("b", &[])])]),
        "goal `One`: subtask `a` names the dependency `b` twice"
    );
    let repeated = SubtaskPlan { repeat: Some(3), ..subtask("b", &[]) };
    assert_eq!(
        refused(&[goal("One", 1, vec![subtask("a", &["b 2"]), repeated])]),
        "goal `One`: subtask `a` depends on `b 2`, which does not exist (`b` stands for all its copies)"
    );
}

#[test]
fn a_circle_is_printed_without_what_leads_to_it() {
    let subtasks = vec![subtask("in", &["a"]), subtask("a", &["b"]), subtask("b", &["c"]), subtask("c", &["a"])];
    assert_eq!(refused(&[goal("One", 1, subtasks)]), "subtasks depend on each other in a circle: `a -> b -> c -> a`");
    let long: Vec<_> = (0..100).map(|n| subtask(&format!("s{n}"), &[&format!("s{}", (n + 1) % 100)])).collect();
    let line = refused(&[goal("One", 1, long)]);
    assert!(line.ends_with("-> s11 -> (88 more) -> s0`"), "{line}");
}

#[test]
fn numbers_and_names_are_within_their_bounds() {
    let with = |change: fn(&mut SubtaskPlan)| {
        let mut plan = subtask("a", &[]);
        change(&mut plan);
        refused(&[goal("One", 1, vec![plan])])
    };
    assert_eq!(with(|s| s.repeat = Some(0)), "goal `One`: subtask `a`: its `repeat` is 0, not from 1 to 1000000");
    assert!(with(|s| s.repeat = Some(1_000_001)).contains("`repeat` is 1000001"));
    assert!(with(|s| s.timeout_ms = Some(0)).contains("`timeout` is 0"));
    assert!(with(|s| s.queue_wait_ms = Some(u64::MAX)).contains("`queue_wait` is 18446744073709551615"));
    assert!(with(|s| s.backoff_ms = Some(0)).contains("`backoff` is 0, not from 1 to 86400000"));
    assert!(with(|s| s.backoff_max_ms = Some(86_400_001)).contains("`backoff_max` is 86400001"));
    assert!(with(|s| s.backoff_factor = Some(101)).contains("`backoff_factor` is 101, not from 1 to 100"));
    assert!(with(|s| s.retry_on = Some(vec![FailureKind::Released])).contains("its `retry_on`: no failure `released`"));
    assert!(with(|s| s.timeout_ms = Some(u64::MAX)).contains("`timeout` is 18446744073709551615"));
    assert!(with(|s| s.max_attempts = Some(0)).contains("`max_attempts` is 0"));
    assert!(with(|s| s.name = " ".into()).contains("a subtask has an empty name"));
    assert!(with(|s| s.name = "a\0".into()).contains("`a\\u{0}` has a NUL character"));
    assert!(with(|s| s.name = "a\nb".into()).contains("has a control character"));
    assert!(with(|s| s.name = "x".repeat(300)).contains("has 300 bytes, the most is 264"));
    assert!(with(|s| s.skill = "told.1".into()).contains("skill `told.1` is not"));
    assert!(with(|s| s.description = "\0".into()).contains("`description` has a NUL"));
    assert!(with(|s| s.input = Some(Raw::from(serde_json::json!({"a": "\0"})))).contains("NUL"));
    assert!(refused(&[goal("One", 0, vec![])]).contains("`priority` is 0"));
    assert!(refused(&[goal("", 1, vec![])]).contains("a goal has an empty name"));
    let list = GoalPlan { input: Some(Raw::from(serde_json::json!([1]))), ..goal("One", 1, vec![]) };
    assert_eq!(refused(&[list]), "goal `One`: its `input` is no table");
}

#[test]
fn copies_and_their_edges_are_counted_without_being_made() {
    let repeated = |name, dependencies: &[&str]| SubtaskPlan { repeat: Some(400_000), ..subtask(name, dependencies) };
    let two = goal("One", 1, vec![repeated("a", &[]), repeated("b", &["a"])]);
    assert!(refused(&[two]).contains("have 160000000000 dependencies, the most is 4000000"));
    let three = goal("One", 1, vec![repeated("a", &[]), repeated("b", &[]), repeated("c", &[])]);
    assert!(refused(&[three]).contains("has 1200000 subtasks, the most is 1000000"));
}

/// A chain, a fan, and a name that is missing among many: each in well under the time that a quadratic check
/// or a recursive one would need (or survive).
#[test]
fn the_largest_plans_are_checked_quickly() {
    let started = Instant::now();
    let chain: Vec<_> = (0..100_000)
        .map(|n: u32| match n.checked_sub(1) {
            None => subtask("s0", &[]),
            Some(before) => subtask(&format!("s{n}"), &[&format!("s{before}")]),
        })
        .collect();
    assert_eq!(check(&[goal("Chain", 1, chain.clone())]), Ok(()));
    let mut closed = chain.clone();
    closed[0].dependencies = vec!["s99999".into()];
    assert!(refused(&[goal("Circle", 1, closed)]).contains("(99988 more)"));
    let mut missing = chain;
    missing.push(subtask("last", &["nowhere to be found"]));
    assert!(refused(&[goal("Missing", 1, missing)]).contains("does not exist"));
    let names: Vec<String> = (0..100_000).map(|n| format!("s{n}")).collect();
    let mut fan: Vec<_> = names.iter().map(|name| subtask(name, &[])).collect();
    fan.push(subtask("all", &names.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(check(&[goal("Fan", 1, fan)]), Ok(()));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
