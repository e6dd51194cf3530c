//! Streams as they are stored, good ones and such as no machine should ever write: each rule bites.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::{phase, project};
use crate::wire::ProjectId;

const NOON: Timestamp = Timestamp(1_763_800_000_000);

fn id() -> ProjectId {
    ProjectId(Uuid::from_u128(7))
}

/// Two subtasks, of which the second depends on the first; and a third of its own.
fn opened(policy: Value) -> Vec<Value> {
    let spec = |first: u32, name: &str, dependencies: Value| {
        json!({
            "name": name, "goal": 0, "skill": "noop", "first": first, "dependencies": dependencies,
            "timeout_ms": 1_000, "max_attempts": 2,
        })
    };
    let specs = [spec(0, "a", json!([])), spec(1, "b", json!([{ "first": 0, "count": 1 }])), spec(2, "c", json!([]))];
    vec![
        json!({ "Opened": {
            "at": NOON, "cause": id(), "project_id": id(), "project_name": "shop", "project_version": 3, "run": 1,
            "phase": 1, "priority": 1, "partition": 0, "goals": ["g"], "parameters": {}, "policy": policy,
            "id_namespace": id(),
        }}),
        json!({ "SubtasksAdded": { "specs": specs } }),
        json!({ "Planned": {} }),
        dispatched(&[[0, 1], [2, 1]]),
        json!({ "AlarmSet": {
            "at": NOON, "alarm": { "number": 1, "not_before": NOON.plus_ms(60_000), "tier": 4, "cause": id() },
        }}),
    ]
}

fn dispatched(commands: &[[u32; 2]]) -> Value {
    json!({ "Dispatched": { "at": NOON, "cause": id(), "not_after": NOON.plus_ms(600_000), "commands": commands } })
}

fn completed(ordinal: u32, attempt: u32) -> Value {
    json!({ "Completed": {
        "at": NOON, "ordinal": ordinal, "attempt": attempt, "agent": "e", "started_at": NOON, "finished_at": NOON,
        "bytes": 4,
    }})
}

fn failed(ordinal: u32, attempt: u32, next: Value) -> Value {
    json!({ "Failed": {
        "at": NOON, "ordinal": ordinal, "attempt": attempt, "agent": "e", "kind": "permanent", "error": "no",
        "started_at": NOON, "finished_at": NOON, "outcome": next,
    }})
}

fn ended(status: &str) -> Value {
    json!({ "Ended": { "at": NOON, "cause": id(), "status": status, "error": null } })
}

fn whole() -> Vec<Value> {
    let rest = [completed(0, 1), dispatched(&[[1, 1]]), completed(2, 1), completed(1, 1), ended("COMPLETED")];
    [opened(json!({})), rest.into()].concat()
}

fn audit(events: &[Value]) -> PhaseAudit {
    let mut audit = PhaseAudit::new(StreamId::Phase(id(), 1));
    for event in events {
        audit.event(&serde_json::from_str::<phase::Event>(&event.to_string()).expect("an event"));
    }
    audit.committed();
    audit
}

fn rules(violations: &[Violation]) -> Vec<&'static str> {
    violations.iter().map(|violation| violation.rule).collect()
}

/// What is wrong with a stream that opens, and goes on like this.
fn broken_by(policy: Value, rest: &[Value]) -> Vec<&'static str> {
    rules(&audit(&[opened(policy), rest.to_vec()].concat()).violations())
}

#[test]
fn a_good_stream_breaks_no_rule() {
    let mut good = audit(&whole());
    let row = Row::of_phase(good.state()).expect("a row");
    assert_eq!((row.status, row.counts.completed, row.finished_at), (Status::Completed, 3, Some(NOON)));
    let fold = good.state().clone();
    good.summary(Some(&row));
    good.snapshot(Some(&fold));
    [(0, 1), (1, 1), (2, 1)].into_iter().for_each(|(ordinal, attempt)| good.result(ordinal, attempt));
    assert_eq!(good.completions().len(), 3);
    good.without_result(&[]);
    good.finish();
    assert_eq!(good.violations(), []);
}

#[test]
fn what_goes_out_and_what_comes_of_it_is_looked_at() {
    let again = json!({ "next": "again", "budget": "failures" });
    let last = json!({ "next": "exhausted", "budget": "failures" });
    let cases: [(&str, Vec<Value>, &[&str]); 9] = [
        (
            "a second result",
            vec![completed(0, 1), completed(0, 1)],
            &["an_outcome_is_recorded_once", "only_the_current_attempt_counts"],
        ),
        ("a result of another attempt", vec![completed(0, 2)], &["only_the_current_attempt_counts"]),
        ("a failure of what is not out", vec![failed(1, 1, again.clone())], &["only_the_current_attempt_counts"]),
        (
            "a second outcome after a failure",
            vec![failed(0, 1, last.clone()), completed(0, 1)],
            &["an_outcome_is_recorded_once", "only_the_current_attempt_counts"],
        ),
        ("too early", vec![dispatched(&[[1, 1]])], &["dependencies_come_first"]),
        ("after a failure", vec![failed(0, 1, last), dispatched(&[[1, 1]])], &["dependencies_come_first"]),
        (
            "a number left out",
            vec![failed(0, 1, again.clone()), dispatched(&[[0, 3]])],
            &["an_attempt_is_current_once"],
        ),
        ("out twice", vec![dispatched(&[[2, 2]])], &["an_attempt_is_current_once"]),
        ("a good second attempt", vec![failed(0, 1, again), dispatched(&[[0, 2]]), completed(0, 2)], &[]),
    ];
    for (what, rest, expected) in cases {
        assert_eq!(broken_by(json!({}), &rest), expected, "{what}");
    }
}

#[test]
fn where_the_policy_says_so_dependants_run_without_a_result() {
    let rest = [failed(0, 1, json!({ "next": "exhausted", "budget": "failures" })), dispatched(&[[1, 1]])];
    assert_eq!(broken_by(json!({ "on_failure": "continue" }), &rest), [""; 0]);
    assert_eq!(broken_by(json!({ "on_failure": "continue" }), &rest[1..]), ["dependencies_come_first"]);
    assert_eq!(broken_by(json!({ "on_failure": "skip" }), &rest), ["dependencies_come_first"]);
}

#[test]
fn an_event_that_fits_nothing_ends_the_fold() {
    let mut lost = audit(&[opened(json!({})), vec![completed(9, 1), completed(0, 1)]].concat());
    assert!(lost.is_lost());
    lost.finish();
    assert_eq!(rules(&lost.violations()), ["events_can_be_folded"]);
    // One that only the machine knows to be wrong: what does not wait has its wait ended.
    let waits = json!({ "WaitEnded": { "at": NOON, "ordinal": 9 } });
    assert_eq!(broken_by(json!({}), &[waits]), ["events_can_be_folded"]);
}

#[test]
fn what_is_read_instead_of_the_stream_has_to_say_the_same() {
    let mut fold = audit(&whole());
    let row = Row::of_phase(fold.state()).expect("a row");
    let mut other = fold.state().clone();
    other.apply(&phase::Event::ReportRefused { at: NOON });
    fold.summary(Some(&Row { counts: Counts::default(), ..row }));
    fold.snapshot(Some(&other));
    fold.result(1, 2);
    fold.without_result(&[(2, 1)]);
    let expected = [
        "the_summary_is_the_fold",
        "the_snapshot_is_the_fold",
        "a_completion_for_every_result",
        "a_result_for_every_completion",
    ];
    assert_eq!(rules(&fold.violations()), expected);
    let mut none = audit(&whole());
    none.summary(None);
    none.snapshot(None);
    assert_eq!(rules(&none.violations()), expected[..2]);
    // A result of what has failed, and of what there is not.
    for (ordinal, attempt) in [(0, 1), (7, 1)] {
        let mut open = audit(&opened(json!({})));
        open.result(ordinal, attempt);
        assert_eq!(rules(&open.violations()), ["a_completion_for_every_result"]);
    }
}

fn project_of(events: &[Value]) -> ProjectAudit {
    let mut audit = ProjectAudit::new(id());
    for event in events {
        audit.event(&serde_json::from_str::<project::Event>(&event.to_string()).expect("an event"));
    }
    audit.committed();
    audit
}

fn accepted() -> Vec<Value> {
    vec![
        json!({ "Accepted": {
            "at": NOON, "cause": id(), "name": "shop", "description": "", "requester": "client-1", "run": 1,
            "id_namespace": id(), "fingerprint": "", "partitions": 8, "parameters": {}, "policy": {},
        }}),
        json!({ "GoalPlanned": { "goal": { "goal_name": "g", "priority": 1 } } }),
        json!({ "PhaseStarted": { "at": NOON, "cause": id(), "phase": 1, "partition": 0 } }),
        json!({ "AlarmSet": {
            "at": NOON, "alarm": { "number": 1, "not_before": NOON.plus_ms(60_000), "tier": 4, "cause": id() },
        }}),
    ]
}

#[test]
fn only_a_phase_that_is_planned_is_started() {
    let started = |phase| json!({ "PhaseStarted": { "at": NOON, "cause": id(), "phase": phase, "partition": 0 } });
    let broken = |phase| rules(&project_of(&[accepted(), vec![started(phase)]].concat()).violations());
    assert_eq!(broken(1), [""; 0]);
    assert!(broken(99).contains(&"a_started_phase_is_planned"), "{:?}", broken(99));
}

#[test]
fn a_project_ends_once_and_with_its_phases() {
    let counts = Counts { total: 3, completed: 3, ..Counts::default() };
    let reported = json!({ "PhaseReported": {
        "at": NOON, "phase": 1, "status": "COMPLETED", "counts": counts, "error": null,
    }});
    let events = [accepted(), vec![reported, ended("COMPLETED")]].concat();
    let end = PhaseEnd::of(audit(&whole()).state()).expect("it was opened");
    let found = |events: &[Value], ends: &[(u32, PhaseEnd)]| {
        let mut audit = project_of(events);
        let row = Row::of_project(audit.state());
        audit.summary(row.as_ref());
        audit.phases(&ends.iter().copied().collect::<BTreeMap<_, _>>());
        rules(&audit.violations())
    };
    assert_eq!(found(&events, &[(1, end)]), [""; 0]);
    assert_eq!(found(&accepted(), &[(1, PhaseEnd { has_ended: false, ..end })]), [""; 0]);
    let twice = [events.clone(), vec![ended("ERROR")]].concat();
    assert_eq!(found(&twice, &[(1, end)]), ["an_outcome_is_recorded_once"]);
    assert_eq!(
        found(&events, &[(1, PhaseEnd { has_ended: false, ..end })]),
        ["an_ended_project_has_no_open_phase", "a_completed_phase_was_reported_so",]
    );
    // A phase that was given up may not have heard of it.
    let given_up = json!({ "PhaseReported": {
        "at": NOON, "phase": 1, "status": "ERROR", "counts": Counts::default(), "error": "nobody is there",
    }});
    let farewell = json!({ "Told": {
        "at": NOON, "cause": id(), "number": 1, "phase": 1, "word": { "word": "cancel", "reason": "" },
    }});
    let end_open = PhaseEnd { has_ended: false, ..end };
    let without = [accepted(), vec![given_up.clone(), ended("ERROR")]].concat();
    assert_eq!(found(&without, &[(1, end_open)]), ["an_ended_project_has_no_open_phase"]);
    let told = [accepted(), vec![given_up, farewell, ended("ERROR")]].concat();
    assert_eq!(found(&told, &[(1, end_open)]), [""; 0]);
    assert_eq!(found(&events, &[]), ["a_completed_phase_was_reported_so"]);
    let fewer = PhaseEnd { counts: Counts { completed: 2, failed: 1, ..counts }, ..end };
    assert_eq!(found(&events, &[(1, fewer)]), ["a_completed_phase_was_reported_so"]);
    assert_eq!(found(&[], &[(1, end)]), ["a_phase_has_a_project"]);
    let mut other = project_of(&events);
    other.summary(None);
    assert_eq!(rules(&other.violations()), ["the_summary_is_the_fold"]);
}

#[test]
fn an_open_question_is_one_that_its_phase_asks() {
    let asked = json!({ "Asked": {
        "at": NOON, "question": id(), "phase": 1, "subtask": { "id": "1.0", "name": "a" }, "error": "permanent: no",
    }});
    let decided = json!({ "Decided": { "at": NOON, "cause": id(), "question": id(), "answer": "retry" } });
    let cancelled = json!({ "Told": {
        "at": NOON, "cause": id(), "number": 1, "phase": 1, "word": { "word": "cancel", "subtask": "1.0", "reason": "" },
    }});
    let open = [accepted(), vec![asked]].concat();
    let phase = audit(
        &[
            opened(json!({ "on_failure": "ask" })),
            vec![failed(
                0,
                1,
                json!({
                    "next": "ask", "budget": "failures", "cause": id(),
                }),
            )],
        ]
        .concat(),
    );
    let of_phase: BTreeSet<u32> = phase.state().questions().keys().copied().collect();
    let found = |later: &[Value], asked: BTreeMap<u32, BTreeSet<u32>>| {
        let before = project_of(&open).state().clone();
        let mut audit = project_of(&[open.clone(), later.to_vec()].concat());
        audit.questions(&before, &asked);
        rules(&audit.violations())
    };
    assert_eq!(found(&[], [(1, of_phase)].into()), [""; 0]);
    assert_eq!(found(&[], [(1, [2].into())].into()), ["an_open_question_is_asked"]);
    assert_eq!(found(&[], [].into()), [""; 0], "it has ended, and its report is under way");
    // It was answered, or is not wanted any more, while the phase was read.
    for later in [decided, cancelled] {
        assert_eq!(found(&[later], [(1, [].into())].into()), [""; 0]);
    }
}
