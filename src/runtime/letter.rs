//! A delivery, opened: its envelopes, each with what the broker says of it; and what can not be read.

use bytes::Bytes;

use super::port::{Death, Delivery, Outgoing, Properties};
use crate::wire::address::Address;
use crate::wire::codec::{self, Unreadable};
use crate::wire::{AgentId, Content, Envelope, MessageId, ProjectId, Timestamp};

/// The last word of the name of the exchange of the dead.
const DEAD: &str = "dead";

/// One envelope as it came.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) envelope: Envelope,
    pub(crate) key: String,
    /// Handled inputs are to have their effects again.
    pub(crate) again: bool,
    /// It came as a dead letter: the broker's, or one that was set aside and told.
    pub(crate) death: Option<Death>,
}

impl Letter {
    /// The envelope alone, as it is set aside: its delivery may have brought others.
    pub(crate) fn body(&self) -> Bytes {
        serde_json::to_vec(&self.envelope).map(Bytes::from).unwrap_or_default()
    }
}

/// What a delivery brought.
#[derive(Default)]
pub(crate) struct Opened {
    /// In their order.
    pub(crate) letters: Vec<Letter>,
    /// What can not be read, in one piece for each reason.
    pub(crate) unreadable: Vec<Unreadable>,
}

pub(crate) fn open(delivery: &Delivery) -> Opened {
    let (mut letters, mut unreadable) = (Vec::new(), Vec::new());
    for part in codec::decode(&delivery.body) {
        match part {
            Ok(envelope) => letters.push(Letter {
                envelope,
                key: delivery.key.clone(),
                again: delivery.redelivered || delivery.properties.again,
                death: delivery.death.clone().or_else(|| set_aside(delivery)),
            }),
            Err(part) => unreadable.push(part),
        }
    }
    Opened { letters, unreadable: codec::gather(unreadable) }
}

/// Why a delivery was set aside by one of us, when it came by the exchange of the dead.
fn set_aside(delivery: &Delivery) -> Option<Death> {
    let came_dead = delivery.exchange.rsplit('.').next() == Some(DEAD);
    let reason = || delivery.properties.reason.clone().unwrap_or_else(|| "set aside".into());
    came_dead.then(|| Death { queue: String::new(), reason: reason() })
}

/// What cannot be handled here, on its way to the dead letters. What came as a dead letter is told to nobody,
/// else it would come straight back.
pub(crate) fn dead(key: &str, told: Option<String>, id: Option<MessageId>, reason: &str, body: Bytes) -> Outgoing {
    Outgoing {
        address: Address { told, ..Address::dead(key) },
        mandatory: true,
        properties: Properties {
            message_id: id,
            reason: Some(reason.to_owned()),
            persistent: true,
            ..Properties::default()
        },
        body,
    }
}

/// Who writes letters, and on what.
#[derive(Debug, Clone)]
pub(crate) struct Pen {
    pub(crate) agent: AgentId,
}

impl Pen {
    /// An envelope from this agent.
    pub(crate) fn envelope(
        &self,
        id: MessageId,
        to: &Address,
        project: ProjectId,
        content: Content,
        now: Timestamp,
    ) -> Envelope {
        Envelope {
            message_id: id,
            sender_id: self.agent.to_string(),
            receiver_id: to.key.clone(),
            message_type: content.message_type(),
            content,
            timestamp: now,
            task_id: project,
        }
    }

    /// A message that must arrive. Fails when it is too big to be sent.
    pub(crate) fn must_arrive(
        &self,
        id: MessageId,
        to: Address,
        project: ProjectId,
        content: Content,
        now: Timestamp,
    ) -> Result<Outgoing, codec::EncodeError> {
        self.message(id, to, project, content, now, true)
    }

    /// A message that may get lost. None when it is too big to be sent.
    pub(crate) fn best_effort(
        &self,
        id: MessageId,
        to: Address,
        project: ProjectId,
        content: Content,
        now: Timestamp,
    ) -> Option<Outgoing> {
        self.message(id, to, project, content, now, false).ok()
    }

    fn message(
        &self,
        id: MessageId,
        to: Address,
        project: ProjectId,
        content: Content,
        now: Timestamp,
        must_arrive: bool,
    ) -> Result<Outgoing, codec::EncodeError> {
        let attempt = match &content {
            Content::ExecuteSubtask(command) => Some(command.attempt),
            _ => None,
        };
        let envelope = self.envelope(id, &to, project, content, now);
        Ok(Outgoing {
            body: codec::encode(&envelope)?,
            mandatory: must_arrive,
            properties: Properties {
                message_id: Some(id),
                project: Some(project),
                kind: Some(envelope.content.name().to_owned()),
                sender: Some(envelope.sender_id),
                attempt,
                persistent: must_arrive,
                ..Properties::default()
            },
            address: to,
        })
    }
}
