//! What ends an attempt from outside, and what it is answered with then.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::wire::{Failure, FailureKind};

/// Why an attempt is ended, or not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nobody wants it any more.
    Cancelled,
    /// This executor stops. Never charged: a stop uses up nobody's attempt.
    Released,
}

impl Reason {
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Cancelled => Failure::new(FailureKind::Cancelled, "it is not wanted any more"),
            Self::Released => Failure::new(FailureKind::Released, "its executor stops"),
        }
    }
}

/// A signal to one attempt. The first reason counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Halt {
    fired: CancellationToken,
    reason: Arc<OnceLock<Reason>>,
}

impl Halt {
    pub(crate) fn fire(&self, reason: Reason) {
        self.reason.get_or_init(|| reason);
        self.fired.cancel();
    }

    pub(crate) async fn fired(&self) -> Reason {
        self.fired.cancelled().await;
        *self.reason.get_or_init(|| Reason::Released)
    }
}
