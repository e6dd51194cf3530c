//! A delivery, opened: its envelopes, each with what the broker says of it; and what can not be read.

use std::sync::Arc;

use bytes::Bytes;

use super::port::{Death, Delivery, Outgoing, Properties};
use crate::broken;
use crate::wire::address::Address;
use crate::wire::codec::{self, Unreadable};
use crate::wire::{AgentId, Content, Envelope, MessageId, ProjectId, Timestamp};

/// One envelope as it came.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) envelope: Envelope,
    pub(crate) key: Arc<str>,
    /// The exchange that it was published to, by its full name.
    pub(crate) exchange: Arc<str>,
    /// Handled inputs are to have their effects again.
    pub(crate) again: bool,
    /// The newest of its deaths (an alarm has died of age), or that it was set aside and told.
    pub(crate) death: Option<Death>,
    /// It came through the exchange of the dead, from the broker or from an agent that set it aside.
    pub(crate) was_dead: bool,
    /// The bytes that it came in, when nothing else was in them.
    whole: Option<Bytes>,
}

impl Letter {
    /// The envelope as it is set aside: as it came, with what a newer version may have put into it; alone, when its
    /// delivery brought others.
    pub(crate) fn body(&self) -> Bytes {
        let alone = || serde_json::to_vec(&self.envelope).map(Bytes::from).unwrap_or_default();
        self.whole.clone().unwrap_or_else(alone)
    }
}

/// What a delivery brought.
#[derive(Default)]
pub(crate) struct Opened {
    /// In their order.
    pub(crate) letters: Vec<Letter>,
    /// What can not be read, in one piece for each reason.
    pub(crate) unreadable: Vec<Unreadable>,
    /// It was one message, so that what stands beside its body is about that one.
    pub(crate) is_one: bool,
}

pub(crate) fn open(delivery: &Delivery) -> Opened {
    let parts = codec::decode(&delivery.body);
    let is_one = parts.len() == 1;
    let whole = is_one.then(|| delivery.body.clone());
    let (mut letters, mut unreadable) = (Vec::with_capacity(parts.len()), Vec::new());
    let (key, exchange) = (Arc::from(&*delivery.key), Arc::from(exchange(delivery)));
    for part in parts {
        match part {
            Ok(envelope) => letters.push(Letter {
                envelope,
                key: Arc::clone(&key),
                exchange: Arc::clone(&exchange),
                again: delivery.redelivered || delivery.properties.again,
                death: delivery.death.clone().or_else(|| set_aside(delivery)),
                was_dead: came_through_the_dead(delivery),
                whole: whole.clone(),
            }),
            Err(part) => unreadable.push(part),
        }
    }
    Opened { letters, unreadable: codec::gather(unreadable), is_one }
}

/// Why a delivery was set aside by one of us, when it came by the exchange of the dead.
fn set_aside(delivery: &Delivery) -> Option<Death> {
    let reason = || delivery.properties.reason.clone().unwrap_or_else(|| "set aside".into());
    came_through_the_dead(delivery).then(|| Death { queue: String::new(), reason: reason() })
}

/// The exchange that a delivery was first published to. What comes as a dead letter came in through another one; and of
/// what came through the exchange of the dead itself, whoever set it aside wrote that down.
pub(crate) fn exchange(delivery: &Delivery) -> &str {
    match (&delivery.origin, &delivery.properties.origin) {
        (Some(origin), _) => &origin.exchange,
        (None, Some(written)) if came_through_the_dead(delivery) => written,
        _ => &delivery.exchange,
    }
}

pub(crate) fn came_through_the_dead(delivery: &Delivery) -> bool {
    // The last part of its name says which exchange it is: a namespace is one word.
    delivery.exchange.ends_with(".dead")
}

/// A letter that is set aside: where it came from, and why it goes no further.
pub(crate) struct Aside<'a> {
    /// None when it never got into one.
    pub(crate) exchange: Option<&'a str>,
    pub(crate) key: &'a str,
    /// What its sender wrote beside its body, as far as that is known: its id, its project, its sender.
    pub(crate) beside: Properties,
    pub(crate) reason: &'a str,
    pub(crate) at: Timestamp,
}

/// What stood beside a message that came alone; of one among several nothing is known.
pub(crate) fn beside(delivery: &Delivery, is_one: bool) -> Properties {
    if is_one { delivery.properties.clone() } else { Properties::default() }
}

/// What stands beside a message of which no more is known than its id.
pub(crate) fn only_id(id: MessageId) -> Properties {
    Properties { message_id: Some(id), ..Properties::default() }
}

/// What cannot be handled here, on its way to the dead letters.
pub(crate) fn dead(aside: Aside<'_>, told: Option<String>, body: Bytes) -> Outgoing {
    Outgoing {
        address: Address { told, ..Address::dead(aside.key) },
        mandatory: true,
        properties: Properties {
            again: false,
            passed_on: false,
            reason: Some(aside.reason.to_owned()),
            origin: aside.exchange.map(str::to_owned),
            set_aside_at: Some(aside.at),
            persistent: true,
            ..aside.beside
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
        self.message(MessageId(broken::id(id.0)), to, project, content, now, true)
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
