//! What a project file may say, and the line for everything that it may not.

use proptest::prelude::*;

use super::*;
use crate::wire::FailureKind;

const GOOD: &str = r#"
name = "Shop"
description = "a web shop"
id = "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"
planner = "playbook"
playbook = "shop"
[parameters]
entities = [{ name = "user" }]
[[goals]]
name = "Build"
priority = 2
description = "make it"
input = { fast = true }
[[goals.subtasks]]
name = "draw"
type = "DatabaseDesign"
repeat = 3
timeout = "1m 30s"
max_attempts = 5
backoff = "2s"
backoff_factor = 3
backoff_max = "1m"
retry_on = ["crashed", "permanent"]
queue_wait = "1h"
[[goals.subtasks]]
name = "code"
skill = "CodeGeneration"
description = "write it"
dependencies = ["draw"]
run_after = "always"
input = { since = 2026-01-02 }
[[goals]]
name = "Ship"
"#;

fn parse(text: &str) -> Result<ProjectFile, BadInput> {
    ProjectFile::parse(text, Format::Toml)
}

fn refused(text: &str) -> String {
    parse(text).expect_err("a bad file").in_one_line()
}

#[test]
fn a_whole_file_is_read() {
    let file = parse(GOOD).expect("a good file");
    assert_eq!(file.id.map(|id| id.to_string()).as_deref(), Some("0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"));
    let request = file.request();
    assert_eq!((request.project_name.as_str(), request.description.as_str()), ("Shop", "a web shop"));
    assert_eq!((request.planner.as_deref(), request.playbook.as_deref()), (Some("playbook"), Some("shop")));
    assert_eq!(request.parameters.get(), r#"{"entities":[{"name":"user"}]}"#);
    let goals = request.plan.expect("goals");
    assert_eq!((goals[0].priority, goals[1].priority), (2, 1));
    assert_eq!(goals[0].input.as_ref().map(Raw::get), Some(r#"{"fast":true}"#));
    assert_eq!(goals[1].subtasks, None);
    let subtasks = goals[0].subtasks.as_deref().expect("subtasks");
    let draw = SubtaskPlan {
        repeat: Some(3),
        timeout_ms: Some(90_000),
        max_attempts: Some(5),
        queue_wait_ms: Some(3_600_000),
        backoff_ms: Some(2_000),
        backoff_factor: Some(3),
        backoff_max_ms: Some(60_000),
        retry_on: Some(vec![FailureKind::Crashed, FailureKind::Permanent]),
        ..SubtaskPlan::new("draw", "DatabaseDesign")
    };
    assert_eq!(subtasks[0], draw);
    assert_eq!((subtasks[1].dependencies.as_slice(), subtasks[1].run_after), (&["draw".into()][..], RunAfter::Always));
    assert_eq!(subtasks[1].input.as_ref().map(Raw::get), Some(r#"{"since":"2026-01-02"}"#));
}

#[test]
fn toml_and_json_say_the_same() {
    let json =
        r#"{"name": "a", "goals": [{"name": "g", "subtasks": [{"name": "s", "skill": "noop", "timeout": "5s"}]}]}"#;
    let toml = "name = 'a'\n[[goals]]\nname = 'g'\n[[goals.subtasks]]\nname = 's'\nskill = 'noop'\ntimeout = '5s'";
    assert_eq!(ProjectFile::parse(json, Format::Json), parse(toml));
    assert_eq!(ProjectFile::named("a", "").expect("a project"), parse("name = 'a'").expect("a project"));
    assert_eq!(ProjectFile::named(" ", "").expect_err("no name").message, "a project has an empty name");
}

#[test]
fn each_fault_of_a_file_has_its_line() {
    let subtask = |keys: &str| refused(&format!("name = 'p'\n[[goals]]\nname = 'g'\n[[goals.subtasks]]\n{keys}"));
    let named = |keys: &str| subtask(&format!("name = 's'\nskill = 'noop'\n{keys}"));
    for (line, expected) in [
        (refused("description = 'x'"), "`name` is missing"),
        (refused("name = ''"), "a project has an empty name"),
        (refused("name = \"a\\u0000\""), "`name` has a NUL character"),
        (refused("name = 3"), "`name` is `3`, not a text"),
        (refused("nmae = 'x'"), "unknown key `nmae` (did you mean `name`?)"),
        (
            refused("name = 'p'\nhurry = true"),
            "unknown key `hurry` (known are `name`, `description`, `id`, `planner`, `playbook`, `parameters`, `policy`, \
             `deadline`, `goals`)",
        ),
        (refused("name = 'p'\nplanner = 'plans'"), "unknown planner `plans` (did you mean `plan`?)"),
        (refused("name = 'p'\nparameters = 5"), "`parameters` is `5`, not a table"),
        (refused("name = 'p'\ngoals = 'x'"), "`goals` is `x`, not a list of tables"),
        (refused("name = 'p'\n[[goals]]\npriority = 1"), "goal 1 has no `name`"),
        (
            refused("name = 'p'\n[[goals]]\nname = 'g'\nprioritty = 1"),
            "unknown key `prioritty` in goal `g` (did you mean `priority`?)",
        ),
        (
            refused("name = 'p'\n[[goals]]\nname = 'g'\npriority = -1"),
            "`priority` of goal `g` is `-1`, not a whole number from 1 to 1000",
        ),
        (
            refused("name = 'p'\n[[goals]]\nname = 'g'\npriority = 1.0"),
            "`priority` of goal `g` is `1.0`, not a whole number from 1 to 1000",
        ),
        (refused("name = 'p'\n[[goals]]\nname = 'g'\n[[goals]]\nname = 'g'"), "two goals are named `g`"),
        (subtask("name = 's'"), "subtask `s` of goal `g` has no `skill`"),
        (subtask("skill = 'noop'"), "subtask 1 of goal `g` has no `name`"),
        (subtask("name = 's'\nskil = 'x'"), "unknown key `skil` in subtask `s` of goal `g` (did you mean `skill`?)"),
        (named("type = 'noop'"), "goal `g`: subtask `s` has both `skill` and `type` (they mean the same: keep one)"),
        (
            named("run_after = 'failed'"),
            "`run_after` of subtask `s` of goal `g` is `failed`, none that there is (known are `success`, `failure`, `always`)",
        ),
        (
            named("run_after = 'always'"),
            "goal `g`: subtask `s`: it has a `run_after` and no `dependencies` (name the subtasks whose end it waits for in \
             `dependencies`)",
        ),
        (named("repeat = 0"), "`repeat` of subtask `s` of goal `g` is `0`, not a whole number from 1 to 1000000"),
        (
            named("max_attempts = 0"),
            "`max_attempts` of subtask `s` of goal `g` is `0`, not a whole number from 1 to 1000",
        ),
        (
            named("timeout = '31000h'"),
            "`timeout` of subtask `s` of goal `g` is `31000h`, not a duration such as \"250ms\", \"90s\" or \"5m\", at most \"720h\"",
        ),
        (
            named("timeout = 5"),
            "`timeout` of subtask `s` of goal `g` is `5`, not a duration such as \"250ms\", \"90s\" or \"5m\", at most \"720h\"",
        ),
        (
            named("backoff_max = '25h'"),
            "`backoff_max` of subtask `s` of goal `g` is `25h`, not a duration such as \"250ms\", \"90s\" or \"5m\", at most \"24h\"",
        ),
        (
            named("retry_on = ['timeout', 'released']"),
            "`retry_on` of subtask `s` of goal `g`: no failure `released` is tried again (known are `transient`, `timeout`, `crashed`, `unsupported`, `permanent`)",
        ),
        (named("dependencies = ['s']"), "goal `g`: subtask `s` depends on itself"),
        (named("dependencies = 's'"), "`dependencies` of subtask `s` of goal `g` is `s`, not a list of texts"),
        (named("input = [1]"), "`input` of subtask `s` of goal `g` is a list, not a table"),
        (
            subtask("name = 's'\nskill = 'no op'"),
            "goal `g`: subtask `s`: skill `no op` is not 1 to 64 of A-Z a-z 0-9 _ -",
        ),
        (
            refused("name = 'p'\nid = '7'"),
            "`id` is `7`, not a UUID (leave it out to be given one, or write one such as \"0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d\")",
        ),
    ] {
        assert_eq!(line, expected);
    }
    let long = "x".repeat(257);
    assert!(refused(&format!("name = '{long}'")).ends_with("has 257 bytes, the most is 256"));
}

#[test]
fn a_request_that_no_message_can_carry_is_refused() {
    let deep = format!("name = 'p'\nparameters = {{ a = {}{} }}", "[".repeat(70), "]".repeat(70));
    assert_eq!(refused(&deep), "it can not be sent: message nested deeper than 64");
    // A tab has one byte in the file and two in JSON: not too long as a file, and too long as a message.
    let long = format!("name = 'p'\ndescription = '{}'", "\t".repeat(600_000));
    assert!(refused(&long).starts_with("as a message of 1200"), "{}", refused(&long));
}

#[test]
fn names_are_checked_against_what_is_there() {
    let file = parse(GOOD).expect("a good file");
    let known = |playbooks: &[&str], skills: Option<&[&str]>| Known {
        playbooks: playbooks.iter().map(|name| (*name).into()).collect(),
        skills: skills.map(|skills| skills.iter().map(|name| (*name).into()).collect()),
    };
    let check = |names| file.check_names(&names).map_err(|bad| bad.in_one_line());
    assert_eq!(check(known(&["shop"], None)), Ok(()));
    assert_eq!(check(known(&["shop"], Some(&["DatabaseDesign", "CodeGeneration"]))), Ok(()));
    assert_eq!(check(known(&["stop"], None)), Err("unknown playbook `shop` (did you mean `stop`?)".into()));
    assert_eq!(
        check(known(&["shop"], Some(&["DatabaseDesign", "code-generation"]))),
        Err("goal `Build`: subtask `code`: unknown skill `CodeGeneration` (did you mean `code-generation`?)".into())
    );
}

/// The same file in JSON.
fn good_json() -> String {
    let value: serde_json::Value = toml::from_str(GOOD).expect("TOML");
    value.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// Whatever is done to a good file, in TOML and in JSON, the answer is a project or one line: 10,000 in all.
    #[test]
    fn a_mutated_file_never_panics(cuts in prop::collection::vec((0usize..1_000, 0usize..40, "\\PC{0,6}|[\\x00-\\x1f]"), 1..6)) {
        for (good, format) in [(GOOD.to_owned(), Format::Toml), (good_json(), Format::Json)] {
            let mut text = good;
            for (at, length, insert) in &cuts {
                let from = at % (text.len() + 1);
                let to = (from + length).min(text.len());
                if text.is_char_boundary(from) && text.is_char_boundary(to) {
                    text.replace_range(from..to, insert);
                }
            }
            if let Err(bad) = ProjectFile::parse(&text, format) {
                prop_assert!(!bad.message.is_empty() && !bad.in_one_line().contains('\n'));
            }
        }
    }
}
