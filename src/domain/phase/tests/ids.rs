//! Ids of messages, and what a message caused: the same cause always gives the same, and only what still holds.

use std::collections::BTreeSet;

use super::*;
use crate::domain::decision::effect_id;

#[test]
fn the_same_cause_gives_the_same_id_and_any_other_another() {
    let (namespace, first) = (Uuid::from_u128(1), cause(1));
    let effects = [
        Effect::Execute { ordinal: 1, attempt: 1 },
        Effect::Execute { ordinal: 1, attempt: 2 },
        Effect::Execute { ordinal: 2, attempt: 1 },
        Effect::StartPhase { phase: 1 },
        Effect::StartPhase { phase: 2 },
        Effect::Report,
        Effect::Alarm { number: 1 },
        Effect::Alarm { number: 2 },
        Effect::Alarm { number: u64::MAX },
    ];
    let mut ids = BTreeSet::new();
    for effect in effects {
        assert_eq!(effect_id(namespace, first, 1, effect), effect_id(namespace, first, 1, effect));
        ids.insert(effect_id(namespace, first, 1, effect));
        ids.insert(effect_id(namespace, cause(2), 1, effect));
        ids.insert(effect_id(namespace, first, 2, effect));
        ids.insert(effect_id(Uuid::from_u128(2), first, 1, effect));
    }
    assert_eq!(ids.len(), 4 * effects.len());
}

#[test]
fn an_id_never_changes() {
    // Recorded: a process of tomorrow has to send the same ids again as one of today.
    let id = effect_id(Uuid::from_u128(99), cause(1), 2, Effect::Execute { ordinal: 3, attempt: 1 });
    assert_eq!(id.to_string(), RECORDED_ID);
}

const RECORDED_ID: &str = "010e0715-1b9b-58e7-9be6-b488b62759e8";

#[test]
fn two_phases_that_are_told_the_same_send_the_same_ids() {
    let (mut one, mut other) = (Bench::open("a; b: a"), Bench::open("a; b: a"));
    assert_eq!(one.command(0), other.command(0));
    one.complete(0);
    other.complete(0);
    assert_eq!(one.command(1), other.command(1));
    // Caused by another message it is another command, though it is the same attempt.
    let mut third = Bench::open("a; b: a");
    third.give_again(cause(50), third.answer(0, done()));
    assert_ne!(one.command(1), third.command(1));
}

#[test]
fn what_a_message_caused_is_sent_again_while_it_holds() {
    let mut bench = Bench::open("a; b; c: a; d");
    let started = cause(1);
    let execute = |ordinal, attempt| Effect::Execute { ordinal, attempt };
    let alarm = Effect::Alarm { number: 1 };
    assert_eq!(effects(&bench.phase, started), [execute(0, 1), execute(1, 1), execute(3, 1), alarm]);
    let completed = bench.complete(0);
    assert_eq!(effects(&bench.phase, started), [execute(1, 1), execute(3, 1), alarm], "the first was answered");
    assert_eq!(effects(&bench.phase, completed.cause), [execute(2, 1)]);
    bench.fail(1, FailureKind::Transient);
    assert_eq!(effects(&bench.phase, started), [execute(3, 1), alarm], "the second has a newer attempt");
    bench.complete(3);
    assert_eq!(effects(&bench.phase, started), [alarm]);
    bench.alarm();
    assert_eq!(effects(&bench.phase, started), []);
    assert_eq!(effects(&bench.phase, cause(404)), []);
}

#[test]
fn what_answers_free_together_is_handed_out_because_of_the_last() {
    let mut bench = Bench::open("a; b; c: a; d: b; e: c d");
    let answers = [bench.answer(0, done()), bench.answer(1, done())];
    let (steps, settled) = bench.give_together(answers.clone());
    assert!(steps.iter().all(|step| step.effects.is_empty() && matches!(step.events(), [Event::Completed { .. }])));
    assert!(matches!(&settled[..], [Event::Dispatched { commands, .. }] if commands.len() == 2), "{settled:?}");
    let sent = |bench: &Bench, step: &Step| effects(&bench.phase, step.cause);
    let both = [Effect::Execute { ordinal: 2, attempt: 1 }, Effect::Execute { ordinal: 3, attempt: 1 }];
    assert_eq!((sent(&bench, &steps[0]), &sent(&bench, &steps[1])[..]), (vec![], &both[..]));
    // Delivered again they say the same, in whatever company.
    let [first, last] = [0, 1].map(|at| bench.give_again(steps[at].cause, answers[at].clone()));
    assert!(first.is_nothing() && last.is_nothing() && first.effects.is_empty() && last.effects == both);
    // One that fails beside them frees what waits as well; and the last answers end the phase together.
    bench.complete(2);
    let (last, copy) = (bench.answer(3, done()), bench.answer(3, done()));
    let (steps, _) = bench.give_together([last, copy]);
    assert!(steps[1].is_nothing());
    bench.complete(4);
    assert_eq!(bench.ended().0, Status::Completed);
    let mut bench = Bench::open("a; b");
    let answers = [bench.answer(0, done()), bench.answer(1, done())];
    let (steps, settled) = bench.give_together(answers);
    assert!(matches!(&settled[..], [Event::Ended { cause, .. }] if *cause == steps[1].cause), "{settled:?}");
    assert_eq!(bench.ended().0, Status::Completed);
}

#[test]
fn of_a_batch_of_contradicting_inputs_only_what_holds_in_the_end_is_sent() {
    // All decided, and then all effects asked for: as the runtime does with a batch.
    let mut bench = Bench::open("a; b; c: a b");
    let (ab, old) = (bench.answer(0, done()), bench.answer(1, done()));
    let batch = [
        bench.answer(1, failed(FailureKind::Transient)),
        old,
        ab.clone(),
        ab,
        Input::Recover,
        Input::Alarm { number: bench.alarm_number() },
    ];
    let causes: Vec<MessageId> = batch.into_iter().map(|input| bench.give(input).cause).collect();
    let sent: Vec<Effect> = causes.iter().flat_map(|cause| effects(&bench.phase, *cause)).collect();
    assert_eq!(sent, [Effect::Execute { ordinal: 1, attempt: 3 }, Effect::Alarm { number: 2 }]);
    assert_eq!(bench.shows(), "C1 B3 I0");
    // Had the phase failed in the same batch, nothing would be sent but the report, and the alarm that tells executors
    // of the command that was given up.
    bench.fail(1, FailureKind::Permanent);
    let sent: Vec<Effect> = causes.iter().flat_map(|cause| effects(&bench.phase, *cause)).collect();
    assert_eq!(sent, [Effect::Alarm { number: 2 }]);
}
