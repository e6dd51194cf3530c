//! What ends an attempt from outside, and what it is answered with then.

use std::sync::Arc;

use tokio::sync::SetOnce;

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
pub(crate) struct Halt(Arc<SetOnce<Reason>>);

impl Halt {
    pub(crate) fn fire(&self, reason: Reason) {
        // Refused when one is set.
        let _ = self.0.set(reason);
    }

    pub(crate) async fn fired(&self) -> Reason {
        *self.0.wait().await
    }
}
