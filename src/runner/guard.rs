//! The guard of one program: a process of this binary between an executor and a program that it runs, so that nothing of
//! the program outlives its attempt or its executor, however these end.
//!
//! ```text
//!   executor ── socket ── guard (subreaper) ── program (leads a process group) ── what that starts
//! ```
//!
//! The guard is a *child subreaper*: whoever loses its parent below it becomes its child, also what left the process group
//! or the session. When the program has ended, or the socket says so, the guard kills and reaps all that is left below it,
//! and only then reports how the program ended. The kernel closes the socket when the executor dies, by SIGKILL too:
//! that is the same to the guard as the order to kill. (`PR_SET_PDEATHSIG` follows the thread that started a child, and
//! reaches one process only.)
//!
//! | on the socket | bytes | meaning |
//! | --- | --- | --- |
//! | to the guard, first | length (u64), bytes | the program's standard input |
//! | to the guard | `T` | SIGTERM to all below, and [`GRACE`] for them |
//! | to the guard | `K`, or the end | SIGKILL to all below |
//! | from the guard | `s`, number (i32) | the program could not be started: an error number of the system |
//! | from the guard | `b`, process id | it has begun |
//! | from the guard | `e`, exit status; `k`, signal | it has ended, and nothing of it is left |
//!
//! Where there is no guard (another system than Linux, a library's user without this binary) a program is ended with its
//! process group by the executor itself, as long as that lives.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, wait};
use tokio::signal::unix::{SignalKind, signal};

use super::process::{GRACE, LOOK_EVERY};

/// The first argument of a process that is a guard; the program's own arguments follow. It has nothing of this binary's
/// name in it, so that who kills workers by their name does not take the guards with them.
pub const WORD: &str = "program-guard";
/// How long what was killed may take to be gone: some waits of a kernel can not be killed.
const GONE_WITHIN: Duration = Duration::from_secs(5);

pub(super) const STDIN_LENGTH_BYTES: usize = 8;
pub(super) const REPORT_BYTES: usize = 5;
pub(super) const TERMINATE: u8 = b'T';
pub(super) const KILL: u8 = b'K';

/// A report of a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    NotStarted(i32),
    Begun(i32),
    Exited(i32),
    Signalled(i32),
}

impl Report {
    fn to_bytes(self) -> [u8; REPORT_BYTES] {
        let (tag, number) = match self {
            Self::NotStarted(number) => (b's', number),
            Self::Begun(number) => (b'b', number),
            Self::Exited(number) => (b'e', number),
            Self::Signalled(number) => (b'k', number),
        };
        let [one, two, three, four] = number.to_be_bytes();
        [tag, one, two, three, four]
    }

    pub(super) fn from_bytes([tag, number @ ..]: [u8; REPORT_BYTES]) -> Option<Self> {
        let number = i32::from_be_bytes(number);
        match tag {
            b's' => Some(Self::NotStarted(number)),
            b'b' => Some(Self::Begun(number)),
            b'e' => Some(Self::Exited(number)),
            b'k' => Some(Self::Signalled(number)),
            _ => None,
        }
    }
}

static ENABLED: OnceLock<()> = OnceLock::new();

/// Has every program of this process run under a guard: only for a binary that calls [`main`] when its first argument is
/// [`WORD`]. Makes this process a subreaper too, so that what a killed guard leaves comes to it. To be called in a
/// runtime: orphans are looked after in it.
pub fn enable() {
    if cfg!(target_os = "linux") && set_child_subreaper(Some(getpid())).is_ok() {
        ENABLED.get_or_init(|| _ = tokio::spawn(super::orphans::look_after()));
    }
}

pub(super) fn is_enabled() -> bool {
    ENABLED.get().is_some()
}

/// What a guard does: runs the program that `words` name, with the control socket as its own standard input.
pub fn main(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    // Without its name it would show as `exe`.
    let _ = rustix::thread::set_name(c"program-guard");
    let served = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from).and_then(|control| {
        set_child_subreaper(Some(getpid()))?;
        outlive_sigterm()?;
        let name = words.next().ok_or(io::ErrorKind::InvalidInput)?;
        serve(control, Command::new(name).args(words))
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Who stops a whole service (systemd, to begin with) sends SIGTERM to all its processes: the program answers for itself,
/// and its executor drains. A signal that is handled, unlike one that is ignored, is not handed down to the program.
fn outlive_sigterm() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _within = runtime.enter();
    signal(SignalKind::terminate()).map(|_| ())
}

fn serve(mut control: UnixStream, command: &mut Command) -> io::Result<()> {
    let mut length = [0; STDIN_LENGTH_BYTES];
    control.read_exact(&mut length)?;
    let mut input = vec![0; usize::try_from(u64::from_be_bytes(length)).map_err(io::Error::other)?];
    control.read_exact(&mut input)?;
    // All that may fail comes before the program, so that it never runs with nobody to end it.
    let (stdin, input_end) = io::pipe()?;
    let orders = control.try_clone()?;
    let begun = feed(input_end, input).and_then(|()| start_follower(orders));
    let child = match begun.and_then(|()| command.stdin(stdin).process_group(0).spawn()) {
        Ok(child) => child,
        Err(error) => {
            let number = error.raw_os_error().unwrap_or_default();
            return control.write_all(&Report::NotStarted(number).to_bytes());
        }
    };
    // The program's own end of the pipe goes with this: one that closes it is heard by who writes.
    command.stdin(Stdio::null());
    // An executor that died by now is not told, and the follower kills the program.
    let pid = child.id().cast_signed();
    let _ = control.write_all(&Report::Begun(pid).to_bytes());
    let status = wait_for(pid)?;
    if TERMINATING.load(Ordering::Acquire) {
        // The others were asked too, and have as long to obey.
        let until = Instant::now() + GRACE;
        while !reap() && Instant::now() < until {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    end_all();
    let report = match status.exit_status() {
        Some(code) => Report::Exited(code),
        None => Report::Signalled(status.terminating_signal().unwrap_or_default()),
    };
    control.write_all(&report.to_bytes())
}

/// Waits for the program, and takes orphans off the table meanwhile: a program may run for days and leave many.
fn wait_for(program: i32) -> io::Result<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == program => return Ok(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Hands the program its input. One that does not want it closes its end, which is its right.
fn feed(mut stdin: PipeWriter, input: Vec<u8>) -> io::Result<()> {
    let feeder = move || _ = stdin.write_all(&input);
    std::thread::Builder::new().spawn(feeder).map(|_| ())
}

fn start_follower(orders: UnixStream) -> io::Result<()> {
    std::thread::Builder::new().spawn(move || follow(orders)).map(|_| ())
}

static TERMINATING: AtomicBool = AtomicBool::new(false);

/// Does what the executor says, until it says no more.
fn follow(mut orders: UnixStream) {
    let mut order = [0];
    while orders.read_exact(&mut order).is_ok() && order != [KILL] {
        if order == [TERMINATE] {
            TERMINATING.store(true, Ordering::Release);
            signal_all(Signal::TERM);
        }
    }
    // Until this process ends: who is about to start another process may do so between two looks.
    loop {
        signal_all(Signal::KILL);
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Kills and reaps all that is left below this process.
fn end_all() {
    let until = Instant::now() + GONE_WITHIN;
    while !reap() && Instant::now() < until {
        signal_all(Signal::KILL);
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Takes off the table who has ended; true when nobody is left.
fn reap() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

fn signal_all(signal: Signal) {
    for pid in below(getpid()) {
        let _ = kill_process(pid, signal);
    }
}

/// The processes below `root`, children before their own children.
pub(super) fn below(root: Pid) -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root.as_raw_nonzero().get()];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(children.remove(pid).unwrap_or_default());
        at += 1;
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

/// From `/proc/PID/stat`: the fourth field, counted from the end of the name, which may have anything in it.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_socket() {
        for report in [Report::NotStarted(2), Report::Begun(i32::MAX), Report::Exited(-1), Report::Signalled(9)] {
            assert_eq!(Report::from_bytes(report.to_bytes()), Some(report));
        }
        assert_eq!(Report::from_bytes([b'x', 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_process_is_found_below_its_parent() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let found = below(getpid());
        assert!(found.iter().any(|pid| i64::from(pid.as_raw_nonzero().get()) == i64::from(child.id())));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
}
