//! Keeps a session going: whatever breaks it, it is opened again, a little later each time, until it is told to
//! stop. What has worked once never gives up: brokers refuse a lot while they start.

use std::future::Future;
use std::time::Duration;

use super::port::{Clock, StoreError, TransportError};
use super::presence::Post;
use super::stop::Stop;
use super::topology::topology;

const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A session that lasted this long was well: the next outage starts with the short pause again.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// Why a process can not go on at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    #[error(transparent)]
    Transport(TransportError),
    #[error(transparent)]
    Store(StoreError),
    /// This process and its peers work on different stores.
    #[error("{0}")]
    WrongStore(String),
}

/// Why a session ended.
pub(crate) enum Ended {
    /// It broke: again, a little later.
    Broken(String),
    /// Somebody has deleted what it needs, or the broker can not find it yet.
    Missing(String),
    Fatal(Fatal),
}

impl From<TransportError> for Ended {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Mismatch(_) | TransportError::Refused(_) => Self::Fatal(Fatal::Transport(error)),
            TransportError::Missing(_) => Self::Missing(error.to_string()),
            TransportError::Unreachable(_) | TransportError::Closed(_) => Self::Broken(error.to_string()),
        }
    }
}

impl From<super::lane::LaneError> for Ended {
    fn from(error: super::lane::LaneError) -> Self {
        use super::lane::LaneError;
        match error {
            LaneError::Transport(error) => error.into(),
            LaneError::Store(error @ StoreError::Unusable(_)) => Self::Fatal(Fatal::Store(error)),
            LaneError::WrongStore(why) => Self::Fatal(Fatal::WrongStore(why)),
            error @ (LaneError::Store(_) | LaneError::Unconfirmed) => Self::Broken(error.to_string()),
        }
    }
}

/// Runs `session` again and again until `stop` drains, or it can not go on at all. A session ends well only when
/// it was told to stop. It says when it works, by `part`.
pub(crate) async fn supervise<F, S>(part: &str, post: &Post, stop: &Stop, mut session: S) -> Result<(), Fatal>
where
    S: FnMut() -> F,
    F: Future<Output = Result<(), Ended>>,
{
    let mut pause = PAUSE_FIRST;
    let mut must_declare = false;
    while !stop.is_draining() {
        let began = tokio::time::Instant::now();
        let declared = if must_declare { declare(post).await } else { Ok(()) };
        must_declare &= declared.is_err();
        let ended = match declared {
            Ok(()) => session().await,
            broken => broken,
        };
        if began.elapsed() >= WELL_AFTER {
            pause = PAUSE_FIRST;
        }
        let (why, is_missing) = match ended {
            // Told to stop; or put to the end of the line, and opened again at once.
            Ok(()) => continue,
            Err(Ended::Fatal(fatal @ (Fatal::Transport(_) | Fatal::Store(_)))) if post.was_ready() => {
                (fatal.to_string(), false)
            }
            Err(Ended::Fatal(fatal)) => return Err(fatal),
            Err(Ended::Broken(why)) => (why, false),
            Err(Ended::Missing(why)) => (why, true),
        };
        // Exchanges are missed by nobody who consumes: the first part that breaks looks after all there is to be.
        must_declare |= post.broke(part, &why) || is_missing;
        tokio::select! {
            biased;
            () = stop.draining() => {}
            () = tokio::time::sleep(jittered(pause, post.ground().clock.as_ref())) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

/// Somebody may have deleted a queue or an exchange.
pub(super) async fn declare(post: &Post) -> Result<(), Ended> {
    let ground = post.ground();
    ground.transport.declare(&topology(&ground.topology)).await?;
    post.bind_again();
    Ok(())
}

/// Between nothing and `pause`, so that many processes do not come back at the same moment.
pub(crate) fn jittered(pause: Duration, clock: &dyn Clock) -> Duration {
    let random = clock.fresh_id().as_u128() as u16;
    pause * u32::from(random) / u32::from(u16::MAX)
}
