//! `noop`: does nothing and answers null. For measuring everything around the work.

use async_trait::async_trait;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::runtime::port::{Assignment, Report, Runner};
use crate::wire::Raw;

pub(super) const OPTIONS: [&str; 0] = [];

#[derive(Deserialize)]
pub(super) struct Options {}

pub(super) struct Noop;

impl Noop {
    pub(super) fn new(Options {}: Options) -> Self {
        Self
    }
}

#[async_trait]
impl Runner for Noop {
    async fn run(&self, _: &Assignment, _: CancellationToken) -> Report {
        Report::completed(Raw::null())
    }

    fn is_instant(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::testing::assignment;

    #[tokio::test]
    async fn answers_null_at_once() {
        let noop = Noop::new(Options {});
        let report = noop.run(&assignment(serde_json::json!({ "any": 1 })), CancellationToken::new()).await;
        assert_eq!(report, Report::completed(Raw::null()));
        assert!(noop.is_instant());
    }
}
