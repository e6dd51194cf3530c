//! What is out: everything in the broker that will move a stream on.

use std::collections::{BTreeMap, BTreeSet};

use trireme::transport::memory::{InspectedMessage, Inspection, Place};
use trireme::wire::address::Queue;
use trireme::wire::{MessageId, StreamId};

use crate::letters::{Kind, Letters};

#[derive(Default)]
pub struct Out {
    mentioned: BTreeSet<StreamId>,
    /// Some message about it is in its owner's hands, or came back from them: what that one caused is sent, or
    /// sent again, before it is acked.
    held: BTreeSet<StreamId>,
    starts: BTreeSet<StreamId>,
    reports: BTreeSet<StreamId>,
    commands: BTreeSet<MessageId>,
    words: BTreeSet<MessageId>,
    questions: BTreeSet<MessageId>,
    alarms: BTreeMap<StreamId, u64>,
    /// Dead letters: why, and what.
    pub dead: Vec<(String, String)>,
}

impl Out {
    pub fn of(inspection: &Inspection, letters: &mut Letters) -> Self {
        let mut out = Self::default();
        for message in &inspection.messages {
            match &message.queue {
                // Word to those who listen: it moves nothing on.
                Queue::Agent(_) | Queue::Watcher(_) => {}
                Queue::Dead => out.dead.push(death(message)),
                _ => out.add(message, letters),
            }
        }
        out
    }

    fn add(&mut self, message: &InspectedMessage, letters: &mut Letters) {
        let is_owners = matches!(message.queue, Queue::Requests | Queue::Management | Queue::Coordination(_));
        let is_held = is_owners && (message.returns > 0 || matches!(message.place, Place::Unacked { .. }));
        for fact in letters.read(&message.content) {
            self.mentioned.insert(fact.about);
            if is_held {
                self.held.insert(fact.about);
            }
            match fact.kind {
                Kind::Start => {
                    self.starts.insert(fact.about);
                }
                Kind::Report { phase } => {
                    self.reports.insert(StreamId::Phase(fact.about.project(), phase));
                }
                Kind::Command(command) | Kind::Answer(command) => {
                    self.commands.insert(command);
                }
                Kind::Alarm { number } => {
                    let newest = self.alarms.entry(fact.about).or_insert(number);
                    *newest = (*newest).max(number);
                }
                Kind::Word(word) => {
                    self.words.insert(word);
                }
                Kind::Question(question) => {
                    self.questions.insert(question);
                }
                Kind::Other => {}
            }
        }
    }

    pub fn is_mentioned(&self, stream: StreamId) -> bool {
        self.mentioned.contains(&stream)
    }

    pub fn is_held(&self, stream: StreamId) -> bool {
        self.held.contains(&stream)
    }

    pub fn command_is_out(&self, command: MessageId) -> bool {
        self.commands.contains(&command)
    }

    pub fn word_is_out(&self, word: MessageId) -> bool {
        self.words.contains(&word)
    }

    pub fn question_is_out(&self, question: MessageId) -> bool {
        self.questions.contains(&question)
    }

    pub fn alarm_is_out(&self, stream: StreamId, number: u64) -> bool {
        self.alarms.get(&stream).is_some_and(|&newest| newest >= number)
    }

    /// A phase that is not open yet, or not any more: its start or its report is under way, or in somebody's hands.
    pub fn phase_is_handed_over(&self, phase: StreamId) -> bool {
        self.starts.contains(&phase)
            || self.reports.contains(&phase)
            || self.held.contains(&phase)
            || self.held.contains(&StreamId::Project(phase.project()))
    }
}

fn death(message: &InspectedMessage) -> (String, String) {
    let content = &message.content;
    let by_us = content.properties.reason.clone();
    let reason = by_us.or_else(|| message.death.as_ref().map(|death| death.reason.clone()));
    let body = String::from_utf8_lossy(&content.body[..content.body.len().min(300)]).into_owned();
    (reason.unwrap_or_default(), format!("key {}, {body}", content.key))
}
