//! Messages that can be read and not accepted. An answer becomes the failure of its attempt, because silence
//! would leave it running for ever; everything else is given back with its reason.

use bytes::Bytes;
use serde_json::{Value, json};
use trireme::wire::codec::{self, DEPTH_MAX, ENVELOPE_BYTES_MAX, EncodeError, Reason, Unreadable, check_value};
use trireme::wire::{Content, Envelope, FailureKind, MessageType, Raw};

use super::records::{one, single, value};

fn decode(text: &str) -> Result<Envelope, Unreadable> {
    let mut parts = codec::decode(&Bytes::copy_from_slice(text.as_bytes()));
    assert_eq!(parts.len(), 1);
    parts.remove(0)
}

fn record(name: &str) -> Value {
    value(&single().into_iter().find(|(other, _)| other == name).expect(name).1)
}

/// A record with a part of its content put in by its text.
fn with(name: &str, key: &str, json: &str) -> String {
    let mut record = record(name);
    record["content"][key] = json!("<here>");
    record.to_string().replace("\"<here>\"", json)
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Faults in answers: which, in what, and the words that the failure is to have.
fn faulty_answers() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let big = format!("\"{}\"", "x".repeat(ENVELOPE_BYTES_MAX));
    vec![
        ("SubtaskCompletion", "result", big, "the cap is 1048576"),
        ("SubtaskCompletion", "result", nested(DEPTH_MAX), "nested deeper than 64"),
        ("SubtaskCompletion", "result", nested(100_000), "nested deeper than 64"),
        ("SubtaskCompletion", "result", r#"{"a":["b\u0000"]}"#.into(), "NUL"),
        ("SubtaskCompletion", "result", r#""\ud800""#.into(), "half a surrogate pair"),
        ("SubtaskCompletion", "result", r#""\ude00\ud83d""#.into(), "half a surrogate pair"),
        ("SubtaskCompletion", "started_at", "\"yesterday\"".into(), "`yesterday` is not RFC 3339"),
        ("SubtaskCompletion", "finished_at", "17".into(), "SubtaskCompletion: invalid type"),
        ("SubtaskCompletion", "log", "[]".into(), "SubtaskCompletion: invalid type"),
        ("SubtaskFailure", "kind", "\"lazy\"".into(), "unknown variant `lazy`"),
        ("SubtaskFailure", "error_message", "null".into(), "SubtaskFailure: invalid type"),
        ("SubtaskFailure", "error_message", r#""a\u0000b""#.into(), "NUL"),
        ("SubtaskFailure", "retry_after_ms", "-1".into(), "SubtaskFailure: invalid value"),
        ("SubtaskFailure", "retry_after_ms", "18446744073709551616".into(), "SubtaskFailure: invalid type"),
    ]
}

#[test]
fn a_faulty_answer_is_the_permanent_failure_of_its_attempt() {
    for (name, key, json, reason) in faulty_answers() {
        let before = record(name);
        let envelope =
            decode(&with(name, key, &json)).unwrap_or_else(|unreadable| panic!("{reason}: {:?}", unreadable.reason));
        assert_eq!(envelope.message_type, MessageType::Error, "{reason}");
        assert_eq!(envelope.message_id.to_string(), before["message_id"].as_str().expect("an id"));
        let Content::SubtaskFailure(failure) = &envelope.content else { panic!("{envelope:?}") };
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.error_message.contains(reason), "{} is not of {reason}", failure.error_message);
        assert!(failure.error_message.starts_with("the answer was not accepted: "));
        assert_eq!(failure.subtask_id.to_string(), before["content"]["subtask_id"].as_str().expect("an id"));
        assert_eq!(Some(u64::from(failure.attempt)), before["content"]["attempt"].as_u64());
        assert_eq!(failure.in_reply_to.to_string(), before["content"]["in_reply_to"].as_str().expect("an id"));
        codec::encode(&envelope).expect("the failure itself can be sent");
    }
}

#[test]
fn an_answer_whose_sender_can_not_be_named_is_given_back() {
    for (name, sender, reason) in [
        ("SubtaskCompletion", r#""executor\u0000""#.to_owned(), Reason::Nul),
        ("SubtaskFailure", r#""\udc00""#.to_owned(), Reason::NotJson),
        ("SubtaskFailure", format!("\"{}\"", "x".repeat(ENVELOPE_BYTES_MAX)), Reason::TooBig),
    ] {
        let mut record = record(name);
        record["sender_id"] = json!("<here>");
        let unreadable = decode(&record.to_string().replace("\"<here>\"", &sender)).expect_err(name);
        assert_eq!(unreadable.reason, reason, "{}", unreadable.detail);
    }
}

#[test]
fn what_is_said_of_a_fault_is_short() {
    let long = "long".repeat(100_000);
    let answer = decode(&with("SubtaskFailure", "kind", &format!("\"{long}\""))).expect("a failure");
    let Content::SubtaskFailure(failure) = answer.content else { panic!("another content") };
    assert!(failure.error_message.len() < 400);
    let unreadable = decode(&with("Ping", "type", &format!("\"{long}\""))).expect_err("no such type");
    assert_eq!(unreadable.reason, Reason::UnknownType);
    assert!(unreadable.detail.len() < 400);
}

#[test]
fn an_answer_that_does_not_say_what_it_answers_is_given_back() {
    for (key, json) in [
        ("in_reply_to", "\"me\""),
        ("attempt", "-1"),
        ("attempt", "1e99"),
        ("attempt", "4294967296"),
        ("attempt", "18446744073709551616"),
        ("attempt", "1.5"),
        ("attempt", "\"1\""),
        ("subtask_id", "\"2\""),
        ("subtask_id", "\"2.4294967296\""),
        ("subtask_id", "2.3"),
    ] {
        let unreadable = decode(&with("SubtaskCompletion", key, json)).expect_err(json);
        assert_eq!(unreadable.reason, Reason::BadContent, "{key} {json}: {}", unreadable.detail);
    }
}

#[test]
fn the_same_faults_in_other_messages_are_given_back() {
    let big = format!("\"{}\"", "x".repeat(ENVELOPE_BYTES_MAX));
    for (name, key, json, reason) in [
        ("ExecuteSubtask", "input", big.as_str(), Reason::TooBig),
        ("ExecuteSubtask", "input", &nested(DEPTH_MAX), Reason::TooDeep),
        ("ExecuteSubtask", "input", r#""\u0000""#, Reason::Nul),
        ("ExecuteSubtask", "input", r#""\udc00""#, Reason::HalfPair),
        ("ExecuteSubtask", "attempt", "-1", Reason::BadContent),
        ("ExecuteSubtask", "timeout_ms", "18446744073709551616", Reason::BadContent),
        ("ExecuteSubtask", "avoid", r#"["told.1"]"#, Reason::BadContent),
        ("NewProject", "project_name", "null", Reason::BadContent),
        ("NewProject", "plan", r#"[{"goal_name":"g","priority":-1}]"#, Reason::BadContent),
        ("NewProject", "plan", &nested(200), Reason::TooDeep),
        ("NewProject", "deadline_ms", "1e99", Reason::BadContent),
        ("Alarm", "number", "18446744073709551616", Reason::BadContent),
        ("Alarm", "stream", "\"phase/1/2\"", Reason::BadContent),
        ("Heartbeat", "agent_id", "\"a.b\"", Reason::BadContent),
        ("Heartbeat", "layer", "\"kitchen\"", Reason::BadContent),
        ("Pong", "peers", &nested(60), Reason::BadContent),
        ("ProjectStatusUpdate", "counts", r#"{"total":1}"#, Reason::BadContent),
        ("SubtaskProgress", "done", "1e999", Reason::BadContent),
        ("Ping", "type", "\"Heart\\nbeat\"", Reason::UnknownType),
        ("Ping", "type", "null", Reason::NotAnEnvelope),
        ("Ping", "type", "{}", Reason::NotAnEnvelope),
    ] {
        let text = with(name, key, json);
        let unreadable = decode(&text).map(|envelope| envelope.content).expect_err(key);
        assert_eq!(unreadable.reason, reason, "{name} {key} {json:.40}: {}", unreadable.detail);
        assert_eq!(unreadable.bytes, text);
        assert!(!unreadable.detail.contains('\n') && unreadable.detail.len() < 400, "{}", unreadable.detail);
    }
}

#[test]
fn faults_of_the_envelope_itself_are_given_back() {
    for (key, json) in [
        ("message_id", "\"not an id\""),
        ("message_id", "7"),
        ("message_type", "\"SHOUT\""),
        ("message_type", "\"command\""),
        ("timestamp", "\"2025-13-01T00:00:00Z\""),
        ("timestamp", "1763800000120"),
        ("task_id", "null"),
        ("sender_id", "{}"),
        ("content", "null"),
        ("content", "\"Ping\""),
        ("content", "{}"),
        ("content", "[]"),
    ] {
        let mut wrong = record("SubtaskCompletion");
        wrong[key] = value(json);
        let unreadable = decode(&wrong.to_string()).expect_err(key);
        assert_eq!(unreadable.reason, Reason::NotAnEnvelope, "{key} {json}");
        let mut missing = record("SubtaskCompletion");
        missing.as_object_mut().expect("an object").remove(key);
        assert_eq!(decode(&missing.to_string()).expect_err(key).reason, Reason::NotAnEnvelope, "without {key}");
    }
}

#[test]
fn keys_that_come_twice_are_refused() {
    let ping = serde_json::to_string(&record("Ping")).expect("JSON");
    let twice = |from: &str, to: &str| {
        assert!(ping.contains(from), "{ping}");
        decode(&ping.replacen(from, to, 1)).expect_err(to).reason
    };
    assert_eq!(twice("\"task_id\":", "\"task_id\":\"x\",\"task_id\":"), Reason::NotAnEnvelope);
    assert_eq!(twice("\"partition\":5", "\"partition\":5,\"partition\":6"), Reason::BadContent);
    for (first, second) in [("Ping", "Pong"), ("Pong", "Ping"), ("Ping", "Ping")] {
        for gap in ["", " "] {
            let content = format!(r#"{{{gap}"type":"{first}","partition":1,"type":"{second}"}}"#);
            let text = one_with_content(&content);
            assert_eq!(decode(&text).expect_err(&content).reason, Reason::NotAnEnvelope, "{content}");
        }
    }
    // However it is written, and whatever stands elsewhere.
    for content in [r#"{"type":"Ping","typ\u0065":"Pong"}"#, r#" {"type":"Ping","type":"Pong"}"#] {
        for beside in ["", r#","extra":{"content":{"type":"Alarm"}}"#, r#","x\"content":{"type":"Alarm"}"#] {
            let text = one_with_content(content);
            let text = format!("{}{beside}}}", text.strip_suffix('}').expect("an object"));
            assert_eq!(decode(&text).expect_err(&text).reason, Reason::NotAnEnvelope, "{text}");
        }
    }
}

fn one_with_content(content: &str) -> String {
    let mut ping = record("Ping");
    ping["content"] = json!("<here>");
    ping.to_string().replace("\"<here>\"", content)
}

#[test]
fn the_type_may_stand_anywhere_and_be_written_in_any_way() {
    for content in [
        r#"{"type":"Ping","partition":5}"#,
        r#"{"partition":5,"type":"Ping"}"#,
        r#" { "type" : "Ping" , "partition" : 5 } "#,
        r#"{"type":"P\u0069ng","partition":5}"#,
        r#"{"t\u0079pe":"Ping","partition":5}"#,
        r#"{"type":"Ping","partition":5,"other":{"type":"Pong","note":"\"type\":\"Alarm\""}}"#,
        r#"{"type":"Ping","partition":5,"note":"a [[ \\\" }} b"}"#,
    ] {
        assert_eq!(decode(&one_with_content(content)).map(|ping| ping.content), Ok(ping_5()), "{content}");
    }
}

fn ping_5() -> Content {
    one(&record("Ping").to_string()).content
}

#[test]
fn sizes_at_the_cap_and_one_over() {
    // The result takes what is left of an envelope, and then one byte more.
    let frame = with("SubtaskCompletion", "result", "\"\"").len();
    let sized = |bytes: usize| with("SubtaskCompletion", "result", &format!("\"{}\"", "x".repeat(bytes - frame)));
    let (fits, over) = (sized(ENVELOPE_BYTES_MAX), sized(ENVELOPE_BYTES_MAX + 1));
    assert_eq!((fits.len(), over.len()), (ENVELOPE_BYTES_MAX, ENVELOPE_BYTES_MAX + 1));
    let mut envelope = decode(&fits).expect("at the cap");
    assert!(matches!(envelope.content, Content::SubtaskCompletion(_)));
    assert!(matches!(decode(&over).expect("a failure").content, Content::SubtaskFailure(_)));
    assert_eq!(codec::encode(&envelope).map(|body| body.len()), Ok(ENVELOPE_BYTES_MAX));
    envelope.sender_id.push('x');
    assert_eq!(codec::encode(&envelope), Err(EncodeError::TooBig { bytes: ENVELOPE_BYTES_MAX + 1 }));
}

#[test]
fn what_may_not_come_in_may_not_go_out() {
    let mut envelope = one(&record("SubtaskCompletion").to_string());
    let mut send = |result: &str| {
        let Content::SubtaskCompletion(done) = &mut envelope.content else { panic!("{envelope:?}") };
        done.result = Raw::parse(result).expect("JSON");
        codec::encode(&envelope).map(|_| ())
    };
    // The envelope and its content are two levels; a value may have the rest.
    assert_eq!(send(&nested(DEPTH_MAX - 2)), Ok(()));
    assert_eq!(send(&nested(DEPTH_MAX - 1)), Err(EncodeError::TooDeep));
    assert_eq!(send(&format!("{}1{}", "[{\"a\":".repeat(40), "}]".repeat(40))), Err(EncodeError::TooDeep));
    assert_eq!(send(r#""\u0000""#), Err(EncodeError::Nul));
    assert_eq!(send(r#"{"\u0000":1}"#), Err(EncodeError::Nul));
    assert_eq!(send(r#""\\u0000 is no NUL""#), Ok(()));
    assert_eq!(send(r#""\\\u0000""#), Err(EncodeError::Nul));
    assert_eq!(send(r#""\ud83d\ude00""#), Ok(()));
    assert_eq!(send(r#""\ud83d""#), Err(EncodeError::HalfPair));
    assert_eq!(send(r#""\ud83d\u0041""#), Err(EncodeError::HalfPair));
    assert_eq!(send(r#""\ud83d\ud83d\ude00""#), Err(EncodeError::HalfPair));
    assert_eq!(send(&format!("\"{}\"", "[{\\\"".repeat(1_000))), Ok(()));
    assert_eq!(send(&format!("[{}[]]", "[],".repeat(1_000))), Ok(()));
}

#[test]
fn a_value_that_is_checked_beforehand_fits_wherever_it_is_put() {
    let checked = |json: &str| check_value(&Raw::parse(json).expect("JSON"));
    assert_eq!(checked(&nested(DEPTH_MAX - 3)), Ok(()));
    assert_eq!(checked(&nested(DEPTH_MAX - 2)), Err(EncodeError::TooDeep));
    assert_eq!(checked(r#""\u0000""#), Err(EncodeError::Nul));
    assert_eq!(checked(r#""\ud800""#), Err(EncodeError::HalfPair));
    assert_eq!(check_value("a\0b"), Err(EncodeError::Nul));
    assert!(matches!(check_value(&"x".repeat(ENVELOPE_BYTES_MAX)), Err(EncodeError::TooBig { .. })));
}
