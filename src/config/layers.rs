//! The layers of settings over each other. `config` merges them and remembers where each value is from; here is
//! what it does not know: which keys there are, and what fits them. The defaults are those of the file that
//! ships: no other is made up here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use config::{Config, ConfigError, File, FileFormat, Source, ValueKind};
use serde_json::{Map, Value};

use super::secret::masked;
use super::{SHIPPED, skills};
use crate::domain::BadInput;
use crate::domain::bad_input::quote;
use crate::domain::nearest;
use crate::planner::document::{self, Format};
use crate::planner::duration;
use crate::planner::table::describe;

/// What the names of environment variables begin with.
const PREFIX: &str = "TRIREME_";
/// Parts a section from a key in an environment variable. Variables without it are none of the settings', unless they
/// are a setting's name but for it.
const SEPARATOR: &str = "__";
const DEFAULT: &str = "default";
/// The keys that the file that ships can only mention: they are not set.
const UNSET: [&str; 1] = ["playbooks.folder"];

/// One resolved key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    /// Durations as texts, passwords masked, null where nothing is set.
    pub value: Value,
    /// A file, an environment variable, an option, or `default`.
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

/// All layers as one, and what was read of it so far.
pub struct Layers {
    merged: Config,
    file: Map<String, Value>,
    file_name: String,
    entries: Vec<Entry>,
}

impl Layers {
    /// Without a file of the user's own, the one that ships is it.
    pub fn new(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        given: Vec<Given>,
    ) -> Result<Self, BadInput> {
        let (file_name, text) = match file {
            Some(path) => (path.display().to_string(), document::read(path)?),
            None => (DEFAULT.into(), SHIPPED.into()),
        };
        let file = document::parse(&text, Format::Toml).map_err(|bad| bad.at(quote(&file_name)))?;
        let defaults = defaults(&file)?;
        refuse_unknown(&file, &quote(&file_name), &defaults)?;

        let mut set = Vec::new();
        for (name, value) in environment {
            set.extend(set_by_variable(&defaults, name, value)?);
        }
        set.extend(given.into_iter().map(|given| (given.key.into(), given.option.into(), given.value)));
        let merged = merge(&text, defaults, set).map_err(not_merged)?;
        Ok(Self { merged, file, file_name, entries: Vec::new() })
    }

    pub fn file(&self) -> &Map<String, Value> {
        &self.file
    }

    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Everything that was read.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Writes down a key that is not read by the layers themselves.
    pub fn note(&mut self, key: impl Into<String>, value: Value, source: impl Into<String>) {
        self.entries.push(Entry { key: key.into(), value, source: source.into() });
    }

    /// A text that is `unset` when nothing sets it.
    pub fn text(&mut self, key: &str, unset: &str) -> Result<String, BadInput> {
        let read = |value: &Value| value.as_str().map(str::to_owned);
        self.read(key, "a text", Some(unset.into()), read, |text: &String| Value::String(text.clone()))
    }

    pub fn optional_text(&mut self, key: &str) -> Result<Option<String>, BadInput> {
        let read = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(|text| Some(text.to_owned()));
        self.read(key, "a text", Some(None), read, |text| text.clone().map_or(Value::Null, Value::String))
    }

    /// A text that `parse` understands; its error says what is wrong with it.
    pub fn parsed<T>(&mut self, key: &str, parse: impl Fn(String) -> Result<T, String>) -> Result<T, BadInput> {
        let read = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(Into::into);
        let text = self.read(key, "a text", None, read, |text: &String| Value::String(text.clone()))?;
        parse(text).map_err(|error| BadInput::new(format!("`{key}` from {}: {error}", self.source(key))))
    }

    /// A URL with one of these beginnings, or just `word`.
    pub fn url_or(&mut self, key: &str, word: &str, schemes: &[&str]) -> Result<String, BadInput> {
        let fits = |url: &str| schemes.iter().any(|scheme| url.starts_with(scheme) && url.len() > scheme.len());
        let read = |value: &Value| value.as_str().filter(|url| *url == word || fits(url)).map(Into::into);
        let wanted = format!("a URL that begins with {}, nor {word}", schemes.join(", "));
        self.read(key, &wanted, None, read, |url: &String| Value::String(masked(url)))
    }

    /// URLs with commas between them, each with one of these beginnings.
    pub fn urls(&mut self, key: &str, schemes: &[&str]) -> Result<String, BadInput> {
        let fits = |url: &str| schemes.iter().any(|scheme| url.starts_with(scheme) && url.len() > scheme.len());
        let all_fit = |urls: &&str| urls.split(',').all(|url| fits(url.trim()));
        let read = |value: &Value| value.as_str().filter(all_fit).map(Into::into);
        let wanted = format!("a URL that begins with {}, or several with commas between them", schemes.join(", "));
        self.read(key, &wanted, None, read, |urls: &String| Value::String(masked(urls)))
    }

    /// `unset` is what a key without a default is when nothing sets it.
    pub fn integer(&mut self, key: &str, unset: Option<u32>, bounds: RangeInclusive<u32>) -> Result<u32, BadInput> {
        let (wanted, fits) = integers(bounds);
        self.read(key, &wanted, unset, fits, |number| Value::from(*number))
    }

    pub fn optional_integer(&mut self, key: &str, bounds: RangeInclusive<u32>) -> Result<Option<u32>, BadInput> {
        let (wanted, fits) = integers(bounds);
        self.read(key, &wanted, Some(None), |value| fits(value).map(Some), |number| Value::from(*number))
    }

    /// A number, or `word`, which is none and the default.
    pub fn integer_or(&mut self, key: &str, word: &str, bounds: RangeInclusive<u32>) -> Result<Option<u32>, BadInput> {
        let (wanted, fits) = integers(bounds);
        let read = |value: &Value| if value == word { Some(None) } else { fits(value).map(Some) };
        let show = |number: &Option<u32>| number.map_or_else(|| word.into(), Value::from);
        self.read(key, &format!("{wanted}, or \"{word}\""), Some(None), read, show)
    }

    /// `unset` is what a key without a default is when nothing sets it.
    pub fn duration(&mut self, key: &str, unset: Option<Duration>, most: Duration) -> Result<Duration, BadInput> {
        let (wanted, fits) = durations(most);
        self.read(key, &wanted, unset, fits, |value| duration::print(*value).into())
    }

    pub fn optional_duration(&mut self, key: &str, most: Duration) -> Result<Option<Duration>, BadInput> {
        let (wanted, fits) = durations(most);
        self.read(key, &wanted, Some(None), |value| fits(value).map(Some), |value| value.map(duration::print).into())
    }

    /// A list of texts; in a variable commas part them. `unset` is what it is when nothing sets it.
    pub fn texts(&mut self, key: &str, unset: Vec<String>) -> Result<Vec<String>, BadInput> {
        let read = |value: &Value| value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect();
        self.read(key, "a list of texts", Some(unset), read, |texts: &Vec<String>| texts.clone().into())
    }

    /// Where what was read of `key` is from.
    pub fn source(&self, key: &str) -> String {
        let entry = self.entries.iter().rev().find(|entry| entry.key == key);
        quote(entry.map_or(DEFAULT, |entry| &entry.source))
    }

    /// Reads a key, and writes down what it is.
    fn read<T>(
        &mut self,
        key: &str,
        wanted: &str,
        unset: Option<T>,
        read: impl Fn(&Value) -> Option<T>,
        show: impl Fn(&T) -> Value,
    ) -> Result<T, BadInput> {
        let (table, word) = key.rsplit_once('.').unwrap_or(("", key));
        let found =
            self.merged.get_table(table).map_err(not_merged)?.remove(word).unwrap_or_else(|| ValueKind::Nil.into());
        // What is handed over as a text has no origin: the file.
        let origin = found.origin().map(String::from);
        let found: Value = found.try_deserialize().map_err(not_merged)?;
        // Variables and options are texts whatever they mean.
        let meant = || found.as_str().filter(|_| origin.is_some()).into_iter().flat_map(meanings);
        let value =
            if found.is_null() { unset } else { read(&found).or_else(|| meant().find_map(|value| read(&value))) };
        let source = origin.as_deref().unwrap_or(&self.file_name).to_owned();
        let value = value.ok_or_else(|| bad(key, &found, &quote(&source), wanted))?;
        self.note(key, show(&value), source);
        Ok(value)
    }
}

/// What a text of a variable or an option may stand for: a number in digits, a list with commas.
fn meanings(text: &str) -> impl Iterator<Item = Value> {
    let list = text.split(',').map(|part| Value::from(part.trim())).collect();
    text.parse().ok().map(Value::Number).into_iter().chain([list])
}

fn integers(bounds: RangeInclusive<u32>) -> (String, impl Fn(&Value) -> Option<u32>) {
    let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
    let fits = move |number: u64| u32::try_from(number).ok().filter(|number| bounds.contains(number));
    (wanted, move |value| value.as_u64().and_then(&fits))
}

fn durations(most: Duration) -> (String, impl Fn(&Value) -> Option<Duration>) {
    let wanted = format!("a duration such as \"250ms\", \"90s\" or \"5m\", at most \"{}\"", duration::print(most));
    let fits = move |text: &str| duration::parse(text).filter(|duration| *duration <= most);
    (wanted, move |value| value.as_str().and_then(&fits))
}

/// `set` is what beats the file: keys, each with what sets it and its value. A later one beats an earlier one.
fn merge(
    file: &str,
    defaults: BTreeMap<String, ValueKind>,
    set: Vec<(String, String, String)>,
) -> Result<Config, ConfigError> {
    let from = |origin: String, value: ValueKind| config::Value::new(Some(&origin), value);
    let mut layers = Config::builder().add_source(File::from_str(file, FileFormat::Toml));
    for (key, value) in defaults {
        layers = layers.set_default(key, from(DEFAULT.into(), value))?;
    }
    for (key, origin, value) in set {
        layers = layers.set_override(key, from(origin, value.into()))?;
    }
    layers.build()
}

fn not_merged(error: ConfigError) -> BadInput {
    BadInput::new(format!("the settings can not be merged: {error}"))
}

/// Every key that can be set: those of the file that ships, and those of the skills of `file`.
fn defaults(file: &Map<String, Value>) -> Result<BTreeMap<String, ValueKind>, BadInput> {
    let mut defaults = skills::defaults(file);
    defaults.extend(UNSET.map(|key| (key.into(), ValueKind::Nil)));
    let mut shipped = File::from_str(SHIPPED, FileFormat::Toml).collect().map_err(not_merged)?;
    shipped.remove("skills");
    for (section, keys) in shipped {
        let keys = keys.into_table().map_err(not_merged)?;
        defaults.extend(keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value.kind)));
    }
    Ok(defaults)
}

/// The environment variable that sets a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', SEPARATOR).replace('-', "_").to_uppercase())
}

/// The keys that a variable sets, with its name and value: none when it is not meant for us. (The environment as
/// `config` reads it has neither the case of a skill's name nor the name of a variable.)
fn set_by_variable(
    known: &BTreeMap<String, ValueKind>,
    name: OsString,
    value: OsString,
) -> Result<Vec<(String, String, String)>, BadInput> {
    let lacks_separator =
        |name: &str| known.keys().any(|key| variable(key).replace(SEPARATOR, "_") == name.to_uppercase());
    let is_meant = |name: &&str| name.starts_with(PREFIX) && (name.contains(SEPARATOR) || lacks_separator(name));
    let Some(name) = name.to_str().filter(is_meant) else {
        return Ok(Vec::new());
    };
    let value = value.into_string().map_err(|_| BadInput::new(format!("{} is not UTF-8", quote(name))))?;
    if value.contains('\0') {
        return Err(BadInput::new(format!("{} has a NUL character", quote(name))));
    }
    let keys = known.keys().filter(|key| variable(key) == name.to_uppercase());
    let set: Vec<_> = keys.map(|key| (key.clone(), name.to_owned(), value.clone())).collect();
    if set.is_empty() {
        let variables: Vec<String> = known.keys().map(|key| variable(key)).collect();
        let near = nearest::nearest(name, variables.iter().map(String::as_str));
        return Err(BadInput::new(format!("unknown setting {} in the environment", quote(name)))
            .or_perhaps(near.map(|near| format!("did you mean {}?", quote(near)))));
    }
    Ok(set)
}

/// Refuses keys that nobody reads. Those inside a skill are left to the reader of skills.
fn refuse_unknown(file: &Map<String, Value>, place: &str, known: &BTreeMap<String, ValueKind>) -> Result<(), BadInput> {
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (section, key) in known.keys().filter_map(|key| key.split_once('.')) {
        sections.entry(section).or_default().push(key);
    }
    let unknown = |key: &str, word: &str, known: Vec<&str>| {
        BadInput::new(format!("unknown key {} in {place}", quote(key))).or_perhaps(nearest::hint(word, known))
    };
    for (section, keys) in file {
        let Some(known) = sections.get(section.as_str()) else {
            return Err(unknown(section, section, sections.into_keys().collect()));
        };
        let Some(keys) = keys.as_object() else { return Err(bad(section, keys, place, "a table")) };
        if let Some(key) = keys.keys().find(|key| section != "skills" && !known.contains(&key.as_str())) {
            return Err(unknown(&format!("{section}.{key}"), key, known.clone()));
        }
    }
    Ok(())
}

/// A complaint about a value; a URL in it has its password masked.
fn bad(key: &str, value: &Value, source: &str, wanted: &str) -> BadInput {
    let shown = match value {
        Value::String(text) => describe(&Value::String(masked(text))),
        other => describe(other),
    };
    BadInput::new(format!("`{key}` from {source} is {shown}, not {wanted}"))
}
