//! Points in time: milliseconds since 1970 in memory, RFC 3339 UTC with milliseconds in every text.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ms))
    }

    pub fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(ms))
    }

    /// Milliseconds from `earlier` to here; 0 when `earlier` is later.
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Beyond the years that RFC 3339 can write, the nearest that it can.
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(match self.0 < 0 {
            true => jiff::Timestamp::MIN,
            false => jiff::Timestamp::MAX,
        });
        write!(f, "{time:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Self(time.as_millisecond()))
            .map_err(|_| format!("time `{}` is not RFC 3339", text.escape_default()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match Written::of(*self) {
            Some(written) => serializer.serialize_str(written.text()),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if let Some(written) = Written::with(&text) {
            return Ok(written.time);
        }
        let time = text.parse().map_err(de::Error::custom)?;
        let _ = Written::of(time);
        Ok(time)
    }
}

/// A time and its text. Messages that share a body tell of the same few milliseconds again and again, so each thread
/// remembers the last ones: writing and reading them would be a twentieth of what a busy process does.
#[derive(Clone, Copy)]
struct Written {
    time: Timestamp,
    text: [u8; Self::LENGTH],
}

thread_local! {
    /// By the last digit of the time.
    static LAST: [Cell<Option<Written>>; 10] = const { [const { Cell::new(None) }; 10] };
}

impl Written {
    const LENGTH: usize = "2025-11-22T08:26:40.120Z".len();

    /// None of a time before 1970.
    fn of(time: Timestamp) -> Option<Self> {
        let digit = usize::try_from(time.0 % 10).ok()?;
        LAST.with(|last| {
            let last = last.get(digit)?;
            if last.get().is_none_or(|last| last.time != time) {
                let text = time.to_string().as_bytes().try_into().ok()?;
                last.set(Some(Self { time, text }));
            }
            last.get()
        })
    }

    /// The one with this text, if it is remembered.
    fn with(text: &str) -> Option<Self> {
        let digit = text.as_bytes().get(Self::LENGTH - 2)?.wrapping_sub(b'0');
        LAST.with(|last| last.get(usize::from(digit))?.get()).filter(|last| last.text == text.as_bytes())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_milliseconds_and_comes_back() {
        let time = Timestamp(1_763_800_000_120);
        assert_eq!(time.to_string(), "2025-11-22T08:26:40.120Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("2025-11-22T09:26:40.12+01:00".parse(), Ok(time));
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!(Timestamp(i64::MAX).to_string().starts_with("9999-"));
    }

    #[test]
    fn what_is_remembered_is_as_what_is_not() {
        let times =
            [1_763_800_000_120, 0, 1_763_800_000_120, -1, i64::MIN, i64::MAX, 1_763_800_000_130, 9].map(Timestamp);
        for time in times.into_iter().chain(times) {
            let json = serde_json::to_string(&time).expect("JSON");
            assert_eq!(json, format!("\"{time}\""));
            let read = |text: &str| serde_json::from_str::<Timestamp>(&format!("\"{text}\"")).map_err(drop);
            let text = time.to_string();
            assert_eq!((read(&text), read(&text)), (text.parse().map_err(drop), text.parse().map_err(drop)), "{text}");
            // The same time in another text is not written like that from then on.
            let other = text.replace('T', " ");
            assert_eq!(read(&other), other.parse().map_err(drop));
            assert_eq!(serde_json::to_string(&time).expect("JSON"), json);
        }
    }
}
