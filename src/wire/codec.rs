//! The one codec: envelopes to bytes and back. A body is one envelope, or an array of envelopes that go the
//! same way.
//!
//! What comes in is not trusted. It is bounded in size and depth, and it never makes the reader fail as a
//! whole: of an array the good envelopes are taken and each bad one is given back with its reason. A result
//! that can be read but not accepted is turned into the `permanent` failure of its attempt, because silence
//! would leave that attempt running for ever.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::content::SubtaskFailure;
use super::{Content, Envelope, FailureKind, MessageId, MessageType, ProjectId, SubtaskId, Timestamp};

/// The longest envelope, in bytes, when sending and when receiving.
pub const ENVELOPE_BYTES_MAX: usize = 1024 * 1024;
/// The longest body that is looked at, in bytes: RabbitMQ 4's own default for a message.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The deepest nesting of arrays and objects in an envelope.
pub const DEPTH_MAX: usize = 64;

/// Why an envelope can not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("message of {bytes} bytes, the cap is {ENVELOPE_BYTES_MAX}")]
    TooBig { bytes: usize },
    #[error("message nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("message has a NUL character")]
    Nul,
    #[error("message is no JSON: {0}")]
    NotJson(String),
}

/// Why a part of a body is not taken: a word for machines, and what exactly was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub reason: Reason,
    pub detail: String,
    /// The bytes that could not be read.
    pub bytes: Bytes,
}

/// The reasons as they stand in a dead letter's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NotJson,
    NotAnEnvelope,
    UnknownType,
    BadContent,
    TooBig,
    TooDeep,
    Nul,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnEnvelope => "not_an_envelope",
            Self::UnknownType => "unknown_type",
            Self::BadContent => "bad_content",
            Self::TooBig => "too_big",
            Self::TooDeep => "too_deep",
            Self::Nul => "nul",
        }
    }
}

/// One envelope as a body.
pub fn encode(envelope: &Envelope) -> Result<Bytes, EncodeError> {
    let bytes = serde_json::to_vec(envelope).map_err(|error| EncodeError::NotJson(error.to_string()))?;
    match fault(&bytes) {
        None => Ok(bytes.into()),
        Some(Reason::TooBig) => Err(EncodeError::TooBig { bytes: bytes.len() }),
        Some(Reason::Nul) => Err(EncodeError::Nul),
        Some(_) => Err(EncodeError::TooDeep),
    }
}

/// Encoded envelopes as one body: itself when it is one, else an array. The caller keeps the sum within
/// [`ENVELOPE_BYTES_MAX`].
pub fn join(bodies: &[Bytes]) -> Bytes {
    if let [body] = bodies {
        return body.clone();
    }
    let mut joined = Vec::with_capacity(bodies.iter().map(|body| body.len() + 1).sum::<usize>() + 1);
    for body in bodies {
        joined.push(if joined.is_empty() { b'[' } else { b',' });
        joined.extend_from_slice(body);
    }
    joined.push(b']');
    joined.into()
}

/// The envelopes of a body in their order, each taken or given back.
pub fn decode(body: &Bytes) -> Vec<Result<Envelope, Unreadable>> {
    let unreadable = |reason, detail: String| vec![Err(Unreadable { reason, detail, bytes: body.clone() })];
    if body.len() > BODY_BYTES_MAX {
        return unreadable(Reason::TooBig, format!("body of {} bytes, the cap is {BODY_BYTES_MAX}", body.len()));
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return unreadable(Reason::NotJson, "not UTF-8".into());
    };
    if !text.trim_start().starts_with('[') {
        return vec![decode_one(text)];
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(parts) if parts.is_empty() => unreadable(Reason::NotAnEnvelope, "an empty array".into()),
        Ok(parts) => parts.into_iter().map(|part| decode_one(part.get())).collect(),
        Err(error) => unreadable(Reason::NotJson, error.to_string()),
    }
}

#[derive(Deserialize)]
struct Outer<'a> {
    message_id: MessageId,
    sender_id: String,
    receiver_id: String,
    message_type: MessageType,
    #[serde(borrow)]
    content: &'a RawValue,
    timestamp: Timestamp,
    task_id: ProjectId,
}

#[derive(Deserialize)]
struct Tag {
    #[serde(rename = "type")]
    name: String,
}

fn decode_one(text: &str) -> Result<Envelope, Unreadable> {
    let unreadable =
        |reason, detail: String| Unreadable { reason, detail, bytes: Bytes::copy_from_slice(text.as_bytes()) };
    let outer: Outer<'_> = serde_json::from_str(text).map_err(|error| {
        let reason = if error.is_data() { Reason::NotAnEnvelope } else { Reason::NotJson };
        unreadable(reason, error.to_string())
    })?;
    let json = outer.content.get();
    let tag: Tag = serde_json::from_str(json)
        .map_err(|error| unreadable(Reason::NotAnEnvelope, format!("content without a type: {error}")))?;
    let content = match (fault(text.as_bytes()), Content::read(&tag.name, json)) {
        (_, None) => Err((Reason::UnknownType, format!("no message has the type `{}`", tag.name.escape_default()))),
        (None, Some(Ok(content))) => Ok(content),
        (None, Some(Err(error))) => Err((Reason::BadContent, format!("{}: {error}", tag.name))),
        (Some(reason), Some(_)) => Err((reason, explain(reason, text.len()))),
    };
    let content = content.or_else(|(reason, detail)| {
        refused_result(&tag.name, json, &detail).ok_or_else(|| unreadable(reason, detail))
    })?;
    Ok(Envelope {
        message_id: outer.message_id,
        sender_id: outer.sender_id,
        receiver_id: outer.receiver_id,
        message_type: outer.message_type,
        content,
        timestamp: outer.timestamp,
        task_id: outer.task_id,
    })
}

/// What is left of a result that is not accepted, when it can be told whose it is.
fn refused_result(name: &str, json: &str, detail: &str) -> Option<Content> {
    #[derive(Deserialize)]
    struct Whose {
        subtask_id: SubtaskId,
        attempt: u32,
        in_reply_to: MessageId,
    }
    if name != "SubtaskCompletion" && name != "SubtaskFailure" {
        return None;
    }
    let whose: Whose = serde_json::from_str(json).ok()?;
    Some(Content::SubtaskFailure(SubtaskFailure {
        subtask_id: whose.subtask_id,
        attempt: whose.attempt,
        in_reply_to: whose.in_reply_to,
        kind: FailureKind::Permanent,
        error_message: format!("the answer was not accepted: {detail}"),
        retry_after_ms: None,
        started_at: None,
        finished_at: None,
        log: None,
    }))
}

fn explain(reason: Reason, bytes: usize) -> String {
    match reason {
        Reason::TooBig => EncodeError::TooBig { bytes }.to_string(),
        Reason::Nul => EncodeError::Nul.to_string(),
        _ => EncodeError::TooDeep.to_string(),
    }
}

/// What is wrong with an envelope's JSON beyond its grammar: its size, its depth, or a NUL in a string.
fn fault(json: &[u8]) -> Option<Reason> {
    if json.len() > ENVELOPE_BYTES_MAX {
        return Some(Reason::TooBig);
    }
    let (mut depth, mut in_string, mut at) = (0usize, false, 0usize);
    while let Some(&byte) = json.get(at) {
        match (in_string, byte) {
            (true, b'\\') => {
                if json[at..].starts_with(b"\\u0000") {
                    return Some(Reason::Nul);
                }
                at += 1;
            }
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Some(Reason::TooDeep);
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether `value` could be a part of a message: no NUL, and not so deep that the envelope would be too deep.
pub fn check_value<T: Serialize + ?Sized>(value: &T) -> Result<(), EncodeError> {
    let bytes = serde_json::to_vec(value).map_err(|error| EncodeError::NotJson(error.to_string()))?;
    // A value stands at least three levels down: envelope, content, and what holds it.
    let mut wrapped = vec![b'['; 3];
    wrapped.extend_from_slice(&bytes);
    match fault(&wrapped) {
        None => Ok(()),
        Some(Reason::TooBig) => Err(EncodeError::TooBig { bytes: bytes.len() }),
        Some(Reason::Nul) => Err(EncodeError::Nul),
        Some(_) => Err(EncodeError::TooDeep),
    }
}
