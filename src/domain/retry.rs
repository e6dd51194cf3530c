//! Whether a failed attempt is tried again, and when.
//!
//! The wait before an attempt is drawn with full jitter between zero and a bound that grows with each charged
//! failure. It is derived from the id of the command that failed, so the same history gives the same waits.

use serde::{Deserialize, Serialize};

use super::bad_input::{BadInput, quote};
use super::nearest;
use crate::wire::{FailureKind, MessageId};

/// The longest that an executor may ask for with `retry_after_ms`: a day. What asks for more is a mistake.
const RETRY_AFTER_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// The kinds that may be named as worth another attempt. Nobody wants what was cancelled, and what was released is
/// tried again anyway.
const NAMED: [FailureKind; 5] = [
    FailureKind::Transient,
    FailureKind::Timeout,
    FailureKind::Crashed,
    FailureKind::Unsupported,
    FailureKind::Permanent,
];

/// The kinds of these names, each once.
pub fn kinds<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<FailureKind>, BadInput> {
    let mut kinds = Vec::new();
    for name in names {
        let Some(kind) = NAMED.into_iter().find(|kind| kind.as_str() == name) else {
            let hint = nearest::hint(name, NAMED.map(FailureKind::as_str));
            return Err(BadInput::new(format!("no failure {} is tried again", quote(name))).or_perhaps(hint));
        };
        match kinds.contains(&kind) {
            true => return Err(BadInput::new(format!("{} is there twice", quote(name)))),
            false => kinds.push(kind),
        }
    }
    Ok(kinds)
}

/// What a skill, or a subtask, says of further attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// The longest wait before the second attempt, in milliseconds.
    pub first_ms: u64,
    /// What each further failure multiplies it by.
    pub factor: u32,
    /// The longest wait of all, in milliseconds.
    pub max_ms: u64,
    /// The kinds that are tried again.
    pub on: Vec<FailureKind>,
}

impl Default for Retry {
    fn default() -> Self {
        let on = vec![FailureKind::Transient, FailureKind::Timeout, FailureKind::Crashed];
        Self { first_ms: 1_000, factor: 2, max_ms: 300_000, on }
    }
}

impl Retry {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub fn retries(&self, kind: FailureKind) -> bool {
        self.on.contains(&kind)
    }

    /// How long to wait after the charged failure of this number, from 1, of `command`. An executor that says when
    /// to come back is believed: it is never asked sooner.
    pub fn wait_ms(&self, command: MessageId, failures: u32, retry_after_ms: Option<u64>) -> u64 {
        let growth = u64::from(self.factor).saturating_pow(failures.saturating_sub(1));
        let bound = self.first_ms.saturating_mul(growth).min(self.max_ms);
        let asked = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX);
        jitter(command, bound).max(asked)
    }
}

/// A number from 0 to `bound`, the same for the same id.
pub fn jitter(id: MessageId, bound: u64) -> u64 {
    let drawn = xxhash_rust::xxh3::xxh3_64(id.0.as_bytes());
    // The high half of the product spreads it evenly, without a division.
    let scaled = (u128::from(drawn) * (u128::from(bound) + 1)) >> 64;
    u64::try_from(scaled).unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn command(number: u128) -> MessageId {
        MessageId(Uuid::from_u128(number))
    }

    #[test]
    fn waits_grow_are_bounded_and_spread() {
        let retry = Retry::default();
        let longest = |failures| (0..1_000).map(|number| retry.wait_ms(command(number), failures, None)).max();
        for (failures, bound) in [(1, 1_000), (2, 2_000), (3, 4_000), (9, 256_000), (10, 300_000), (4_000, 300_000)] {
            let longest = longest(failures).expect("a thousand waits");
            assert!(longest <= bound && longest > bound * 95 / 100, "{failures}: {longest} of {bound}");
        }
        let mean = (0..1_000).map(|number| retry.wait_ms(command(number), 1, None)).sum::<u64>() / 1_000;
        assert!((450..550).contains(&mean), "{mean}");
        assert_eq!(retry.wait_ms(command(7), 3, None), retry.wait_ms(command(7), 3, None));
    }

    #[test]
    fn an_executor_that_says_when_is_never_asked_sooner() {
        let retry = Retry::default();
        assert!((0..100).all(|number| retry.wait_ms(command(number), 1, Some(10_000)) == 10_000));
        assert!((0..100).all(|number| retry.wait_ms(command(number), 1, Some(1)) <= 1_000));
        assert_eq!(retry.wait_ms(command(1), 1, Some(u64::MAX)), RETRY_AFTER_MS_MAX);
    }

    #[test]
    fn only_kinds_that_are_charged_can_be_named() {
        assert_eq!(kinds(["timeout", "permanent"]), Ok(vec![FailureKind::Timeout, FailureKind::Permanent]));
        assert_eq!(kinds([]), Ok(Vec::new()));
        for (bad, expected) in [
            (&["timeout", "timeout"][..], "`timeout` is there twice"),
            (&["tranzient"], "no failure `tranzient` is tried again (did you mean `transient`?)"),
            (
                &["released"],
                "no failure `released` is tried again (known are `transient`, `timeout`, `crashed`, `unsupported`, `permanent`)",
            ),
        ] {
            assert_eq!(kinds(bad.iter().copied()).expect_err("bad").in_one_line(), expected);
        }
    }
}
