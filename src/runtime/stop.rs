//! How a process, or a part of one, is told to stop: softly first, then hard.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A stop signal that can be handed on. A child stops with its parent, and can be stopped alone.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    draining: CancellationToken,
    leaving: CancellationToken,
}

impl Stop {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn child(&self) -> Self {
        Self { draining: self.draining.child_token(), leaving: self.leaving.child_token() }
    }

    /// No new work from here on; what is held is finished or given back.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// At once, whatever is held.
    pub fn leave(&self) {
        self.draining.cancel();
        self.leaving.cancel();
    }

    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    pub async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    pub fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }

    /// Ends at a hard stop, or when a soft one has had `grace`.
    pub async fn out_of_time(&self, grace: Duration) {
        tokio::select! {
            biased;
            () = self.leaving() => {}
            () = async { self.draining().await; tokio::time::sleep(grace).await } => {}
        }
    }
}
