//! One table of a document: its keys are known beforehand, and each is read with its type and its bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::duration;
use crate::domain::bad_input::{BadInput, quote};
use crate::domain::{check, nearest, retry};
use crate::wire::FailureKind;

/// A table and where it stands.
pub struct Table<'a> {
    /// How it is called in a complaint: "goal `Build`", or nothing for the whole file.
    place: String,
    map: &'a Map<String, Value>,
}

impl<'a> Table<'a> {
    /// A table in which only `known` keys occur.
    pub fn new(place: impl Into<String>, map: &'a Map<String, Value>, known: &[&str]) -> Result<Self, BadInput> {
        let table = Self { place: place.into(), map };
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(table),
            Some(key) => Err(BadInput::new(format!("unknown key {}{}", quote(key), table.place_after(" in ")))
                .or_perhaps(nearest::hint(key, known.iter().copied()))),
        }
    }

    fn place_after(&self, word: &str) -> String {
        match self.place.is_empty() {
            true => String::new(),
            false => format!("{word}{}", self.place),
        }
    }

    fn bad(&self, key: &str, value: &Value, wanted: &str) -> BadInput {
        let place = self.place_after(" of ");
        BadInput::new(format!("`{key}`{place} is {}, not {wanted}", describe(value)))
    }

    /// A complaint about a key that has to be there.
    pub fn lacks(&self, key: &str) -> BadInput {
        match self.place.is_empty() {
            true => BadInput::new(format!("`{key}` is missing")),
            false => BadInput::new(format!("{} has no `{key}`", self.place)),
        }
    }

    pub fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key)
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>, BadInput> {
        self.read(key, "a text", Value::as_str)
    }

    /// A text on one line that can name something.
    pub fn name(&self, key: &str, what: &str) -> Result<Option<&'a str>, BadInput> {
        let name = self.text(key)?;
        if let Some(name) = name {
            check::check_name(what, name, check::NAME_BYTES_MAX)?;
        }
        Ok(name)
    }

    pub fn integer(&self, key: &str, bounds: RangeInclusive<u32>) -> Result<Option<u32>, BadInput> {
        let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        let fits = |number: u64| u32::try_from(number).ok().filter(|number| bounds.contains(number));
        self.read(key, &wanted, |value| value.as_u64().and_then(fits))
    }

    pub fn duration(&self, key: &str, most: Duration) -> Result<Option<Duration>, BadInput> {
        let wanted = format!("a duration such as \"250ms\", \"90s\" or \"5m\", at most \"{}\"", duration::print(most));
        let fits = |text| duration::parse(text).filter(|duration| *duration <= most);
        self.read(key, &wanted, |value| value.as_str().and_then(fits))
    }

    /// A duration of at most so many milliseconds, in milliseconds.
    pub fn milliseconds(&self, key: &str, most: u64) -> Result<Option<u64>, BadInput> {
        let duration = self.duration(key, Duration::from_millis(most))?;
        Ok(duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(most)))
    }

    /// Kinds of failure.
    pub fn kinds(&self, key: &str) -> Result<Option<Vec<FailureKind>>, BadInput> {
        let names = self.texts(key)?;
        let kinds = retry::kinds(names).map_err(|bad| bad.at(format!("`{key}`{}", self.place_after(" of "))))?;
        Ok(self.map.contains_key(key).then_some(kinds))
    }

    /// One of `names`, as `value` means it.
    pub fn one_of<T>(
        &self,
        key: &str,
        names: &[&'static str],
        value: impl FnOnce(&str) -> T,
    ) -> Result<Option<T>, BadInput> {
        let Some(name) = self.text(key)? else { return Ok(None) };
        match names.contains(&name) {
            true => Ok(Some(value(name))),
            false => {
                let place = self.place_after(" of ");
                Err(BadInput::new(format!("`{key}`{place} is {}, none that there is", quote(name)))
                    .or_perhaps(nearest::hint(name, names.iter().copied())))
            }
        }
    }

    pub fn table(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, BadInput> {
        self.read(key, "a table", Value::as_object)
    }

    pub fn texts(&self, key: &str) -> Result<Vec<&'a str>, BadInput> {
        let texts = |value: &'a Value| value.as_array()?.iter().map(Value::as_str).collect();
        Ok(self.read(key, "a list of texts", texts)?.unwrap_or_default())
    }

    /// A list of tables; `None` when there is none.
    pub fn tables(&self, key: &str) -> Result<Option<Vec<&'a Map<String, Value>>>, BadInput> {
        self.read(key, "a list of tables", |value| value.as_array()?.iter().map(Value::as_object).collect())
    }

    fn read<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, BadInput> {
        let Some(value) = self.map.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.bad(key, value, wanted))
    }
}

/// A value as a complaint names it.
pub fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
    }
}
