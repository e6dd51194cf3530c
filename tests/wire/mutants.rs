//! Ten thousand mutated envelopes: whatever comes, the reader answers, and what it takes can be sent on.

use bytes::Bytes;
use serde_json::Value;
use trireme::wire::codec::{self, EncodeError};

use super::records::{all, value};

const MUTANTS: usize = 10_000;
/// Any will do; written down, so that a mutant that fails comes again.
const SEED: u64 = 0x7472_6972_656d_6531;

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// What is put where it does not belong.
const INTRUDERS: [&str; 16] = [
    "null",
    "true",
    "-1",
    "0",
    "1e99",
    "18446744073709551616",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[[[[[]]]]]",
    "\"Ping\"",
    "\"phase/1/2\"",
    "\"2025-11-22T08:26:40Z\"",
    "4294967295",
];

fn mutant(text: &str, other: &str, dice: &mut Dice) -> Vec<u8> {
    match dice.below(6) {
        0 => flipped(text, dice),
        1 => text.as_bytes()[..dice.below(text.len())].to_vec(),
        2 => spliced(text.as_bytes(), other.as_bytes(), dice),
        3 => changed(text, dice, &mut |parent, key, _| parent.remove(key)),
        4 => {
            // By its text: half a surrogate pair is no value of this library's.
            let intruder = dice.pick(&INTRUDERS);
            let marked = changed(text, dice, &mut |parent, key, _| parent.set(key, "<here>".into()));
            String::from_utf8(marked).expect("UTF-8").replace("\"<here>\"", intruder).into_bytes()
        }
        _ => {
            let donor = value(other);
            changed(text, dice, &mut |parent, key, dice| parent.set(key, part_of(&donor, dice).clone()))
        }
    }
}

fn flipped(text: &str, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len());
        bytes[at] ^= 1 << dice.below(8);
    }
    bytes
}

/// The beginning of one and the end of another, cut anywhere.
fn spliced(head: &[u8], tail: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (until, from) = (dice.below(head.len()), dice.below(tail.len()));
    [&head[..until], &tail[from..]].concat()
}

/// Any value inside of `value`, or itself.
fn part_of<'a>(value: &'a Value, dice: &mut Dice) -> &'a Value {
    let inner: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    match inner.is_empty() || dice.below(3) == 0 {
        true => value,
        false => part_of(inner[dice.below(inner.len())], dice),
    }
}

/// A place among the children of a value.
trait Parent {
    fn remove(&mut self, at: usize);
    fn set(&mut self, at: usize, value: Value);
}

impl Parent for Value {
    fn remove(&mut self, at: usize) {
        match self {
            Value::Object(fields) => {
                let key = fields.keys().nth(at).cloned();
                key.and_then(|key| fields.remove(&key));
            }
            Value::Array(items) => drop(items.remove(at)),
            _ => {}
        }
    }

    fn set(&mut self, at: usize, value: Value) {
        let place = match self {
            Value::Object(fields) => fields.values_mut().nth(at),
            Value::Array(items) => items.get_mut(at),
            _ => None,
        };
        place.into_iter().for_each(|place| *place = value.clone());
    }
}

/// Changes one child, anywhere in the JSON.
fn changed(text: &str, dice: &mut Dice, change: &mut dyn FnMut(&mut Value, usize, &mut Dice)) -> Vec<u8> {
    let mut whole = value(text);
    let mut parent = &mut whole;
    loop {
        let children = children(parent);
        let at = dice.below(children);
        let has_children = parent_at(parent, at).is_some_and(|child| self::children(child) > 0);
        if !has_children || dice.below(3) == 0 {
            change(parent, at, dice);
            return whole.to_string().into_bytes();
        }
        parent = parent_at(parent, at).expect("it was there");
    }
}

fn children(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    }
}

fn parent_at(value: &mut Value, at: usize) -> Option<&mut Value> {
    match value {
        Value::Object(fields) => fields.values_mut().nth(at),
        Value::Array(items) => items.get_mut(at),
        _ => None,
    }
}

#[test]
fn ten_thousand_mutated_envelopes_are_answered() {
    let records: Vec<String> = all().into_iter().map(|(_, text)| value(&text).to_string()).collect();
    let mut dice = Dice(SEED);
    let (mut taken, mut given_back) = (0, 0);
    for _ in 0..MUTANTS {
        let (text, other) = (&records[dice.below(records.len())], &records[dice.below(records.len())]);
        let body = Bytes::from(mutant(text, other, &mut dice));
        let shown = String::from_utf8_lossy(&body).into_owned();
        let parts = codec::decode(&body);
        assert!(!parts.is_empty(), "{shown}");
        for part in parts {
            match part {
                Ok(envelope) => {
                    taken += 1;
                    let again = codec::encode(&envelope).unwrap_or_else(|error| panic!("{error}: {shown}"));
                    let read = codec::decode(&again).remove(0);
                    assert_eq!(read.as_ref(), Ok(&envelope), "{shown}");
                }
                Err(unreadable) => {
                    given_back += 1;
                    assert!(!unreadable.detail.is_empty() && unreadable.bytes.len() <= body.len(), "{shown}");
                }
            }
        }
    }
    // Mutants that are all refused, or all taken, would test nothing.
    assert!(taken > MUTANTS / 10 && given_back > MUTANTS / 4, "{taken} taken, {given_back} given back");
}

#[test]
fn ten_thousand_mutated_values_are_sent_or_refused() {
    // The way out, with inputs as strangers write them.
    let envelope = super::records::one(&all().into_iter().find(|(name, _)| name == "ExecuteSubtask").expect("it").1);
    let mut dice = Dice(SEED ^ 1);
    let mut refused = 0;
    for _ in 0..MUTANTS {
        let pieces: Vec<&str> = (0..dice.below(6)).map(|_| dice.pick(&INTRUDERS)).collect();
        let depth = dice.below(80);
        let text = format!("{}[{}]{}", "[".repeat(depth), pieces.join(","), "]".repeat(depth));
        let mut sent = envelope.clone();
        let trireme::wire::Content::ExecuteSubtask(command) = &mut sent.content else { panic!("another record") };
        command.input = trireme::wire::Raw::parse(text).expect("JSON");
        match codec::encode(&sent) {
            Ok(body) => assert_eq!(codec::decode(&body).remove(0), Ok(sent)),
            Err(EncodeError::Nul | EncodeError::HalfPair | EncodeError::TooDeep) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!((MUTANTS / 10..MUTANTS * 9 / 10).contains(&refused), "{refused} refused");
}
