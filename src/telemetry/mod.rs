//! What a process says of itself: events to standard error, as text or as one JSON object a line. Standard
//! output belongs to data.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
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
    let builder = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(std::io::stderr);
    let builder = builder.log_internal_errors(false);
    let started = match format {
        Format::Json => builder.json().flatten_event(true).with_current_span(true).finish().with(filter).try_init(),
        Format::Text => builder.with_ansi(has_colour()).with_target(verbosity > 0).finish().with(filter).try_init(),
    };
    started.map_err(|error| BadInput::new(format!("the log can not be started: {error}")))
}

/// The broker's library calls every queue that is not there an error, and prints whole messages that come back:
/// what matters of either is said by us, of migrations their failures, and of PostgreSQL that it is gone. These libraries
/// are heard when the configured filter names them, or from `-vv` on.
const QUIET: &str = "lapin=off,refinery_core=off,deadpool.postgres=off";

/// The libraries below are heard from the second `-v` on, and before that only when something is wrong.
fn filter(configured: &str, verbosity: i8) -> Result<Targets, BadInput> {
    let directives = match verbosity {
        ..=-2 => "off",
        -1 => "error",
        0 => configured,
        1 => "warn,trireme=debug",
        2 => "debug,trireme=trace",
        3.. => "trace",
    };
    // Of two directives for one library the later holds. An empty one, as after a last comma, would be taken for `error`.
    let quiet = if verbosity < 2 { QUIET } else { "" };
    let all = quiet.split(',').chain(directives.split(',')).map(str::trim).filter(|one| !one.is_empty());
    all.collect::<Vec<_>>().join(",").parse::<Targets>().map_err(|error| {
        BadInput::new(format!("`log.filter` is {}: {error}", quote(directives)))
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
        assert_eq!(shown("info", 0), "deadpool.postgres=off,refinery_core=off,lapin=off,info");
        assert_eq!(shown("info", -1), "deadpool.postgres=off,refinery_core=off,lapin=off,error");
        assert_eq!(shown("info", -9), "deadpool.postgres=off,refinery_core=off,lapin=off,off");
        assert_eq!(shown("info", 9), "trace");
        assert!(shown("nonsense=", 1).contains("trireme=debug"));
        let bad = filter("trireme=loud", 0).expect_err("no such level");
        assert!(bad.message.starts_with("`log.filter` is `trireme=loud`: "), "{bad}");
    }

    /// Who is heard of the libraries and of us, each saying something at every level from `debug` on.
    fn heard(configured: &str, verbosity: i8) -> String {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let log = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(std::sync::Mutex::new(writer))
            .without_time()
            .finish()
            .with(filter(configured, verbosity).expect("a filter"));
        tracing::subscriber::with_default(log, || {
            tracing::error!(target: "lapin::channel", "L");
            tracing::warn!(target: "lapin::returned_messages", "l");
            tracing::error!(target: "tokio_postgres", "P");
            tracing::info!(target: "trireme::runtime", "T");
            tracing::debug!(target: "trireme::runtime", "t");
        });
        let lines = std::io::read_to_string(reader).expect("the log");
        lines.lines().filter_map(|line| line.chars().last()).collect()
    }

    #[test]
    fn the_library_of_the_broker_is_heard_when_it_is_named() {
        for (configured, verbosity, expected) in [
            ("info", 0, "PT"),
            ("info,", 0, "PT"),
            ("info, trireme=debug", 0, "PTt"),
            (" error , trireme=debug , ", 0, "PTt"),
            ("trace", 0, "PTt"),
            ("info,lapin=error", 0, "LPT"),
            ("lapin=warn,error", 0, "LlP"),
            ("info,lapin::returned_messages=warn", 0, "lPT"),
            ("info,lapin=trace", -1, "P"),
            ("info", 1, "PTt"),
            ("off", 2, "LlPTt"),
        ] {
            assert_eq!(heard(configured, verbosity), expected, "{configured}, {verbosity}");
        }
    }
}
