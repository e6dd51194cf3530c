//! What a person may set, from where, and the line for everything that is wrong.

use std::fs;

use serde_json::json;

use super::*;
use crate::domain::expand::{Fallback, SkillDefaults};
use crate::domain::retry::Retry;
use crate::wire::FailureKind;

fn resolve(file: &str, variables: &[(&str, &str)], given: Vec<Given>) -> Result<Settings, BadInput> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("my.toml");
    fs::write(&path, format!("\u{feff}# mine\n{file}")).expect("written");
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Settings::resolve(Some(&path), variables, given).map_err(|bad| BadInput {
        message: bad.message.replace(&path.display().to_string(), "my.toml"),
        hint: bad.hint,
    })
}

fn built_in() -> Settings {
    Settings::from_layers(Layers::new(None, [], Vec::new()).expect("what ships is good")).expect("what ships is good")
}

fn refused(file: &str, variables: &[(&str, &str)]) -> String {
    resolve(file, variables, Vec::new()).expect_err("a bad setting").in_one_line()
}

fn entry<'a>(settings: &'a Settings, key: &str) -> (&'a Value, &'a str) {
    let entry = settings.entries().iter().find(|entry| entry.key == key).expect("it is a key");
    (&entry.value, entry.source.as_str())
}

#[test]
fn what_ships_is_what_is_built_in_and_says_every_key() {
    let built_in = built_in();
    let shipped = resolve(SHIPPED, &[], Vec::new()).expect("what ships is good");
    let values = |settings: &Settings| {
        settings.entries().iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(values(&shipped), values(&built_in));
    for entry in shipped.entries().iter().filter(|entry| !entry.key.starts_with("skills.")) {
        let (section, key) = entry.key.split_once('.').expect("a section and a key");
        let text = SHIPPED.split_once(&format!("[{section}]\n")).expect("the section is there").1;
        let text = text.split("\n[").next().unwrap_or(text);
        let mut lines = text.lines();
        let mut before = "";
        let line = lines.find(|line| {
            let is_it = line.trim_start_matches("# ").starts_with(&format!("{key} = "));
            before = if is_it { before } else { line };
            is_it
        });
        assert!(line.is_some(), "`{}` is not in the file that ships", entry.key);
        assert!(before.starts_with("# "), "`{}` has no comment in the file that ships", entry.key);
        assert_eq!(entry.source == "default", entry.value.is_null(), "`{}` is not set in the file", entry.key);
    }
}

#[test]
fn nearer_beats_farther_and_everything_says_where_it_is_from() {
    let file = "[broker]\nurl = 'amqp://me:secret@there'\npartitions = 4\n[agents]\nslots = 2\n\
                [skills.work]\nrunner = 'command'\ntimeout = '1h'\n[skills.work.command]\nargv = ['true']\n\
                [skills.theirs]\nrunner = 'external'";
    let variables =
        [("TRIREME_BROKER__PARTITIONS", "16"), ("TRIREME_SKILLS__WORK__TIMEOUT", "2h"), ("TRIREME_HOME", "x")];
    let given = vec![Given { key: "agents.slots", option: "--slots", value: "7".into() }];
    let settings = resolve(file, &variables, given).expect("good settings");
    assert_eq!(settings.broker.url, "amqp://me:secret@there");
    assert_eq!(entry(&settings, "broker.url").0, "amqp://me:***@there");
    assert_eq!((settings.broker.partitions, settings.agents.slots), (16, 7));
    assert_eq!(entry(&settings, "broker.partitions"), (&json!(16), "TRIREME_BROKER__PARTITIONS"));
    assert_eq!(entry(&settings, "agents.slots"), (&json!(7), "--slots"));
    assert_eq!(entry(&settings, "agents.shutdown_timeout"), (&json!("30s"), "default"));
    assert_eq!(entry(&settings, "playbooks.folder"), (&Value::Null, "default"));
    assert_eq!(entry(&settings, "skills.work.timeout"), (&json!("2h"), "TRIREME_SKILLS__WORK__TIMEOUT"));
    assert_eq!(entry(&settings, "skills.work.command.argv").0, &json!(["true"]));
    assert!(entry(&settings, "skills.work.command.argv").1.ends_with("my.toml"));
    assert_eq!(
        entries_json(settings.entries())["store.url"],
        json!({"value": "sqlite:trireme.db", "source": "default"})
    );

    let work = &settings.skills["work"];
    assert_eq!((work.concurrency, work.prefetch, work.max_attempts), (7, 7, 3));
    assert_eq!(work.performer, Performer::Runner { kind: "command".into(), options: Some(json!({"argv": ["true"]})) });
    assert_eq!(settings.skills["theirs"].performer, Performer::External);
    assert_eq!(settings.skills["noop"].performer, Performer::Runner { kind: "noop".into(), options: None });
    assert_eq!((settings.skills["noop"].prefetch, settings.skills["sleep"].prefetch), (512, 7));
    assert_eq!(settings.topology().skills, ["noop", "sleep", "theirs", "work"]);
}

#[test]
fn each_fault_of_a_setting_has_its_line() {
    for (line, expected) in [
        (refused("[brokr]\nurl = 'x'", &[]), "unknown key `brokr` in `my.toml` (did you mean `broker`?)"),
        (refused("broker = 3", &[]), "`broker` from `my.toml` is `3`, not a table"),
        (refused("[broker]\nulr = 'x'", &[]), "unknown key `broker.ulr` in `my.toml` (did you mean `url`?)"),
        (
            refused("[broker]\npartitions = 0", &[]),
            "`broker.partitions` from `my.toml` is `0`, not a whole number from 1 to 256",
        ),
        (
            refused("[broker]\npartitions = '8'", &[]),
            "`broker.partitions` from `my.toml` is `8`, not a whole number from 1 to 256",
        ),
        (
            refused("", &[("TRIREME_BROKER__PARTITIONS", "-1")]),
            "`broker.partitions` from `TRIREME_BROKER__PARTITIONS` is `-1`, not a whole number from 1 to 256",
        ),
        (
            refused("", &[("TRIREME_BROKER__ULR", "x")]),
            "unknown setting `TRIREME_BROKER__ULR` in the environment (did you mean `TRIREME_BROKER__URL`?)",
        ),
        (
            refused("", &[("TRIREME_STORE_URL", "sqlite:x")]),
            "unknown setting `TRIREME_STORE_URL` in the environment (did you mean `TRIREME_STORE__URL`?)",
        ),
        (
            refused("", &[("TRIREME_STORE__URL", "mysql://me:secret@there/db")]),
            "`store.url` from `TRIREME_STORE__URL` is `mysql://me:***@there/db`, not a URL that begins with sqlite:, postgres://, postgresql://, nor memory:",
        ),
        (
            refused("[agents]\nheartbeat_interval = 5", &[]),
            "`agents.heartbeat_interval` from `my.toml` is `5`, not a duration such as \"250ms\", \"90s\" or \"5m\", at most \"1m\"",
        ),
        (
            refused("[broker]\nnamespace = 'a.b'", &[]),
            "`broker.namespace` from `my.toml`: namespace `a.b` is not 1 to 64 of A-Z a-z 0-9 _ -",
        ),
        (refused("[log]\nformat = 'xml'", &[]), "`log.format` from `my.toml`: it is neither `text` nor `json`"),
        (refused("[skills.'a b']\nrunner = 'noop'", &[]), "skill `a b` is not 1 to 64 of A-Z a-z 0-9 _ - in `my.toml`"),
        (refused("[skills]\nx = 3", &[]), "`skills.x` in `my.toml` is no table"),
        (refused("skills = 3", &[]), "`skills` from `my.toml` is `3`, not a table"),
        (refused("[skills.x]\ntimeout = '1s'", &[]), "`skills.x.runner` from `default`: skill `x` has no runner"),
        (
            refused("[skills.x]\nrunnner = 'noop'", &[]),
            "unknown key `skills.x.runnner` in `my.toml` (did you mean `runner`?)",
        ),
        (
            refused("[skills.x]\nrunner = 'noop'\nprefech = 3", &[]),
            "unknown key `skills.x.prefech` in `my.toml` (did you mean `prefetch`?)",
        ),
        (
            refused("[skills.x]\nrunner = 'external'\n[skills.x.command]\nargv = ['true']", &[]),
            "unknown key `skills.x.command` in `my.toml` (known are `runner`, `concurrency`, `prefetch`, `batch`, `timeout`, `max_attempts`, `backoff`, `backoff_factor`, `backoff_max`, `retry_on`, `queue_wait`, `mode`, `lease`, `fallback`, `fallback_after`)",
        ),
        (
            refused("[skills.x]\nrunner = 'noop'\nmax_attempts = 0", &[]),
            "`skills.x.max_attempts` from `my.toml` is `0`, not a whole number from 1 to 1000",
        ),
        (refused("[broker", &[]), "`my.toml`: line 2, column 8: unclosed table, expected `]`"),
    ] {
        assert_eq!(line, expected);
    }
    let none = Settings::resolve(Some(Path::new("/no/such/file")), [], Vec::new()).expect_err("no file");
    assert!(none.message.starts_with("`/no/such/file` can not be read: No such file"), "{none}");
}

/// What a skill says of its attempts comes to what its subtasks are planned with; its fallback's own terms too, and
/// nothing of a fallback's fallback.
#[test]
fn a_skill_says_how_its_attempts_are_tried_again_kept_and_passed_on() {
    let file = "[skills.long]\nrunner = 'noop'\ntimeout = '2h'\nmode = 'leased'\nqueue_wait = '1m'\nbackoff = '3s'\n\
                backoff_factor = 4\nbackoff_max = '1h'\nretry_on = ['crashed']\nfallback = 'short'\nfallback_after = 2\n\
                [skills.short]\nrunner = 'external'\ntimeout = '5s'\nmax_attempts = 9\nfallback = 'long'";
    let variables = [("TRIREME_SKILLS__SHORT__RETRY_ON", "timeout, permanent"), ("TRIREME_SKILLS__LONG__LEASE", "1m")];
    let settings = resolve(file, &variables, Vec::new()).expect("good settings");
    let short = Retry { on: vec![FailureKind::Timeout, FailureKind::Permanent], ..Retry::default() };
    let expected = SkillDefaults {
        timeout_ms: 7_200_000,
        max_attempts: 3,
        retry: Retry { first_ms: 3_000, factor: 4, max_ms: 3_600_000, on: vec![FailureKind::Crashed] },
        queue_wait_ms: Some(60_000),
        lease_ms: Some(60_000),
        fallback: Some(Fallback {
            after: Some(2),
            skill: "short".into(),
            timeout_ms: 5_000,
            max_attempts: 9,
            retry: short.clone(),
            queue_wait_ms: None,
            lease_ms: None,
        }),
    };
    assert_eq!(settings.skills["long"].defaults(&settings.skills), expected);
    assert_eq!(settings.skills["noop"].defaults(&settings.skills), SkillDefaults::new(300_000, 3));
    assert_eq!(settings.skills["short"].retry, short);
    let of = |key| entry(&settings, key);
    assert_eq!(of("skills.short.retry_on"), (&json!(["timeout", "permanent"]), "TRIREME_SKILLS__SHORT__RETRY_ON"));
    assert_eq!(of("skills.noop.retry_on"), (&json!(["transient", "timeout", "crashed"]), "default"));
    assert_eq!((of("skills.long.lease").0, of("skills.short.lease").0), (&json!("1m"), &Value::Null));
    assert_eq!((of("skills.noop.backoff").0, of("skills.noop.mode").0), (&json!("1s"), &json!("held")));
}

#[test]
fn terms_that_can_not_be_meant_are_refused() {
    let skill = |keys: &str| refused(&format!("[skills.x]\nrunner = 'noop'\n{keys}"), &[]);
    for (line, expected) in [
        (skill("retry_on = 'timeout'"), "`skills.x.retry_on` from `my.toml` is `timeout`, not a list of texts"),
        (skill("retry_on = ['timeout', 'timeout']"), "`skills.x.retry_on` from `my.toml`: `timeout` is there twice"),
        (
            skill("retry_on = ['timout']"),
            "`skills.x.retry_on` from `my.toml`: no failure `timout` is tried again (did you mean `timeout`?)",
        ),
        (
            skill("mode = 'leased'\nprefetch = 4"),
            "`skills.x.prefetch` from `my.toml` has no effect on a leased skill: an executor takes one command at a time",
        ),
        (
            skill("backoff = '25h'"),
            "`skills.x.backoff` from `my.toml` is `25h`, not a duration such as \"250ms\", \"90s\" or \"5m\", at most \"24h\"",
        ),
        (
            skill("backoff_factor = 0"),
            "`skills.x.backoff_factor` from `my.toml` is `0`, not a whole number from 1 to 100",
        ),
        (skill("mode = 'rented'"), "`skills.x.mode` from `my.toml` is `rented`, not `held` or `leased`"),
        (
            skill("lease = '1m'"),
            "`skills.x.lease` from `my.toml` has no effect on a skill that is not leased (set `skills.x.mode = \"leased\"`, or leave it out)",
        ),
        (
            skill("mode = 'leased'\nlease = '10s'"),
            "`skills.x.lease` from `my.toml` is `10s`, shorter than 3 heartbeats of 5s (make it at least \"15s\", or `agents.heartbeat_interval` shorter)",
        ),
        (
            skill("fallback = 'nop'"),
            "`skills.x.fallback` from `my.toml` is `nop`, which is not configured (did you mean `noop`?)",
        ),
        (skill("fallback = 'x'"), "`skills.x.fallback` from `my.toml` is `x`, the skill itself"),
        (skill("fallback_after = 1"), "`skills.x.fallback_after` from `my.toml` has no effect without a `fallback`"),
        (
            skill("queue_wait = 5"),
            "`skills.x.queue_wait` from `my.toml` is `5`, not a duration such as \"250ms\", \"90s\" or \"5m\", at most \"720h\"",
        ),
    ] {
        assert_eq!(line, expected);
    }
}

/// Names and texts that the library which merges could take for something else.
#[test]
fn nothing_is_read_into_a_name_or_a_text() {
    let file = "[skills.My-Skill]\nrunner = 'command'\n[skills.My-Skill.command]\nargv = ['a.b[7]', '{ C = 1 }']";
    let variables = [
        ("TRIREME_SKILLS__MY_SKILL__PREFETCH", "9"),
        ("TRIREME_LOG__FILTER", "true"),
        ("TRIREME_BROKER__NAMESPACE", "12"),
        ("TRIREME_NOOP", "x"),
    ];
    let settings = resolve(file, &variables, Vec::new()).expect("good settings");
    let skill = &settings.skills["My-Skill"];
    assert_eq!(skill.prefetch, 9);
    let options = Some(json!({"argv": ["a.b[7]", "{ C = 1 }"]}));
    assert_eq!(skill.performer, Performer::Runner { kind: "command".into(), options });
    assert_eq!((settings.log.filter.as_str(), settings.broker.namespace.as_str()), ("true", "12"));
    assert_eq!(settings.skills.keys().collect::<Vec<_>>(), ["My-Skill", "noop", "sleep"]);

    let work = "[skills.work]\nrunner = 'noop'";
    for (line, expected) in [
        (
            refused("'skills[4000000000]' = 1", &[]),
            "unknown key `skills[4000000000]` in `my.toml` (known are `agents`, `attempts`, `broker`, `log`, `playbooks`, `skills`, `store`)",
        ),
        (
            refused("'broker.url' = 1", &[]),
            "unknown key `broker.url` in `my.toml` (known are `agents`, `attempts`, `broker`, `log`, `playbooks`, `skills`, `store`)",
        ),
        (
            refused("[broker.url]\nx = 1", &[("TRIREME_STORE__URL", "sqlite:x")]),
            "`broker.url` from `my.toml` is a table, not a URL that begins with amqp://, amqps://, or several with commas between them",
        ),
        (refused("[log]\nfilter = 3", &[]), "`log.filter` from `my.toml` is `3`, not a text"),
        (refused("", &[("TRIREME_LOG__FILTER", "")]), "`log.filter` from `TRIREME_LOG__FILTER` is ``, not a text"),
        (
            refused("", &[("TRIREME_SKILLS__WORK__TIMEOUT", "1s")]),
            "unknown setting `TRIREME_SKILLS__WORK__TIMEOUT` in the environment (did you mean `TRIREME_SKILLS__NOOP__TIMEOUT`?)",
        ),
        (
            refused(work, &[("TRIREME_SKILLS__WORK__COMMAND__ARGV", "x")]),
            "unknown setting `TRIREME_SKILLS__WORK__COMMAND__ARGV` in the environment (did you mean `TRIREME_SKILLS__WORK__BACKOFF_MAX`?)",
        ),
    ] {
        assert_eq!(line, expected);
    }
}

/// What is planned by what ships can be performed by what ships.
#[test]
fn the_skills_of_the_shipped_plans_are_configured() {
    let settings = built_in();
    let library = crate::planner::Library::load(None).expect("what ships is good");
    let goals = library.playbooks().iter().flat_map(|playbook| &playbook.goals);
    let skills = goals.flat_map(|goal| goal.subtasks.iter().flatten()).map(|subtask| subtask.skill.as_str());
    for skill in skills.chain([crate::domain::expand::GENERIC_SKILL]) {
        assert!(settings.skills.contains_key(skill), "`{skill}` is no skill of the file that ships");
    }
}
