//! The words of a command line that can not be read, in the form of every other failure: one line, and the way
//! out. And how its own kinds of values are read.

use std::time::Duration;

use trireme::planner::duration;
use trireme::wire::AgentId;
use trireme::wire::content::Layer;

use crate::failure::Failure;

/// Who waits longer wants `watch`, or a loop.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A time to wait, as in `500ms` or `1s`.
pub fn wait(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .filter(|wait| *wait <= WAIT_MAX)
        .ok_or_else(|| format!("not a duration such as `500ms` or `1s`, at most `{}`", duration::print(WAIT_MAX)))
}

/// A layer, by its name or by what its processes are called.
pub fn layer(text: &str) -> Result<Layer, String> {
    match text.to_ascii_lowercase().as_str() {
        "management" | "manager" | "managers" => Ok(Layer::Management),
        "coordination" | "coordinator" | "coordinators" => Ok(Layer::Coordination),
        "execution" | "executor" | "executors" => Ok(Layer::Execution),
        _ => Err("not management, coordination or execution".into()),
    }
}

/// The word for one of a layer, and for the command that starts it.
pub fn one_of(layer: Layer) -> &'static str {
    match layer {
        Layer::Management => "manager",
        Layer::Coordination => "coordinator",
        Layer::Execution => "executor",
        Layer::Client => "client",
    }
}

/// An agent's id.
pub fn agent(text: &str) -> Result<AgentId, String> {
    AgentId::new(text)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An age, as in `30d` or `12h`.
pub fn age(text: &str) -> Result<Duration, String> {
    let days = text.trim().strip_suffix('d').and_then(|days| days.trim().parse().ok());
    let age = match days {
        Some(days) => DAY.checked_mul(days).filter(|age| !age.is_zero()),
        None => duration::parse(text),
    };
    age.ok_or_else(|| "not a duration such as `30d` or `12h`".into())
}

/// Writes what [`age`] reads: whole days as days.
pub fn print_age(age: Duration) -> String {
    match age.as_millis() {
        ms if ms % DAY.as_millis() == 0 => format!("{}d", ms / DAY.as_millis()),
        _ => duration::print(age),
    }
}

/// What is wrong, in one line. None for what is no failure: help, or the version.
pub fn failure(error: &clap::Error) -> Option<Failure> {
    if !error.use_stderr() || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return None;
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let message = joined(paragraphs.next().unwrap_or_default());
    let message = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
    let find = |start: &str| text.lines().find_map(|line| line.trim().strip_prefix(start)).map(str::to_owned);
    let tip = find("tip: ");
    let usage = find("Usage: ").map(|usage| format!("`{usage}`; --help says more"));
    let failure = Failure::usage(message);
    Some(match tip.or(usage) {
        Some(hint) => failure.hint(hint),
        None => failure.hint("--help says more"),
    })
}

/// Lines as one.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
