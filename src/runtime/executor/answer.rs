//! The answer to a command, put so that it can be sent.

use bytes::Bytes;

use crate::domain::decision::{accepted_id, answer_id};
use crate::runtime::letter::Pen;
use crate::runtime::port::Report;
use crate::wire::address::Address;
use crate::wire::codec::{self, EncodeError};
use crate::wire::content::{ExecuteSubtask, SubtaskAccepted, SubtaskCompletion, SubtaskFailure};
use crate::wire::{Content, Failure, MessageId, Timestamp};

/// When an attempt ran; nothing when it never began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
}

/// An answer on its way.
pub(crate) struct Answer {
    /// The same however often it is given.
    pub(crate) id: MessageId,
    /// The content's type.
    pub(crate) kind: &'static str,
    pub(crate) body: Bytes,
}

/// That this agent has taken on a leased command.
pub(crate) fn acceptance(
    pen: &Pen,
    id: MessageId,
    reply_to: &str,
    command: &ExecuteSubtask,
    now: Timestamp,
) -> Option<Answer> {
    let content = Content::SubtaskAccepted(SubtaskAccepted {
        subtask_id: command.subtask_id,
        attempt: command.attempt,
        in_reply_to: id,
        lease_ms: command.lease_ms,
    });
    let (to, accepted, kind) = (Address::results(reply_to), accepted_id(id, pen.agent.as_str()), content.name());
    let body = codec::encode(&pen.envelope(accepted, &to, command.project_id, content, now)).ok()?;
    Some(Answer { id: accepted, kind, body })
}

/// The answer to a command. What a runner says is not trusted: a result that no message can carry is the attempt's
/// permanent failure, and a log that makes it too long is left out.
pub(crate) fn answer(
    pen: &Pen,
    id: MessageId,
    reply_to: &str,
    command: &ExecuteSubtask,
    report: Report,
    times: Times,
) -> Option<Answer> {
    let (to, answer) = (Address::results(reply_to), answer_id(id, pen.agent.as_str()));
    let encode = |content: Content| {
        let kind = content.name();
        let body = codec::encode(&pen.envelope(answer, &to, command.project_id, content, times.finished_at))?;
        Ok::<_, EncodeError>(Answer { id: answer, kind, body })
    };
    let Report { outcome, log, fault: _ } = report;
    let log = log.filter(|log| !log.is_empty()).map(|log| log.replace('\0', "\u{fffd}"));
    let content = |outcome: Result<_, Failure>, log| match outcome {
        Ok(result) => Content::SubtaskCompletion(SubtaskCompletion {
            subtask_id: command.subtask_id,
            attempt: command.attempt,
            in_reply_to: id,
            result,
            started_at: times.started_at.unwrap_or(times.finished_at),
            finished_at: times.finished_at,
            log,
            usage: None,
        }),
        Err(failure) => Content::SubtaskFailure(SubtaskFailure {
            subtask_id: command.subtask_id,
            attempt: command.attempt,
            in_reply_to: id,
            kind: failure.kind,
            error_message: failure.message.replace('\0', "\u{fffd}"),
            retry_after_ms: failure.retry_after_ms,
            avoid: failure.avoid,
            started_at: times.started_at,
            finished_at: Some(times.finished_at),
            log,
        }),
    };
    let refused = match encode(content(outcome.clone(), log)) {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    if let Ok(answer) = encode(content(outcome, None)) {
        return Some(answer);
    }
    let failure = Failure::permanent(format!("the result can not be sent: {refused}"));
    encode(content(Err(failure), None)).ok()
}
