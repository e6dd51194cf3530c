//! Durations as people write them: a number and a unit.

use std::time::Duration;

/// Writes what [`parse`] reads.
pub use crate::domain::duration::print;

/// Reads "250ms", "90s", "5m", "1h 30m". Zero and negative ones are no durations that anybody could mean.
pub fn parse(text: &str) -> Option<Duration> {
    let duration: jiff::SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(duration).ok().filter(|duration| duration.as_millis() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (text, ms) in
            [("250ms", 250), ("90s", 90_000), ("5m", 300_000), ("1h 30m", 5_400_000), ("720h", 2_592_000_000)]
        {
            let duration = parse(text).expect("a duration");
            assert_eq!(duration.as_millis(), ms, "{text}");
            assert_eq!(parse(&print(duration)), Some(duration), "{text}");
        }
        assert_eq!(print(Duration::from_millis(90_250)), "1m 30s 250ms");
        for bad in ["", "5", "0s", "-5s", "5 parsecs", "1ns", "99999999999999999999h", "5s ago"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
