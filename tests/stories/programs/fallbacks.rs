//! When the attempts of a skill are used up its fallback is asked, by executors of its own and with attempts of its own.

use serde_json::Value;

use super::place_with;
use crate::place::{Place, Shared, on_every_broker};
use crate::status::{has_ended, subtasks};

/// `frail` has two attempts, `hasty` is left after its first, and both have the same fallback.
const SKILLS: &str = r#"
skills.frail = { runner = "command", max_attempts = 2, backoff = "50ms", fallback = "spare", command = { argv = ["sh", "work.sh"] } }
skills.hasty = { runner = "command", backoff = "50ms", fallback = "spare", fallback_after = 1, command = { argv = ["sh", "work.sh"] } }
skills.spare = { runner = "command", max_attempts = 2, backoff = "50ms", command = { argv = ["sh", "work.sh"] } }
"#;
/// Says which skill it is asked for, and fails until the attempt that the subtask's name has.
const WORK: &str = r#"
command=$(cat)
skill=$(echo "$command" | sed 's/.*"skill":"\([^"]*\)".*/\1/')
name=$(echo "$command" | sed 's/.*"task_name":"\([^"]*\)".*/\1/')
[ "$TRIREME_ATTEMPT" -lt "${name#until }" ] && exit 75
echo "\"by $skill\""
"#;

fn project(skill: &str, until: u32) -> String {
    format!("name = \"x\"\n[[goals]]\nname = \"g\"\nsubtasks = [{{ name = \"until {until}\", skill = \"{skill}\" }}]\n")
}

/// Who made each attempt, and how it failed.
fn attempts(subtask: &Value) -> Vec<(&str, &str)> {
    let log = subtask["attempt_log"].as_array().expect("a log").iter();
    log.map(|attempt| (attempt["agent_id"].as_str().expect("an agent"), attempt["kind"].as_str().unwrap_or("")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_is_asked_when_the_attempts_of_a_skill_are_used_up() {
    on_every_broker(async |url| {
        asked(place_with(url, Shared::SqliteFile, "fallback", WORK, SKILLS).await).await;
    })
    .await;
}

async fn asked(place: Place) {
    let _team = [
        place.worker(&["manager"]),
        place.worker(&["coordinator"]),
        place.worker(&["executor", "--id", "first", "--skills", "frail,hasty"]),
        place.worker(&["executor", "--id", "second", "--skills", "spare"]),
    ];
    let (first, second) = (("first", "transient"), ("second", "transient"));
    let ids = [("frail", 2), ("frail", 4), ("hasty", 2), ("frail", 9)]
        .map(|(skill, until)| place.submit(&project(skill, until)));
    let statuses = ids.each_ref().map(|id| place.wait(id, has_ended));
    let logs = statuses.each_ref().map(|status| attempts(subtasks(status)[0]));
    assert_eq!(logs[0], [first, ("first", "")], "its own last attempt goes well, so nobody else is asked");
    assert_eq!(logs[1], [first, first, second, ("second", "")], "the other has two of its own");
    assert_eq!(logs[2], [first, ("second", "")]);
    assert_eq!(logs[3], [first, first, second, second], "and no more");
    for (at, (planned, by)) in [("frail", "frail"), ("frail", "spare"), ("hasty", "spare")].into_iter().enumerate() {
        let subtask = subtasks(&statuses[at])[0];
        assert_eq!((&statuses[at]["status"], &subtask["skill"]), (&"COMPLETED".into(), &planned.into()));
        let last = subtask["attempt_log"].as_array().and_then(|log| log.last()).expect("an attempt");
        assert_eq!(last["skill"].as_str().unwrap_or(planned), by, "{last}");
        let result = place.json(&["result", &ids[at], "--json"]);
        assert!(result.to_string().contains(&format!("\"by {by}\"")), "{result}");
    }
    let error = statuses[3]["error"].as_str().unwrap_or_default();
    assert!(
        statuses[3]["status"] == "ERROR" && error.contains("`until 9` failed: transient: exit status 75"),
        "{}",
        statuses[3]
    );
    ids.iter().for_each(|id| drop(place.run(&["check", id])));
    place.leave().await;
}
