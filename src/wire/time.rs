//! Points in time: milliseconds since 1970 in memory, RFC 3339 UTC with milliseconds in every text.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::thread::LocalKey;
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
        // Its years have four digits; ISO 8601 takes others.
        let time = Some(text).filter(|text| !text.starts_with(['-', '+'])).and_then(|text| text.parse().ok());
        time.map(|time: jiff::Timestamp| Self(time.as_millisecond()))
            .ok_or_else(|| format!("time `{}` is not RFC 3339", text.escape_default()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match known(&WRITTEN, |last| last.time == *self, self.0.rem_euclid(100), || Text::of(*self)) {
            Some(text) => serializer.serialize_str(text.as_str()),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let mut digits = text.bytes().rev().skip(1).map(|digit| i64::from(digit.wrapping_sub(b'0')));
        let digits = digits.next().unwrap_or(0) + 10 * digits.next().unwrap_or(0);
        match known(&READ, |last| last.bytes == text.as_bytes(), digits, || Text::read(&text)) {
            Some(text) => Ok(text.time),
            None => text.parse().map_err(de::Error::custom),
        }
    }
}

/// A time, and how it is written. Messages that share a body tell of the same few milliseconds again and again, so each
/// thread remembers the last ones: to write and read them all would be a twentieth of what a busy process does.
#[derive(Clone, Copy)]
struct Text {
    time: Timestamp,
    bytes: [u8; "2025-11-22T08:26:40.120Z".len()],
}

/// One for the last two digits of a time.
type Remembered = [Cell<Option<Text>>; 100];

thread_local! {
    static WRITTEN: Remembered = const { [const { Cell::new(None) }; 100] };
    /// As others write them.
    static READ: Remembered = const { [const { Cell::new(None) }; 100] };
}

impl Text {
    /// None of a time that can not be written, or not in so many characters.
    fn of(time: Timestamp) -> Option<Self> {
        jiff::Timestamp::from_millisecond(time.0).ok()?;
        Some(Self { time, bytes: time.to_string().as_bytes().try_into().ok()? })
    }

    fn read(text: &str) -> Option<Self> {
        Some(Self { bytes: text.as_bytes().try_into().ok()?, time: text.parse().ok()? })
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }
}

/// What is remembered under these digits if it is the right one, else what `new` makes.
fn known(
    remembered: &'static LocalKey<Remembered>,
    is_right: impl Fn(&Text) -> bool,
    digits: i64,
    new: impl FnOnce() -> Option<Text>,
) -> Option<Text> {
    remembered.with(|remembered| {
        let last = remembered.get(usize::try_from(digits).ok()?)?;
        if !last.get().is_some_and(|last| is_right(&last)) {
            last.set(Some(new()?));
        }
        last.get()
    })
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
        assert!("-009999-01-02T01:59:58.039Z".parse::<Timestamp>().is_err());
        assert!(Timestamp(i64::MAX).to_string().starts_with("9999-"));
    }

    #[test]
    fn what_is_remembered_is_as_what_is_not() {
        let usual = [1_763_800_000_120, 0, 1_763_800_000_120, -1, -10, 1_763_800_000_130, 9];
        let unwritable = [i64::MIN, i64::MAX, 253_402_207_201_999, 253_402_207_200_989, 253_402_207_200_999];
        for time in [&usual[..], &unwritable, &usual].concat().into_iter().map(Timestamp) {
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
