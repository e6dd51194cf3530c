//! A JSON value that is carried and not looked into: its own bytes, parsed once and never written anew.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// One JSON value as text. Cheap to clone; equal when the texts are equal.
#[derive(Clone)]
pub struct Raw(Arc<RawValue>);

impl Raw {
    /// `text` as one JSON value, with white space around it dropped.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        let value: Box<RawValue> = serde_json::from_str(text.trim())?;
        Ok(Self(value.into()))
    }

    /// What `value` is in JSON. Fails only where serde does: a map with keys that are no strings.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self(to_raw_value(value)?.into()))
    }

    pub fn null() -> Self {
        static NULL: LazyLock<Raw> = LazyLock::new(|| Raw(RawValue::NULL.to_owned().into()));
        NULL.clone()
    }

    pub fn empty_object() -> Self {
        static EMPTY: LazyLock<Raw> = LazyLock::new(|| Raw::parse("{}").expect("`{}` is JSON"));
        EMPTY.clone()
    }

    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> usize {
        self.get().len()
    }

    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.get())
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self::null()
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Raw {}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl From<serde_json::Value> for Raw {
    fn from(value: serde_json::Value) -> Self {
        Self::from_serialize(&value).expect("a JSON value is JSON")
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|value| Self(value.into()))
    }
}
