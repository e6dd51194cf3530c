//! What holds of any envelope.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use trireme::wire::{Content, Raw, codec};

use super::records::single;
use super::strategies::envelope;

fn settings() -> ProptestConfig {
    // No file of failures is written: a failing case is printed, and becomes a test of its own.
    ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn any_envelope_comes_back(envelope in envelope()) {
        let body = codec::encode(&envelope).expect("it can be sent");
        prop_assert_eq!(codec::decode(&body), [Ok(envelope)]);
    }

    #[test]
    fn joined_envelopes_come_back_in_their_order(envelopes in proptest::collection::vec(envelope(), 1..6)) {
        let bodies: Vec<Bytes> = envelopes.iter().map(|one| codec::encode(one).expect("it can be sent")).collect();
        let joined = codec::join(&bodies);
        let taken: Result<Vec<_>, _> = codec::decode(&joined).into_iter().collect();
        prop_assert_eq!(taken, Ok(envelopes));
    }

    /// What is accepted as a result can be handed on, alone and in a list, whatever is in it.
    #[test]
    fn a_result_that_is_accepted_can_be_handed_on(depth in 0usize..70, opening in "[\\[{]", text in "[\\[\\]{}\\\\\"a]{0,80}") {
        let text = serde_json::to_string(&text).expect("a text");
        let (open, close) = if opening == "[" { ("[", "]") } else { ("{\"a\":", "}") };
        let result = Raw::parse(format!("{}{text}{}", open.repeat(depth), close.repeat(depth))).expect("JSON");
        prop_assert_eq!(codec::is_too_deep_to_hand_on(&result), depth > codec::RESULT_DEPTH_MAX);
        if !codec::is_too_deep_to_hand_on(&result) {
            let (_, record) = single().into_iter().find(|(name, _)| name == "ExecuteSubtask").expect("a record");
            let mut message = codec::decode(&Bytes::from(record)).remove(0).expect("it can be read");
            let Content::ExecuteSubtask(command) = &mut message.content else { unreachable!("it is one") };
            command.deps = Raw::parse(format!("{{\"a\": [{}]}}", result.get())).expect("JSON");
            prop_assert!(codec::encode(&message).is_ok(), "{depth}");
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!codec::decode(&Bytes::from(bytes)).is_empty());
    }
}

#[test]
fn the_strategy_makes_every_content() {
    let mut runner = TestRunner::deterministic();
    let mut missing: BTreeSet<String> = single().into_iter().map(|(name, _)| name).collect();
    for _ in 0..2_000 {
        let one = envelope().new_tree(&mut runner).expect("an envelope").current();
        missing.remove(one.content.name());
        if missing.is_empty() {
            return;
        }
    }
    panic!("never made: {missing:?}");
}
