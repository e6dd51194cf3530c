//! A dead letter on its way again.
//!
//! | letter | what is sent |
//! | --- | --- |
//! | a command, or several | a `Retry` of its subtask to the managers: its own attempt is over |
//! | anything else | the same body under the same id to its first exchange and key, with `x-again` |
//!
//! What the broker wrote into a letter when it died does not go along: it would be taken for a death of the new one.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::letter::exchange_named;
use super::{DeadLetter, DeadLetters};
use crate::runtime::letter::Pen;
use crate::runtime::port::{
    Clock, Confirmation, Confirmed, Outgoing, Properties, Publisher, Transport, TransportError,
};
use crate::wire::address::{Address, Exchange, Namespace, TOLD_MANAGERS};
use crate::wire::codec::EncodeError;
use crate::wire::content::Control;
use crate::wire::{AgentId, Content, Envelope, MessageId, ProjectId, SubtaskId};

/// Sends letters on their way again.
pub struct Redriver {
    clock: Arc<dyn Clock>,
    namespace: Namespace,
    publisher: Box<dyn Publisher>,
    pen: Pen,
}

/// What became of a letter that the broker has taken again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriven {
    /// The managers are asked to retry these.
    Retry(Vec<(ProjectId, SubtaskId)>),
    /// It is where it once was.
    Sent { exchange: String, routing_key: String },
}

/// Why a letter stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRedriven {
    #[error("nobody wrote down where it came from")]
    NoOrigin,
    #[error("it came through `{0}`, which is no exchange of this namespace")]
    Foreign(String),
    #[error("no queue takes the key `{key}` of `{exchange}`")]
    NoQueue { exchange: String, key: String },
    #[error("its queue is full")]
    Full,
    #[error("the broker did not confirm it")]
    Unconfirmed,
    #[error(
        "it has commands and something else in it: what is no command would be lost, and a command is never sent again"
    )]
    Mixed,
    #[error("{0}")]
    Pointless(String),
    #[error("the retry can not be written: {0}")]
    Unsendable(#[from] EncodeError),
}

impl Redriver {
    pub async fn connect(
        transport: &dyn Transport,
        namespace: Namespace,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TransportError> {
        let word = format!("client-{}", clock.fresh_id().simple());
        let agent = AgentId::new(word).expect("hexadecimal digits make a word");
        Ok(Self { clock, namespace, publisher: transport.publisher().await?, pen: Pen { agent } })
    }

    /// Sends a letter, and does not wait for the confirm. Nothing of it is sent when it can not be redriven. An error
    /// means that nothing more can be sent; letters that are on their way are in the queue again then, whether or not
    /// the broker has taken them.
    pub async fn send(&self, letter: DeadLetter) -> Result<OnItsWay, TransportError> {
        self.send_some(letter, |_| true).await
    }

    /// The same for the commands of these subtasks only, of those that are in the letter.
    pub async fn send_retries(
        &self,
        letter: DeadLetter,
        subtasks: &[(ProjectId, SubtaskId)],
    ) -> Result<OnItsWay, TransportError> {
        self.send_some(letter, |subtask| subtasks.contains(&subtask)).await
    }

    async fn send_some(
        &self,
        letter: DeadLetter,
        is_wanted: impl Fn((ProjectId, SubtaskId)) -> bool,
    ) -> Result<OnItsWay, TransportError> {
        let (messages, outcome) = match self.prepare(&letter, is_wanted) {
            Ok((messages, redriven)) => (messages, Ok(redriven)),
            Err(why) => (Vec::new(), Err(why)),
        };
        let mut confirmations = Vec::with_capacity(messages.len());
        for message in messages {
            let (exchange, key) = (message.address.exchange.name(&self.namespace), message.address.key.clone());
            confirmations.push((exchange, key, self.publisher.publish(message).await?));
        }
        Ok(OnItsWay { letter, confirmations, outcome })
    }

    fn prepare(
        &self,
        letter: &DeadLetter,
        is_wanted: impl Fn((ProjectId, SubtaskId)) -> bool,
    ) -> Result<(Vec<Outgoing>, Redriven), NotRedriven> {
        match commands(letter) {
            Some(mut commands) => {
                commands.retain(|(envelope, subtask)| is_wanted((envelope.task_id, *subtask)));
                let retries = commands.iter().map(|(envelope, subtask)| self.retry(envelope, *subtask));
                let messages = retries.collect::<Result<_, _>>()?;
                let subtasks = commands.into_iter().map(|(envelope, subtask)| (envelope.task_id, subtask));
                Ok((messages, Redriven::Retry(subtasks.collect())))
            }
            None if letter.parts.iter().any(is_command) => Err(NotRedriven::Mixed),
            None => {
                let message = self.again(letter)?;
                let exchange = message.address.exchange.name(&self.namespace);
                let routing_key = message.address.key.clone();
                Ok((vec![message], Redriven::Sent { exchange, routing_key }))
            }
        }
    }

    /// Asks for another attempt of what a dead command was about. The id says which letter asks: a copy of it, or the
    /// same once more after a crash of ours, asks for nothing more.
    fn retry(&self, command: &Envelope, subtask: SubtaskId) -> Result<Outgoing, NotRedriven> {
        let (id, project_id) = (Uuid::new_v5(&command.message_id.0, b"redrive"), command.task_id);
        // What a person has cancelled is not wanted again because of this.
        let control = Control { subtask_id: Some(subtask), failed_only: true, ..Control::about(project_id) };
        let content = Content::Retry(control);
        Ok(self.pen.must_arrive(MessageId(id), Address::requests(), project_id, content, self.clock.now())?)
    }

    fn again(&self, letter: &DeadLetter) -> Result<Outgoing, NotRedriven> {
        let name = letter.facts.exchange.as_ref().ok_or(NotRedriven::NoOrigin)?;
        let exchange = exchange_named(name, &self.namespace).ok_or_else(|| NotRedriven::Foreign(name.clone()))?;
        // Among the dead once more is no way.
        if exchange == Exchange::Dead {
            return Err(NotRedriven::NoOrigin);
        }
        let key = letter.facts.routing_key.clone();
        let told = told(exchange, &key);
        Ok(Outgoing {
            address: Address { exchange, key, told },
            mandatory: true,
            properties: properties(letter),
            body: letter.body.clone(),
        })
    }
}

/// A letter that is sent and not yet confirmed.
pub struct OnItsWay {
    letter: DeadLetter,
    confirmations: Vec<(String, String, Confirmation)>,
    outcome: Result<Redriven, NotRedriven>,
}

impl OnItsWay {
    /// Waits for the broker's word. When it has taken all that was sent for the letter, that is taken out of the queue.
    pub async fn arrive(
        self,
        letters: &DeadLetters,
    ) -> Result<(DeadLetter, Result<Redriven, NotRedriven>), TransportError> {
        let Self { letter, confirmations, mut outcome } = self;
        for (exchange, key, confirmation) in confirmations {
            match confirmation.await {
                Confirmed::Accepted => {}
                Confirmed::Nacked => outcome = Err(NotRedriven::Full),
                Confirmed::Returned => outcome = Err(NotRedriven::NoQueue { exchange, key }),
                Confirmed::Unknown => outcome = Err(NotRedriven::Unconfirmed),
            }
        }
        if outcome.is_ok() {
            letters.remove(&letter).await?;
        }
        Ok((letter, outcome))
    }
}

/// What is retried for a letter: the subtasks of its commands, when it has nothing else in it.
pub fn retried(letter: &DeadLetter) -> Option<Vec<(ProjectId, SubtaskId)>> {
    Some(commands(letter)?.into_iter().map(|(envelope, subtask)| (envelope.task_id, subtask)).collect())
}

fn is_command<E>(part: &Result<Envelope, E>) -> bool {
    part.as_ref().is_ok_and(|envelope| matches!(envelope.content, Content::ExecuteSubtask(_)))
}

/// The commands of a letter that has nothing else in it, one a subtask.
fn commands(letter: &DeadLetter) -> Option<Vec<(&Envelope, SubtaskId)>> {
    let command = |part: &'_ Result<Envelope, _>| match part.as_ref().ok().map(|envelope| &envelope.content) {
        Some(Content::ExecuteSubtask(command)) => Some(command.subtask_id),
        _ => None,
    };
    let commands = letter.parts.iter().map(|part| Some((part.as_ref().ok()?, command(part)?)));
    let mut commands = commands.collect::<Option<Vec<(&Envelope, SubtaskId)>>>()?;
    let mut known = BTreeSet::new();
    commands.retain(|(envelope, subtask)| known.insert((envelope.task_id, *subtask)));
    Some(commands)
}

/// Whom the broker tells when it dies again: what its first sender wrote.
fn told(exchange: Exchange, key: &str) -> Option<String> {
    let is_of_a_phase = key.split('.').rev().nth(1) == Some("p");
    let is_told = exchange == Exchange::Phases || (exchange == Exchange::Later && is_of_a_phase);
    is_told.then(|| TOLD_MANAGERS.to_owned())
}

/// What stood beside the body, as far as it was not written by its death.
fn properties(letter: &DeadLetter) -> Properties {
    let mut properties = Properties {
        again: true,
        persistent: true,
        reason: None,
        origin: None,
        set_aside_at: None,
        ..letter.properties.clone()
    };
    if let [Ok(envelope)] = &letter.parts[..] {
        properties.message_id.get_or_insert(envelope.message_id);
        properties.project.get_or_insert(envelope.task_id);
        properties.kind.get_or_insert_with(|| envelope.content.name().to_owned());
        properties.sender.get_or_insert_with(|| envelope.sender_id.clone());
    }
    properties
}
