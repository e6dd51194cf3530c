//! Bodies with several envelopes: the good ones are taken, each bad one is given back alone.

use bytes::Bytes;
use trireme::wire::codec::{self, ENVELOPES_MAX, Reason};

use super::records::{one, single};

fn array(parts: &[&str]) -> Bytes {
    Bytes::from(format!("[{}]", parts.join(",")))
}

fn record(name: &str) -> String {
    single().into_iter().find(|(other, _)| other == name).expect(name).1
}

#[test]
fn each_bad_envelope_comes_back_alone_with_its_reason_and_bytes() {
    let (ping, alarm) = (record("Ping"), record("Alarm"));
    let unknown = ping.replace("\"Ping\"", "\"Pang\"");
    let nul = record("Cancel").replace("client-01", "client\\u0000");
    let bad = alarm.replace("\"number\": 7", "\"number\": -7");
    let parts = [&ping, "{}", &unknown, "[]", "17", &alarm, &nul, "null", &bad, "\"text\""];
    let expected = [
        None,
        Some(Reason::NotAnEnvelope),
        Some(Reason::UnknownType),
        Some(Reason::NotAnEnvelope),
        Some(Reason::NotAnEnvelope),
        None,
        Some(Reason::Nul),
        Some(Reason::NotAnEnvelope),
        Some(Reason::BadContent),
        Some(Reason::NotAnEnvelope),
    ];
    let decoded = codec::decode(&array(&parts));
    assert_eq!(decoded.len(), parts.len());
    for ((part, text), expected) in decoded.iter().zip(parts).zip(expected) {
        match (part, expected) {
            (Ok(envelope), None) => assert_eq!(envelope, &one(text)),
            (Err(unreadable), Some(reason)) => {
                assert_eq!(unreadable.reason, reason, "{text}");
                assert_eq!(unreadable.bytes, text.trim(), "{text}");
            }
            (part, _) => panic!("{text}: {part:?}"),
        }
    }
}

#[test]
fn an_array_that_is_cut_is_given_back_whole() {
    let whole = array(&[&record("Ping"), &record("Pong")]);
    let cut = whole.slice(..whole.len() - 1);
    let decoded = codec::decode(&cut);
    let [Err(unreadable)] = &decoded[..] else { panic!("{decoded:?}") };
    assert_eq!((unreadable.reason, &unreadable.bytes), (Reason::NotJson, &cut));
}

#[test]
fn an_array_in_an_array_is_no_envelope_even_with_the_fields_in_their_order() {
    let ping = super::records::value(&record("Ping"));
    let fields = ["message_id", "sender_id", "receiver_id", "message_type", "content", "timestamp", "task_id"];
    let listed: Vec<_> = fields.iter().map(|field| ping[field].to_string()).collect();
    let inner = format!("[{}]", listed.join(","));
    let content = record("Ping").replace("{\n    \"type\": \"Ping\",\n    \"partition\": 5\n  }", "[\"Ping\", 5]");
    assert!(content.contains("[\"Ping\", 5]"));
    for part in [inner.as_str(), content.as_str(), "[[]]"] {
        let decoded = codec::decode(&array(&[part]));
        let [Err(unreadable)] = &decoded[..] else { panic!("{decoded:?}") };
        assert_eq!(unreadable.reason, Reason::NotAnEnvelope, "{part}");
    }
}

#[test]
fn so_many_envelopes_and_not_one_more() {
    let zeros = |count: usize| Bytes::from(format!("[{}0]", "0,".repeat(count - 1)));
    assert_eq!(codec::decode(&zeros(ENVELOPES_MAX)).len(), ENVELOPES_MAX);
    let decoded = codec::decode(&zeros(ENVELOPES_MAX + 1));
    let [Err(unreadable)] = &decoded[..] else { panic!("{} letters", decoded.len()) };
    assert_eq!(unreadable.reason, Reason::TooBig);
    // What the bound refuses could not have been envelopes.
    let nil = uuid::Uuid::nil().simple().to_string();
    let shortest = format!(
        r#"{{"message_id":"{nil}","sender_id":"","receiver_id":"","message_type":"ERROR","content":{{"type":"Ping"}},"timestamp":"1970-01-01T00:00Z","task_id":"{nil}"}}"#
    );
    one(&shortest);
    assert!(ENVELOPES_MAX * shortest.len() > codec::BODY_BYTES_MAX, "{}", shortest.len());
}
