//! Broken variants of the delivery protocol: each leaves out one of its rules, so that tests can show that the rule
//! is needed, and that they notice. Only builds with debug assertions have them; elsewhere [`is`] is `false` before
//! the program begins, and nothing of them is left.
//!
//! A process takes the one that `TRIREME_BROKEN` names; the simulator chooses one for its own thread.

use uuid::Uuid;

/// The rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Deliveries are acked as they come, before anything is committed, published or confirmed.
    AcksBeforeConfirms,
    /// Effects go out before the decision that they follow from is written.
    PublishesBeforeCommits,
    /// What was decided is written whatever happened to the stream since.
    NoVersionCheck,
    /// "Nothing to do" is not held against the version that it was decided at, and what is kept in memory outlives
    /// the channel that it was learned through.
    StaleNothing,
    /// A phase that has no share of the window waits until it gets one.
    NoFloor,
    /// Of what a handled message caused only commands are known.
    CausesOfCommandsOnly,
    /// What a handled message caused is sent again when the broker says that it was delivered before, and not when
    /// the answer of a commit was lost.
    AgainByFlagOnly,
    /// What a handled message caused is never sent again.
    NeverAgain,
    /// Messages have random ids, another each time.
    RandomIds,
    /// Alarms are not sent.
    AlarmsForgotten,
    /// An answer counts when it names the number of the current attempt.
    FencedByNumber,
    /// What a person answers counts for whatever is asked.
    AnswersUnnamed,
    /// An executor holds the time of a command's owner against its own machine's clock.
    ClocksTrusted,
}

impl Broken {
    pub const ALL: [Self; 13] = [
        Self::AcksBeforeConfirms,
        Self::PublishesBeforeCommits,
        Self::NoVersionCheck,
        Self::StaleNothing,
        Self::NoFloor,
        Self::CausesOfCommandsOnly,
        Self::AgainByFlagOnly,
        Self::NeverAgain,
        Self::RandomIds,
        Self::AlarmsForgotten,
        Self::FencedByNumber,
        Self::AnswersUnnamed,
        Self::ClocksTrusted,
    ];

    /// What `TRIREME_BROKEN` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcksBeforeConfirms => "acks_before_confirms",
            Self::PublishesBeforeCommits => "publishes_before_commits",
            Self::NoVersionCheck => "no_version_check",
            Self::StaleNothing => "stale_nothing",
            Self::NoFloor => "no_floor",
            Self::CausesOfCommandsOnly => "causes_of_commands_only",
            Self::AgainByFlagOnly => "again_by_flag_only",
            Self::NeverAgain => "never_again",
            Self::RandomIds => "random_ids",
            Self::AlarmsForgotten => "alarms_forgotten",
            Self::FencedByNumber => "fenced_by_number",
            Self::AnswersUnnamed => "answers_unnamed",
            Self::ClocksTrusted => "clocks_trusted",
        }
    }
}

/// Whether this program leaves that rule out.
#[cfg(debug_assertions)]
pub fn is(broken: Broken) -> bool {
    switch::chosen() == Some(broken)
}

#[cfg(not(debug_assertions))]
pub const fn is(_: Broken) -> bool {
    false
}

/// The id that a message goes out with.
pub(crate) fn id(id: Uuid) -> Uuid {
    if is(Broken::RandomIds) { another(id) } else { id }
}

/// What an answer names of the command that it answers: its id, or nothing but its number.
pub(crate) fn fence(command: Uuid, attempt: u32) -> Uuid {
    if is(Broken::FencedByNumber) { Uuid::from_u128(attempt.into()) } else { command }
}

#[cfg(debug_assertions)]
use switch::another;
#[cfg(debug_assertions)]
pub use switch::choose;

#[cfg(not(debug_assertions))]
const fn another(id: Uuid) -> Uuid {
    id
}

#[cfg(debug_assertions)]
mod switch {
    use std::cell::Cell;
    use std::sync::OnceLock;

    use uuid::Uuid;

    use super::Broken;

    thread_local! {
        static CHOSEN: Cell<Option<Broken>> = const { Cell::new(None) };
        static DRAWN: Cell<u64> = const { Cell::new(0) };
    }

    /// What this thread leaves out from here on, and ids are drawn anew.
    pub fn choose(broken: Option<Broken>) {
        CHOSEN.set(broken);
        DRAWN.set(0);
    }

    pub(super) fn chosen() -> Option<Broken> {
        CHOSEN.get().or_else(of_process)
    }

    fn of_process() -> Option<Broken> {
        static NAMED: OnceLock<Option<Broken>> = OnceLock::new();
        *NAMED.get_or_init(|| {
            let name = std::env::var("TRIREME_BROKEN").ok()?;
            let named = Broken::ALL.into_iter().find(|broken| broken.name() == name);
            let named = named.unwrap_or_else(|| panic!("`TRIREME_BROKEN` is `{name}`, and there is no such variant"));
            tracing::warn!(rule = name, "this process leaves out a rule of the protocol, and will lose work");
            Some(named)
        })
    }

    /// An id that is no function of what it is of.
    pub(super) fn another(id: Uuid) -> Uuid {
        let drawn = DRAWN.get() + 1;
        DRAWN.set(drawn);
        Uuid::new_v5(&id, &drawn.to_be_bytes())
    }
}
