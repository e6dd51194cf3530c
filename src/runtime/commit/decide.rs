//! Step 2: what is decided of messages, upon the states in memory, and what is to be written and sent for it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use super::again::{remembers, sends_again};
use super::{Desk, PANICKED, ToSend, UNREADABLE, Verdicts, Work};
use crate::broken::{self, Broken};
use crate::domain::decision::{Decision, Effect};
use crate::runtime::port::{Append, Payload};
use crate::runtime::role::{Message, Role};
use crate::wire::{MessageId, Raw, StreamId};

/// A message, its place in the work, and whether what it caused is to be sent again if it was handled.
pub(super) type Item<'a, I> = (usize, bool, &'a Message<I>);

/// What stands at this place in the work.
pub(super) fn item<I>(work: &[Work<I>], place: usize) -> Item<'_, I> {
    let (_, letter, message) = &work[place];
    (place, letter.again, message)
}

/// Puts places into the order in which what stands there is decided.
pub(super) fn put_in_order<R: Role>(places: &mut [usize], work: &[Work<R::Input>], role: &R) {
    places.sort_by_key(|&place| {
        let (_, _, message) = &work[place];
        (!role.comes_first(&message.input), role.comes_last(&message.input))
    });
}

/// Where an input comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Delivered,
    /// This process gives it itself, because of a delivery that it still has to hold: what follows is sent because of that.
    Own,
}

/// What was decided of one piece of work.
enum Outcome {
    Recorded,
    Nothing(&'static str),
    Refused(&'static str),
    Undecided(&'static str),
}

/// What one stream is to get.
struct Draft<E> {
    expected: u64,
    events: Vec<E>,
    raw: Vec<Raw>,
    payloads: Vec<Payload>,
    inputs: usize,
    /// What follows from its inputs is decided when all of them are.
    is_to_settle: bool,
    /// The last of them that was recorded: its place, and its message.
    recorded: Option<(usize, MessageId)>,
}

impl<E: Serialize> Draft<E> {
    fn at(expected: u64) -> Self {
        Self {
            expected,
            events: Vec::new(),
            raw: Vec::new(),
            payloads: Vec::new(),
            inputs: 0,
            is_to_settle: false,
            recorded: None,
        }
    }

    fn record(&mut self, events: Vec<E>) {
        self.raw.extend(events.iter().map(|event| Raw::from_serialize(event).expect("events are JSON")));
        self.events.extend(events);
    }
}

/// What was decided and is not written yet.
pub(super) struct Decided<E> {
    /// In the order of the items.
    outcomes: Vec<Outcome>,
    drafts: BTreeMap<StreamId, Draft<E>>,
}

impl<E> Default for Decided<E> {
    fn default() -> Self {
        Self { outcomes: Vec::new(), drafts: BTreeMap::new() }
    }
}

impl<E> Decided<E> {
    /// Whether something was decided about a stream.
    pub(super) fn is_about(&self, stream: StreamId) -> bool {
        self.drafts.contains_key(&stream)
    }
}

impl<R: Role> Desk<R> {
    /// Decides items in their order; fails with the place of one whose decision panicked. With `more_follow` there may be
    /// others for the same streams before all are settled.
    pub(super) fn decide(
        &mut self,
        decided: &mut Decided<R::Event>,
        items: &[Item<'_, R::Input>],
        whose: Whose,
        poisons: &BTreeSet<usize>,
        more_follow: bool,
    ) -> Result<(), usize> {
        let Decided { outcomes, drafts } = decided;
        for (_, _, message) in items.iter().filter(|(item, _, _)| !poisons.contains(item)) {
            if let Some(hot) = self.states.get(message.stream) {
                let draft = drafts.entry(message.stream);
                draft.or_insert_with(|| Draft::at(self.role.version(&hot.state))).inputs += 1;
            }
        }
        let now = self.clock.now();
        for &(item, again, message) in items {
            let stream = message.stream;
            if poisons.contains(&item) {
                outcomes.push(Outcome::Undecided(PANICKED));
                continue;
            }
            let (Some(hot), Some(draft)) = (self.states.get_mut(stream), drafts.get_mut(&stream)) else {
                outcomes.push(Outcome::Undecided(UNREADABLE));
                continue;
            };
            let is_one_of_many = more_follow || draft.inputs > 1;
            draft.is_to_settle |= is_one_of_many;
            let role = &mut self.role;
            let decided = catch_unwind(AssertUnwindSafe(|| {
                match role.decide(stream, &mut hot.state, message, is_one_of_many, now) {
                    Decision::Record(events) => {
                        draft.payloads.extend(role.payloads(stream, &events, message));
                        draft.record(events);
                        draft.recorded = Some((item, message.cause));
                        Outcome::Recorded
                    }
                    Decision::Nothing(why) => {
                        tracing::debug!(%stream, message = %message.cause, why, "nothing to do");
                        // Whoever had it before may be about to record that a publish was refused: then one of the two finds
                        // the stream changed.
                        let is_fenced = again && whose == Whose::Delivered && !broken::is(Broken::StaleNothing);
                        if is_fenced && !role.effects(&hot.state, message.cause).is_empty() {
                            let event = role.sent_again(message.cause, now);
                            role.apply(&mut hot.state, &event);
                            draft.record(vec![event]);
                        }
                        Outcome::Nothing(why)
                    }
                    Decision::Refuse(why) => Outcome::Refused(why),
                }
            }));
            match decided {
                Ok(outcome) => outcomes.push(outcome),
                Err(_) => {
                    tracing::error!(%stream, message = %message.cause, "a decision panicked; its message is set aside");
                    return Err(item);
                }
            }
        }
        Ok(())
    }

    /// Decides what follows from all of it together; fails with the place of one after which that panicked.
    pub(super) fn settle(&mut self, decided: &mut Decided<R::Event>) -> Result<(), usize> {
        let now = self.clock.now();
        for (&stream, draft) in decided.drafts.iter_mut().filter(|(_, draft)| draft.is_to_settle) {
            let (Some((item, cause)), Some(hot)) = (draft.recorded, self.states.get_mut(stream)) else { continue };
            let settle = || self.role.settle(stream, &mut hot.state, cause, now);
            match catch_unwind(AssertUnwindSafe(settle)) {
                Ok(events) => draft.record(events),
                Err(_) => {
                    tracing::error!(%stream, message = %cause, "settling panicked; its message is set aside");
                    return Err(item);
                }
            }
        }
        Ok(())
    }

    /// What is to be sent when all of it is written, by the states after all of it, and what is to be written. `tried`: this
    /// process may have written it before without having heard so.
    pub(super) fn close(
        &mut self,
        items: &[Item<'_, R::Input>],
        decided: Decided<R::Event>,
        tried: bool,
    ) -> (Verdicts, Vec<Append>) {
        let Decided { outcomes, drafts } = decided;
        (self.collect(items, tried, outcomes, &drafts), self.parts(drafts))
    }

    fn collect(
        &self,
        items: &[Item<'_, R::Input>],
        tried: bool,
        outcomes: Vec<Outcome>,
        drafts: &BTreeMap<StreamId, Draft<R::Event>>,
    ) -> Verdicts {
        let mut verdicts = Verdicts::default();
        let now = self.clock.now();
        let mut sent = BTreeSet::new();
        for (&(item, again, message), outcome) in items.iter().zip(outcomes) {
            match outcome {
                Outcome::Undecided(why) => verdicts.undecided.push((item, why)),
                Outcome::Refused(reason) => verdicts.refused.push((item, reason)),
                Outcome::Recorded | Outcome::Nothing(_) => {}
            }
            let Some(hot) = self.states.get(message.stream) else { continue };
            let why = match outcome {
                Outcome::Refused(why) | Outcome::Nothing(why) => Some(why),
                Outcome::Recorded | Outcome::Undecided(_) => None,
            };
            let to_send = match outcome {
                Outcome::Recorded => true,
                Outcome::Nothing(_) => sends_again(again, tried),
                Outcome::Refused(_) | Outcome::Undecided(_) => false,
            };
            if to_send {
                let effects = self.role.effects(&hot.state, message.cause);
                let is_known = |effect: &Effect| remembers(*effect, matches!(outcome, Outcome::Recorded));
                let fresh =
                    effects.into_iter().filter(is_known).filter(|&effect| sent.insert((message.stream, effect)));
                let stream = message.stream;
                verdicts.effects.extend(fresh.map(|effect| ToSend { item, stream, effect, early: None }));
            }
            if !matches!(outcome, Outcome::Recorded) {
                verdicts.notices.extend(self.role.answer(message.stream, &hot.state, message, why, now));
            }
        }
        for (stream, draft) in drafts.iter().filter(|(_, draft)| !draft.events.is_empty()) {
            if let Some(hot) = self.states.get(*stream) {
                verdicts.notices.extend(self.role.notices(*stream, &hot.state, &draft.events, now));
                verdicts.moved.extend(self.role.has_moved(&hot.state, &draft.events).then_some(*stream));
            }
        }
        verdicts
    }

    fn parts(&mut self, drafts: BTreeMap<StreamId, Draft<R::Event>>) -> Vec<Append> {
        let mut parts = Vec::with_capacity(drafts.len());
        for (stream, draft) in drafts {
            let Some(hot) = self.states.get_mut(stream) else { continue };
            if draft.events.is_empty() {
                if !broken::is(Broken::StaleNothing) {
                    parts.push(Append::assertion(stream, draft.expected));
                }
                continue;
            }
            let snapshot = hot.grown_by(draft.raw.iter().map(Raw::bytes).sum(), &self.role);
            parts.push(Append {
                stream,
                expected: draft.expected,
                events: draft.raw,
                payloads: draft.payloads,
                summary: self.role.summary(stream, &hot.state),
                snapshot,
            });
        }
        parts
    }
}
