//! Every cell of the table in `phase/mod.rs`.

use super::*;

/// An open phase, the same after its end, and one that nobody has heard of.
fn stages() -> [(&'static str, Bench); 3] {
    let open = Bench::open_with("a; b; c", 1);
    let mut ended = open.clone();
    for ordinal in 0..3 {
        ended.complete(ordinal);
    }
    assert_eq!(ended.ended(), (Status::Completed, None));
    [("open", open), ("ended", ended), ("unknown", Bench::new())]
}

/// The decision about an input at each stage.
fn at_each_stage(input: &dyn Fn(&Bench) -> Input) -> [Decision<Event>; 3] {
    let [open, _, _] = stages();
    let input = input(&open.1);
    stages().map(|(_, mut bench)| bench.give(input.clone()).decision)
}

fn is_record(decision: &Decision<Event>) -> bool {
    matches!(decision, Decision::Record(_))
}

#[test]
fn start() {
    let [open, ended, unknown] = at_each_stage(&|_| super::start(Ok(graph("a"))));
    assert_eq!(open, Decision::Nothing("the phase is open"));
    assert_eq!(ended, Decision::Nothing("the phase has ended"));
    assert!(is_record(&unknown));
}

#[test]
fn a_newer_start_of_an_ended_phase_has_it_report_again() {
    let newer = |version| match super::start(Err("not looked at".into())) {
        Input::Start(start) => Input::Start(Box::new(Start { project_version: version, ..*start })),
        other => other,
    };
    let [_, (_, mut ended), _] = stages();
    assert!(ended.give(newer(4)).is_nothing());
    assert!(ended.give(newer(5)).is_nothing());
    let again = ended.give(newer(6));
    let handed_over = Event::HandedOverAgain { at: NOON, project_version: 6 };
    assert_eq!(again.events(), [handed_over, Event::ReportAgain { at: NOON, cause: again.cause }]);
    assert_eq!(again.effects, [Effect::Report]);
    assert!(ended.give(newer(6)).is_nothing());
    assert_eq!(ended.ended(), (Status::Completed, None));
}

#[test]
fn a_newer_start_that_came_before_the_end_has_nothing_sent_after_it() {
    // Another owner has it still, and does not know that it was handled: the report must not come to depend on it.
    let [(_, mut open), ..] = stages();
    let start = Input::Start(Box::new(Start { project_version: 6, ..started(Ok(graph("a"))) }));
    let handed_over = open.give_again(cause(71), start.clone());
    assert_eq!(handed_over.events(), [Event::HandedOverAgain { at: NOON, project_version: 6 }]);
    let last = (0..3).map(|ordinal| open.complete(ordinal)).last().expect("three");
    assert!(open.give_again(cause(71), start).is_nothing());
    assert_eq!(effects(&open.phase, last.cause), [Effect::Report]);
}

#[test]
fn a_word_that_was_heard_means_nothing_any_more() {
    let cancel = Input::Word(Word::CancelSubtask { ordinal: 0, reason: None });
    for word in [Input::Recover, cancel] {
        let mut bench = Bench::under("ask", "a; b: a");
        assert!(is_record(&bench.give_again(cause(72), word.clone()).decision));
        assert_eq!(bench.give_again(cause(72), word.clone()).decision, Decision::Nothing("it was heard before"));
        bench.give(Input::Word(Word::Cancel { project_version: 9, reason: None }));
        assert!(bench.give_again(cause(72), word).is_nothing());
    }
}

#[test]
fn answers_of_the_current_command() {
    for body in [done(), failed(FailureKind::Transient), failed(FailureKind::Permanent)] {
        let [open, ended, unknown] = at_each_stage(&|bench| bench.answer(0, body.clone()));
        assert!(is_record(&open), "{body:?}");
        assert_eq!(ended, Decision::Nothing("the phase has ended"));
        assert_eq!(unknown, Decision::Refuse("unknown_stream"));
    }
}

#[test]
fn answers_of_other_commands() {
    let not_current = Decision::Nothing("it answers a command that is not current");
    for body in [done(), failed(FailureKind::Transient)] {
        let [open, ended, unknown] = at_each_stage(&|_| answer(0, cause(404), body.clone()));
        assert_eq!((open, ended), (not_current.clone(), Decision::Nothing("the phase has ended")));
        assert_eq!(unknown, Decision::Refuse("unknown_stream"));
        // One that was never handed out, and one that there is not.
        let [open, ..] = at_each_stage(&|bench| answer(1, bench.command(0), body.clone()));
        assert_eq!(open, not_current);
        let [open, ended, _] = at_each_stage(&|bench| answer(3, bench.command(0), body.clone()));
        assert_eq!(open, Decision::Refuse("unknown_subtask"));
        assert_eq!(ended, Decision::Nothing("the phase has ended"));
        let [open, ..] = at_each_stage(&|bench| answer(u32::MAX, bench.command(0), body.clone()));
        assert_eq!(open, Decision::Refuse("unknown_subtask"));
    }
}

#[test]
fn alarms() {
    for (number, sweeps) in [(0, false), (1, true), (2, true), (u64::MAX, true)] {
        let [open, ended, unknown] = at_each_stage(&|_| Input::Alarm { number });
        assert_eq!(is_record(&open), sweeps, "{number}: {open:?}");
        assert_eq!(ended, Decision::Nothing("the phase has ended"));
        assert_eq!(unknown, Decision::Refuse("unknown_stream"));
    }
}

#[test]
fn dead_commands() {
    let [open, ended, unknown] = at_each_stage(&|bench| bench.dead(0));
    assert!(is_record(&open));
    assert_eq!(ended, Decision::Nothing("the phase has ended"));
    assert_eq!(unknown, Decision::Refuse("unknown_stream"));
    let another = |ordinal| DeadCommand { ordinal, id: cause(404), reason: "rejected".into() };
    let [open, ..] = at_each_stage(&|_| Input::DeadCommand(another(0)));
    assert_eq!(open, Decision::Nothing("it answers a command that is not current"));
    let [open, ..] = at_each_stage(&|_| Input::DeadCommand(another(9)));
    assert_eq!(open, Decision::Refuse("unknown_subtask"));
}

#[test]
fn refusals() {
    for why in [Why::Nacked, Why::Returned, Why::Unsendable("too big".into())] {
        let [open, ended, unknown] = at_each_stage(&|bench| bench.refused(0, why.clone()));
        assert!(is_record(&open), "{why}");
        assert_eq!(ended, Decision::Nothing("the refused message is not current"));
        assert_eq!(unknown, Decision::Refuse("unknown_stream"));
    }
    for effect in [Effect::Report, Effect::Alarm { number: 1 }, Effect::StartPhase { phase: 2 }] {
        let [open, ..] =
            at_each_stage(&|bench| Input::Refused(Refusal { effect, id: bench.command(0), why: Why::Nacked }));
        assert_eq!(open, Decision::Nothing("only commands and questions are refused while a phase is open"));
    }
}

#[test]
fn recover() {
    let [open, ended, unknown] = at_each_stage(&|_| Input::Recover);
    assert!(is_record(&open) && is_record(&ended));
    assert!(
        matches!(&unknown, Decision::Record(events) if matches!(events[..], [Event::Recovered { .. }])),
        "{unknown:?}"
    );
}

#[test]
fn whatever_comes_again_after_the_end_changes_nothing_and_causes_nothing() {
    let [(_, open), (_, mut ended), _] = stages();
    for input in [open.answer(0, done()), open.dead(0), open.refused(0, Why::Nacked), Input::Alarm { number: 1 }] {
        assert_eq!(ended.give(input).effects, []);
    }
    assert_eq!(ended.shows(), "C1 C1 C1");
}
