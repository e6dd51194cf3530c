//! What of this process does not work just now. However many parts of it one outage stops, and however often they
//! try: it is said once when it begins, and once when the last part works again.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// An outage so soon after another is its rest: it is said only when it outlasts this.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// So many parts are told of in a heartbeat, each with so many bytes of its reason at the most.
const TOLD_MAX: usize = 3;
const TOLD_BYTES_MAX: usize = 200;
/// Whatever a step of the protocol waits for has a bound that is shorter than this.
const STEP_LONG: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Outages {
    state: Mutex<State>,
    /// Whether anything is broken, to be asked at every commit.
    any: AtomicBool,
}

/// Says that a part works when it is over, also when nobody waits for it any more.
struct Works<'a> {
    outages: &'a Outages,
    part: &'static str,
}

impl Drop for Works<'_> {
    fn drop(&mut self) {
        self.outages.works(self.part);
    }
}

#[derive(Default)]
struct State {
    /// By part, why.
    broken: BTreeMap<String, String>,
    since: Option<Instant>,
    said: bool,
    /// When the last one ended that was said.
    ended: Option<Instant>,
}

impl Outages {
    /// A part does not work, or still does not. True for the first part of an outage.
    pub(crate) fn broke(&self, part: &str, why: &str) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let is_first = state.broken.is_empty();
        if is_first {
            (state.since, state.said) = (Some(now), false);
        }
        state.broken.insert(part.to_owned(), why.to_owned());
        self.any.store(true, Ordering::Release);
        let is_rest = state.ended.is_some_and(|ended| now - ended < SAID_AGAIN_AFTER);
        let (why, hint) = why.split_once("\nhint: ").map_or((why, None), |(why, hint)| (why, Some(hint)));
        if state.said || is_rest {
            tracing::debug!(part, why, hint, "broken");
        } else {
            tracing::warn!(part, why, hint, "broken; this process goes on by itself as soon as it can");
            state.said = true;
        }
        is_first
    }

    /// Does a step of `part`, and says so when it does not end: nothing else is done meanwhile by who waits for it.
    pub(crate) async fn in_time<T>(self: Arc<Self>, part: &'static str, step: impl Future<Output = T>) -> T {
        let mut step = pin!(step);
        if let Ok(done) = tokio::time::timeout(STEP_LONG, &mut step).await {
            return done;
        }
        let _works_again = Works { outages: &self, part };
        self.broke(part, &format!("a step has taken longer than {} s", STEP_LONG.as_secs()));
        step.await
    }

    /// A part works.
    pub(crate) fn works(&self, part: &str) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.lock();
        if state.broken.remove(part).is_none() || !state.broken.is_empty() {
            return;
        }
        self.any.store(false, Ordering::Release);
        let after_ms = state.since.map_or(0, |since| since.elapsed().as_millis());
        if state.said {
            tracing::info!(after_ms, "whole again");
            state.ended = Some(Instant::now());
        } else {
            tracing::debug!(after_ms, "whole again");
        }
    }

    /// What does not work, in one line for heartbeats; none when all is well.
    pub(crate) fn describe(&self) -> Option<String> {
        if !self.any() {
            return None;
        }
        let state = self.lock();
        let line = |(part, why): (&String, &String)| {
            let why = why.lines().next().unwrap_or_default();
            format!("{part}: {}", &why[..why.floor_char_boundary(TOLD_BYTES_MAX)])
        };
        let mut lines: Vec<String> = state.broken.iter().take(TOLD_MAX).map(line).collect();
        if state.broken.len() > TOLD_MAX {
            lines.push(format!("{} more", state.broken.len() - TOLD_MAX));
        }
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while it held the lock left whole values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    /// What is said from `info` on, a line each.
    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Said {
        fn lines(&self) -> usize {
            self.0.lock().expect("no panic").iter().filter(|&&byte| byte == b'\n').count()
        }
    }

    #[test]
    fn one_line_tells_of_a_few_parts() {
        let outages = Outages::default();
        assert_eq!(outages.describe(), None);
        outages.broke("the store", "no answer\nhint: wait");
        assert_eq!(outages.describe().as_deref(), Some("the store: no answer"));
        (0..4).for_each(|number| _ = outages.broke(&format!("partition {number}"), &"é".repeat(500)));
        let told = outages.describe().expect("trouble");
        assert!(told.ends_with("; 2 more") && told.len() < TOLD_MAX * (TOLD_BYTES_MAX + 20), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_many_parts_is_said_once_and_its_end_once() {
        let said = Said::default();
        let writer = said.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(log);
        let outages = Outages::default();
        assert!(outages.broke("a", "gone"));
        for _ in 0..60 {
            assert!(!outages.broke("a", "gone"));
            assert!(!outages.broke("b", "gone too"));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!((said.lines(), outages.any()), (1, true));
        outages.works("a");
        outages.works("c");
        assert_eq!((said.lines(), outages.any()), (1, true));
        outages.works("b");
        outages.works("b");
        assert_eq!((said.lines(), outages.any()), (2, false));

        // What follows at once belongs to it, and is said when it lasts.
        assert!(outages.broke("a", "gone again"));
        outages.works("a");
        assert!(outages.broke("a", "gone again"));
        assert_eq!(said.lines(), 2);
        tokio::time::advance(SAID_AGAIN_AFTER).await;
        assert!(!outages.broke("a", "gone again"));
        outages.works("a");
        assert_eq!(said.lines(), 4);
    }
}
