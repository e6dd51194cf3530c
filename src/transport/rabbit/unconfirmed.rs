//! The messages of one channel that the broker has not yet answered for, and who was returned.
//!
//! A returned message comes before its own ack, but lapin hangs it on whichever confirm it completes next: the
//! returns wait in a line, and each completed confirm takes the first of them. So an ack alone does not say
//! that a mandatory message was routed; its return may hang on another confirm. Two facts settle it:
//!
//! 1. Confirms are seen in the order of their completion up to a *mark*: what completed before anything seen
//!    before the mark was set, is seen before the mark comes by.
//! 2. If each return that was seen belongs to a message whose confirm was seen before the mark, no return of
//!    such a message is still in the line. (Were there one, the line would not have been empty since it got
//!    in; each confirm since then would have taken a return from in front of it; and there would be one more
//!    confirm than returns.)
//!
//! So the answers for mandatory messages are given when a mark comes by and 2 holds, and wait for the next mark
//! else. This is pure bookkeeping: it must never wait, and never touch the channel.

use std::collections::{BTreeMap, VecDeque};

use lapin::types::ShortString;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::runtime::port::Confirmed;
use crate::wire::MessageId;

/// What a message is known by. Several of one name at a time are taken for each other, which is right as long as they
/// go to the same address: either queues take all of them there, or none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Id(MessageId),
    /// A dead letter that somebody sent without an id: its exchange and routing key.
    Address(ShortString, ShortString),
}

impl Name {
    pub fn new(id: Option<MessageId>, exchange: &ShortString, key: &ShortString) -> Self {
        id.map_or_else(|| Self::Address(exchange.clone(), key.clone()), Self::Id)
    }
}

/// What is not answered is answered by dropping it: the other end takes that for `Unknown`.
pub(super) struct Waiting {
    pub sent: Instant,
    pub name: Name,
    pub mandatory: bool,
    pub answer: oneshot::Sender<Confirmed>,
}

#[derive(Default)]
pub(super) struct Unconfirmed {
    /// By number, the oldest first; what was answered is taken out, and the front is never empty.
    waiting: VecDeque<Option<Waiting>>,
    first: u64,
    /// Mandatory ones whose confirm was seen, in that order, and not answered yet.
    confirmed: Vec<u64>,
    /// Returns that no answer was given for, by whom they belong to.
    returned: BTreeMap<Name, usize>,
    /// How many of `confirmed` were seen before the mark that is on its way.
    marked: Option<usize>,
    /// Something was seen since a mark was last set: without it, another would say nothing new.
    fresh: bool,
}

impl Unconfirmed {
    /// Takes in a message that is about to be sent, and numbers it.
    pub fn add(&mut self, waiting: Waiting) -> u64 {
        self.waiting.push_back(Some(waiting));
        self.first + self.waiting.len() as u64 - 1
    }

    /// A confirm was seen; `carried` is the name on the return that hung on it, perhaps another's.
    pub fn confirm(&mut self, number: u64, acked: bool, carried: Option<Name>) {
        self.fresh = true;
        if let Some(name) = carried {
            *self.returned.entry(name).or_default() += 1;
        }
        match self.get(number) {
            // A message that was refused was routed: it has no return.
            Some(_) if !acked => self.answer(number, Confirmed::Nacked),
            Some(waiting) if waiting.mandatory => self.confirmed.push(number),
            Some(_) => self.answer(number, Confirmed::Accepted),
            None => {}
        }
    }

    /// Whether a mark is to be sent after what was seen so far.
    pub fn wants_mark(&mut self) -> bool {
        let wanted = self.fresh && self.marked.is_none() && !self.confirmed.is_empty();
        if wanted {
            self.marked = Some(self.confirmed.len());
            self.fresh = false;
        }
        wanted
    }

    /// The mark came by.
    pub fn mark(&mut self) {
        let Some(marked) = self.marked.take() else { return };
        if !self.returned.is_empty() && !self.every_return_is_among(marked) {
            return;
        }
        let settled: Vec<u64> = self.confirmed.drain(..marked).collect();
        for number in settled {
            let Some(name) = self.get(number).map(|waiting| waiting.name.clone()) else { continue };
            let outcome = if self.take_return(&name) { Confirmed::Returned } else { Confirmed::Accepted };
            self.answer(number, outcome);
        }
    }

    /// When the oldest one was sent that has no answer.
    pub fn oldest(&self) -> Option<Instant> {
        self.waiting.front()?.as_ref().map(|waiting| waiting.sent)
    }

    fn every_return_is_among(&self, marked: usize) -> bool {
        let mut missing = self.returned.clone();
        for number in &self.confirmed[..marked] {
            let name = self.get(*number).map(|waiting| &waiting.name);
            if let Some(count) = name.and_then(|name| missing.get_mut(name)) {
                *count = count.saturating_sub(1);
            }
        }
        missing.values().all(|count| *count == 0)
    }

    fn take_return(&mut self, name: &Name) -> bool {
        let Some(count) = self.returned.get_mut(name) else { return false };
        *count -= 1;
        if *count == 0 {
            self.returned.remove(name);
        }
        true
    }

    fn get(&self, number: u64) -> Option<&Waiting> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.waiting.get(index)?.as_ref()
    }

    fn answer(&mut self, number: u64, outcome: Confirmed) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let waiting = index.and_then(|index| self.waiting.get_mut(index)).and_then(Option::take);
        if let Some(waiting) = waiting {
            // Nobody need be interested.
            let _ = waiting.answer.send(outcome);
        }
        while matches!(self.waiting.front(), Some(None)) {
            self.waiting.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// What becomes of some messages: which can not be routed, in which order their confirms complete, and a
    /// number of each for everything else that is to differ.
    fn fates() -> impl Strategy<Value = (Vec<bool>, Vec<usize>, Vec<usize>)> {
        (1usize..60).prop_flat_map(|count| {
            let order = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
            (vec(any::<bool>(), count), order, vec(0usize..100, count))
        })
    }

    /// lapin's line of returns: a return gets in at some time before its own ack comes, the confirms complete in
    /// `order`, several to a frame, and each takes the first return of the line.
    fn completions(unroutable: &[bool], order: &[usize], odd: &[usize], frame: usize) -> Vec<(usize, Option<usize>)> {
        let frames: Vec<&[usize]> = order.chunks(frame).collect();
        let mut arriving: Vec<Vec<usize>> = vec![Vec::new(); frames.len()];
        for (index, frame) in frames.iter().enumerate() {
            for number in frame.iter().filter(|number| unroutable[**number]) {
                arriving[index.saturating_sub(odd[*number] % 3)].push(*number);
            }
        }
        let mut line = VecDeque::new();
        let mut completed = Vec::new();
        for (frame, returned) in frames.iter().zip(arriving) {
            line.extend(returned);
            completed.extend(frame.iter().map(|number| (*number, line.pop_front())));
        }
        completed
    }

    /// Every third has no id, and an address of its own.
    fn name(number: usize) -> Name {
        let id = (!number.is_multiple_of(3)).then(|| MessageId(Uuid::from_u128(number as u128)));
        Name::new(id, &"skills".into(), &number.to_string().into())
    }

    proptest! {
        /// However the returns hang on the confirms, and in whatever order confirms are seen between two marks.
        #[test]
        fn a_return_is_matched_by_its_name(
            (unroutable, order, odd) in fates(),
            frame in 1usize..20,
            between_marks in 1usize..20,
        ) {
            let mut unconfirmed = Unconfirmed::default();
            let mut answers = Vec::new();
            for number in 0..unroutable.len() {
                let (answer, receiver) = oneshot::channel();
                answers.push(receiver);
                let waiting = Waiting { sent: Instant::now(), name: name(number), mandatory: true, answer };
                prop_assert_eq!(unconfirmed.add(waiting), number as u64);
            }
            for window in completions(&unroutable, &order, &odd, frame).chunks(between_marks) {
                // Out of order, and the mark is set behind the first that is seen.
                let mut window = window.to_vec();
                window.sort_by_key(|(number, _)| odd[*number]);
                for (seen, (number, carried)) in window.iter().enumerate() {
                    unconfirmed.confirm(*number as u64, true, carried.map(name));
                    if seen == 0 {
                        unconfirmed.wants_mark();
                    }
                }
                unconfirmed.mark();
            }
            while unconfirmed.wants_mark() {
                unconfirmed.mark();
            }
            for (number, mut answer) in answers.into_iter().enumerate() {
                let expected = if unroutable[number] { Confirmed::Returned } else { Confirmed::Accepted };
                prop_assert_eq!(answer.try_recv(), Ok(expected), "message {}", number);
            }
            prop_assert!(unconfirmed.oldest().is_none() && unconfirmed.returned.is_empty());
        }
    }

    #[test]
    fn a_return_without_its_confirm_is_waited_for_and_not_asked_for() {
        let mut unconfirmed = Unconfirmed::default();
        let mut add = |number| {
            let (answer, receiver) = oneshot::channel();
            unconfirmed.add(Waiting { sent: Instant::now(), name: name(number), mandatory: true, answer });
            receiver
        };
        let (mut routed, mut lost) = (add(0), add(1));
        unconfirmed.confirm(0, true, Some(name(1)));
        assert!(unconfirmed.wants_mark());
        unconfirmed.mark();
        assert!(!unconfirmed.wants_mark() && routed.try_recv().is_err(), "nothing new can be known");
        unconfirmed.confirm(1, true, None);
        assert!(unconfirmed.wants_mark());
        unconfirmed.mark();
        assert_eq!((routed.try_recv(), lost.try_recv()), (Ok(Confirmed::Accepted), Ok(Confirmed::Returned)));
    }

    #[test]
    fn what_is_refused_or_not_mandatory_waits_for_no_mark() {
        let mut unconfirmed = Unconfirmed::default();
        let mut add = |mandatory, number| {
            let (answer, receiver) = oneshot::channel();
            unconfirmed.add(Waiting { sent: Instant::now(), name: name(number), mandatory, answer });
            receiver
        };
        let (mut refused, mut taken) = (add(true, 0), add(false, 1));
        unconfirmed.confirm(1, true, None);
        unconfirmed.confirm(0, false, None);
        assert_eq!((refused.try_recv(), taken.try_recv()), (Ok(Confirmed::Nacked), Ok(Confirmed::Accepted)));
        assert!(!unconfirmed.wants_mark() && unconfirmed.oldest().is_none());
    }
}
