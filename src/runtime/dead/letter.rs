//! A dead letter: what it is, where it came from, and why it lies there.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::runtime::port::{Delivery, Properties, Tag};
use crate::wire::address::{Exchange, Namespace, Queue};
use crate::wire::codec::{self, Unreadable};
use crate::wire::{Content, Envelope, ProjectId, SubtaskId, Timestamp};

/// The characters of the id of a letter that has none of its own: half of a blake3 hash.
const HASH_CHARS: usize = 32;
/// What stands for a reason that nobody gave.
const NO_REASON: &str = "not_said";

/// A letter, held by whoever looked.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub facts: Facts,
    pub body: Bytes,
    pub(super) parts: Vec<Result<Envelope, Unreadable>>,
    pub(super) properties: Properties,
    /// It, and its copies.
    tags: Vec<Tag>,
}

/// What is known of a letter without its message: the shape of `dead list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// Its message's id; of a letter without one a hash of its bytes, which its copies share.
    pub id: String,
    /// A word: the broker's, as in `delivery_limit`, or that of the agent that set it aside.
    pub reason: String,
    /// What exactly was wrong, where that was written down.
    pub detail: Option<String>,
    pub died_at: Option<Timestamp>,
    /// The exchange that it was first published to, by its full name; null when nobody wrote it down.
    pub exchange: Option<String>,
    pub routing_key: String,
    /// The queue that it died in, or was taken from.
    pub queue: Option<String>,
    pub sender: Option<String>,
    /// The content's type; `Batch` of several.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub project_id: Option<ProjectId>,
    pub subtask_id: Option<SubtaskId>,
    pub attempt: Option<u32>,
    /// The skill of a command, or of what was in a skill's queue.
    pub skill: Option<String>,
    pub bytes: usize,
}

impl DeadLetter {
    pub(super) fn new(delivery: Delivery, namespace: &Namespace) -> Self {
        let parts = codec::decode(&delivery.body);
        let facts = facts(&delivery, &parts, namespace);
        let Delivery { tag, properties, body, .. } = delivery;
        Self { facts, body, parts, properties, tags: vec![tag] }
    }

    /// How many letters it stands for.
    pub fn copies(&self) -> usize {
        self.tags.len()
    }

    pub(super) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether `other` says the same, of the same origin, for the same reason.
    pub(super) fn is_copy(&self, other: &Self) -> bool {
        let same_facts = self.facts == Facts { died_at: self.facts.died_at, ..other.facts.clone() };
        same_facts && self.body == other.body
    }

    pub(super) fn add_copy(&mut self, other: Self) {
        self.tags.extend(other.tags);
    }
}

fn facts(delivery: &Delivery, parts: &[Result<Envelope, Unreadable>], namespace: &Namespace) -> Facts {
    let readable: Vec<&Envelope> = parts.iter().flatten().collect();
    let first = readable.first();
    let only = match (parts, &readable[..]) {
        ([_], [only]) => Some(*only),
        _ => None,
    };
    let Properties { reason, origin, set_aside_at, message_id, sender, project, .. } = &delivery.properties;
    // The broker's word comes first: what a sender wrote into headers of ours counts for nothing then.
    let (reason, detail, died_at, exchange, routing_key) = match (&delivery.death, &delivery.origin) {
        (Some(death), Some(origin)) => {
            (death.reason.clone(), None, origin.died_at, Some(origin.exchange.clone()), origin.key.clone())
        }
        (Some(death), None) => (death.reason.clone(), None, None, None, delivery.key.clone()),
        (None, _) => {
            let (word, detail) = split(reason.as_deref());
            (word, detail, *set_aside_at, origin.clone(), delivery.key.clone())
        }
    };
    let known = exchange.as_deref().and_then(|name| exchange_named(name, namespace));
    let died_in = delivery.origin.as_ref().map(|origin| origin.queue.clone());
    let queue = died_in.or_else(|| Some(queue_behind(known?, &routing_key)?.name(namespace)));
    let id = match (only, message_id) {
        (Some(envelope), _) => envelope.message_id.to_string(),
        (None, Some(id)) => id.to_string(),
        (None, None) => blake3::hash(&delivery.body).to_hex()[..HASH_CHARS].to_owned(),
    };
    let (subtask_id, attempt, skill) = only.map_or((None, None, None), |envelope| subtask(&envelope.content));
    let kind = match parts.len() {
        1 => only.map(|envelope| named(&delivery.body).unwrap_or_else(|| envelope.content.name().to_owned())),
        _ => Some("Batch".to_owned()),
    };
    Facts {
        id,
        reason,
        detail,
        died_at,
        exchange,
        queue,
        sender: first.map(|envelope| envelope.sender_id.clone()).or_else(|| sender.clone()),
        kind,
        project_id: first.map(|envelope| envelope.task_id).or(*project),
        subtask_id,
        attempt,
        skill: skill.or_else(|| (known == Some(Exchange::Skills)).then(|| routing_key.clone())),
        routing_key,
        bytes: delivery.body.len(),
    }
}

/// What a message calls its content itself: of an answer that was not accepted nothing but a failure is left.
fn named(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Whole {
        content: Typed,
    }
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    serde_json::from_slice(body).ok().map(|whole: Whole| whole.content.r#type)
}

/// A reason's word, and what stands behind it.
fn split(reason: Option<&str>) -> (String, Option<String>) {
    match reason.map(|reason| reason.split_once(": ").ok_or(reason)) {
        Some(Ok((word, detail))) => (word.to_owned(), Some(detail.to_owned())),
        Some(Err(word)) => (word.to_owned(), None),
        None => (NO_REASON.to_owned(), None),
    }
}

fn subtask(content: &Content) -> (Option<SubtaskId>, Option<u32>, Option<String>) {
    match content {
        Content::ExecuteSubtask(command) => {
            (Some(command.subtask_id), Some(command.attempt), Some(command.skill.clone()))
        }
        Content::SubtaskCompletion(completion) => (Some(completion.subtask_id), Some(completion.attempt), None),
        Content::SubtaskFailure(failure) => (Some(failure.subtask_id), Some(failure.attempt), None),
        _ => (None, None, None),
    }
}

/// One of ours by its full name.
pub(super) fn exchange_named(name: &str, namespace: &Namespace) -> Option<Exchange> {
    Exchange::ALL.into_iter().find(|exchange| exchange.name(namespace) == name)
}

/// Where what is published with this key is taken from, as the topology has it.
fn queue_behind(exchange: Exchange, key: &str) -> Option<Queue> {
    let owner = |key: &str| match key.strip_prefix("p.") {
        Some(partition) => partition.parse().ok().map(Queue::Coordination),
        None => Some(Queue::Management),
    };
    match exchange {
        Exchange::Requests => Some(Queue::Requests),
        Exchange::Phases | Exchange::Results => owner(key),
        Exchange::Skills => Some(Queue::Skill(key.to_owned())),
        Exchange::Reports => Some(Queue::Management),
        // The first word is the tier that it waited in.
        Exchange::Later | Exchange::Alarms => owner(key.split_once('.')?.1),
        Exchange::Agents | Exchange::Events | Exchange::Dead => None,
    }
}
