//! How long a store that does not answer is asked again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::outage::Outages;
use super::port::StoreError;

/// A store that does not answer is asked again for this long; then the deliveries are left to somebody whose
/// store does.
const STORE_PATIENCE: Duration = Duration::from_secs(10);
const STORE_PAUSE_FIRST: Duration = Duration::from_millis(50);
const STORE_PAUSE_MAX: Duration = Duration::from_secs(2);
/// What it is called when it does not work.
pub(crate) const STORE: &str = "the store";

/// Asks a store again and again, a little later each time, and not for ever.
pub(crate) struct Patience {
    pause: Duration,
    /// When it failed first.
    since: Option<Instant>,
    outages: Arc<Outages>,
}

impl Patience {
    pub(crate) fn new(outages: Arc<Outages>) -> Self {
        Self { pause: STORE_PAUSE_FIRST, since: None, outages }
    }

    /// Waits until it is to be asked again; gives the error back when there is no sense in that, or not any more.
    pub(crate) async fn wait(&mut self, error: StoreError) -> Result<(), StoreError> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if matches!(error, StoreError::Unusable(_)) || since.elapsed() >= STORE_PATIENCE {
            return Err(error);
        }
        self.outages.broke(STORE, &error.to_string());
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(STORE_PAUSE_MAX);
        Ok(())
    }
}
