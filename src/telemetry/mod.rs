//! What a process says of itself: events to standard error, as text or as one JSON object a line. Standard
//! output belongs to data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::domain::BadInput;
use crate::domain::bad_input::quote;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// Starts it, once in a process. `verbosity` is how often `-v` was given, less how often `-q` was: anything but
/// 0 takes the place of the filter that is configured.
pub fn start(configured: &str, format: Format, verbosity: i8) -> Result<(), BadInput> {
    let filter = filter(configured, verbosity)?;
    // A log that nobody reads any more is dropped: the library would complain about it on the same broken pipe,
    // and panic.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let builder = builder.log_internal_errors(false);
    let started = match format {
        Format::Json => builder.json().flatten_event(true).with_current_span(true).finish().try_init(),
        Format::Text => builder.with_ansi(has_colour()).with_target(verbosity > 0).finish().try_init(),
    };
    started.map_err(|error| BadInput::new(format!("the log can not be started: {error}")))
}

/// Libraries that tell as their own errors, and as news, what they answer to us: we say it, in one line and in
/// words about the matter. Whoever names one in the filter hears it, and so does a `-v`.
const QUIET: &str = "lapin=off,refinery_core=off";

/// Other libraries are heard from the second `-v` on, and before that only when something is wrong.
fn filter(configured: &str, verbosity: i8) -> Result<EnvFilter, BadInput> {
    let directives = match verbosity {
        ..=-2 => "off",
        -1 => &format!("{QUIET},error"),
        0 => &format!("{QUIET},{configured}"),
        1 => "warn,trireme=debug",
        2 => "debug,trireme=trace",
        3.. => "trace",
    };
    let shown = if verbosity == 0 { configured } else { directives };
    EnvFilter::try_new(directives).map_err(|error| {
        BadInput::new(format!("`log.filter` is {}: {error}", quote(shown)))
            .or_else("a level, or levels by module: \"info,trireme=debug\"")
    })
}

/// <https://no-color.org>
fn has_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_beat_the_setting_and_a_bad_setting_is_named() {
        let shown = |configured, verbosity| filter(configured, verbosity).expect("a filter").to_string();
        assert_eq!(shown("info", 0), "refinery_core=off,lapin=off,info");
        assert_eq!(shown("lapin=debug", 0), "refinery_core=off,lapin=debug");
        assert_eq!(shown("info", -1), "refinery_core=off,lapin=off,error");
        assert_eq!(shown("info", -9), "off");
        assert_eq!(shown("info", 9), "trace");
        assert!(shown("nonsense=", 1).contains("trireme=debug"));
        let bad = filter("trireme=loud", 0).expect_err("no such level");
        assert!(bad.message.starts_with("`log.filter` is `trireme=loud`: "), "{bad}");
    }
}
