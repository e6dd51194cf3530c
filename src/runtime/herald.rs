//! How a stream stands, for whoever watches: when it moves on it is said at once, and then once in a while as long as it
//! moves. Nobody needs to be told of every step, and where many projects take small steps the words would outnumber the
//! work.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::StreamId;

/// What was said when.
pub(crate) struct Herald {
    every: Duration,
    /// Of which something was said not long ago: whether they have moved since.
    said: BTreeMap<StreamId, bool>,
    /// The same in the order in which their while is over.
    over: VecDeque<(Instant, StreamId)>,
}

impl Herald {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, said: BTreeMap::new(), over: VecDeque::new() }
    }

    /// A stream has moved. Whether that is to be said now; if not, its turn comes.
    pub(crate) fn moved(&mut self, stream: StreamId, now: Instant) -> bool {
        if let Some(moved) = self.said.get_mut(&stream) {
            *moved = true;
            return false;
        }
        self.wait(stream, now);
        true
    }

    fn wait(&mut self, stream: StreamId, now: Instant) {
        self.said.insert(stream, false);
        self.over.push_back((now + self.every, stream));
    }

    /// When there is something to look at.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.over.front().map(|(at, _)| *at)
    }

    /// Those that have moved, and whose turn it is. Those that have not are forgotten: of them it is said at once again.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<StreamId> {
        let mut due = Vec::new();
        while let Some((_, stream)) = self.over.pop_front_if(|(at, _)| *at <= now) {
            if self.said.remove(&stream) == Some(true) {
                due.push(stream);
            }
        }
        for &stream in &due {
            self.wait(stream, now);
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
    fn the_first_step_is_said_at_once_and_the_last_one_soon() {
        let (mut herald, began) = (Herald::new(Duration::from_secs(1)), Instant::now());
        let at = |ms: u64| began + Duration::from_millis(ms);
        let stream = |number: u32| StreamId::Phase(ProjectId(Uuid::nil()), number);
        assert_eq!((herald.next(), herald.due(at(0))), (None, vec![]));
        assert!(herald.moved(stream(1), at(0)));
        assert!(herald.moved(stream(2), at(300)), "each has its own while");
        assert!(!herald.moved(stream(1), at(400)) && !herald.moved(stream(1), at(999)));
        assert_eq!((herald.next(), herald.due(at(999))), (Some(at(1_000)), vec![]));
        // Once for all its steps, and after that it waits again.
        assert_eq!(herald.due(at(1_000)), [stream(1)]);
        assert!(!herald.moved(stream(1), at(1_100)));
        // What has not moved is forgotten.
        assert_eq!((herald.next(), herald.due(at(1_300))), (Some(at(1_300)), vec![]));
        assert!(herald.moved(stream(2), at(1_301)));
        assert_eq!(herald.due(at(10_000)), [stream(1)]);
        assert_eq!((herald.due(at(20_000)), herald.next()), (vec![], None), "nothing is left of either");
    }
}
