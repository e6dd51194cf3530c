//! How a stream stands, for whoever watches: when it moves on it is said soon, and then once in a while as long as it
//! moves. Nobody needs to be told of every step, and where many projects take small steps the words would outnumber the
//! work: of what moves and ends at once only the end is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::StreamId;

/// How soon it is said of a stream that has stood still.
const SOON: Duration = Duration::from_millis(250);

/// What is to be said when.
pub(crate) struct Herald {
    every: Duration,
    /// Those whose turn comes: whether they have moved since the last.
    turns: BTreeMap<StreamId, bool>,
    /// The same in the order of their turns.
    order: BTreeSet<(Instant, StreamId)>,
}

impl Herald {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, turns: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// A stream has moved: its turn comes.
    pub(crate) fn moved(&mut self, stream: StreamId, now: Instant) {
        if self.turns.insert(stream, true).is_none() {
            self.order.insert((now + self.every.min(SOON), stream));
        }
    }

    /// When there is something to look at.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Those that have moved, and whose turn it is. Those that have not are forgotten: of them it is said soon again.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<StreamId> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some((_, stream)) = self.order.pop_first() else { break };
            if self.turns.remove(&stream) == Some(true) {
                due.push(stream);
            }
        }
        for &stream in &due {
            self.turns.insert(stream, false);
            self.order.insert((now + self.every, stream));
        }
        due
    }
}

/// Waits until then, and says when it is; for ever when there is nothing to wait for.
pub(crate) async fn turn(at: Option<Instant>) -> Instant {
    match at {
        Some(at) => {
            tokio::time::sleep_until(at).await;
            Instant::now()
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::wire::ProjectId;

    #[test]
    fn the_first_step_is_said_soon_and_then_how_it_stands_once_in_a_while() {
        let (mut herald, began) = (Herald::new(Duration::from_secs(1)), Instant::now());
        let at = |ms: u64| began + Duration::from_millis(ms);
        let stream = |number: u32| StreamId::Phase(ProjectId(Uuid::nil()), number);
        assert_eq!((herald.next(), herald.due(at(0))), (None, vec![]));
        herald.moved(stream(1), at(0));
        herald.moved(stream(1), at(10));
        assert_eq!((herald.next(), herald.due(at(249))), (Some(at(250)), vec![]));
        assert_eq!(herald.due(at(250)), [stream(1)], "once for both");
        // Each has its own turns.
        herald.moved(stream(2), at(300));
        herald.moved(stream(1), at(400));
        assert_eq!((herald.next(), herald.due(at(600))), (Some(at(550)), vec![stream(2)]));
        assert_eq!((herald.next(), herald.due(at(1_249))), (Some(at(1_250)), vec![]));
        assert_eq!(herald.due(at(1_250)), [stream(1)]);
        // What has not moved is forgotten.
        assert_eq!((herald.due(at(1_600)), herald.next()), (vec![], Some(at(2_250))));
        herald.moved(stream(2), at(2_000));
        assert_eq!(herald.due(at(2_250)), [stream(2)], "the other has stood still");
        assert_eq!((herald.due(at(20_000)), herald.next()), (vec![], None), "nothing is left of either");
    }

    #[test]
    fn every_step_is_said_where_that_is_wanted() {
        let (mut herald, now) = (Herald::new(Duration::ZERO), Instant::now());
        let stream = StreamId::Project(ProjectId(Uuid::nil()));
        for _ in 0..3 {
            herald.moved(stream, now);
            assert_eq!(herald.due(now), [stream]);
        }
    }
}
