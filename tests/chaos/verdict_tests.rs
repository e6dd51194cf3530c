//! Each fault that a run could have is put into an evidence without faults, and has to be found.

use super::*;
use crate::random::Random;

/// A project that went well: every subtask ran once, in the order of the plan.
fn well() -> Evidence {
    let id = ProjectId(Uuid::from_u128(1));
    let plan = plan::plan(&mut Random::new(7));
    let known = plan::known(&plan).expect("known");
    let mut evidence = Evidence {
        submissions: vec![
            Submission::Asked { at_us: 0, project: id, plan: plan.clone() },
            Submission::Confirmed { at_us: 1, project: id },
        ],
        ..Evidence::default()
    };
    let mut stored = Stored { status: Some(Status::Completed), ..Stored::default() };
    let mut at_us = 10;
    // By and by: whoever has all that it depends on.
    while stored.results.len() < known.len() {
        let lowest = known.iter().filter(|(name, _)| !stored.results.contains_key(*name)).map(|(_, k)| k.priority);
        let lowest = lowest.min().unwrap_or(1);
        let (name, next) = known
            .iter()
            .find(|(name, next)| {
                let is_new = !stored.results.contains_key(*name) && next.priority == lowest;
                is_new && next.deps.keys().all(|of| stored.results.contains_key(of))
            })
            .expect("no circle");
        let run = Uuid::from_u128(u128::from(at_us));
        let deps = next.deps.keys().map(|of| (of.clone(), stored.results[of].clone())).collect();
        evidence.work.push(Work::Ran { at_us, run, project: id, name: name.clone(), attempt: 1, deps });
        evidence.work.push(Work::Answered { at_us: at_us + 5, run, value: next.value.clone() });
        stored.results.insert(name.clone(), Answer { value: next.value.clone(), run });
        stored.completions.insert(name.clone(), 1);
        at_us += 10;
    }
    let total = u32::try_from(known.len()).expect("few");
    evidence.watched.push(Watched::Ended { at_us, project: id, status: Status::Completed, completed: total, total });
    evidence.stored.insert(id, stored);
    evidence
}

fn judged(change: impl FnOnce(&mut Evidence)) -> (usize, usize, usize, usize) {
    let mut evidence = well();
    change(&mut evidence);
    let verdict = judge(&evidence).expect("judged");
    (verdict.lost, verdict.recorded_twice, verdict.stuck, verdict.wrong)
}

fn stored(evidence: &mut Evidence) -> &mut Stored {
    evidence.stored.values_mut().next().expect("one project")
}

fn ran<'a>(evidence: &'a mut Evidence, named: &str) -> &'a mut Work {
    evidence.work.iter_mut().find(|line| matches!(line, Work::Ran { name, .. } if name == named)).expect("it ran")
}

#[test]
fn what_went_well_is_clean() {
    let verdict = judge(&well()).expect("judged");
    assert!(verdict.is_clean(), "{:?}", verdict.findings);
    assert_eq!((verdict.projects, verdict.executions), (1, verdict.subtasks));
}

#[test]
fn a_second_execution_is_no_fault() {
    let surplus = |evidence: &mut Evidence| {
        let mut again = ran(evidence, "source").clone();
        if let Work::Ran { run, .. } = &mut again {
            *run = Uuid::from_u128(999);
        }
        evidence.work.push(again);
    };
    assert_eq!(judged(surplus), (0, 0, 0, 0));
}

#[test]
fn what_is_not_on_record_is_lost() {
    // Answered, and not recorded; what waits for it is not counted too.
    let unrecorded = |evidence: &mut Evidence| {
        for name in ["next", "end"] {
            stored(evidence).results.remove(name);
        }
    };
    assert_eq!(judged(unrecorded), (1, 0, 0, 0));
    let unknown = |evidence: &mut Evidence| {
        evidence.stored.clear();
        evidence.watched.clear();
        evidence.work.clear();
    };
    assert_eq!(judged(unknown), (1, 0, 1, 0));
}

#[test]
fn an_answer_of_another_run_is_recorded_twice() {
    let another = |evidence: &mut Evidence| {
        let other = Uuid::from_u128(999);
        let Work::Ran { at_us, project, name, deps, .. } = ran(evidence, "source").clone() else { unreachable!() };
        let value = stored(evidence).results["source"].value.clone();
        evidence.work.push(Work::Ran { at_us, run: other, project, name, attempt: 2, deps });
        evidence.work.push(Work::Answered { at_us: at_us + 5, run: other, value });
        stored(evidence).results.get_mut("source").expect("it is there").run = other;
    };
    assert_eq!(judged(another), (0, 1, 0, 0));
    assert_eq!(
        judged(|evidence| *stored(evidence).completions.get_mut("join").expect("it is there") = 2),
        (0, 1, 0, 0)
    );
    assert_eq!(judged(|evidence| evidence.watched.push(evidence.watched[0].clone())), (0, 1, 0, 0));
}

#[test]
fn a_project_without_an_end_is_stuck() {
    let open = |evidence: &mut Evidence| {
        stored(evidence).status = Some(Status::Busy);
        evidence.watched.clear();
    };
    assert_eq!(judged(open), (0, 0, 1, 0));
}

#[test]
fn a_wrong_value_order_or_ending_is_wrong() {
    let value = |evidence: &mut Evidence| {
        let Work::Answered { value, .. } = evidence.work.last_mut().expect("work") else { unreachable!() };
        *value = "0".into();
    };
    // The answer itself; and what is recorded is not what was answered, so that it is not on record.
    assert_eq!(judged(value), (1, 0, 0, 2));
    let handed = |evidence: &mut Evidence| {
        let Work::Ran { deps, .. } = ran(evidence, "end") else { unreachable!() };
        deps.get_mut("next").expect("it is there").value = "0".into();
    };
    assert_eq!(judged(handed), (0, 0, 0, 2));
    let without = |evidence: &mut Evidence| {
        let Work::Ran { deps, .. } = ran(evidence, "end") else { unreachable!() };
        deps.clear();
    };
    assert_eq!(judged(without), (0, 0, 0, 1));
    let early = |evidence: &mut Evidence| {
        let Work::Ran { at_us, .. } = ran(evidence, "next") else { unreachable!() };
        *at_us = 5;
    };
    assert_eq!(judged(early), (0, 0, 0, 1));
    assert_eq!(judged(|evidence| stored(evidence).status = Some(Status::Error)), (0, 0, 0, 2));
    let unasked = |evidence: &mut Evidence| evidence.submissions.clear();
    assert_eq!(judged(unasked), (0, 0, 0, 1));
}
