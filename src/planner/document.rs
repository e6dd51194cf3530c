//! A file that a person wrote, as one tree of JSON values: TOML, or JSON, which is found by looking.
//!
//! Nothing in a file can make this fail as a whole: size, depth and characters are bounded before anybody
//! looks at what it says.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::nul;
use crate::domain::BadInput;
use crate::domain::bad_input::quote;

/// The longest file that is read: it has to fit into one message anyway.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Toml,
    Json,
}

impl Format {
    /// By its text: only JSON begins with a brace. A name that ends in `.json` says so too, for a text that is neither.
    pub fn of(name: &str, text: &str) -> Self {
        let begins = text.trim_start_matches('\u{feff}').trim_start();
        match begins.starts_with('{') || name.to_ascii_lowercase().ends_with(".json") {
            true => Self::Json,
            false => Self::Toml,
        }
    }
}

/// The text of a file, which is neither empty nor too long.
pub fn read(path: &Path) -> Result<String, BadInput> {
    let name = quote(&path.display().to_string());
    let file = std::fs::File::open(path).map_err(|error| unreadable(&name, &error))?;
    read_from(file, &name)
}

/// The same of what is open already, and called `name`.
pub fn read_from(source: impl Read, name: &str) -> Result<String, BadInput> {
    let mut bytes = Vec::new();
    let taken = source.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    taken.map_err(|error| unreadable(name, &error))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(BadInput::new(format!("{name} is longer than {FILE_BYTES_MAX} bytes"))
            .or_else("`repeat` on a subtask, or a playbook, keeps a large plan short"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        BadInput::new(format!("{name} is not UTF-8: see byte {}", error.utf8_error().valid_up_to()))
    })?;
    match text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() {
        true => Err(BadInput::new(format!("{name} is empty"))),
        false => Ok(text),
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> BadInput {
    BadInput::new(format!("{name} can not be read: {error}"))
}

/// The tree of a text.
pub fn parse(text: &str, format: Format) -> Result<Map<String, Value>, BadInput> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = match format {
        Format::Toml => parse_toml(text)?,
        Format::Json => parse_json(text)?,
    };
    match (nul::find(&tree), tree) {
        (Some(place), _) => Err(BadInput::new(format!("{place} has a NUL character"))),
        (None, Value::Object(map)) => Ok(map),
        (None, _) => Err(BadInput::new("it is no object")),
    }
}

fn parse_toml(text: &str) -> Result<Value, BadInput> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        at_line(line, column, error.message())
    })?;
    from_toml(toml::Value::Table(table))
}

fn parse_json(text: &str) -> Result<Value, BadInput> {
    let Strict(value) = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
        at_line(error.line(), error.column(), what)
    })?;
    Ok(value)
}

fn at_line(line: usize, column: usize, what: &str) -> BadInput {
    let what = match what {
        what if what.contains("recursion") => "nested too deeply",
        // In the words of the library: `invalid type: integer ... as i128, expected any valid TOML value`.
        what if what.contains("as i128") || what.contains("as u128") => {
            "a number is too large: it does not fit 64 bits"
        }
        what => what,
    };
    BadInput::new(format!("line {line}, column {column}: {what}"))
}

/// Line and column, from 1, of a byte.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn from_toml(value: toml::Value) -> Result<Value, BadInput> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        // JSON has no dates: they travel as their text.
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Float(number) => Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| BadInput::new(format!("the number `{number}` can not be sent")))?,
        toml::Value::Array(items) => Value::Array(items.into_iter().map(from_toml).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => Value::Object(
            table.into_iter().map(|(key, value)| Ok((key, from_toml(value)?))).collect::<Result<_, BadInput>>()?,
        ),
    })
}

/// JSON in which a key that is written twice is an error, as it is in TOML: one of the two would get lost.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
        Ok(yes.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key {} is there twice", quote(&key))));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, format: Format) -> String {
        parse(text, format).expect_err("a bad text").in_one_line()
    }

    #[test]
    fn both_formats_give_the_same_tree() {
        let toml = "a = 1\nb = [true, \"x\", 1.5]\n[c.d]\ne = \"f\"\nt = 2026-01-02\n";
        let json = r#"{"a": 1, "b": [true, "x", 1.5], "c": {"d": {"e": "f", "t": "2026-01-02"}}}"#;
        assert_eq!(parse(toml, Format::Toml), parse(json, Format::Json));
        assert!(parse("\u{feff}a = 1", Format::Toml).is_ok());
    }

    #[test]
    fn malformed_texts_are_refused_with_line_and_column() {
        assert_eq!(
            refused("a = 1\nb = \n", Format::Toml),
            "line 2, column 5: string values must be quoted, expected literal string"
        );
        assert_eq!(
            refused("\"ä\" = 1 = 2", Format::Toml),
            "line 1, column 9: unexpected key or value, expected newline, `#`"
        );
        assert_eq!(refused("{\"a\": 1,\n \"b\" 2}", Format::Json), "line 2, column 6: expected `:`");
        assert_eq!(refused("{\"a\": 1, \"a\": 2}", Format::Json), "line 1, column 16: the key `a` is there twice");
        assert!(refused("a = 1\na = 2\n", Format::Toml).starts_with("line 2, column 1: duplicate key"));
        assert_eq!(refused("[1]", Format::Json), "it is no object");
        assert_eq!(refused("{\"a\": \"\\u0000\"}", Format::Json), "`a` has a NUL character");
        assert_eq!(refused("a = \"\\u0000\"", Format::Toml), "`a` has a NUL character");
        assert_eq!(refused("a = [{ b = nan }]", Format::Toml), "the number `NaN` can not be sent");
    }

    /// Each nests in its own way: arrays, inline tables, dotted keys, headers, objects.
    #[test]
    fn ten_thousand_levels_are_refused_without_a_stack_overflow() {
        const LEVELS: usize = 10_000;
        for (text, format) in [
            (format!("a = {}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)), Format::Toml),
            (format!("a = {}1{}", "{ a = ".repeat(LEVELS), "}".repeat(LEVELS)), Format::Toml),
            (format!("{}a = 1", "a.".repeat(LEVELS)), Format::Toml),
            (format!("[{}a]", "a.".repeat(LEVELS)), Format::Toml),
            (format!("[[{}a]]", "a.".repeat(LEVELS)), Format::Toml),
            (format!("{}1{}", "{\"a\":".repeat(LEVELS), "}".repeat(LEVELS)), Format::Json),
            (format!("{{\"a\":{}{}}}", "[".repeat(LEVELS), "]".repeat(LEVELS)), Format::Json),
            ("[".repeat(LEVELS), Format::Json),
        ] {
            let line = refused(&text, format);
            assert!(line.starts_with("line 1, column ") && line.ends_with(": nested too deeply"), "{line}");
        }
    }

    #[test]
    fn files_are_bounded_before_they_are_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            read(&path).expect_err("a bad file").in_one_line()
        };
        assert!(refused("a", b" \n").ends_with("is empty"));
        assert!(refused("a", b"name = \"\xff\"").ends_with("is not UTF-8: see byte 8"));
        assert!(refused("a", &vec![b'#'; FILE_BYTES_MAX + 1]).contains("is longer than 1048576 bytes"));
        assert!(
            read(&folder.path().join("none")).expect_err("no file").message.contains("can not be read: No such file")
        );
        assert!(read(folder.path()).expect_err("a folder").message.contains("can not be read: Is a directory"));
    }
}
