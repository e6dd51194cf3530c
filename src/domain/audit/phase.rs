//! The rules of a phase's stream.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Found, Row, Violation};
use crate::domain::phase::{Event, Phase};
use crate::wire::policy::{OnFailure, Policy};
use crate::wire::{Status, StreamId, SubtaskStatus};

/// The rules over all subtasks are looked at once for so many of them an event at the most: a look costs as much
/// as there are subtasks, and a phase may have a million.
const SUBTASKS_PER_EVENT: usize = 64;

/// A dispatch has the next number, and nothing of the subtask is out.
pub fn an_attempt_is_current_once(before: &Phase, ordinal: u32, attempt: u32) -> bool {
    let newest = before.subtask(ordinal).map_or(0, |subtask| subtask.attempt);
    attempt == newest + 1 && !before.flights().contains_key(&ordinal)
}

/// What is recorded of an attempt is of the one that is out.
pub fn only_the_current_attempt_counts(before: &Phase, ordinal: u32, attempt: u32) -> bool {
    before.flights().get(&ordinal).is_some_and(|flight| flight.attempt == attempt)
}

/// A subtask that has ended is not recorded a second time.
pub fn an_outcome_is_recorded_once(before: &Phase, ordinal: u32) -> bool {
    before.subtask(ordinal).is_some_and(|subtask| !is_final(subtask.status))
}

/// The first dependency of a subtask that is not completed although it goes out. Where the policy says that
/// dependants run without it, one that has ended otherwise will do; for a cleanup one that will not run any more.
pub fn dependencies_come_first(before: &Phase, ordinal: u32) -> Result<(), u32> {
    let (spec, dependencies) = (before.spec(ordinal), &before.spec(ordinal).dependencies);
    let ordinals = || dependencies.iter().flat_map(|span| span.ordinals());
    if spec.is_cleanup() {
        return ordinals().find(|&other| !is_over(before, other)).map_or(Ok(()), Err);
    }
    let policy = before.opened().and_then(|opened| Policy::read(&opened.policy).ok()).unwrap_or_default();
    let will_do = |status| match policy.on_failure {
        OnFailure::Continue => is_final(status),
        _ => status == SubtaskStatus::Completed,
    };
    let open = |other: &u32| !before.subtask(*other).is_some_and(|subtask| will_do(subtask.status));
    ordinals().find(open).map_or(Ok(()), Err)
}

/// Whether a subtask will not run any more: it has ended, or its phase is failing and it is no cleanup and is not out.
pub fn is_over(phase: &Phase, ordinal: u32) -> bool {
    let is_given_up =
        phase.is_failing() && !phase.spec(ordinal).is_cleanup() && !phase.flights().contains_key(&ordinal);
    is_given_up || phase.subtask(ordinal).is_some_and(|subtask| is_final(subtask.status))
}

/// The first cleanup that has not ended although its phase has, and was not cancelled.
pub fn cleanups_end_before_their_phase(phase: &Phase) -> Result<(), u32> {
    let is_cancelled = phase.ended().is_none_or(|ended| ended.status == Status::Cancelled);
    let mut cleanups = (0..phase.counts().total).filter(|&ordinal| phase.spec(ordinal).is_cleanup());
    let open = cleanups.find(|&ordinal| phase.subtask(ordinal).is_some_and(|subtask| !is_final(subtask.status)));
    open.filter(|_| !is_cancelled).map_or(Ok(()), Err)
}

fn is_final(status: SubtaskStatus) -> bool {
    use SubtaskStatus::{Busy, Cancelled, Completed, Error, Idle, Ready, Skipped, Waiting};
    match status {
        Completed | Error | Skipped | Cancelled => true,
        Idle | Ready | Busy | Waiting => false,
    }
}

/// Folds a phase's stream, and looks at every event.
#[derive(Debug)]
pub struct PhaseAudit {
    state: Phase,
    found: Found,
    /// How each subtask ended, as far as that was seen.
    finals: BTreeMap<u32, SubtaskStatus>,
    /// The attempt whose result completed a subtask.
    completions: BTreeMap<u32, u32>,
    /// Specs of which one copy went out: of the others nothing more is to be looked at.
    released: BTreeSet<u32>,
    events_since_look: usize,
    is_lost: bool,
}

impl PhaseAudit {
    pub fn new(stream: StreamId) -> Self {
        Self {
            state: Phase::default(),
            found: Found::new(stream),
            finals: BTreeMap::new(),
            completions: BTreeMap::new(),
            released: BTreeSet::new(),
            events_since_look: 0,
            is_lost: false,
        }
    }

    /// The fold so far.
    pub fn state(&self) -> &Phase {
        &self.state
    }

    /// Whether it can not be folded any further.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// The next event of the stream.
    pub fn event(&mut self, event: &Event) {
        if self.is_lost {
            return;
        }
        let (before, ended) = (self.state.version(), self.state.counts().ended());
        // What breaks a rule by itself is not folded: the machine would make nonsense of it.
        if !self.look_at(event, before + 1) {
            self.is_lost = true;
            return;
        }
        let folded = catch_unwind(AssertUnwindSafe(|| self.state.apply(event)));
        self.found.rule("events_can_be_folded", before + 1, folded.is_ok(), || "it does not fit the state".into());
        if folded.is_err() {
            self.is_lost = true;
            return;
        }
        let (version, now) = (self.state.version(), self.state.counts().ended());
        self.found.rule("versions_rise_by_one", version, version == before + 1, || format!("after {before}"));
        self.found.rule("an_outcome_is_final", version, now >= ended, || format!("{now} have ended, it was {ended}"));
        if let Event::Ended { .. } = event {
            let open = cleanups_end_before_their_phase(&self.state);
            self.found.rule("cleanups_end_before_their_phase", version, open.is_ok(), || {
                format!("ordinal {} has not ended", open.err().unwrap_or_default())
            });
        }
        self.events_since_look += 1;
    }

    /// The events so far are all of a commit.
    pub fn committed(&mut self) {
        if self.events_since_look * SUBTASKS_PER_EVENT >= self.state.counts().total as usize {
            self.look();
        }
    }

    /// The events so far are all that there are.
    pub fn finish(&mut self) {
        self.look();
    }

    /// The stream's row on the read side, which is of the same moment.
    pub fn summary(&mut self, row: Option<&Row>) {
        let fold = Row::of_phase(&self.state);
        self.found.rule("the_summary_is_the_fold", self.state.version(), fold.as_ref() == row, || differ(&fold, row));
    }

    /// The snapshot of the version that the fold is at now; none when it can not be read.
    pub fn snapshot(&mut self, snapshot: Option<&Phase>) {
        self.found.rule("the_snapshot_is_the_fold", self.state.version(), snapshot == Some(&self.state), || {
            match snapshot {
                None => "it can not be read".into(),
                Some(other) => format!("it has {:?} at {}", other.counts(), other.version()),
            }
        });
    }

    /// How many results there have to be by now.
    pub fn completions(&self) -> &BTreeMap<u32, u32> {
        &self.completions
    }

    /// A result is beside the stream, and the events that were folded are as new as it is, or newer.
    pub fn result(&mut self, ordinal: u32, attempt: u32) {
        let is_completed =
            self.state.subtask(ordinal).is_some_and(|subtask| subtask.status == SubtaskStatus::Completed);
        // One that was completed by an earlier stream, and is kept, may have brought its result with it.
        let fits = is_completed && self.completions.get(&ordinal).is_none_or(|&completed| completed == attempt);
        self.found.rule("a_completion_for_every_result", self.state.version(), fits, || {
            format!("ordinal {ordinal} attempt {attempt} has a result")
        });
    }

    /// The completions without a result, by ordinal and attempt.
    pub fn without_result(&mut self, missing: &[(u32, u32)]) {
        self.found.rule("a_result_for_every_completion", self.state.version(), missing.is_empty(), || {
            let (ordinal, attempt) = missing[0];
            format!("ordinal {ordinal} attempt {attempt}, {} in all", missing.len())
        });
    }

    /// Something that is wrong with the stream as it is stored.
    pub fn stored(&mut self, rule: &'static str, version: u64, detail: String) {
        self.found.rule(rule, version, false, || detail);
        self.is_lost = true;
    }

    pub fn violations(self) -> Vec<Violation> {
        self.found.violations
    }

    /// Whether an event can be folded.
    fn look_at(&mut self, event: &Event, version: u64) -> bool {
        match event {
            Event::Dispatched { commands, .. } => {
                commands.iter().all(|&(ordinal, attempt)| self.dispatched(version, ordinal, attempt))
            }
            Event::Completed { ordinal, attempt, .. } => {
                self.completions.insert(*ordinal, *attempt);
                self.answered(version, *ordinal, *attempt)
            }
            Event::Failed { ordinal, attempt, .. } => self.answered(version, *ordinal, *attempt),
            _ => true,
        }
    }

    fn is_known(&mut self, version: u64, ordinal: u32) -> bool {
        let is_known = self.state.subtask(ordinal).is_some();
        self.found.rule("events_can_be_folded", version, is_known, || format!("there is no subtask {ordinal}"));
        is_known
    }

    fn dispatched(&mut self, version: u64, ordinal: u32, attempt: u32) -> bool {
        if !self.is_known(version, ordinal) {
            return false;
        }
        let Self { state, found, released, .. } = self;
        let next = an_attempt_is_current_once(state, ordinal, attempt);
        found.rule("an_attempt_is_current_once", version, next, || {
            format!("ordinal {ordinal} attempt {attempt} goes out after {:?}", state.subtask(ordinal))
        });
        let is_open = an_outcome_is_recorded_once(state, ordinal);
        found.rule("an_outcome_is_final", version, is_open, || format!("ordinal {ordinal} goes out after its end"));
        let spec = state.subtask(ordinal).map_or(0, |subtask| subtask.spec);
        // Outcomes are final: what was completed once need not be looked at again for each copy.
        if released.insert(spec) {
            let open = dependencies_come_first(state, ordinal);
            found.rule("dependencies_come_first", version, open.is_ok(), || {
                format!("ordinal {ordinal} goes out before {}", open.err().unwrap_or_default())
            });
        }
        next && is_open
    }

    fn answered(&mut self, version: u64, ordinal: u32, attempt: u32) -> bool {
        if !self.is_known(version, ordinal) {
            return false;
        }
        let Self { state, found, .. } = self;
        let is_first = an_outcome_is_recorded_once(state, ordinal);
        found.rule("an_outcome_is_recorded_once", version, is_first, || {
            let status = state.subtask(ordinal).map_or(SubtaskStatus::Idle, |subtask| subtask.status);
            format!("ordinal {ordinal} attempt {attempt} comes when it is {status}")
        });
        let is_current = only_the_current_attempt_counts(state, ordinal, attempt);
        found.rule("only_the_current_attempt_counts", version, is_current, || {
            let out = state.flights().get(&ordinal).map(|flight| flight.attempt);
            format!("ordinal {ordinal} attempt {attempt} is recorded while {out:?} is out")
        });
        is_first && is_current
    }

    /// What holds after every commit, over all subtasks.
    fn look(&mut self) {
        self.events_since_look = 0;
        if self.is_lost {
            return;
        }
        let version = self.state.version();
        if let Err(rule) = self.state.check() {
            self.found.rule(rule, version, false, || format!("{:?}", self.state.counts()));
        }
        for ordinal in 0..self.state.counts().total {
            let Some(status) = self.state.subtask(ordinal).map(|subtask| subtask.status) else { continue };
            let was = match is_final(status) {
                true => *self.finals.entry(ordinal).or_insert(status),
                false => self.finals.get(&ordinal).copied().unwrap_or(status),
            };
            self.found.rule("an_outcome_is_final", version, was == status, || {
                format!("ordinal {ordinal} was {was} and is {status}")
            });
        }
    }
}

pub(super) fn differ(fold: &Option<Row>, row: Option<&Row>) -> String {
    match (fold, row) {
        (_, None) => "it has no row".into(),
        (None, Some(row)) => format!("it has a row although it was not opened: {row:?}"),
        (Some(fold), Some(row)) => format!("the fold is {fold:?}, the row {row:?}"),
    }
}
