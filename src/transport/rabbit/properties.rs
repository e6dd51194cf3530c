//! Between our properties and AMQP's. What comes in may be anything: a value that is not what it should be
//! counts as absent, and never fails the delivery or panics.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};

use super::admin::short;
use crate::runtime::port::{Death, Origin, Properties, TransportError};
use crate::wire::Timestamp;

const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;
/// A reason is for people; all headers together have to fit into one frame of 128 KiB.
const REASON_BYTES_MAX: usize = 4096;

/// `told` is a second routing key. `login` is checked by the broker, which makes it a proof of who published.
pub(super) fn to_amqp(
    properties: &Properties,
    told: Option<&str>,
    login: &ShortString,
) -> Result<BasicProperties, TransportError> {
    let mut amqp = BasicProperties::default()
        .with_delivery_mode(if properties.persistent { PERSISTENT } else { TRANSIENT })
        .with_content_type("application/json".into())
        .with_user_id(login.clone());
    if let Some(id) = properties.message_id {
        amqp = amqp.with_message_id(id.to_string().into());
    }
    if let Some(project) = properties.project {
        amqp = amqp.with_correlation_id(project.to_string().into());
    }
    if let Some(kind) = &properties.kind {
        amqp = amqp.with_type(short(kind)?);
    }
    if let Some(sender) = &properties.sender {
        amqp = amqp.with_app_id(short(sender)?);
    }
    if let Some(reply_to) = &properties.reply_to {
        amqp = amqp.with_reply_to(short(reply_to)?);
    }
    let headers = headers(properties, told);
    Ok(if headers.inner().is_empty() { amqp } else { amqp.with_headers(headers) })
}

fn headers(properties: &Properties, told: Option<&str>) -> FieldTable {
    let mut headers = FieldTable::default();
    if let Some(attempt) = properties.attempt {
        headers.insert("attempt".into(), AMQPValue::LongLongInt(attempt.into()));
    }
    if properties.again {
        headers.insert("x-again".into(), AMQPValue::Boolean(true));
    }
    if properties.passed_on {
        headers.insert("x-passed-on".into(), AMQPValue::Boolean(true));
    }
    if let Some(reason) = &properties.reason {
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        headers.insert("x-reason".into(), AMQPValue::LongString(reason[..end].into()));
    }
    if let Some(origin) = &properties.origin {
        headers.insert("x-origin".into(), AMQPValue::LongString(origin.as_str().into()));
    }
    if let Some(Timestamp(ms)) = properties.set_aside_at {
        headers.insert("x-set-aside-at".into(), AMQPValue::LongLongInt(ms));
    }
    if let Some(told) = told {
        headers.insert("CC".into(), AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongString(told.into())])));
    }
    if !properties.also.is_empty() {
        let keys: Vec<_> = properties.also.iter().map(|key| AMQPValue::LongString(key.as_str().into())).collect();
        headers.insert("BCC".into(), AMQPValue::FieldArray(FieldArray::from(keys)));
    }
    headers
}

pub(super) fn from_amqp(amqp: &BasicProperties) -> Properties {
    let field = |field: &Option<ShortString>| field.as_ref().map(|text| text.as_str().to_owned());
    let header = |name: &str| amqp.headers().as_ref().and_then(|headers| headers.inner().get(name));
    Properties {
        message_id: message_id(amqp),
        project: amqp.correlation_id().as_ref().and_then(|id| id.as_str().parse().ok()),
        kind: field(amqp.kind()),
        sender: field(amqp.app_id()),
        reply_to: field(amqp.reply_to()),
        attempt: header("attempt").and_then(number),
        again: matches!(header("x-again"), Some(AMQPValue::Boolean(true))),
        passed_on: matches!(header("x-passed-on"), Some(AMQPValue::Boolean(true))),
        reason: header("x-reason").and_then(string),
        origin: header("x-origin").and_then(string),
        set_aside_at: match header("x-set-aside-at") {
            Some(AMQPValue::LongLongInt(ms)) => Some(Timestamp(*ms)),
            _ => None,
        },
        persistent: *amqp.delivery_mode() == Some(PERSISTENT),
        also: Vec::new(),
    }
}

pub(super) fn message_id(amqp: &BasicProperties) -> Option<crate::wire::MessageId> {
    let id = amqp.message_id().as_ref()?;
    uuid::Uuid::parse_str(id.as_str()).ok().map(crate::wire::MessageId)
}

/// How often it came back, as quorum queues count.
pub(super) fn returns(amqp: &BasicProperties) -> u32 {
    let count = amqp.headers().as_ref().and_then(|headers| headers.inner().get("x-delivery-count"));
    count.and_then(number).unwrap_or(0)
}

/// The newest of its deaths: the broker puts it first.
pub(super) fn death(amqp: &BasicProperties) -> Option<Death> {
    let deaths = deaths(amqp)?;
    let newest = deaths.first()?;
    Some(Death { queue: text(newest, "queue")?, reason: text(newest, "reason")? })
}

/// How it came in before its first death. A death of the same kind in the same queue is counted, and moves to the
/// front of the list: the first is the one that the broker names, and not always the last in the list.
pub(super) fn origin(amqp: &BasicProperties) -> Option<Origin> {
    let deaths = deaths(amqp)?;
    let named = |field: &str| string(amqp.headers().as_ref()?.inner().get(field)?);
    let (queue, reason) = (named("x-first-death-queue"), named("x-first-death-reason"));
    let is_first = |death: &&FieldTable| text(death, "queue") == queue && text(death, "reason") == reason;
    let first = deaths.iter().copied().find(is_first).or(deaths.last().copied())?;
    let died_at = match deaths.first()?.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds).ok().and_then(|s| s.checked_mul(1000)),
        _ => None,
    };
    let key = match first.inner().get("routing-keys") {
        Some(AMQPValue::FieldArray(keys)) => keys.as_slice().first().and_then(string)?,
        _ => return None,
    };
    let died_at = died_at.map(Timestamp);
    Some(Origin { exchange: text(first, "exchange")?, key, queue: text(first, "queue")?, died_at })
}

/// What the broker wrote down of each death; none when it is no dead letter.
fn deaths<'a>(amqp: &'a BasicProperties) -> Option<Vec<&'a FieldTable>> {
    let AMQPValue::FieldArray(deaths) = amqp.headers().as_ref()?.inner().get("x-death")? else { return None };
    let table = |death: &'a AMQPValue| match death {
        AMQPValue::FieldTable(table) => Some(table),
        _ => None,
    };
    deaths.as_slice().iter().map(table).collect()
}

fn text(table: &FieldTable, field: &str) -> Option<String> {
    table.inner().get(field).and_then(string)
}

fn string(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn number(value: &AMQPValue) -> Option<u32> {
    match *value {
        AMQPValue::ShortShortInt(number) => number.try_into().ok(),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => number.try_into().ok(),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => number.try_into().ok(),
        AMQPValue::LongUInt(number) => Some(number),
        AMQPValue::LongLongInt(number) => number.try_into().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_and_hostile_properties_count_as_absent() {
        let values = || {
            [
                AMQPValue::Void,
                AMQPValue::LongLongInt(-1),
                AMQPValue::LongLongInt(i64::MAX),
                AMQPValue::Double(f64::NAN),
                AMQPValue::LongString(vec![0xff, 0xfe].into()),
                AMQPValue::FieldArray(FieldArray::default()),
                AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::Void])),
                AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(FieldTable::default())])),
                AMQPValue::FieldTable(FieldTable::default()),
            ]
        };
        for value in values() {
            let mut headers = FieldTable::default();
            for name in
                ["attempt", "x-again", "x-passed-on", "x-reason", "x-origin", "x-delivery-count", "x-death", "CC"]
            {
                headers.insert(name.into(), value.clone());
            }
            let amqp = BasicProperties::default()
                .with_headers(headers)
                .with_delivery_mode(9)
                .with_message_id("no uuid".into())
                .with_correlation_id("".into());
            assert_eq!(from_amqp(&amqp), Properties::default(), "{value:?}");
            assert_eq!((returns(&amqp), death(&amqp), origin(&amqp)), (0, None, None), "{value:?}");
        }
    }

    #[test]
    fn what_does_not_fit_into_amqp_is_refused_or_cut_and_never_panics() {
        let long = "ä".repeat(4000);
        let reason = Properties { reason: Some(long.clone()), ..Properties::default() };
        let amqp = to_amqp(&reason, None, &"guest".into()).expect("a reason is cut");
        assert_eq!(from_amqp(&amqp).reason.map(|cut| cut.len()), Some(REASON_BYTES_MAX));
        let kind = Properties { kind: Some(long), ..Properties::default() };
        assert!(matches!(to_amqp(&kind, None, &"guest".into()), Err(TransportError::Refused(_))));
    }
}
