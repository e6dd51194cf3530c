//! How many subtasks an executor can run at once with the files that this process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use trireme::runtime::executor::ExecutorOptions;

/// Files of the process itself: standard streams, connections, a store, and what an outage makes twice for a moment.
/// An idle executor has 14 open.
const OWN_FILES: u64 = 40;

/// Bounds the slots of an executor by the files that this process may open, after raising its limit as far as it may
/// where that is needed. Says what it did.
pub fn bound_slots(options: &mut ExecutorOptions) {
    let files = options.skills.values().map(|skill| u64::from(skill.runner.files_per_attempt())).max().unwrap_or(0);
    if files == 0 {
        return;
    }
    let wanted = OWN_FILES + files * u64::from(options.slots);
    let limit = getrlimit(Resource::Nofile);
    let (Some(current), highest) = (limit.current, limit.maximum.unwrap_or(u64::MAX)) else { return };
    if current >= wanted {
        return;
    }
    // No higher than needed, for programs inherit it: some close every file up to their limit when they start.
    let raised = wanted.min(highest);
    let open_files = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
        Ok(()) => raised,
        Err(_) => current,
    };
    let slots = slots(open_files, files, options.slots);
    if slots == options.slots {
        tracing::info!(open_files, before = current, slots, "the limit of open files was raised for this many slots");
        return;
    }
    tracing::warn!(
        slots,
        configured = options.slots,
        open_files,
        "fewer slots than configured: this process may not open more files; hint: raise `ulimit -n`, or set fewer `agents.slots`"
    );
    options.slots = slots;
}

/// At least one: an attempt that can not open its files waits until it can.
fn slots(open_files: u64, files_per_attempt: u64, configured: u32) -> u32 {
    let most = open_files.saturating_sub(OWN_FILES) / files_per_attempt;
    u32::try_from(most).unwrap_or(u32::MAX).clamp(1, configured.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_fit_the_files_that_may_be_open() {
        for (open_files, configured, expected) in
            [(60, 50, 4), (1_024, 400, 196), (1_024, 4, 4), (20_000, 400, 400), (10, 50, 1), (u64::MAX, 50, 50)]
        {
            assert_eq!(slots(open_files, 5, configured), expected, "{open_files}");
        }
    }
}
