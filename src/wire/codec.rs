//! The one codec: envelopes to bytes and back. A body is one envelope, or an array of envelopes that go the
//! same way.
//!
//! What comes in is not trusted. It is bounded in size and depth, and it never makes the reader fail as a
//! whole: of an array the good envelopes are taken and each bad one is given back with its reason. A result
//! that can be read but not accepted is turned into the `permanent` failure of its attempt, because silence
//! would leave that attempt running for ever.

use std::collections::BTreeMap;
use std::fmt::Formatter;

use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::content::SubtaskFailure;
use super::{Content, Envelope, FailureKind, MessageId, MessageType, ProjectId, Raw, SubtaskId, Timestamp};

/// The longest envelope, in bytes, when sending and when receiving.
pub const ENVELOPE_BYTES_MAX: usize = 1024 * 1024;
/// The longest body that is looked at, in bytes: RabbitMQ 4's own default for a message.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The deepest nesting of arrays and objects in an envelope.
pub const DEPTH_MAX: usize = 64;
/// The most envelopes in a body. None is shorter than 200 bytes, so this refuses nothing that could be read; it
/// keeps an array of millions of zeros from becoming millions of letters.
pub const ENVELOPES_MAX: usize = BODY_BYTES_MAX / 200;
/// Most envelopes are not longer than so many bytes.
const USUAL_BYTES: usize = 640;
/// The longest detail of what is wrong, in characters: a line for a log.
const DETAIL_CHARS_MAX: usize = 300;

/// Why an envelope can not be sent, and why one that came is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("message of {bytes} bytes, the cap is {ENVELOPE_BYTES_MAX}")]
    TooBig { bytes: usize },
    #[error("message nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("message has a NUL character")]
    Nul,
    #[error("message has half a surrogate pair, which is no text")]
    HalfPair,
    #[error("message is no JSON: {0}")]
    NotJson(String),
}

impl EncodeError {
    fn reason(&self) -> Reason {
        match self {
            Self::TooBig { .. } => Reason::TooBig,
            Self::TooDeep => Reason::TooDeep,
            Self::Nul => Reason::Nul,
            Self::HalfPair => Reason::HalfPair,
            Self::NotJson(_) => Reason::NotJson,
        }
    }
}

/// Why a part of a body is not taken: a word for machines, and what exactly was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub reason: Reason,
    pub detail: String,
    /// The bytes that could not be read.
    pub bytes: Bytes,
}

impl Unreadable {
    /// What stands in a dead letter's header.
    pub fn header(&self) -> String {
        format!("{}: {}", self.reason.as_str(), self.detail)
    }
}

/// The same in few pieces: those that have one reason together, their bytes as one body that can be read like any
/// other. A body of thousands is to become a handful of letters.
pub fn gather(unreadable: Vec<Unreadable>) -> Vec<Unreadable> {
    let mut by_reason: BTreeMap<Reason, Vec<Unreadable>> = BTreeMap::new();
    for part in unreadable {
        by_reason.entry(part.reason).or_default().push(part);
    }
    let together = |(reason, parts): (Reason, Vec<Unreadable>)| {
        let mut detail = parts.first().map(|first| first.detail.clone()).unwrap_or_default();
        if parts.len() > 1 {
            detail += &format!(" (the first of {})", parts.len());
        }
        let bodies: Vec<Bytes> = parts.into_iter().map(|part| part.bytes).collect();
        Unreadable { reason, detail, bytes: join(&bodies) }
    };
    by_reason.into_iter().map(together).collect()
}

/// The reasons as they stand in a dead letter's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    NotJson,
    NotAnEnvelope,
    UnknownType,
    BadContent,
    TooBig,
    TooDeep,
    Nul,
    HalfPair,
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
            Self::HalfPair => "half_pair",
        }
    }
}

/// One envelope as a body.
pub fn encode(envelope: &Envelope) -> Result<Bytes, EncodeError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, envelope).map_err(|error| EncodeError::NotJson(error.to_string()))?;
    fault(&bytes).map_or_else(|| Ok(bytes.into()), Err)
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
        Ok(parts) if parts.len() > ENVELOPES_MAX => {
            unreadable(Reason::TooBig, format!("an array of {}, the most is {ENVELOPES_MAX}", parts.len()))
        }
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

/// An envelope that is read in one go.
#[derive(Deserialize)]
struct Whole {
    message_id: MessageId,
    sender_id: String,
    receiver_id: String,
    message_type: MessageType,
    #[serde(deserialize_with = "content_after_its_type")]
    content: Content,
    timestamp: Timestamp,
    task_id: ProjectId,
}

/// A content that begins with its `type`.
fn content_after_its_type<'de, D: Deserializer<'de>>(json: D) -> Result<Content, D::Error> {
    struct Fields;
    impl<'de> Visitor<'de> for Fields {
        type Value = Content;

        fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
            f.write_str("a content that begins with its type")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Content, M::Error> {
            let first: Option<(&str, &str)> = fields.next_entry()?;
            let name = first.filter(|(key, _)| *key == "type").map_or("", |(_, name)| name);
            let content = Content::read(name, MapAccessDeserializer::new(fields));
            content.unwrap_or_else(|| Err(de::Error::custom("no type that is known")))
        }
    }
    json.deserialize_map(Fields)
}

/// An envelope as we write most of them: without an escape, and with one type, which its content begins with. None of
/// others, and of those that something is wrong with.
fn decode_ours(text: &str) -> Option<Envelope> {
    const CONTENT: &str = r#""content":{"#;
    const TYPE: &str = r#""type""#;
    // The parser would take the fields in an array too, and a second type.
    let (before, content) = text.split_once(CONTENT).filter(|(before, _)| before.starts_with('{'))?;
    let is_plain = !before.contains(TYPE) && !content.strip_prefix(TYPE)?.contains(TYPE) && !text.contains('\\');
    if !is_plain || fault(text.as_bytes()).is_some() {
        return None;
    }
    let Whole { message_id, sender_id, receiver_id, message_type, content, timestamp, task_id } =
        serde_json::from_str(text).ok()?;
    Some(Envelope { message_id, sender_id, receiver_id, message_type, content, timestamp, task_id })
}

fn decode_one(text: &str) -> Result<Envelope, Unreadable> {
    if let Some(envelope) = decode_ours(text) {
        return Ok(envelope);
    }
    let unreadable = |reason, detail: String| {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Unreadable { reason, detail: short(&detail), bytes }
    };
    let not_an_envelope = |detail: &str| unreadable(Reason::NotAnEnvelope, detail.into());
    let outer: Outer<'_> = serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => not_an_envelope(&error.to_string()),
        false => unreadable(Reason::NotJson, error.to_string()),
    })?;
    let json = outer.content.get();
    // The parser would take an array of the fields in their order too.
    if !text.trim_start().starts_with('{') || !json.starts_with('{') {
        return Err(not_an_envelope("an envelope is an object, and so is its content"));
    }
    let tag: Tag =
        serde_json::from_str(json).map_err(|error| not_an_envelope(&format!("content without a type: {error}")))?;
    let (content, bad) = match read(&tag.name, text, json) {
        Ok(content) => (content, None),
        Err((reason, detail)) => match refused_result(&tag.name, json, &detail) {
            Some(failure) => (failure, Some((reason, detail))),
            None => return Err(unreadable(reason, detail)),
        },
    };
    let envelope = Envelope {
        message_id: outer.message_id,
        sender_id: outer.sender_id,
        receiver_id: outer.receiver_id,
        message_type: if bad.is_some() { MessageType::Error } else { outer.message_type },
        content,
        timestamp: outer.timestamp,
        task_id: outer.task_id,
    };
    match bad {
        // The fault may be in a field that the failure keeps.
        Some((reason, detail)) if encode(&envelope).is_err() => Err(unreadable(reason, detail)),
        _ => Ok(envelope),
    }
}

/// The content of the envelope `text`, or what is wrong with one of them.
fn read(tag: &str, text: &str, json: &str) -> Result<Content, (Reason, String)> {
    if let Some(error) = fault(text.as_bytes()) {
        return Err((error.reason(), error.to_string()));
    }
    match Content::read(tag, &mut serde_json::Deserializer::from_str(json)) {
        Some(Ok(content)) => Ok(content),
        Some(Err(error)) => Err((Reason::BadContent, format!("{tag}: {error}"))),
        None => Err((Reason::UnknownType, format!("no message has the type `{}`", tag.escape_default()))),
    }
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
        error_message: format!("the answer was not accepted: {}", short(detail)),
        retry_after_ms: None,
        avoid: false,
        started_at: None,
        finished_at: None,
        log: None,
    }))
}

/// What is said of somebody's text may quote all of it.
fn short(detail: &str) -> String {
    detail.chars().take(DETAIL_CHARS_MAX).collect()
}

/// What is wrong with an envelope's JSON beyond its grammar: its size, its depth, or an escape that is no text.
fn fault(json: &[u8]) -> Option<EncodeError> {
    if json.len() > ENVELOPE_BYTES_MAX {
        return Some(EncodeError::TooBig { bytes: json.len() });
    }
    // Most messages have few brackets and no escapes, which the processor counts many bytes at a time: as many as a small
    // number can count are counted in one.
    let is_opening = |byte: &u8| u8::from(matches!(byte, b'[' | b'{'));
    let count = |piece: &[u8]| usize::from(piece.iter().map(is_opening).sum::<u8>());
    let openings: usize = json.chunks(usize::from(u8::MAX)).map(count).sum();
    if openings <= DEPTH_MAX && !json.contains(&b'\\') {
        return None;
    }
    let (mut depth, mut in_string, mut at) = (0usize, false, 0usize);
    while let Some(&byte) = json.get(at) {
        match (in_string, byte) {
            (true, b'\\') => match escape(&json[at..]) {
                Ok(length) => at += length - 1,
                Err(error) => return Some(error),
            },
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Some(EncodeError::TooDeep);
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The deepest result that is accepted: it is handed on as one of a list among the dependencies of a command, which takes
/// four levels around it (envelope, content, dependencies, list).
pub const RESULT_DEPTH_MAX: usize = DEPTH_MAX - 4;

/// Whether a result is not nested deeper than it can be handed on.
pub fn is_too_deep_to_hand_on(result: &Raw) -> bool {
    let json = result.get().as_bytes();
    let openings = json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if openings <= RESULT_DEPTH_MAX {
        return false;
    }
    let wrapped: Vec<u8> = [b'['; DEPTH_MAX - RESULT_DEPTH_MAX].iter().chain(json).copied().collect();
    matches!(fault(&wrapped), Some(EncodeError::TooDeep))
}

/// The length of the escape that `json` begins with. A database takes no NUL as text, and no reader half of a
/// surrogate pair, though both are within JSON's grammar.
fn escape(json: &[u8]) -> Result<usize, EncodeError> {
    match (unit(json), json.get(6..).and_then(unit)) {
        (Some(0), _) => Err(EncodeError::Nul),
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => Ok(12),
        (Some(0xd800..=0xdfff), _) => Err(EncodeError::HalfPair),
        (Some(_), _) => Ok(6),
        (None, _) => Ok(2),
    }
}

/// The UTF-16 unit that `json` begins with an escape of.
fn unit(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether `value` could be a part of a message: its text is text, and it is not so deep that the envelope would
/// be too deep.
pub fn check_value<T: Serialize + ?Sized>(value: &T) -> Result<(), EncodeError> {
    // A value stands at least three levels down: envelope, content, and what holds it.
    let mut wrapped = vec![b'['; 3];
    serde_json::to_writer(&mut wrapped, value).map_err(|error| EncodeError::NotJson(error.to_string()))?;
    fault(&wrapped).map_or(Ok(()), Err)
}
