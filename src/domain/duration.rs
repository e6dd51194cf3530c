//! A duration in words.

use std::time::Duration;

/// "5m", "1m 30s", "250ms".
pub fn print(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [("h", ms / 3_600_000), ("m", ms / 60_000 % 60), ("s", ms / 1_000 % 60), ("ms", ms % 1_000)];
    let parts: Vec<String> =
        units.iter().filter(|(_, count)| *count > 0).map(|(unit, count)| format!("{count}{unit}")).collect();
    parts.join(" ")
}
