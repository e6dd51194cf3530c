//! What the messages in the broker are about. Each is read once, however often it is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use trireme::transport::memory::Content as Message;
use trireme::wire::{Content, MessageId, ProjectId, StreamId, codec};
use uuid::Uuid;

/// One envelope: the stream that it is about, and what it does for it.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    pub about: StreamId,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Start,
    Command(MessageId),
    /// An answer to this command.
    Answer(MessageId),
    Report {
        phase: u32,
    },
    /// To the managers: what is to become of a subtask?
    Question(MessageId),
    /// To a phase, by its project.
    Word(MessageId),
    Alarm {
        number: u64,
    },
    Other,
}

/// The messages that were read, by address. They are kept, so that no address is used twice.
#[derive(Default)]
pub struct Letters(BTreeMap<usize, (Arc<Message>, Vec<Fact>)>);

impl Letters {
    pub fn read(&mut self, message: &Arc<Message>) -> &[Fact] {
        let read = self.0.entry(Arc::as_ptr(message).addr()).or_insert_with(|| (message.clone(), facts(message)));
        &read.1
    }
}

fn facts(message: &Message) -> Vec<Fact> {
    let fact = |envelope: trireme::wire::Envelope| {
        let project = envelope.task_id;
        let of_phase = |phase| StreamId::Phase(project, phase);
        let (about, kind) = match &envelope.content {
            Content::StartProjectPhase(start) => (of_phase(start.phase), Kind::Start),
            Content::ExecuteSubtask(command) => {
                (of_phase(command.subtask_id.phase), Kind::Command(envelope.message_id))
            }
            Content::SubtaskCompletion(answer) => (of_phase(answer.subtask_id.phase), Kind::Answer(answer.in_reply_to)),
            Content::SubtaskAccepted(answer) => (of_phase(answer.subtask_id.phase), Kind::Answer(answer.in_reply_to)),
            Content::SubtaskFailure(answer) => (of_phase(answer.subtask_id.phase), Kind::Answer(answer.in_reply_to)),
            Content::ProjectStatusUpdate(update) if update.asks.is_some() => {
                (StreamId::Project(project), Kind::Question(envelope.message_id))
            }
            Content::ProjectStatusUpdate(update) => (StreamId::Project(project), Kind::Report { phase: update.phase }),
            Content::Alarm(alarm) => (alarm.stream, Kind::Alarm { number: alarm.number }),
            Content::Cancel(word)
            | Content::Pause(word)
            | Content::Resume(word)
            | Content::Recover(word)
            | Content::Decide(word) => {
                (word.stream.unwrap_or(StreamId::Project(project)), Kind::Word(envelope.message_id))
            }
            _ => (StreamId::Project(project), Kind::Other),
        };
        (project != ProjectId(Uuid::nil())).then_some(Fact { about, kind })
    };
    codec::decode(&message.body).into_iter().flatten().filter_map(fact).collect()
}
