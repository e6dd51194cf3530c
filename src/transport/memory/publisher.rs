//! The sending end of a channel. The broker's task answers what is published here, never the call itself.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};

use super::connection::Connection;
use crate::runtime::port::{Confirmation, Confirmed, Outgoing, Publisher, TransportError};

/// Publishes that may be unanswered on one channel: what a channel of the real broker has, far above what a
/// loop has in flight, and some megabytes at most.
pub const UNCONFIRMED_MAX: usize = 4_096;

/// AMQP's own limit, so that what works here works there.
const KEY_BYTES_MAX: usize = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LineId(pub(super) u64);

/// What the two ends of a publisher's channel share.
#[derive(Debug)]
pub(super) struct Line {
    /// Whose it is.
    pub(super) agent: Arc<str>,
    /// The room among the unconfirmed; closed with the channel.
    room: Arc<Semaphore>,
    end: OnceLock<String>,
}

impl Line {
    pub(super) fn new(agent: Arc<str>) -> Self {
        Self { agent, room: Arc::new(Semaphore::new(UNCONFIRMED_MAX)), end: OnceLock::new() }
    }

    pub(super) fn close(&self, reason: &str) {
        self.end.get_or_init(|| reason.to_owned());
        self.room.close();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.room.is_closed()
    }

    pub(super) fn error(&self) -> TransportError {
        TransportError::Closed(self.end.get().cloned().unwrap_or_else(|| "the broker is gone".to_owned()))
    }
}

pub(super) struct MemoryPublisher {
    connection: Arc<Connection>,
    id: LineId,
    line: Arc<Line>,
}

impl MemoryPublisher {
    pub(super) fn new(connection: Arc<Connection>, id: LineId, line: Arc<Line>) -> Self {
        Self { connection, id, line }
    }
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&self, message: Outgoing) -> Result<Confirmation, TransportError> {
        check_key(&message.address.key)?;
        message.address.told.as_deref().map_or(Ok(()), check_key)?;
        message.properties.also.iter().try_for_each(|key| check_key(key))?;
        let room = self.line.room.clone().acquire_owned().await.map_err(|_| self.line.error())?;
        let (to, answer) = oneshot::channel();
        self.connection.broker.act(|core, now| core.publish(&self.line, message, room, to, now))?;
        Ok(Box::pin(async move { answer.await.unwrap_or(Confirmed::Unknown) }))
    }
}

fn check_key(key: &str) -> Result<(), TransportError> {
    match key.len() <= KEY_BYTES_MAX {
        true => Ok(()),
        false => {
            Err(TransportError::Refused(format!("a routing key of {} bytes is longer than AMQP's 255", key.len())))
        }
    }
}

impl Drop for MemoryPublisher {
    /// What is on its way is still answered.
    fn drop(&mut self) {
        self.connection.broker.act(|core, _| core.lines.remove(&self.id));
    }
}
