//! What a letter means to a coordinator, and to which phase.

use super::planning;
use super::role::CoordinatorRole;
use crate::broken;
use crate::domain::phase::{Accepted, Answer, AnswerBody, Answered, DeadCommand, Input, Word};
use crate::runtime::letter::Letter;
use crate::runtime::role::{Message, Unfit};
use crate::wire::codec::{RESULT_DEPTH_MAX, is_too_deep_to_hand_on};
use crate::wire::content::Control;
use crate::wire::{Content, MessageId, StreamId};

pub(super) fn read(role: &mut CoordinatorRole, letter: &Letter) -> Result<Message<Input>, Unfit> {
    let envelope = &letter.envelope;
    let of_phase = |phase| StreamId::Phase(envelope.task_id, phase);
    let (stream, input, result, log) = match &envelope.content {
        Content::StartProjectPhase(start) => {
            if start.store_id != role.world.store_id {
                // Who is wrong, it or we? A letter alone must not be able to end all coordinators.
                return Err(match (role.is_alone)() {
                    false => Unfit::Misdirected("wrong_store"),
                    true => Unfit::WrongStore(format!(
                        "the managers work on the store {}, this process on {}",
                        start.store_id, role.world.store_id
                    )),
                });
            }
            if start.project_id != envelope.task_id {
                return Err(Unfit::Misdirected("task_id_is_not_project_id"));
            }
            let start = planning::plan(&role.world, &role.window, start);
            (of_phase(start.phase), Input::Start(Box::new(start)), None, None)
        }
        Content::SubtaskCompletion(completion) => {
            // Refused where it was made: its dependants could never be sent it.
            let is_too_deep = is_too_deep_to_hand_on(&completion.result);
            let bytes = u32::try_from(completion.result.bytes()).unwrap_or(u32::MAX);
            let input = Input::Answer(Answer {
                ordinal: completion.subtask_id.ordinal,
                in_reply_to: MessageId(broken::fence(completion.in_reply_to.0, completion.attempt)),
                agent: envelope.sender_id.clone(),
                started_at: Some(completion.started_at),
                finished_at: Some(completion.finished_at),
                body: match is_too_deep {
                    false => AnswerBody::Completed { bytes, usage: completion.usage.clone() },
                    true => AnswerBody::Failed(crate::wire::Failure::permanent(format!(
                        "its result is nested deeper than {RESULT_DEPTH_MAX}, the most that can be handed on"
                    ))),
                },
            });
            let result = (!is_too_deep).then(|| completion.result.clone());
            (of_phase(completion.subtask_id.phase), input, result, completion.log.clone())
        }
        Content::SubtaskFailure(failure) => {
            let input = Input::Answer(Answer {
                ordinal: failure.subtask_id.ordinal,
                in_reply_to: MessageId(broken::fence(failure.in_reply_to.0, failure.attempt)),
                agent: envelope.sender_id.clone(),
                started_at: failure.started_at,
                finished_at: failure.finished_at,
                body: AnswerBody::Failed(crate::wire::Failure {
                    kind: failure.kind,
                    message: failure.error_message.clone(),
                    retry_after_ms: failure.retry_after_ms,
                    avoid: failure.avoid,
                }),
            });
            (of_phase(failure.subtask_id.phase), input, None, failure.log.clone())
        }
        Content::ExecuteSubtask(command) => match &letter.death {
            Some(death) => {
                let dead = DeadCommand {
                    ordinal: command.subtask_id.ordinal,
                    id: MessageId(broken::fence(envelope.message_id.0, command.attempt)),
                    reason: death.reason.clone(),
                };
                (of_phase(command.subtask_id.phase), Input::DeadCommand(dead), None, None)
            }
            None => return Err(Unfit::Misdirected("command_at_a_coordinator")),
        },
        Content::SubtaskAccepted(accepted) => {
            let input = Input::Accepted(Accepted {
                ordinal: accepted.subtask_id.ordinal,
                in_reply_to: MessageId(broken::fence(accepted.in_reply_to.0, accepted.attempt)),
                agent: envelope.sender_id.clone(),
            });
            (of_phase(accepted.subtask_id.phase), input, None, None)
        }
        Content::Cancel(control) | Content::Pause(control) | Content::Resume(control) | Content::Decide(control) => {
            let Some(stream @ StreamId::Phase(..)) = control.stream else {
                return Err(Unfit::Misdirected("a_word_without_a_phase"));
            };
            if control.subtask_id.is_some_and(|subtask| stream != of_phase(subtask.phase)) {
                return Err(Unfit::Misdirected("a_subtask_of_another_phase"));
            }
            let word = word(&envelope.content, control).ok_or(Unfit::Misdirected("a_word_without_its_version"))?;
            (stream, Input::Word(word), None, None)
        }
        Content::Alarm(alarm) => match alarm.stream {
            StreamId::Phase(..) => (alarm.stream, Input::Alarm { number: alarm.number }, None, None),
            StreamId::Project(_) => return Err(Unfit::Misdirected("alarm_of_a_project_at_a_coordinator")),
        },
        Content::Recover(control) => match control.stream {
            Some(stream @ StreamId::Phase(..)) => (stream, Input::Recover, None, None),
            _ => return Err(Unfit::Misdirected("recover_without_a_phase")),
        },
        // Whoever wants to know asks who runs it.
        Content::SubtaskProgress(_) => return Err(Unfit::Handled),
        Content::Ping(_) => {
            (role.held_by_us)();
            return Err(Unfit::Handled);
        }
        _ => return Err(Unfit::Misdirected("not_for_a_coordinator")),
    };
    Ok(Message { stream, cause: envelope.message_id, input, result, log })
}

/// A project's word; none when it does not say what it has to.
fn word(content: &Content, control: &Control) -> Option<Word> {
    let reason = control.reason.clone();
    Some(match (content, control.subtask_id) {
        (Content::Cancel(_), Some(subtask)) => Word::CancelSubtask { ordinal: subtask.ordinal, reason },
        (Content::Cancel(_), None) => Word::Cancel { project_version: control.project_version?, reason },
        (Content::Pause(_), _) => Word::Pause { project_version: control.project_version? },
        (Content::Resume(_), _) => Word::Resume { project_version: control.project_version? },
        _ => {
            let answer = match control.answer.as_deref()? {
                "retry" => Answered::Retry,
                "skip" => Answered::Skip,
                "fail" => Answered::Fail,
                _ => return None,
            };
            Word::Decide { question: MessageId(control.question?), answer }
        }
    })
}
