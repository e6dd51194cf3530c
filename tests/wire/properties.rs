//! What holds of any envelope.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use trireme::wire::codec;

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
