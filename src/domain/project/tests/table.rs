//! Every cell of the table in `project/mod.rs`.

use super::*;

/// The decision about an input by an open project, the same after its end, and one that nobody has heard of.
fn at_each_stage(input: &dyn Fn(&Bench) -> Input) -> [Decision<Event>; 3] {
    let open = Bench::open(&[1, 2]);
    let mut ended = open.clone();
    ended.complete(1);
    ended.complete(2);
    assert_eq!(ended.ended(), (Status::Completed, None));
    let input = input(&open);
    [open, ended, Bench::new()].map(|mut bench| bench.give(input.clone()).decision)
}

fn is_record(decision: &Decision<Event>) -> bool {
    matches!(decision, Decision::Record(_))
}

const ENDED: Decision<Event> = Decision::Nothing("the project has ended");
const UNKNOWN: Decision<Event> = Decision::Refuse("unknown_stream");

#[test]
fn requests() {
    let [open, ended, unknown] = at_each_stage(&|_| request(Ok(goals(&[1, 2]))));
    assert_eq!((&open, &ended), (&Decision::Nothing("the project is known"), &open));
    assert!(is_record(&unknown));
    let [open, ended, unknown] = at_each_stage(&|_| request_with(|request| request.fingerprint = "f2".into()));
    assert_eq!((&open, &ended), (&Decision::Refuse("another_request_under_this_id"), &open));
    assert!(is_record(&unknown));
}

#[test]
fn reports() {
    for status in [Status::Completed, Status::Error, Status::Cancelled] {
        let [open, ended, unknown] = at_each_stage(&|_| report(1, status));
        assert!(is_record(&open), "{status}");
        assert_eq!((ended, unknown), (ENDED, UNKNOWN));
    }
    let another = Decision::Nothing("the report is not of the current phase");
    for other in [
        report_of(2, Status::Completed),
        report_of(0, Status::Completed),
        report_of(u32::MAX, Status::Error),
        PhaseReport { run: 2, ..report_of(1, Status::Completed) },
        PhaseReport { run: 0, ..report_of(1, Status::Error) },
        report_of(1, Status::Busy),
        report_of(1, Status::Idle),
        report_of(1, Status::Waiting),
        report_of(1, Status::Paused),
    ] {
        let [open, ended, unknown] = at_each_stage(&|_| Input::Report(other.clone()));
        assert_eq!((open, ended, unknown), (another.clone(), ENDED, UNKNOWN), "{other:?}");
    }
}

#[test]
fn reports_with_absurd_counts() {
    let all = u32::MAX;
    for absurd in [
        Counts { total: 2, completed: 1, ..Counts::default() },
        Counts { total: all, completed: all, ..Counts::default() },
        Counts { total: all - 1, completed: all, failed: all, ..Counts::default() },
        Counts { total: 1_000_001, completed: 1_000_001, ..Counts::default() },
    ] {
        let report = PhaseReport { counts: absurd, ..report_of(1, Status::Completed) };
        let [open, ended, unknown] = at_each_stage(&|_| Input::Report(report.clone()));
        assert_eq!((open, ended, unknown), (Decision::Refuse("absurd_counts"), ENDED, UNKNOWN), "{absurd:?}");
    }
}

#[test]
fn alarms() {
    for (number, sweeps) in [(0, false), (1, true), (2, true), (u64::MAX, true)] {
        let [open, ended, unknown] = at_each_stage(&|_| Input::Alarm { number });
        assert_eq!(is_record(&open), sweeps, "{number}: {open:?}");
        assert_eq!((ended, unknown), (ENDED, UNKNOWN));
    }
}

#[test]
fn dead_phases() {
    let [open, ended, unknown] = at_each_stage(&|_| dead(1));
    assert!(is_record(&open));
    assert_eq!((ended, unknown), (ENDED, UNKNOWN));
    for another in [0, 2, 3] {
        let [open, ended, unknown] = at_each_stage(&|_| dead(another));
        assert_eq!(open, Decision::Nothing("the dead letter is not of the current phase"));
        assert_eq!((ended, unknown), (ENDED, UNKNOWN));
    }
}

#[test]
fn refusals() {
    for why in [Why::Nacked, Why::Returned, Why::Unsendable("too big".into())] {
        let [open, ended, unknown] = at_each_stage(&|bench| bench.refused(1, why.clone()));
        assert!(is_record(&open), "{why}");
        assert_eq!((ended, unknown), (ENDED, UNKNOWN));
    }
    let not_current = Decision::Nothing("the refused message is not current");
    for effect in [
        Effect::StartPhase { phase: 1 },
        Effect::StartPhase { phase: 2 },
        Effect::Report,
        Effect::Alarm { number: 1 },
        Effect::Execute { ordinal: 0, attempt: 1 },
        Effect::Tell { number: 1 },
    ] {
        let refusal = Refusal { effect, id: cause(404), why: Why::Nacked };
        let [open, ended, unknown] = at_each_stage(&|_| Input::Refused(refusal.clone()));
        assert_eq!((open, ended, unknown), (not_current.clone(), ENDED, UNKNOWN), "{effect:?}");
    }
}

#[test]
fn recover() {
    let [open, ended, unknown] = at_each_stage(&|_| Input::Recover);
    assert!(is_record(&open));
    assert_eq!((ended, unknown), (ENDED, UNKNOWN));
}

#[test]
fn questions() {
    let [open, ended, unknown] = at_each_stage(&|_| question(70, 1, 0));
    assert!(is_record(&open));
    assert_eq!((ended, unknown), (ENDED, UNKNOWN));
}

#[test]
fn words() {
    let of_subtask = Input::Cancel(Cancel { subtask: Some(subtask(1, 0)), reason: None });
    for (word, opens, is_remembered) in [
        (cancel(), true, true),
        (of_subtask, true, false),
        (Input::Pause, true, true),
        (decide_on(70, Answer::Retry), false, false),
    ] {
        let [open, ended, unknown] = at_each_stage(&|_| word.clone());
        assert_eq!(is_record(&open), opens, "{word:?}: {open:?}");
        assert_eq!(ended, ENDED, "{word:?}");
        assert_eq!(is_record(&unknown), is_remembered, "{word:?}: {unknown:?}");
        assert!(is_remembered || unknown == UNKNOWN);
    }
    let [open, ended, unknown] = at_each_stage(&|_| Input::Resume);
    let not_paused = Decision::Nothing("the project is not paused");
    assert_eq!((open, ended, unknown), (not_paused.clone(), ENDED, not_paused));
    let again = Retry { subtask: Some(subtask(1, 0)), ..retry() };
    let [open, ended, unknown] = at_each_stage(&|_| Input::Retry(again.clone()));
    assert_eq!((open, unknown), (Decision::Nothing("the project is still open"), UNKNOWN));
    assert!(is_record(&ended));
}
