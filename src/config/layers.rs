//! The layers of settings over each other, read key by key. Whoever reads a key gives its default and its
//! bounds; what was read is what is known.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::secret::masked;
use crate::domain::BadInput;
use crate::domain::bad_input::quote;
use crate::domain::nearest;
use crate::planner::document::{self, Format};
use crate::planner::duration;
use crate::planner::table::describe;

/// What the names of environment variables begin with.
const PREFIX: &str = "TRIREME_";
/// Parts a section from a key in an environment variable. Variables without it are none of the settings'.
const SEPARATOR: &str = "__";
const DEFAULT: &str = "default";
const BUILT_IN: &str = "built in";

/// One resolved key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    /// Durations as texts, passwords masked, null where nothing is set.
    pub value: Value,
    /// A file, an environment variable, an option, `built in`, or `default`.
    pub source: String,
}

/// A key that the command line sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub key: &'static str,
    /// The option that sets it, as in `--slots`.
    pub option: &'static str,
    pub value: String,
}

/// The layers, and what was read from them so far.
pub struct Layers {
    file: Map<String, Value>,
    file_name: String,
    /// By name in upper case: its own name, and its value.
    environment: BTreeMap<String, (String, String)>,
    given: Vec<Given>,
    entries: Vec<Entry>,
}

impl Layers {
    /// Above a file of the user's own.
    pub fn of_file(path: &Path) -> Result<Self, BadInput> {
        let name = path.display().to_string();
        let text = document::read(path)?;
        let file = document::parse(&text, Format::Toml).map_err(|bad| bad.at(quote(&name)))?;
        Ok(Self::above(file, name))
    }

    /// Above the skills of the file that ships.
    pub fn built_in() -> Result<Self, BadInput> {
        let mut file = document::parse(super::SHIPPED, Format::Toml).map_err(|bad| bad.at(BUILT_IN))?;
        file.retain(|section, _| section == "skills");
        Ok(Self::above(file, BUILT_IN.into()))
    }

    fn above(file: Map<String, Value>, file_name: String) -> Self {
        Self { file, file_name, environment: BTreeMap::new(), given: Vec::new(), entries: Vec::new() }
    }

    pub fn with_environment(
        mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, BadInput> {
        for (name, value) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX) && name.contains(SEPARATOR)) else {
                continue;
            };
            let value = value.into_string().map_err(|_| BadInput::new(format!("{} is not UTF-8", quote(name))))?;
            if value.contains('\0') {
                return Err(BadInput::new(format!("{} has a NUL character", quote(name))));
            }
            self.environment.insert(name.to_uppercase(), (name.into(), value));
        }
        Ok(self)
    }

    pub fn with_given(mut self, given: Vec<Given>) -> Self {
        self.given = given;
        self
    }

    /// A section of the file, and its name there.
    pub fn section(&self, name: &str) -> Result<Option<&Map<String, Value>>, BadInput> {
        match self.file.get(name) {
            None => Ok(None),
            Some(Value::Object(section)) => Ok(Some(section)),
            Some(other) => Err(bad(name, other, &quote(&self.file_name), "a table")),
        }
    }

    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Writes down a key that is not read by the layers themselves.
    pub fn note(&mut self, key: impl Into<String>, value: Value, source: impl Into<String>) {
        self.entries.push(Entry { key: key.into(), value, source: source.into() });
    }

    pub fn text(&mut self, key: &str, default: &str) -> Result<String, BadInput> {
        self.parsed(key, default, Ok)
    }

    pub fn optional_text(&mut self, key: &str) -> Result<Option<String>, BadInput> {
        let read = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(|text| Some(text.to_owned()));
        self.read(key, "a text", None, read, |text| text.clone().map_or(Value::Null, Value::String))
    }

    /// A text that `parse` understands; its error says what is wrong with it.
    pub fn parsed<T>(
        &mut self,
        key: &str,
        default: &str,
        parse: impl Fn(String) -> Result<T, String>,
    ) -> Result<T, BadInput> {
        let text = self.read(
            key,
            "a text",
            default.to_owned(),
            |value| value.as_str().filter(|text| !text.is_empty()).map(Into::into),
            |text| Value::String(text.clone()),
        )?;
        let source = self.entries.last().map_or(DEFAULT, |entry| &entry.source);
        parse(text).map_err(|error| BadInput::new(format!("`{key}` from {}: {error}", quote(source))))
    }

    /// A URL with one of these beginnings.
    pub fn url(&mut self, key: &str, default: &str, schemes: &[&str]) -> Result<String, BadInput> {
        let fits = |url: &str| schemes.iter().any(|scheme| url.starts_with(scheme) && url.len() > scheme.len());
        self.read(
            key,
            &format!("a URL that begins with {}", schemes.join(", ")),
            default.to_owned(),
            |value| value.as_str().filter(|url| fits(url)).map(Into::into),
            |url| Value::String(masked(url)),
        )
    }

    pub fn integer(&mut self, key: &str, default: u32, bounds: RangeInclusive<u32>) -> Result<u32, BadInput> {
        let fits = |number: u64| u32::try_from(number).ok().filter(|number| bounds.contains(number));
        self.read(
            key,
            &format!("a whole number from {} to {}", bounds.start(), bounds.end()),
            default,
            |value| value.as_u64().and_then(fits),
            |number| Value::from(*number),
        )
    }

    pub fn duration(&mut self, key: &str, default: Duration, most: Duration) -> Result<Duration, BadInput> {
        let wanted = format!("a duration such as \"250ms\", \"90s\" or \"5m\", at most \"{}\"", duration::print(most));
        let fits = |text: &str| duration::parse(text).filter(|duration| *duration <= most);
        let shown = |value: &Duration| Value::String(duration::print(*value));
        self.read(key, &wanted, default, |value| value.as_str().and_then(fits), shown)
    }

    /// Reads a key from the nearest layer that has it, and writes down what it is.
    fn read<T>(
        &mut self,
        key: &str,
        wanted: &str,
        default: T,
        read: impl Fn(&Value) -> Option<T>,
        show: impl Fn(&T) -> Value,
    ) -> Result<T, BadInput> {
        let (value, source) = match self.find(key) {
            None => (default, DEFAULT.to_owned()),
            Some((found, source)) => {
                // Variables and options are texts whatever they mean: a number there is one in digits.
                let number = found.as_str().filter(|_| source != self.file_name).and_then(|text| text.parse().ok());
                let value = read(&found).or_else(|| read(&Value::Number(number?)));
                (value.ok_or_else(|| bad(key, &found, &quote(&source), wanted))?, source)
            }
        };
        self.note(key, show(&value), source);
        Ok(value)
    }

    fn find(&self, key: &str) -> Option<(Value, String)> {
        if let Some(given) = self.given.iter().find(|given| given.key == key) {
            return Some((given.value.clone().into(), given.option.into()));
        }
        if let Some((name, value)) = self.environment.get(&variable(key)) {
            return Some((value.clone().into(), name.clone()));
        }
        let (first, rest) = key.split_once('.')?;
        let value = rest.split('.').try_fold(self.file.get(first)?, |value, word| value.as_object()?.get(word))?;
        Some((value.clone(), self.file_name.clone()))
    }

    /// Everything that was read; an error when a layer has more than that.
    pub fn finish(self) -> Result<Vec<Entry>, BadInput> {
        let known: Vec<String> = self.entries.iter().map(|entry| variable(&entry.key)).collect();
        if let Some((name, _)) =
            self.environment.iter().find_map(|(upper, own)| (!known.contains(upper)).then_some(own))
        {
            return Err(BadInput::new(format!("unknown setting {} in the environment", quote(name)))
                .or_perhaps(nearest_only(name, known.iter().map(String::as_str))));
        }
        for (section, keys) in &self.file {
            let place = quote(&self.file_name);
            let inside = |entry: &Entry| entry.key.strip_prefix(section.as_str())?.strip_prefix('.').map(String::from);
            let known: Vec<String> = self.entries.iter().filter_map(inside).collect();
            if known.is_empty() {
                let mut sections: Vec<&str> =
                    self.entries.iter().filter_map(|entry| Some(entry.key.split_once('.')?.0)).collect();
                sections.dedup();
                return Err(BadInput::new(format!("unknown key {} in {place}", quote(section)))
                    .or_perhaps(nearest::hint(section, sections)));
            }
            let Some(keys) = keys.as_object() else { return Err(bad(section, keys, &place, "a table")) };
            // The skills are no list that could be known beforehand: their reader checks them.
            if let Some(key) = keys.keys().find(|key| section != "skills" && !known.contains(key)) {
                return Err(BadInput::new(format!("unknown key `{section}.{key}` in {place}"))
                    .or_perhaps(nearest::hint(key, known.iter().map(String::as_str))));
            }
        }
        Ok(self.entries)
    }
}

/// The environment variable that sets a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', SEPARATOR).replace('-', "_").to_uppercase())
}

fn nearest_only<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest::nearest(word, known).map(|near| format!("did you mean {}?", quote(near)))
}

/// A complaint about a value; a URL in it has its password masked.
fn bad(key: &str, value: &Value, source: &str, wanted: &str) -> BadInput {
    let shown = match value {
        Value::String(text) => describe(&Value::String(masked(text))),
        other => describe(other),
    };
    BadInput::new(format!("`{key}` from {source} is {shown}, not {wanted}"))
}
