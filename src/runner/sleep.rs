//! `sleep`: waits for as long as its input says, `{"ms": N}`, and answers null. For trying out everything that
//! depends on work taking time.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::runtime::port::{Assignment, Report, Runner};
use crate::wire::{Failure, FailureKind, Raw};

pub(super) const OPTIONS: [&str; 0] = [];

#[derive(Deserialize)]
pub(super) struct Options {}

pub(super) struct Sleep;

impl Sleep {
    pub(super) fn new(Options {}: Options) -> Self {
        Self
    }
}

/// What it reads of its input. Whatever else a goal hands to all its subtasks is not its business.
#[derive(Deserialize)]
struct Input {
    ms: u64,
}

#[async_trait]
impl Runner for Sleep {
    async fn run(&self, assignment: &Assignment, stop: CancellationToken) -> Report {
        let input: Input = match assignment.command.input.read() {
            Ok(input) => input,
            Err(error) => return Report::failed(Failure::permanent(format!("input is not {{\"ms\": N}}: {error}"))),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Report::failed(Failure::new(FailureKind::Cancelled, "stopped while it slept")),
            () = tokio::time::sleep(Duration::from_millis(input.ms)) => Report::completed(Raw::null()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::*;
    use crate::runner::testing::assignment;

    async fn sleep(input: Value) -> Report {
        Sleep.run(&assignment(input), CancellationToken::new()).await
    }

    #[tokio::test(start_paused = true)]
    async fn sleeps_for_as_long_as_it_is_told() {
        let begin = Instant::now();
        assert_eq!(sleep(json!({ "ms": 90_000, "index": 3 })).await, Report::completed(Raw::null()));
        assert_eq!(begin.elapsed().as_secs(), 90);
    }

    #[tokio::test]
    async fn input_without_a_duration_never_works() {
        for bad in [json!(null), json!({}), json!({ "ms": -1 }), json!({ "ms": "1" }), json!({ "ms": 1.5 })] {
            let failure = sleep(bad.clone()).await.outcome.expect_err("refused");
            assert_eq!(failure.kind, FailureKind::Permanent, "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_wakes_it() {
        let stop = CancellationToken::new();
        let assignment = assignment(json!({ "ms": u64::MAX }));
        let (report, ()) = tokio::join!(Sleep.run(&assignment, stop.clone()), async { stop.cancel() });
        assert_eq!(report.outcome.expect_err("stopped").kind, FailureKind::Cancelled);
    }
}
