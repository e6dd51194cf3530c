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
pub use redrive::{NotRedriven, OnItsWay, Redriven, Redriver, retried};

use super::port::{Browser, Transport, TransportError};
use crate::wire::address::{Namespace, Queue};

/// A look through the dead letters.
pub struct DeadLetters {
    browser: Box<dyn Browser>,
    namespace: Namespace,
}

impl DeadLetters {
    pub async fn open(transport: &dyn Transport, namespace: Namespace) -> Result<Self, TransportError> {
        Ok(Self { browser: transport.browse(&Queue::Dead).await?, namespace })
    }

    /// The next of those that were there when the first was asked for. What died since is not among them: a letter
    /// that is redriven and comes straight back would else be met again and again.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, TransportError> {
        let next = self.browser.next().await?;
        Ok(next.map(|delivery| DeadLetter::new(delivery, &self.namespace)))
    }

    /// How many are behind the last one that was given.
    pub fn left(&self) -> u32 {
        self.browser.left()
    }

    /// Takes a letter out of the queue, with its copies.
    pub async fn remove(&self, letter: &DeadLetter) -> Result<(), TransportError> {
        for tag in letter.tags() {
            self.browser.ack(*tag).await?;
        }
        Ok(())
    }
}
