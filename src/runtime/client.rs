//! The client's end: publishes requests and controls, asks who is there, and hears how projects end.
//!
//! A client changes nothing by itself: whatever changes state goes through the broker as a message.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::letter::{self, Pen};
use super::port::{Clock, Confirmed, Consumer, Outgoing, Publisher, Transport, TransportError};
use super::presence::REMEMBERED_MS;
use crate::wire::address::{Address, Exchange, Queue, agent_key};
use crate::wire::codec::EncodeError;
use crate::wire::content::{Control, NewProject, Ping, Presence, ProjectCompletion};
use crate::wire::{AgentId, Content, MessageId, ProjectId, Timestamp};

/// Why a client's wish was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It can not be put into a message.
    #[error("the request can not be sent: {0}")]
    Unsendable(#[from] EncodeError),
    /// The queue of requests is full.
    #[error("the queue of requests is full")]
    Full,
    /// No queue takes requests: nobody has declared the topology.
    #[error("nobody takes requests in this namespace")]
    NoQueue,
    /// The broker did not say whether it has the request. Sent again under the same id it stays one project.
    #[error("the broker did not confirm the request")]
    Unknown,
}

/// A client's inbox and its way to send.
pub struct Client {
    clock: Arc<dyn Clock>,
    id: AgentId,
    publisher: Box<dyn Publisher>,
    inbox: Box<dyn Consumer>,
    /// Words about the ends of projects that came together.
    completions: VecDeque<ProjectCompletion>,
}

impl Client {
    /// Opens an inbox, so that answers find this client.
    pub async fn connect(transport: &dyn Transport, clock: Arc<dyn Clock>) -> Result<Self, TransportError> {
        let word = format!("client-{}", clock.fresh_id().simple());
        let id = AgentId::new(word).expect("hexadecimal digits make a word");
        let bindings = [(Exchange::Agents, agent_key(&id))];
        let inbox = transport.subscribe(&Queue::Agent(id.clone()), &bindings).await?;
        let publisher = transport.publisher().await?;
        Ok(Self { clock, id, publisher, inbox, completions: VecDeque::new() })
    }

    pub fn id(&self) -> &AgentId {
        &self.id
    }

    /// Asks for a project; the broker has the request when this returns.
    pub async fn submit(&self, project: ProjectId, request: NewProject) -> Result<(), ClientError> {
        self.request(project, Content::NewProject(request)).await
    }

    /// Publishes to the managers, and waits until the broker has it.
    async fn request(&self, project: ProjectId, content: Content) -> Result<(), ClientError> {
        self.send(MessageId(self.clock.fresh_id()), project, content).await
    }

    async fn send(&self, id: MessageId, project: ProjectId, content: Content) -> Result<(), ClientError> {
        let outgoing = self.pen().must_arrive(id, Address::requests(), project, content, self.clock.now())?;
        self.publish(outgoing).await
    }

    /// Says something about a project; the broker has it when this returns. The id is what the project remembers it
    /// by.
    pub async fn say(&self, project: ProjectId, word: Content) -> Result<MessageId, ClientError> {
        let id = MessageId(self.clock.fresh_id());
        self.send(id, project, word).await?;
        Ok(id)
    }

    /// Has everything sent anew that a project may have lost.
    pub(crate) async fn recover(&self, id: MessageId, project: ProjectId) -> Result<(), ClientError> {
        self.send(id, project, Content::Recover(Control::about(project))).await
    }

    async fn publish(&self, outgoing: Outgoing) -> Result<(), ClientError> {
        match self.publisher.publish(outgoing).await?.await {
            Confirmed::Accepted => Ok(()),
            Confirmed::Nacked => Err(ClientError::Full),
            Confirmed::Returned => Err(ClientError::NoQueue),
            Confirmed::Unknown => Err(ClientError::Unknown),
        }
    }

    /// Waits for the next word about the end of a project; best effort, so whoever waits looks into the store
    /// too.
    pub async fn completion(&mut self) -> Result<ProjectCompletion, TransportError> {
        loop {
            if let Some(completion) = self.completions.pop_front() {
                return Ok(completion);
            }
            for delivery in self.inbox.next(64).await? {
                let contents = letter::open(&delivery).letters.into_iter().map(|letter| letter.envelope.content);
                self.completions.extend(contents.filter_map(|content| match content {
                    Content::ProjectCompletion(completion) => Some(completion),
                    _ => None,
                }));
            }
        }
    }

    /// Who answers a ping sent to `to` within `wait`, by agent; with `enough`, until that many have.
    pub async fn ping(&mut self, to: Address, wait: Duration, enough: Option<usize>) -> Result<Answers, ClientError> {
        let (id, nobody) = (MessageId(self.clock.fresh_id()), ProjectId(uuid::Uuid::nil()));
        let now = self.clock.now();
        let ping = self.pen().best_effort(id, to, nobody, Content::Ping(Ping::default()), now);
        if let Some(outgoing) = ping {
            drop(self.publisher.publish(outgoing).await?);
        }
        let mut answers = Answers::default();
        let until = tokio::time::Instant::now() + wait;
        while enough.is_none_or(|enough| answers.answered.len() < enough) {
            let Ok(deliveries) = tokio::time::timeout_at(until, self.inbox.next(64)).await else { break };
            for delivery in deliveries? {
                for letter in letter::open(&delivery).letters {
                    if let Content::Pong(pong) = letter.envelope.content {
                        answers.take(pong, self.clock.now());
                    }
                }
            }
        }
        Ok(answers)
    }

    fn pen(&self) -> Pen {
        Pen { agent: self.id.clone() }
    }
}

/// What came of a ping.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub answered: BTreeMap<AgentId, Presence>,
    /// Others that those who answered have heard of in the last minute.
    pub heard_of: BTreeMap<AgentId, Presence>,
}

impl Answers {
    /// Takes an answer in, at a moment of this client's clock: by that one all times are from here on.
    fn take(&mut self, mut pong: Presence, now: Timestamp) {
        for mut peer in std::mem::take(&mut pong.peers) {
            // By the clock of the one that answered, which says when it heard of the other.
            let age_ms = pong.last_seen.ms_since(peer.last_seen);
            if age_ms > REMEMBERED_MS {
                continue;
            }
            peer.last_seen = Timestamp(now.0.saturating_sub_unsigned(age_ms));
            let newer = self.heard_of.get(&peer.agent_id).is_none_or(|known| known.last_seen < peer.last_seen);
            if newer {
                self.heard_of.insert(peer.agent_id.clone(), peer);
            }
        }
        pong.last_seen = now;
        self.answered.insert(pong.agent_id.clone(), pong);
    }

    /// Those that did not answer although somebody has heard of them.
    pub fn silent(&self) -> impl Iterator<Item = &Presence> {
        self.heard_of.values().filter(|peer| !self.answered.contains_key(&peer.agent_id) && !peer.leaving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::content::Layer;
    use crate::wire::{AgentStatus, Timestamp};

    fn presence(id: &str, last_seen: Timestamp, peers: Vec<Presence>) -> Presence {
        Presence {
            agent_id: AgentId::new(id).expect("an id"),
            name: id.into(),
            layer: Layer::Execution,
            status: AgentStatus::Idle,
            skills: Vec::new(),
            slots: 1,
            busy: 0,
            version: String::new(),
            host: String::new(),
            pid: 1,
            last_seen,
            store_id: None,
            holds: Vec::new(),
            waits_for: Vec::new(),
            unable: Vec::new(),
            queues_lost: Vec::new(),
            clock_ahead_ms: None,
            commands: Vec::new(),
            trouble: None,
            published: 0,
            leaving: false,
            peers,
        }
    }

    #[test]
    fn who_was_not_heard_of_for_a_minute_is_forgotten() {
        let now = Timestamp(100_000);
        let peers = vec![presence("a", Timestamp(40_000), vec![]), presence("b", Timestamp(39_999), vec![])];
        let mut answers = Answers::default();
        answers.take(presence("c", now, peers), Timestamp(7_000));
        let silent: Vec<&str> = answers.silent().map(|peer| peer.agent_id.as_str()).collect();
        assert_eq!(silent, ["a"]);
    }
}
