//! Children of this process that it has not started: who lost its parent comes to a process that is a child subreaper, or
//! the first one of a container. They are reaped; what a killed guard has left behind is killed first.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use super::guard;

/// Interval between two looks. A child that is there at two of them and is not one of ours is an orphan: a child that
/// was just started may not be in the list yet.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Every program of ours has this variable, and so has what it starts.
const MARK: &[u8] = b"TRIREME_SUBTASK_ID=";

/// The processes that this one has started and waits for by itself.
static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn own() -> MutexGuard<'static, BTreeSet<i32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that this process waits for by itself, as long as this is kept.
pub(super) struct OwnChild(i32);

impl OwnChild {
    pub(super) fn of(pid: Option<u32>) -> Option<Self> {
        let pid = i32::try_from(pid?).ok()?;
        own().insert(pid);
        Some(Self(pid))
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        own().remove(&self.0);
    }
}

/// Looks after orphans for as long as this process runs.
pub(super) async fn look_after() {
    // Others may have children here that are not our programs': the first process of a container gets all orphans, and a
    // shell that becomes this process (`helper & exec trireme executor`) leaves its own.
    let is_shared = getpid().as_raw_nonzero().get() == 1 || !children().is_empty();
    let mut seen = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let strangers: BTreeSet<i32> = children().difference(&own()).copied().collect();
        for &pid in strangers.intersection(&seen) {
            end(pid, is_shared);
        }
        seen = strangers;
    }
}

/// The children of this process, of whichever thread.
fn children() -> BTreeSet<i32> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Reaps an orphan that has ended. One that runs is killed, with all below it, where it can only be what a killed guard has
/// left.
fn end(pid: i32, is_shared: bool) {
    let Some(process) = Pid::from_raw(pid) else { return };
    let reaped = waitpid(Some(process), WaitOptions::NOHANG);
    if matches!(reaped, Ok(None)) && (!is_shared || has_mark(pid)) {
        tracing::warn!(pid, "a program has lost its guard, and is killed");
        let below = guard::below(process);
        for process in std::iter::once(process).chain(below) {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

fn has_mark(pid: i32) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|variable| variable.starts_with(MARK))
}
