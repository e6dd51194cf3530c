//! Bytes that are no envelope at all, and bytes that are meant to hurt.

use std::time::{Duration, Instant};

use bytes::Bytes;
use trireme::wire::codec::{self, BODY_BYTES_MAX, Reason};

use super::records::single;

fn reason(body: impl Into<Bytes>) -> Reason {
    let body = body.into();
    let parts = codec::decode(&body);
    let [Err(unreadable)] = &parts[..] else { panic!("{} parts", parts.len()) };
    assert_eq!(unreadable.bytes, body);
    unreadable.reason
}

#[test]
fn what_is_no_envelope_says_why() {
    assert_eq!(reason(""), Reason::NotJson);
    assert_eq!(reason(" \n"), Reason::NotJson);
    assert_eq!(reason("hello"), Reason::NotJson);
    assert_eq!(reason("{"), Reason::NotJson);
    assert_eq!(reason("{} {}"), Reason::NotAnEnvelope);
    assert_eq!(reason("null"), Reason::NotAnEnvelope);
    assert_eq!(reason("1e999"), Reason::NotJson);
    assert_eq!(reason("[]"), Reason::NotAnEnvelope);
    assert_eq!(reason(" [ ] "), Reason::NotAnEnvelope);
    assert_eq!(reason("[1,]"), Reason::NotJson);
    assert_eq!(reason(&b"\xff\xfe{}"[..]), Reason::NotJson);
    assert_eq!(reason(&b"{\"a\":\"\x00\"}"[..]), Reason::NotJson);
    assert_eq!(reason(&b"\0"[..]), Reason::NotJson);
}

#[test]
fn a_byte_order_mark_is_no_white_space() {
    let (_, ping) = single().into_iter().find(|(name, _)| name == "Ping").expect("Ping");
    assert_eq!(reason(format!("\u{feff}{ping}")), Reason::NotJson);
    let utf16: Vec<u8> = ping.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_ne!(reason(utf16), Reason::TooBig);
    assert!(codec::decode(&Bytes::from(format!("\r\n\t {ping} \n")))[0].is_ok());
}

#[test]
fn a_body_at_the_cap_is_looked_at_and_one_over_is_not() {
    let blanks = |bytes: usize| format!("{}{{}}", " ".repeat(bytes - 2));
    assert_eq!(reason(blanks(BODY_BYTES_MAX)), Reason::NotAnEnvelope);
    assert_eq!(reason(blanks(BODY_BYTES_MAX + 1)), Reason::TooBig);
}

#[test]
fn a_million_brackets_neither_overflow_the_stack_nor_take_long() {
    let (_, record) = single().into_iter().find(|(name, _)| name == "ExecuteSubtask").expect("ExecuteSubtask");
    let started = Instant::now();
    for depth in [10_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let inside = |from: &str, to: &str| {
                assert!(record.contains(from), "{from}");
                record.replacen(from, &to.replace("<>", &nested), 1)
            };
            for body in [
                nested.clone(),
                open.repeat(depth),
                format!("[{nested}]"),
                inside("\"message_id\":", "\"unknown\": <>, \"message_id\":"),
                inside("\"input\": {", "\"input\": <>, \"ignored\": {"),
                inside("\"type\":", "\"unknown\": <>, \"type\":"),
                inside("\"project_name\":", "\"project_name\": <>, \"ignored\":"),
                inside("\"avoid\": [", "\"avoid\": <>, \"ignored\": ["),
            ] {
                let parts = codec::decode(&Bytes::from(body));
                assert!(parts.len() == 1 && parts[0].is_err());
            }
        }
    }
    // All of it is about 60 MB; a cost that grows faster than the text would take hours.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
