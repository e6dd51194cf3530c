//! A recorded example of every message. A record never changes: it is what an older process sends.

use bytes::Bytes;
use serde_json::Value;
use trireme::wire::{Content, Envelope, MessageType, Status, codec};

/// The records by file name; `batch.json` is an array, the others one envelope each.
pub fn all() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/records");
    let mut records: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the folder of records")
        .map(|entry| entry.expect("a record").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a record is text"))
        })
        .collect();
    records.sort();
    records
}

/// Those of one envelope.
pub fn single() -> Vec<(String, String)> {
    all().into_iter().filter(|(name, _)| name != "batch").collect()
}

/// The record of a content. A new content does not compile before it has a file.
fn record_of(content: &Content) -> &'static str {
    match content {
        Content::NewProject(_) => include_str!("records/NewProject.json"),
        Content::StartProjectPhase(_) => include_str!("records/StartProjectPhase.json"),
        Content::ExecuteSubtask(_) => include_str!("records/ExecuteSubtask.json"),
        Content::SubtaskAccepted(_) => include_str!("records/SubtaskAccepted.json"),
        Content::SubtaskProgress(_) => include_str!("records/SubtaskProgress.json"),
        Content::SubtaskCompletion(_) => include_str!("records/SubtaskCompletion.json"),
        Content::SubtaskFailure(_) => include_str!("records/SubtaskFailure.json"),
        Content::ProjectStatusUpdate(_) => include_str!("records/ProjectStatusUpdate.json"),
        Content::ProjectCompletion(_) => include_str!("records/ProjectCompletion.json"),
        Content::Cancel(_) => include_str!("records/Cancel.json"),
        Content::Pause(_) => include_str!("records/Pause.json"),
        Content::Resume(_) => include_str!("records/Resume.json"),
        Content::Retry(_) => include_str!("records/Retry.json"),
        Content::Recover(_) => include_str!("records/Recover.json"),
        Content::Decide(_) => include_str!("records/Decide.json"),
        Content::Alarm(_) => include_str!("records/Alarm.json"),
        Content::Heartbeat(_) => include_str!("records/Heartbeat.json"),
        Content::Ping(_) => include_str!("records/Ping.json"),
        Content::Pong(_) => include_str!("records/Pong.json"),
    }
}

/// The one envelope of a body.
pub fn one(text: &str) -> Envelope {
    let mut parts = codec::decode(&Bytes::copy_from_slice(text.as_bytes()));
    assert_eq!(parts.len(), 1, "{text:.200}");
    parts.remove(0).unwrap_or_else(|unreadable| panic!("{unreadable:?}"))
}

pub fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("a record is JSON")
}

#[test]
fn every_content_has_a_record_under_its_name() {
    let records = single();
    assert_eq!(records.len(), 19);
    for (name, text) in &records {
        let envelope = one(text);
        assert_eq!(envelope.content.name(), name);
        assert_eq!(record_of(&envelope.content), text);
    }
}

#[test]
fn a_record_comes_back_as_the_same_json() {
    for (name, text) in single() {
        let encoded = codec::encode(&one(&text)).expect("a record can be sent");
        let (before, after) = (value(&text), serde_json::from_slice::<Value>(&encoded).expect("JSON"));
        assert_eq!(before, after, "{name}");
        assert_eq!(one(std::str::from_utf8(&encoded).expect("UTF-8")), one(&text), "{name}");
    }
}

#[test]
fn all_seven_fields_survive() {
    for (name, text) in single() {
        let (envelope, written) = (one(&text), value(&text));
        let field = |field: &str| written[field].as_str().map(str::to_owned);
        assert_eq!(written.as_object().map(serde_json::Map::len), Some(7), "{name}");
        assert_eq!(Some(envelope.message_id.to_string()), field("message_id"), "{name}");
        assert_eq!(Some(envelope.sender_id), field("sender_id"), "{name}");
        assert_eq!(Some(envelope.receiver_id), field("receiver_id"), "{name}");
        assert_eq!(serde_json::to_value(envelope.message_type).ok(), Some(written["message_type"].clone()), "{name}");
        assert_eq!(Some(envelope.content.name()), written["content"]["type"].as_str(), "{name}");
        assert_eq!(Some(envelope.timestamp.to_string()), field("timestamp"), "{name}");
        assert_eq!(Some(envelope.task_id.to_string()), field("task_id"), "{name}");
    }
}

#[test]
fn the_message_type_fits_the_content() {
    for (name, text) in single() {
        let envelope = one(&text);
        assert_eq!(envelope.message_type, envelope.content.message_type(), "{name}");
    }
    let typed = |name: &str, status: Status| {
        let mut content = one(&single().into_iter().find(|(other, _)| other == name).expect(name).1).content;
        match &mut content {
            Content::ProjectStatusUpdate(update) => update.status = status,
            Content::ProjectCompletion(completion) => completion.status = status,
            other => panic!("{other:?} has no status"),
        }
        content.message_type()
    };
    for (status, report, answer) in [
        (Status::Idle, MessageType::StatusUpdate, MessageType::Result),
        (Status::Busy, MessageType::StatusUpdate, MessageType::Result),
        (Status::Waiting, MessageType::StatusUpdate, MessageType::Result),
        (Status::Paused, MessageType::StatusUpdate, MessageType::Result),
        (Status::Completed, MessageType::Result, MessageType::Result),
        (Status::Error, MessageType::Error, MessageType::Error),
        (Status::Cancelled, MessageType::Error, MessageType::Error),
    ] {
        assert_eq!(typed("ProjectStatusUpdate", status), report, "{status}");
        assert_eq!(typed("ProjectCompletion", status), answer, "{status}");
    }
}

#[test]
fn fields_of_a_newer_process_are_ignored() {
    for (name, text) in single() {
        let mut newer = value(&text);
        newer["priority"] = Value::from(9);
        newer["content"]["a_field_of_tomorrow"] = value(r#"{"type":"Ping","deep":[[[1]]]}"#);
        assert_eq!(one(&newer.to_string()), one(&value(&text).to_string()), "{name}");
    }
}

#[test]
fn fields_that_may_be_left_out_may_be_left_out() {
    // What remains of a record without its optional fields is read, written and read again the same.
    let mut left_out = 0;
    for (name, text) in single() {
        let whole = value(&text);
        for key in whole["content"].as_object().expect("an object").keys().filter(|key| *key != "type") {
            let mut without = whole.clone();
            without["content"].as_object_mut().expect("an object").remove(key);
            let body = Bytes::from(without.to_string());
            let Some(Ok(envelope)) = codec::decode(&body).pop().filter(|part| is_itself(part, &name)) else { continue };
            let again = codec::encode(&envelope).expect("it can be sent");
            assert_eq!(one(std::str::from_utf8(&again).expect("UTF-8")), envelope, "{name} without {key}");
            left_out += 1;
        }
    }
    // Counted once: a field that is required from now on would break every older sender.
    assert_eq!(left_out, OPTIONAL_FIELDS);
}

const OPTIONAL_FIELDS: usize = 60;

/// Read as what it is, not as the failure that an unreadable answer becomes.
fn is_itself<E>(part: &Result<Envelope, E>, name: &str) -> bool {
    part.as_ref().is_ok_and(|envelope| match &envelope.content {
        Content::SubtaskFailure(failure) if failure.error_message.contains("not accepted") => false,
        content => content.name() == name,
    })
}

#[test]
fn the_recorded_batch_is_taken_whole() {
    let (_, text) = all().into_iter().find(|(name, _)| name == "batch").expect("batch.json");
    let parts = codec::decode(&Bytes::from(text.clone()));
    let envelopes: Vec<Envelope> = parts.into_iter().map(|part| part.expect("a good envelope")).collect();
    let bodies: Vec<Bytes> = envelopes.iter().map(|envelope| codec::encode(envelope).expect("sendable")).collect();
    assert_eq!(serde_json::from_slice::<Value>(&codec::join(&bodies)).expect("JSON"), value(&text));
}
