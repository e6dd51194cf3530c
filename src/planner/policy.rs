//! What a project file says of failure and of time: `[policy]` and `deadline`.

use std::time::Duration;

use super::table::Table;
use crate::domain::bad_input::BadInput;
use crate::domain::project::DEADLINE_MS_MAX;
use crate::wire::policy::{OnFailure, Running};
use crate::wire::{Policy, Raw};

const KEYS: [&str; 2] = ["on_failure", "running"];

pub(super) fn read(table: &Table<'_>) -> Result<Policy, BadInput> {
    let Some(map) = table.table("policy")? else { return Ok(Policy::default()) };
    let table = Table::new("`policy`", map, &KEYS)?;
    let on_failure = table.one_of("on_failure", &OnFailure::NAMES, |name| match name {
        "skip" => OnFailure::Skip,
        "continue" => OnFailure::Continue,
        "replan" => OnFailure::Replan,
        "ask" => OnFailure::Ask,
        _ => OnFailure::Fail,
    })?;
    let running = table.one_of("running", &Running::NAMES, |name| match name {
        "cancel" => Running::Cancel,
        _ => Running::Finish,
    })?;
    Ok(Policy { on_failure: on_failure.unwrap_or_default(), running: running.unwrap_or_default() })
}

pub(super) fn read_deadline(table: &Table<'_>) -> Result<Option<u64>, BadInput> {
    let deadline = table.duration("deadline", Duration::from_millis(DEADLINE_MS_MAX))?;
    Ok(deadline.and_then(|deadline| u64::try_from(deadline.as_millis()).ok()))
}

/// As a request carries it; what is the default goes without saying.
pub(super) fn to_raw(policy: Policy) -> Raw {
    match policy == Policy::default() {
        true => Raw::empty_object(),
        false => Raw::from_serialize(&policy).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::ProjectFile;
    use crate::planner::document::Format;

    fn file(text: &str) -> Result<ProjectFile, String> {
        ProjectFile::parse(&format!("name = 'x'\n{text}"), Format::Toml).map_err(|bad| bad.in_one_line())
    }

    #[test]
    fn every_policy_goes_into_the_request_and_is_read_there() {
        for on_failure in OnFailure::NAMES {
            for running in Running::NAMES {
                let text = format!("policy = {{ on_failure = '{on_failure}', running = '{running}' }}");
                let request = file(&text).expect("a project").request();
                let policy = Policy::read(&request.policy).expect("a policy");
                let said = serde_json::to_value(policy).expect("JSON");
                assert_eq!(said, serde_json::json!({ "on_failure": on_failure, "running": running }));
            }
        }
        let silent = file("").expect("a project").request();
        assert_eq!((silent.policy.get(), silent.deadline_ms), ("{}", None));
        assert_eq!(file("deadline = '1h 30m'").expect("a project").request().deadline_ms, Some(5_400_000));
    }

    #[test]
    fn what_is_none_is_refused_with_what_is_near() {
        let refused = |text| file(text).expect_err("a bad project");
        assert_eq!(
            refused("policy = { on_failure = 'replann' }"),
            "`on_failure` of `policy` is `replann`, none that there is (did you mean `replan`?)"
        );
        assert_eq!(
            refused("policy = { running = 'x' }"),
            "`running` of `policy` is `x`, none that there is (known are `finish`, `cancel`)"
        );
        assert_eq!(refused("policy = 'fail'"), "`policy` is `fail`, not a table");
        assert_eq!(
            refused("policy = { on_failur = 'fail' }"),
            "unknown key `on_failur` in `policy` (did you mean `on_failure`?)"
        );
        assert!(refused("deadline = '2y'").starts_with("`deadline` is `2y`, not a duration"));
        assert!(refused("deadline = 5").starts_with("`deadline` is `5`, not a duration"));
    }
}
