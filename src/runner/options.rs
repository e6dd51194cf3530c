//! Reading a runner's options, and the words for what is wrong with them.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::domain::{BadInput, nearest};

/// Why there is no such runner. All of it is to be mended in the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("no runner is named `{kind}`\nhint: {hint}")]
    UnknownKind { kind: String, hint: String },
    #[error("runner `{kind}` has no option `{option}`\nhint: {hint}")]
    UnknownOption { kind: String, option: String, hint: String },
    #[error("runner `{kind}`: {message}")]
    BadOption { kind: String, message: String },
}

impl BuildError {
    pub(super) fn unknown_kind(kind: &str, known: &[&str]) -> Self {
        Self::UnknownKind { kind: kind.escape_default().to_string(), hint: hint(kind, known) }
    }

    /// What is wrong, and the hint apart.
    pub fn bad_input(&self) -> BadInput {
        let text = self.to_string();
        match text.split_once("\nhint: ") {
            Some((message, hint)) => BadInput::new(message).or_else(hint),
            None => BadInput::new(text),
        }
    }

    pub(super) fn bad_option(kind: &str, message: impl Into<String>) -> Self {
        Self::BadOption { kind: kind.into(), message: message.into() }
    }
}

/// `options` as a `T`, after every key was found among the `known` ones. No options are an empty table.
pub(super) fn read<T: DeserializeOwned>(kind: &str, options: Option<&Value>, known: &[&str]) -> Result<T, BuildError> {
    let empty = Value::Object(Map::new());
    let options = options.unwrap_or(&empty);
    let Value::Object(table) = options else {
        return Err(BuildError::bad_option(kind, "its options are not a table"));
    };
    if let Some(option) = table.keys().find(|key| !known.contains(&key.as_str())) {
        let hint = hint(option, known);
        return Err(BuildError::UnknownOption { kind: kind.into(), option: option.escape_default().to_string(), hint });
    }
    T::deserialize(options).map_err(|error| BuildError::bad_option(kind, error.to_string()))
}

/// What to write instead of `word`.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    nearest::hint(word, known.iter().copied()).unwrap_or_else(|| "there is none".into())
}
