//! ApiCall: the description of an interface that takes the entities, and a call of it: a request and its
//! response, signed as they would be on the wire. Nothing is sent. The exchange is held against the description,
//! and what the description forbids is tried and has to be refused.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::engine::render;
use super::entity::{Entity, Field, bad, refuse};
use super::task::{File, Task, files_value};
use crate::wire::Failure;

/// The key that samples are signed with, unless the input has a `sample_key`. It guards nothing.
const SAMPLE_KEY: &str = "sandbox-key";
/// The time of the sample, in seconds: fixed, so that the same input gives the same bytes.
const SAMPLE_TIME: u64 = 1_767_225_600;

pub(super) fn make(task: &Task) -> Result<Value, Failure> {
    let mut entities = task.needed_entities()?;
    // Passwords do not travel, and neither does what has one.
    entities.0.retain(|entity| entity.fields.iter().all(|field| field.kind != "password"));
    let entity = match task.text("entity")? {
        Some(name) => entities.named(name)?,
        None => entities.0.last().ok_or_else(|| bad("there is no entity without a password"))?,
    };
    let context = json!({ "title": task.name, "description": task.description, "entities": entities });
    let rendered = render("api/openapi.json", context)?;
    let openapi: Value =
        serde_json::from_str(&rendered).map_err(|error| bad(format!("the description is no JSON: {error}")))?;
    let key = task.text("sample_key")?.unwrap_or(SAMPLE_KEY);
    let exchange = exchange(entity, key, &task.name)?;
    let checked = check(&openapi, &exchange, entity, key)?;
    let pretty = |value: &Value| serde_json::to_string_pretty(value).map_err(|error| bad(error.to_string()));
    let files = [File::new("openapi.json", pretty(&openapi)?), File::new("exchange.json", pretty(&exchange)?)];
    Ok(json!({
        "api": format!("POST /{}", entity.table),
        "openapi": openapi,
        "exchange": exchange,
        "checked": checked,
        "entities": entities.as_given(),
        "files": files_value(&files),
    }))
}

/// A request that creates a row, and the response to it.
fn exchange(entity: &Entity, key: &str, name: &str) -> Result<Value, Failure> {
    let values: Map<String, Value> = entity.fields.iter().map(|field| (field.column.clone(), sample(field))).collect();
    let mut created = values.clone();
    created.insert("id".into(), 1.into());
    // A map of JSON is sorted: these are the bytes that everybody else who sorts and leaves out spaces signs.
    let body = |values: &Map<String, Value>| serde_json::to_string(values).map_err(|error| bad(error.to_string()));
    let (request, response) = (body(&values)?, body(&created)?);
    let idempotency_key = blake3::hash(format!("{name}\n{request}").as_bytes()).to_hex();
    let time = SAMPLE_TIME.to_string();
    Ok(json!({
        "key": key,
        "values": values,
        "request": {
            "method": "POST",
            "path": format!("/{}", entity.table),
            "headers": {
                "Content-Type": "application/json",
                "Idempotency-Key": idempotency_key.as_str(),
                "X-Signature": sign(key, &time, &request),
                "X-Timestamp": time,
            },
            "body": request,
        },
        "response": {
            "status": 201,
            "headers": {
                "Content-Type": "application/json",
                "X-Signature": sign(key, &time, &response),
                "X-Timestamp": time,
            },
            "body": response,
        },
    }))
}

fn sample(field: &Field) -> Value {
    match field.kind {
        "boolean" => true.into(),
        "date" => "2026-03-01".into(),
        "datetime" => "2026-03-01T12:00:00Z".into(),
        "decimal" => "19.90".into(),
        "email" => format!("{}@example.com", field.name).into(),
        "integer" | "reference" => 1.into(),
        "number" => 1.5.into(),
        "uuid" => "00000000-0000-4000-8000-000000000001".into(),
        _ => format!("{} 1", field.name).into(),
    }
}

fn mac(key: &str, time: &str, body: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac
}

fn sign(key: &str, time: &str, body: &str) -> String {
    let hexadecimal: String = mac(key, time, body).finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={hexadecimal}")
}

/// Whether a message of the exchange carries the signature of its own bytes.
fn is_signed(message: &Value, body: &str, key: &str) -> bool {
    let header = |name: &str| message["headers"][name].as_str().unwrap_or_default();
    let bytes = header("X-Signature").strip_prefix("sha256=").unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    match bytes.chunks(2).map(byte).collect::<Option<Vec<u8>>>() {
        Some(signature) => mac(key, header("X-Timestamp"), body).verify_slice(&signature).is_ok(),
        None => false,
    }
}

/// Holds the exchange against the description and its signatures, then tries what has to be refused.
fn check(openapi: &Value, exchange: &Value, entity: &Entity, key: &str) -> Result<Value, Failure> {
    let references = references(openapi)?;
    let operation = &openapi["paths"][format!("/{}", entity.table)]["post"];
    let request_schema = resolve(openapi, &operation["requestBody"]["content"]["application/json"]["schema"])?;
    let status = exchange["response"]["status"].to_string();
    let response_schema = resolve(openapi, &operation["responses"][&status]["content"]["application/json"]["schema"])?;
    for (message, schema) in [(&exchange["request"], request_schema), (&exchange["response"], response_schema)] {
        let body = message["body"].as_str().unwrap_or_default();
        let parsed: Value = serde_json::from_str(body).map_err(|error| bad(format!("a body is no JSON: {error}")))?;
        if let Some(fault) = fault(schema, &parsed) {
            return refuse(format!("the sample does not fit its own description: {fault}"));
        }
        if !is_signed(message, body, key) {
            return refuse("the sample's signature does not fit its body");
        }
        if is_signed(message, &format!("{body} "), key) || is_signed(message, body, &format!("{key}!")) {
            return refuse("the sample's signature fits another body, or another key");
        }
    }
    let good = exchange["values"].as_object().cloned().unwrap_or_default();
    let mut refused = 0;
    for field in &entity.fields {
        let mut of_another_type = good.clone();
        of_another_type.insert(field.column.clone(), json!([]));
        let mut missing = good.clone();
        missing.remove(&field.column);
        let cases = [("a value of another type", Some(of_another_type)), ("no", field.required.then_some(missing))];
        for (what, values) in cases {
            let Some(values) = values else { continue };
            if fault(request_schema, &Value::Object(values)).is_none() {
                return refuse(format!("the description takes {what} `{}`", field.column));
            }
            refused += 1;
        }
    }
    Ok(json!({ "references_resolved": references, "messages_signed": 2, "violations_refused": refused }))
}

/// The number of `$ref`s, all of which lead somewhere.
fn references(openapi: &Value) -> Result<usize, Failure> {
    let (mut found, mut open) = (0, vec![openapi]);
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if object.contains_key("$ref") {
                    resolve(openapi, value)?;
                    found += 1;
                }
                open.extend(object.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    Ok(found)
}

fn resolve<'a>(openapi: &'a Value, schema: &'a Value) -> Result<&'a Value, Failure> {
    let reference = schema["$ref"].as_str().unwrap_or_default();
    let target = reference.strip_prefix('#').and_then(|pointer| openapi.pointer(pointer));
    target.ok_or_else(|| bad(format!("the description refers to `{reference}`, which is not there")))
}

/// What is wrong with a value, of what the schemas of our description can say.
fn fault(schema: &Value, value: &Value) -> Option<String> {
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => false,
    };
    if !fits {
        return Some(format!("{value} is no {}", schema["type"]));
    }
    if let (Some(most), Some(text)) = (schema["maxLength"].as_u64(), value.as_str())
        && text.chars().count() as u64 > most
    {
        return Some(format!("longer than {most}"));
    }
    let object = value.as_object()?;
    let missing = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = missing.into_iter().find(|name| !object.contains_key(*name)) {
        return Some(format!("`{missing}` is missing"));
    }
    object.iter().find_map(|(name, value)| match schema["properties"].get(name) {
        None => Some(format!("`{name}` is not described")),
        Some(schema) => fault(schema, value).map(|fault| format!("`{name}`: {fault}")),
    })
}
