//! What one step sends to the same place goes out in one body. Nobody waits for a body to fill: it holds what there is
//! at the end of the step.
//!
//! A packed body stands at the first of the deliveries that caused it: deliveries are acked in their order, so none of
//! them is acked before all of the body is confirmed.

use bytes::Bytes;

use super::{Place, Sent};
use crate::runtime::port::{Outgoing, Properties};
use crate::wire::address::Address;
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
        let Self { at, effects, first, bodies, .. } = self;
        if bodies.len() == 1 {
            return (at, effects, first);
        }
        let properties = Properties { kind: Some(BATCH.to_owned()), ..first.properties };
        (at, effects, Outgoing { properties, body: codec::join(&bodies), ..first })
    }
}
