//! What one step sends to the same place goes out in one body. Nobody waits for a body to fill: it holds what there is
//! at the end of the step.
//!
//! Words that nobody waits for are put together too: those to one agent, and those about many projects that say the same
//! of each.
//!
//! A packed body stands at the first of the deliveries that caused it: deliveries are acked in their order, so none of
//! them is acked before all of the body is confirmed.

use bytes::Bytes;

use super::{Place, Sent};
use crate::runtime::port::{Outgoing, Properties};
use crate::runtime::role::PACK_MAX;
use crate::wire::address::{Address, Exchange};
use crate::wire::codec::{self, ENVELOPE_BYTES_MAX};

/// What its header calls a body with several messages.
const BATCH: &str = "Batch";
/// What a word about the end of a project is called there.
const ENDS: &str = "ProjectCompletion";

/// A body that is still open.
struct Body {
    first: Outgoing,
    parts: Vec<Bytes>,
    bytes: usize,
}

impl Body {
    fn new(first: Outgoing) -> Self {
        let part = first.body.clone();
        Self { bytes: part.len(), parts: vec![part], first }
    }

    /// Whether one more may go into a body of at most `most` messages.
    fn takes(&self, outgoing: &Outgoing, most: u32) -> bool {
        self.parts.len() < most as usize && self.bytes + outgoing.body.len() < ENVELOPE_BYTES_MAX
    }

    fn add(&mut self, part: Bytes) {
        self.bytes += part.len() + 1;
        self.parts.push(part);
    }

    /// The message; one alone goes as it is.
    fn close(self) -> Outgoing {
        let Self { first, parts, .. } = self;
        if parts.len() == 1 {
            return first;
        }
        let properties = Properties { kind: Some(BATCH.to_owned()), ..first.properties };
        Outgoing { properties, body: codec::join(&parts), ..first }
    }
}

/// A body of effects that go to the same place.
pub(super) struct Pack {
    /// The place of the first delivery that something in it is for.
    at: Place,
    effects: Vec<Sent>,
    body: Body,
}

impl Pack {
    pub(super) fn new(at: Place, sent: Sent, outgoing: Outgoing) -> Self {
        Self { at, effects: vec![sent], body: Body::new(outgoing) }
    }

    pub(super) fn address(&self) -> &Address {
        &self.body.first.address
    }

    /// Whether one more may go into a body of at most `most` messages.
    pub(super) fn takes(&self, outgoing: &Outgoing, most: u32) -> bool {
        self.body.takes(outgoing, most)
    }

    pub(super) fn add(&mut self, at: Place, sent: Sent, outgoing: Outgoing) {
        self.at = self.at.min(at);
        self.effects.push(sent);
        self.body.add(outgoing.body);
    }

    pub(super) fn close(self) -> (Place, Vec<Sent>, Outgoing) {
        (self.at, self.effects, self.body.close())
    }
}

/// Words in fewer bodies. Events whose keys differ in the project only share one that has all these keys; beside it stands
/// what is true of all of them. Whoever else is told of something may not know that a body can have several, but those
/// who wait for the ends of projects.
pub(super) fn words_together(words: Vec<Outgoing>) -> Vec<Outgoing> {
    let mut open: Vec<Words> = Vec::new();
    let mut closed = Vec::new();
    for word in words {
        let Some(topic) = topic(&word) else {
            closed.push(word);
            continue;
        };
        match open.iter_mut().find(|words| words.topic == topic) {
            Some(words) if words.body.takes(&word, PACK_MAX) => words.add(word),
            Some(words) => closed.push(std::mem::replace(words, Words::new(topic, word)).body.close()),
            None => open.push(Words::new(topic, word)),
        }
    }
    closed.extend(open.into_iter().map(|words| words.body.close()));
    closed
}

/// What words have to share to go together; none of those that do not.
fn topic(word: &Outgoing) -> Option<(Exchange, String)> {
    let Address { exchange, key, .. } = &word.address;
    let topic = match exchange {
        Exchange::Events => key.rsplit_once('.')?.0,
        Exchange::Agents if word.properties.kind.as_deref() == Some(ENDS) => key,
        _ => return None,
    };
    Some((*exchange, topic.to_owned()))
}

/// A body of words that share a topic.
struct Words {
    topic: (Exchange, String),
    body: Body,
}

impl Words {
    fn new(topic: (Exchange, String), first: Outgoing) -> Self {
        Self { topic, body: Body::new(first) }
    }

    fn add(&mut self, word: Outgoing) {
        let Outgoing { address, properties, .. } = &mut self.body.first;
        if word.address.key != address.key && !properties.also.contains(&word.address.key) {
            properties.also.push(word.address.key);
        }
        // What stands beside the body is to be true of all of it.
        (properties.message_id, properties.project) = (None, None);
        self.body.add(word.body);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::wire::ProjectId;

    fn word(exchange: Exchange, key: &str, body: &'static str) -> Outgoing {
        Outgoing {
            address: Address { exchange, key: key.to_owned(), told: None },
            mandatory: false,
            properties: Properties {
                kind: Some(if body == "{cancel}" { "Cancel" } else { ENDS }.to_owned()),
                project: Some(ProjectId(Uuid::nil())),
                ..Properties::default()
            },
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn words_about_several_projects_share_a_body_with_all_keys_and_other_words_do_not() {
        let words = [
            word(Exchange::Events, "management.ended.1", "{1}"),
            word(Exchange::Events, "management.alert.1", "{2}"),
            word(Exchange::Agents, "agent.a", "{3}"),
            word(Exchange::Events, "management.ended.2", "{4}"),
            word(Exchange::Agents, "agent.b", "{5}"),
            word(Exchange::Agents, "agent.a", "{6}"),
            word(Exchange::Agents, "agent.a", "{cancel}"),
            word(Exchange::Agents, "agent.a", "{cancel}"),
            word(Exchange::Events, "management.ended.2", "{7}"),
        ];
        let told = words_together(words.to_vec());
        let are_whose: Vec<bool> = told.iter().map(|word| word.properties.project.is_some()).collect();
        assert_eq!(are_whose, [true, true, false, true, false, true]);
        let told: Vec<_> =
            told.iter().map(|word| (&*word.address.key, &word.properties.also[..], &*word.body)).collect();
        let (two, none) = (["management.ended.2".to_owned()], []);
        assert_eq!(
            told,
            [
                ("agent.a", &none[..], &b"{cancel}"[..]),
                ("agent.a", &none[..], b"{cancel}"),
                ("management.ended.1", &two[..], b"[{1},{4},{7}]"),
                ("management.alert.1", &none[..], b"{2}"),
                ("agent.a", &none[..], b"[{3},{6}]"),
                ("agent.b", &none[..], b"{5}"),
            ]
        );
    }

    #[test]
    fn a_body_holds_so_many_words() {
        let words: Vec<_> = (0..=PACK_MAX).map(|_| word(Exchange::Agents, "agent.a", "{}")).collect();
        let sizes: Vec<_> = words_together(words).iter().map(|word| codec::decode(&word.body).len()).collect();
        assert_eq!(sizes, [64, 1]);
    }
}
