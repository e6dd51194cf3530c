//! What one step sends to the same place goes out in one body. Nobody waits for a body to fill: it holds what there is
//! at the end of the step.
//!
//! Words that nobody waits for are put together too, those to one agent.
//!
//! A packed body stands at the first of the deliveries that caused it: deliveries are acked in their order, so none of
//! them is acked before all of the body is confirmed.

use bytes::Bytes;

use super::{Place, Sent};
use crate::runtime::port::{Outgoing, Properties};
use crate::runtime::role::PACK_MAX;
use crate::wire::address::{Address, Exchange};
use crate::wire::codec::{self, ENVELOPE_BYTES_MAX};

/// What its header calls a body with several messages.
const BATCH: &str = "Batch";

/// A body that is still open.
pub(super) struct Pack {
    /// The place of the first delivery that something in it is for.
    pub(super) at: Place,
    pub(super) effects: Vec<Sent>,
    first: Outgoing,
    bodies: Vec<Bytes>,
    bytes: usize,
}

impl Pack {
    pub(super) fn new(at: Place, sent: Sent, outgoing: Outgoing) -> Self {
        let body = outgoing.body.clone();
        Self { at, effects: vec![sent], bytes: body.len(), bodies: vec![body], first: outgoing }
    }

    pub(super) fn address(&self) -> &Address {
        &self.first.address
    }

    /// Whether one more may go into a body of at most `most` messages.
    pub(super) fn takes(&self, outgoing: &Outgoing, most: u32) -> bool {
        self.effects.len() < most as usize && self.bytes + outgoing.body.len() < ENVELOPE_BYTES_MAX
    }

    pub(super) fn add(&mut self, at: Place, sent: Sent, outgoing: Outgoing) {
        self.at = self.at.min(at);
        self.bytes += outgoing.body.len() + 1;
        self.effects.push(sent);
        self.bodies.push(outgoing.body);
    }

    /// The message; one alone goes as it is.
    pub(super) fn close(self) -> (Place, Vec<Sent>, Outgoing) {
        (self.at, self.effects, together(self.first, &self.bodies))
    }
}

fn together(first: Outgoing, bodies: &[Bytes]) -> Outgoing {
    match bodies.len() {
        1 => first,
        _ => {
            let properties = Properties { kind: Some(BATCH.to_owned()), ..first.properties };
            Outgoing { properties, body: codec::join(bodies), ..first }
        }
    }
}

/// Words in fewer bodies. Each event has a key of its own, so it is those to one agent that share one.
pub(super) fn words_together(words: Vec<Outgoing>) -> Vec<Outgoing> {
    let mut open: Vec<(Outgoing, Vec<Bytes>, usize)> = Vec::new();
    let mut bodies = Vec::with_capacity(words.len());
    for word in words {
        let size = word.body.len() + 1;
        let fits = |(first, words, bytes): &(Outgoing, Vec<Bytes>, usize)| {
            first.address == word.address && words.len() < PACK_MAX as usize && bytes + size < ENVELOPE_BYTES_MAX
        };
        match word.address.exchange {
            Exchange::Agents => match open.iter_mut().find(|open| fits(open)) {
                Some((_, words, bytes)) => {
                    words.push(word.body);
                    *bytes += size;
                }
                None => open.push((word.clone(), vec![word.body], size)),
            },
            _ => bodies.push(word),
        }
    }
    bodies.extend(open.into_iter().map(|(first, words, _)| together(first, &words)));
    bodies
}
