//! What the operating system has to say to a process: its host, its id, and when to stop.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;
use trireme::runtime::Stop;

/// The machine's name, as other agents are told.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What comes this soon after the first signal is the same wish: `timeout`, for one, signals its child and then the group.
const ONE_WISH: Duration = Duration::from_millis(100);

/// A stop signal that follows SIGTERM, SIGINT and SIGHUP (a terminal that closes): the first drains, the second leaves at
/// once.
pub fn stop_on_signals() -> Result<Stop, Failure> {
    let stop = Stop::new();
    let handler = |kind| signal(kind).map_err(|error| Failure::bug(format!("signals can not be handled: {error}")));
    let (mut terminate, mut interrupt) = (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    // `nohup` has it ignored: such a worker outlives its terminal.
    let mut hangup = (!is_hangup_ignored()).then(|| handler(SignalKind::hangup())).transpose()?;
    let told = stop.clone();
    tokio::spawn(async move {
        let mut first: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = next(&mut hangup) => {}
            }
            if first.is_some_and(|first| first.elapsed() < ONE_WISH) {
                continue;
            }
            first.get_or_insert_with(Instant::now);
            if told.is_draining() {
                tracing::warn!("leaving at once");
                told.leave();
                return;
            }
            tracing::info!("draining: nothing new is taken; once more to leave at once");
            told.drain();
        }
    });
    Ok(stop)
}

/// The next of these signals; never, when they are ignored.
async fn next(signals: &mut Option<Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

/// As the one who started this process has set it: the lowest bit of a mask in `/proc/self/status`.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Has `stop` leave when standard input ends, which is a pipe whose other end a parent holds and never writes to.
/// The kernel closes it however the parent dies.
pub fn leave_with_parent(stop: Stop) -> Result<(), Failure> {
    let refused = |error: std::io::Error| Failure::usage(format!("standard input is no pipe of a parent: {error}"));
    let end = std::io::stdin().as_fd().try_clone_to_owned().map_err(refused)?;
    let mut pipe = pipe::Receiver::from_owned_fd(end).map_err(refused)?;
    tokio::spawn(async move {
        // Whatever comes, and a pipe that breaks, is no parent any more.
        let _ = pipe.read_u8().await;
        stop.leave();
        tracing::warn!("standard input ended: leaving at once");
    });
    Ok(())
}
