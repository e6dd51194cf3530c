//! The deliveries that are not acked yet, in the order in which they came: they are acked in that order.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{LaneError, Sent};
use crate::domain::decision::Effect;
use crate::domain::phase::Why;
use crate::runtime::port::{Confirmation, Confirmed, Outgoing, Publisher, Tag};
use crate::wire::StreamId;

/// How long a refused alarm waits before it is tried again in place.
const PUBLISH_AGAIN: Duration = Duration::from_secs(1);

/// The place of a delivery among all that a channel has brought.
pub(crate) type Place = u64;

/// Those that are not acked.
#[derive(Default)]
pub(super) struct Line {
    held: VecDeque<Held>,
    /// The place of the first of them.
    first: Place,
    /// What those before this place have caused is on its way.
    sent: Place,
}

/// A delivery that is not acked.
pub(super) struct Held {
    tag: Tag,
    /// What was published for it, and is not to be published for it once more.
    pub(super) sent: BTreeSet<(StreamId, Effect)>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) refused: Vec<(Sent, Why)>,
}

/// A publish that its delivery waits for.
pub(super) struct Waiting {
    pub(super) confirmation: Confirmation,
    /// What is in it; nothing for a letter that was set aside.
    pub(super) effects: Vec<Sent>,
    /// What it was, for what is tried again in place.
    pub(super) again: Option<Outgoing>,
}

impl Line {
    pub(super) fn push(&mut self, tag: Tag) -> Place {
        self.held.push_back(Held { tag, sent: BTreeSet::new(), waiting: Vec::new(), refused: Vec::new() });
        self.end() - 1
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The place of the front one.
    pub(super) fn first(&self) -> Place {
        self.first
    }

    /// The place of the next that comes.
    pub(super) fn end(&self) -> Place {
        self.first + self.held.len() as Place
    }

    pub(super) fn at(&mut self, place: Place) -> &mut Held {
        let at = usize::try_from(place - self.first).expect("it was pushed");
        &mut self.held[at]
    }

    /// How many have come from this place on.
    pub(super) fn since(&self, place: Place) -> usize {
        usize::try_from(self.end() - place).expect("they are in memory")
    }

    /// Whether some have come whose effects are not on their way.
    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.end()
    }

    /// Those before this place are decided, and what they cause is on its way.
    pub(super) fn sent_before(&mut self, place: Place) {
        self.sent = place;
    }

    /// Whether something was sent for one that is not acked.
    pub(super) fn has_sent(&self, stream: StreamId, effect: Effect) -> bool {
        self.held.iter().any(|held| held.sent.contains(&(stream, effect)))
    }

    /// The front one, once what it causes is on its way.
    fn front(&mut self) -> Option<&mut Held> {
        let is_out = self.is_out();
        self.held.front_mut().filter(|_| is_out)
    }

    /// Whether the front one only waits for confirms.
    pub(super) fn is_out(&self) -> bool {
        self.first < self.sent
    }

    /// What of the front one was refused.
    pub(super) fn refused(&mut self) -> Vec<(Sent, Why)> {
        self.front().map(|held| std::mem::take(&mut held.refused)).unwrap_or_default()
    }

    /// Takes the front one out: it is to be acked.
    pub(super) fn pop(&mut self) -> Option<Tag> {
        self.front()?;
        self.first += 1;
        self.held.pop_front().map(|held| held.tag)
    }

    /// Waits until nothing is out for the front one. Loses nothing when it is dropped before it is done.
    pub(super) async fn confirmed(&mut self, publisher: &Arc<dyn Publisher>) -> Result<(), LaneError> {
        let Some(held) = self.front() else { return Ok(()) };
        while let Some(waiting) = held.waiting.last_mut() {
            let why = match (&mut waiting.confirmation).await {
                Confirmed::Accepted => {
                    held.waiting.pop();
                    continue;
                }
                Confirmed::Nacked => Why::Nacked,
                Confirmed::Returned => Why::Returned,
                Confirmed::Unknown => return Err(LaneError::Unconfirmed),
            };
            match &waiting.again {
                Some(outgoing) => {
                    tracing::warn!(exchange = ?outgoing.address.exchange, key = outgoing.address.key, %why, "a publish was refused, it is tried again");
                    waiting.confirmation = publish_later(publisher.clone(), outgoing.clone());
                }
                None => {
                    held.refused.extend(waiting.effects.drain(..).map(|sent| (sent, why.clone())));
                    held.waiting.pop();
                }
            }
        }
        Ok(())
    }
}

fn publish_later(publisher: Arc<dyn Publisher>, outgoing: Outgoing) -> Confirmation {
    Box::pin(async move {
        tokio::time::sleep(PUBLISH_AGAIN).await;
        match publisher.publish(outgoing).await {
            Ok(confirmation) => confirmation.await,
            Err(_) => Confirmed::Unknown,
        }
    })
}
