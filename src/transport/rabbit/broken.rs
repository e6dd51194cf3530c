//! The protocol, broken on purpose, so that a test that looks for loss can be shown to find it. Only debug builds can
//! be told to: in any other there is no such switch.

/// The variable, and its value for acks that do not wait for confirms.
const SWITCH: (&str, &str) = ("TRIREME_BROKEN", "acks_before_confirms");

/// Whether every publish is to count as confirmed as soon as it was handed over.
pub(super) fn acks_before_confirms() -> bool {
    cfg!(debug_assertions) && std::env::var_os(SWITCH.0).is_some_and(|value| value == SWITCH.1)
}
