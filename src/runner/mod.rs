//! Runners: how an executor performs a skill. One file each; a new one is its file and a line in [`build`] and
//! in [`KINDS`].
//!
//! A runner is made from the section `[skills.<name>.<kind>]` of the settings, never from anything that a
//! client submits: what runs on a machine is decided by whoever set the machine up.

mod command;
pub mod guard;
mod noop;
mod options;
mod orphans;
mod process;
pub mod scratch;
mod sleep;
mod start;
mod template;

use std::sync::Arc;

use serde_json::Value;

pub use options::BuildError;

use crate::runtime::port::Runner;

/// The runners there are.
pub const KINDS: [&str; 4] = ["command", "noop", "sleep", "template"];

/// Makes the runner of that name. `options` is what the skill's section for it says, `None` when there is none.
pub fn build(kind: &str, options: Option<&Value>) -> Result<Arc<dyn Runner>, BuildError> {
    match kind {
        "command" => Ok(Arc::new(command::Command::new(options::read("command", options, &command::OPTIONS)?)?)),
        "noop" => Ok(Arc::new(noop::Noop::new(options::read("noop", options, &noop::OPTIONS)?))),
        "sleep" => Ok(Arc::new(sleep::Sleep::new(options::read("sleep", options, &sleep::OPTIONS)?))),
        "template" => Ok(Arc::new(template::Template::new(options::read("template", options, &template::OPTIONS)?)?)),
        unknown => Err(BuildError::unknown_kind(unknown, &KINDS)),
    }
}

/// Whether the settings of a runner can be meant, as far as that can be said where it does not run: files that it
/// needs are looked at by [`build`].
pub fn check(kind: &str, options: Option<&Value>) -> Result<(), BuildError> {
    match kind {
        "template" => options::read::<template::Options>("template", options, &template::OPTIONS).map(drop),
        _ => build(kind, options).map(drop),
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(kind: &str, options: Value) -> String {
        build(kind, Some(&options)).err().expect("refused").to_string()
    }

    #[test]
    fn every_kind_is_in_the_list() {
        for kind in KINDS {
            let refused = build(kind, Some(&json!({ "nonsense": 1 }))).err().expect("no runner has this option");
            assert!(matches!(&refused, BuildError::UnknownOption { kind: named, .. } if named == kind), "{refused}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_with_the_nearest() {
        assert_eq!(refusal("comand", json!({})), "no runner is named `comand`\nhint: did you mean `command`?");
        assert!(refusal("quantum", json!({})).contains("hint: known are `command`"));
        assert_eq!(
            refusal("command", json!({ "argw": ["true"] })),
            "runner `command` has no option `argw`\nhint: did you mean `argv`?"
        );
        assert_eq!(refusal("noop", json!({ "ms": 1 })), "runner `noop` has no option `ms`\nhint: there is none");
        assert_eq!(refusal("sleep", json!([])), "runner `sleep`: its options are not a table");
    }
}
