//! A decision in the making: its events so far, and the state as it is after them.

use super::{Context, Event, Phase};
use crate::wire::MessageId;

pub(super) struct Draft<'a> {
    pub(super) phase: &'a mut Phase,
    pub(super) cause: MessageId,
    pub(super) context: &'a Context<'a>,
    events: Vec<Event>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(phase: &'a mut Phase, cause: MessageId, context: &'a Context<'a>) -> Self {
        Self { phase, cause, context, events: Vec::new() }
    }

    pub(super) fn record(&mut self, event: Event) {
        self.phase.apply(&event);
        self.events.push(event);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn into_events(self) -> Vec<Event> {
        self.events
    }
}
