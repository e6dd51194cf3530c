//! What the operating system has to say to a process: its host, its id, and when to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use trireme::runtime::Stop;

/// The machine's name, as other agents are told.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A stop signal that follows SIGTERM and SIGINT: the first drains, the second leaves at once.
pub fn stop_on_signals() -> Result<Stop, Failure> {
    let stop = Stop::new();
    let handler = |kind| signal(kind).map_err(|error| Failure::bug(format!("signals can not be handled: {error}")));
    let (mut terminate, mut interrupt) = (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    let told = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
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
