//! The dead letters: looked through, found by what a person names them, dropped, and sent on their way again.
//!
//! They lie in a queue of the broker that nobody consumes. Whoever looks holds them, unacked, until it is done: what
//! it says nothing about is in the queue again, as it was. It never acks a letter before what became of it is
//! confirmed.

mod letter;
mod named;
mod redrive;

pub use letter::{DeadLetter, Facts};
pub use named::{Named, NotFound};
pub use redrive::{NotRedriven, Redriven, Redriver};

use std::sync::Arc;

use super::port::{Acker, Browser, Transport, TransportError};
use crate::wire::address::{Namespace, Queue};

/// A look through the dead letters, from the oldest on.
pub struct DeadLetters {
    browser: Box<dyn Browser>,
    acker: Arc<dyn Acker>,
    namespace: Namespace,
    /// How many are yet to come; none before the first was asked for.
    left: Option<u32>,
}

impl DeadLetters {
    pub async fn open(transport: &dyn Transport, namespace: Namespace) -> Result<Self, TransportError> {
        let browser = transport.browse(&Queue::Dead).await?;
        Ok(Self { acker: browser.acker(), browser, namespace, left: None })
    }

    /// The next of those that were there when the first was asked for. What died since is not among them: a letter
    /// that is redriven and comes straight back would else be met again and again.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, TransportError> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let Some((delivery, behind)) = self.browser.next().await? else {
            self.left = Some(0);
            return Ok(None);
        };
        self.left = Some(self.left.map_or(behind, |left| left - 1));
        Ok(Some(DeadLetter::new(delivery, &self.namespace)))
    }

    /// How many are behind the last one that was given.
    pub fn left(&self) -> u32 {
        self.left.unwrap_or(0)
    }

    /// Takes a letter out of the queue, with its copies.
    pub async fn remove(&self, letter: &DeadLetter) -> Result<(), TransportError> {
        for tag in letter.tags() {
            self.acker.ack(*tag, false).await?;
        }
        Ok(())
    }
}
