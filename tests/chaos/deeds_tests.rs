//! Each thing that a run could leave out is left out of one that has everything, and has to be missed.

use super::*;
use crate::condition::Condition;
use crate::ledger::now_us;
use crate::random::Random;
use crate::verdict::Stored;
use trireme::wire::Status;

const SECOND_US: u64 = 1_000_000;

/// A minute in which everything was done.
fn whole() -> Evidence {
    let mut evidence = Evidence::default();
    for number in 1..=200 {
        let (project, plan) = (ProjectId(Uuid::from_u128(number)), plan::plan(&mut Random::new(7)));
        evidence.submissions.push(Submission::Asked { at_us: 0, project, plan });
        evidence.submissions.push(Submission::Confirmed { at_us: 1, project });
        evidence.stored.insert(project, Stored { status: Some(Status::Completed), ..Stored::default() });
        let (at_us, status) = (70 * SECOND_US, Status::Completed);
        match number % 4 {
            0 | 2 | 3 => evidence.watched.push(Watched::Ended { at_us, project, status, completed: 1, total: 1 }),
            _ => evidence.submissions.push(Submission::Told { at_us, project, status }),
        }
    }
    let process = |number: u64| format!("{}-1-{number}", CREW[usize::try_from(number).expect("few") % 3].0);
    for number in 0..60 {
        let (at_us, kind) = (number * SECOND_US * 5 / 6, if number % 5 > 2 { STOP } else { KILL });
        evidence.faults.push(Broken::Fault { at_us, kind: kind.into(), target: process(number) });
        if kind == STOP {
            evidence.faults.push(Broken::Mended { at_us: at_us + 9, kind: CONTINUE.into(), target: process(number) });
        }
    }
    let all = [Fault::CloseConnections].into_iter().chain(Fault::OF_BROKER).chain(Fault::OF_DATABASE);
    for (second, fault) in (10..).zip(all) {
        let (at_us, kind) = (second * SECOND_US, fault.word().to_owned());
        evidence.faults.push(Broken::Fault { at_us, kind: kind.clone(), target: String::new() });
        evidence.faults.push(Broken::Mended { at_us: at_us + SECOND_US, kind, target: String::new() });
    }
    let kind = Fault::FailOver.word().to_owned();
    evidence.faults.push(Broken::Mended { at_us: 20 * SECOND_US, kind, target: "300".into() });
    for condition in [Condition::LACKS_PROGRAM, Condition::FEW_FILES, Condition::CLOCK] {
        let (kind, target) = (condition.to_owned(), "executor-9-2".to_owned());
        evidence.faults.push(Broken::Born { at_us: 5 * SECOND_US, kind, target });
    }
    evidence.alerts_ms.push(200);
    evidence.watched.push(Watched::CutOff { at_us: 12 * SECOND_US });
    // The first fault of all comes after the confirms.
    let Broken::Fault { at_us, .. } = &mut evidence.faults[0] else { unreachable!() };
    *at_us = 1;
    evidence
}

/// What is missed of a minute that was changed.
fn missed(change: impl FnOnce(&mut Evidence)) -> Vec<String> {
    let mut evidence = whole();
    change(&mut evidence);
    judge(&evidence, MINUTE, MINUTE).expect("judged").1
}

fn is_of(line: &Broken, of: &str) -> bool {
    let (Broken::Fault { kind, target, .. } | Broken::Mended { kind, target, .. } | Broken::Born { kind, target, .. }) =
        line;
    kind == of || target.starts_with(of)
}

#[test]
fn a_whole_minute_lacks_nothing() {
    let (deeds, lacking) = judge(&whole(), MINUTE, MINUTE).expect("judged");
    let expected = Deeds {
        kills: 60,
        broker_restarts: 2,
        db_restarts: 2,
        failovers: 1,
        failover_ms: 300,
        without_program: 1,
        alert_ms: 200,
        out_of_files: 1,
        clocks: 1,
        outlived_ms: 0,
    };
    assert_eq!((deeds, lacking), (expected, Vec::new()));
}

#[test]
fn conditions_that_nobody_had_and_what_took_too_long_are_missed() {
    for (kind, expected) in [
        (Condition::LACKS_PROGRAM, "there was no executor without its program"),
        (Condition::FEW_FILES, "there was no executor out of files"),
        (Condition::CLOCK, "there was no process whose clock differs"),
        (Fault::FailOver.word(), "there was no failover of the database"),
    ] {
        assert_eq!(missed(|evidence| evidence.faults.retain(|line| !is_of(line, kind))), [expected]);
    }
    assert_eq!(
        missed(|evidence| evidence.alerts_ms.clear()),
        ["there was no alert of an executor without its program"]
    );
    let slow = |line: &mut Broken| match line {
        Broken::Mended { kind, target, .. } if kind == Fault::FailOver.word() => *target = "5001".into(),
        _ => {}
    };
    let missing = missed(|evidence| evidence.faults.iter_mut().for_each(slow));
    assert_eq!(missing, ["the next commit after a failover came 5001 ms later, more than 5000"]);
    let outlived = |evidence: &mut Evidence| {
        let killed = evidence.faults.iter().find_map(|line| match line {
            Broken::Fault { at_us, kind, target } if kind == KILL => Some((target.clone(), at_us + 2_001_000)),
            _ => None,
        });
        evidence.last_lines.extend(killed);
    };
    let missing = missed(outlived);
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].starts_with("a program was there although its executor was killed "), "{missing:?}");
}

#[test]
fn too_little_is_missed() {
    let fewer_projects = |evidence: &mut Evidence| drop(evidence.submissions.drain(..3));
    assert_eq!(missed(fewer_projects), ["199 projects are fewer than 200"]);
    let fewer_kills = |evidence: &mut Evidence| drop(evidence.faults.drain(..1));
    assert_eq!(missed(fewer_kills), ["59 kills in 60 s are fewer than 60 a minute"]);
    // Half a minute needs half of the projects; a minute that took longer needs more kills.
    let (evidence, half) = (whole(), MINUTE / 2);
    assert_eq!(judge(&evidence, half, half).expect("judged").1, Vec::<String>::new());
    assert_eq!(judge(&evidence, 10 * MINUTE, MINUTE).expect("judged").1, Vec::<String>::new());
    let long = judge(&evidence, MINUTE, Duration::from_secs(80)).expect("judged").1;
    assert_eq!(long, ["60 kills in 80 s are fewer than 60 a minute"]);
}

#[test]
fn a_layer_that_was_spared_is_missed() {
    for (layer, _) in CREW {
        let spare = |evidence: &mut Evidence| {
            for line in &mut evidence.faults {
                let (Broken::Fault { target, .. } | Broken::Mended { target, .. } | Broken::Born { target, .. }) = line;
                if target.starts_with(layer) {
                    *target = "nobody-1-1".into();
                }
            }
        };
        assert_eq!(missed(spare), [format!("no {layer} was sent SIGKILL"), format!("no {layer} was sent SIGSTOP")]);
    }
    let sleeping = |evidence: &mut Evidence| {
        let at = evidence.faults.iter().position(|line| is_of(line, CONTINUE)).expect("some");
        evidence.faults.remove(at);
    };
    assert_eq!(missed(sleeping), ["24 processes were sent SIGSTOP, and 23 SIGCONT"]);
}

#[test]
fn servers_that_did_not_come_back_are_missed() {
    for (fault, what) in [(Fault::RestartBroker, "broker"), (Fault::KillDatabase, "database")] {
        let gone = |evidence: &mut Evidence| {
            evidence.faults.retain(|line| !is_of(line, fault.word()) || matches!(line, Broken::Fault { .. }));
        };
        assert_eq!(missed(gone), [format!("the {what} was restarted 1 times, not 2")]);
    }
}

#[test]
fn a_closing_that_nobody_noticed_is_missed() {
    let nobody = ["no connection was closed: the watcher was never cut off by it"];
    assert_eq!(missed(|evidence| evidence.faults.retain(|line| !is_of(line, "connections closed"))), nobody);
    assert_eq!(missed(|evidence| _ = evidence.watched.pop()), nobody);
    for at_us in [9 * SECOND_US, 17 * SECOND_US] {
        let by_something_else = |evidence: &mut Evidence| {
            evidence.watched.pop();
            evidence.watched.push(Watched::CutOff { at_us });
        };
        assert_eq!(missed(by_something_else), nobody);
    }
}

#[test]
fn faults_without_load_are_missed() {
    // All but the last ten projects are answered before the last fault.
    let idle = |evidence: &mut Evidence| {
        let confirmed = verdict::confirmed(&evidence.submissions);
        let ids: Vec<ProjectId> = confirmed.keys().copied().collect();
        let names: Vec<String> = plan::known(confirmed[&ids[0]]).expect("known").into_keys().collect();
        for project in &ids[10..] {
            for name in &names {
                let run = Uuid::now_v7();
                let (name, deps) = (name.clone(), BTreeMap::new());
                evidence.work.push(Work::Ran { at_us: 2, run, project: *project, name, attempt: 1, deps });
                // A second answer of the same changes nothing.
                for at_us in [49 * SECOND_US + 1, now_us()] {
                    evidence.work.push(Work::Answered { at_us, run, value: String::new() });
                }
            }
        }
    };
    let least = 10 * plan::known(&plan::plan(&mut Random::new(7))).expect("known").len();
    assert_eq!(missed(idle), [format!("1 of 65 faults met fewer than 200 outstanding subtasks: {least}")]);
}

#[test]
fn ends_that_nobody_heard_of_are_missed() {
    let untold = |evidence: &mut Evidence| {
        let at = evidence.submissions.iter().position(|line| matches!(line, Submission::Told { .. })).expect("some");
        evidence.submissions.remove(at);
    };
    let first = ProjectId(Uuid::from_u128(1));
    assert_eq!(missed(untold), [format!("of the end of 1 projects nobody heard, and nobody would tell: {first} ...")]);
    // Of what has not ended there is nothing to tell.
    let open = |evidence: &mut Evidence| {
        untold(evidence);
        evidence.stored.insert(first, Stored { status: Some(Status::Busy), ..Stored::default() });
    };
    assert_eq!(missed(open), Vec::<String>::new());
    let deaf = |evidence: &mut Evidence| {
        let Some(Watched::Ended { at_us, project, status, .. }) = evidence.watched.first().cloned() else {
            unreachable!()
        };
        evidence.watched.remove(0);
        evidence.submissions.push(Submission::Told { at_us, project, status });
    };
    assert_eq!(missed(deaf), ["the watcher heard of 149 of 200 ends, less than 75 %"]);
}
