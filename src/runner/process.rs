//! A program and everything that it starts, which never outlives its run.
//!
//! A run ends when the program itself has ended; what it left running is killed then. Nothing that a descendant does can
//! hold the run up: pipes that are still open are read for [`DRAIN`] and no longer. A run that is stopped gets SIGTERM and
//! [`GRACE`], then SIGKILL; a run whose future is dropped gets SIGKILL. All of that is done by a [guard](super::guard),
//! or, where there is none, to the program's process group by this process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::guard;
use super::orphans::OwnChild;

/// How long a stopped program has to put its things away. Short, because somebody waits for the slot, and an
/// executor that drains has a grace period of its own around this one.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether a group that was sent a signal is empty.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long open pipes are read after the program ended. What it wrote itself is in them already; only
/// somebody who left the group can still hold them.
const DRAIN: Duration = Duration::from_millis(500);
/// The part of standard error that is kept: its end.
pub(super) const ERRORS_BYTES_MAX: usize = 64 * 1024;
/// A line that may say something is no longer.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// How much is read from a pipe at once: what a pipe holds on Linux.
const CHUNK: usize = 64 * 1024;

/// The files that a run keeps open here: two pipes, a pipe or socket, and the process itself; while it starts the
/// program's ends of the pipes too, but that is over before the next run starts.
pub(super) const FILES_MAX: u32 = 5;

/// What is to be run.
pub(super) struct Program {
    /// Never empty.
    pub argv: Vec<OsString>,
    pub cwd: Option<PathBuf>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, OsString>,
    pub stdin: Vec<u8>,
    /// More than this on standard output ends the run.
    pub output_max: usize,
}

/// How a run ended, and what it wrote.
pub(super) struct Ended {
    pub end: End,
    pub stdout: Vec<u8>,
    /// The last [`ERRORS_BYTES_MAX`] of standard error.
    pub stderr: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    TooMuchOutput,
    Stopped,
}

impl Program {
    /// Its place and environment, and its pipes.
    fn prepare(&self, command: &mut tokio::process::Command, stdin: Stdio) {
        command.env_clear().envs(&self.env).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
    }

    /// Runs it to its end, or until `stop` fires. An error means that it never began. `heard` gets what it writes to
    /// standard error as it comes, line by line.
    pub(super) async fn run(self, stop: &CancellationToken, heard: impl Fn(&[u8])) -> io::Result<Ended> {
        let mut group = Group::spawn(&self).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let child = &mut group.child;
        let (input, output, errors) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let (end, killed) = {
            let mut pipes = pin!(async {
                tokio::try_join!(
                    feed(input, &self.stdin),
                    take(output, &mut stdout, self.output_max),
                    keep_end(errors, &mut stderr, Lines::to(heard))
                )
                .map(|_| ())
            });
            let mut open = true;
            let end = loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break End::Stopped,
                    done = &mut pipes, if open => match done {
                        Ok(()) => open = false,
                        Err(TooMuch) => {
                            open = false;
                            break End::TooMuchOutput;
                        }
                    },
                    end = group.leader_ended() => break end?,
                }
            };
            if end == End::Stopped {
                group.ask_to_end().await;
            }
            let killed = group.kill().await;
            // An elapsed drain is no error: what came is what there is.
            let overflowed = open && matches!(timeout(DRAIN, &mut pipes).await, Ok(Err(TooMuch)));
            (if overflowed && end != End::Stopped { End::TooMuchOutput } else { end }, killed)
        };
        group.reap(killed).await;
        let surplus = stderr.len().saturating_sub(ERRORS_BYTES_MAX);
        stderr.drain(..surplus);
        Ok(Ended { end, stdout, stderr })
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Signalled(signal.unwrap_or_default()),
        }
    }
}

/// A program with all that it starts; dropping it kills all of it.
struct Group {
    /// The program, or its guard.
    child: Box<dyn ChildWrapper>,
    /// The program's process group.
    id: Option<Pid>,
    /// The guard's socket. Its end is the order to kill.
    control: Option<UnixStream>,
    _own: Option<OwnChild>,
}

impl Group {
    async fn spawn(program: &Program) -> io::Result<Self> {
        match guard::is_enabled() {
            true => Self::guarded(program).await,
            false => Self::alone(program),
        }
    }

    fn alone(program: &Program) -> io::Result<Self> {
        let (name, arguments) = program.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = CommandWrap::with_new(name, |command| {
            command.args(arguments);
            program.prepare(command, Stdio::piped());
        });
        let child = command.wrap(ProcessGroup::leader()).wrap(KillOnDrop).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let own = OwnChild::of(child.id());
        Ok(Self { child, id, control: None, _own: own })
    }

    /// Starts a guard, which starts the program.
    async fn guarded(program: &Program) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut control = UnixStream::from_std(ours)?;
        let mut command = CommandWrap::with_new("/proc/self/exe", |command| {
            command.arg0(guard::WORD).arg(guard::WORD).args(&program.argv);
            program.prepare(command, OwnedFd::from(theirs).into());
        });
        let child = command.wrap(ProcessGroup::leader()).spawn()?;
        let own = OwnChild::of(child.id());
        // The guard's own end is closed here with the command: what is read ends when the guard does.
        drop(command);
        control.write_all(&(program.stdin.len() as u64).to_be_bytes()).await?;
        control.write_all(&program.stdin).await?;
        match report(&mut control).await? {
            guard::Report::NotStarted(number) => Err(io::Error::from_raw_os_error(number)),
            guard::Report::Begun(pid) => Ok(Self { child, id: Pid::from_raw(pid), control: Some(control), _own: own }),
            other => Err(io::Error::other(format!("its guard answers {other:?}"))),
        }
    }

    /// Waits for the program alone: the group's own wait would wait for everybody that the leader left behind.
    async fn leader_ended(&mut self) -> io::Result<End> {
        let Some(control) = &mut self.control else {
            return self.child.inner_mut().wait().await.map(End::from);
        };
        match report(control).await {
            Ok(guard::Report::Exited(code)) => Ok(End::Exited(code)),
            Ok(guard::Report::Signalled(signal)) => Ok(End::Signalled(signal)),
            // The guard was killed, and is of no use any more; so is the program, and whom the guard had.
            Ok(_) | Err(_) => Ok(End::Signalled(Signal::KILL.as_raw())),
        }
    }

    /// SIGTERM, and time to obey.
    async fn ask_to_end(&mut self) {
        if let Some(control) = &mut self.control {
            let asked = control.write_all(&[guard::TERMINATE]).await;
            // The guard itself waits as long for what the program leaves behind.
            if asked.is_ok() {
                let _ = timeout(GRACE, self.leader_ended()).await;
            }
            return;
        }
        let Some(id) = self.id else { return };
        if kill_process_group(id, Signal::TERM).is_err() {
            return;
        }
        let obeyed = async {
            // Only a leader that was waited for leaves its group.
            let _ = self.leader_ended().await;
            gone(id).await;
        };
        let _ = timeout(GRACE, obeyed).await;
    }

    /// SIGKILL to whoever is left. The number can not have become somebody else's: it is used right after the
    /// leader was waited for, and never again.
    async fn kill(&mut self) -> Option<Pid> {
        if let Some(mut control) = self.control.take() {
            let _ = control.write_all(&[guard::KILL]).await;
        }
        self.kill_group()
    }

    fn kill_group(&mut self) -> Option<Pid> {
        let id = self.id.take()?;
        let _ = kill_process_group(id, Signal::KILL);
        Some(id)
    }

    /// Waits until the killed are dead, and takes them off the table: the leader or its guard, and orphans where this
    /// process is the one that inherits them. Bounded, because some waits of a kernel can not be killed.
    async fn reap(&mut self, killed: Option<Pid>) {
        let dead = async {
            let _ = self.child.wait().await;
            if let Some(id) = killed {
                gone(id).await;
            }
        };
        let _ = timeout(DRAIN, dead).await;
    }
}

/// The next report of a guard.
async fn report(control: &mut UnixStream) -> io::Result<guard::Report> {
    let mut bytes = [0; guard::REPORT_BYTES];
    control.read_exact(&mut bytes).await?;
    guard::Report::from_bytes(bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Waits until a group is empty: nobody tells, so it is looked.
async fn gone(group: Pid) {
    while test_kill_process_group(group).is_ok() {
        sleep(LOOK_EVERY).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A guard hears that its socket ends, and kills all of it.
        self.kill_group();
    }
}

struct TooMuch;

/// Hands `bytes` to a program. One that does not want them closes its end, which is its right.
async fn feed(pipe: Option<impl tokio::io::AsyncWrite + Unpin>, bytes: &[u8]) -> Result<(), TooMuch> {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(bytes).await;
        let _ = pipe.shutdown().await;
    }
    Ok(())
}

/// Reads all of a pipe, up to `max`.
async fn take(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, max: usize) -> Result<(), TooMuch> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    loop {
        into.reserve(CHUNK);
        match pipe.read_buf(into).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) if into.len() > max => return Err(TooMuch),
            Ok(_) => {}
        }
    }
}

/// Reads all of a pipe and keeps the end of it, which is at least [`ERRORS_BYTES_MAX`] when there was so much.
async fn keep_end(
    pipe: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    mut lines: Lines<impl Fn(&[u8])>,
) -> Result<(), TooMuch> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    loop {
        into.reserve(CHUNK);
        let before = into.len();
        match pipe.read_buf(into).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => {
                lines.take(&into[before..]);
                let surplus = into.len().saturating_sub(ERRORS_BYTES_MAX);
                // Moved seldom: only when as much again has come as is kept.
                if surplus > ERRORS_BYTES_MAX {
                    into.drain(..surplus);
                }
            }
        }
    }
}

/// Cuts what comes into its lines, as soon as each is whole. One that is longer than [`LINE_BYTES_MAX`] is none.
struct Lines<F> {
    heard: F,
    begun: Vec<u8>,
    is_too_long: bool,
}

impl<F: Fn(&[u8])> Lines<F> {
    fn to(heard: F) -> Self {
        Self { heard, begun: Vec::new(), is_too_long: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.is_too_long = self.is_too_long || self.begun.len() + part.len() > LINE_BYTES_MAX;
            if !self.is_too_long {
                self.begun.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                if !self.is_too_long {
                    (self.heard)(&self.begun);
                }
                self.begun.clear();
                self.is_too_long = false;
            }
        }
    }
}

/// Standard error as text that a message can carry.
pub(super) fn log_text(stderr: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(stderr).replace('\0', "\u{FFFD}");
    // In JSON a control character takes six bytes, and a byte that is no UTF-8 became three: of a log full of
    // them less is kept, so that it never takes more room than it was given.
    let (mut begin, mut bytes, mut escaped) = (text.len(), 0, 0);
    for (at, character) in text.char_indices().rev() {
        bytes += character.len_utf8();
        escaped += match character {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            '\0'..='\u{1f}' => 6,
            other => other.len_utf8(),
        };
        if bytes > ERRORS_BYTES_MAX || escaped > 2 * ERRORS_BYTES_MAX {
            break;
        }
        begin = at;
    }
    text.drain(..begin);
    text
}
