//! The contract of `command` with real programs.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::runner::build;
use crate::runner::testing::assignment;

async fn run(options: Value) -> Report {
    let runner = build("command", Some(&options)).expect("options");
    runner.run(&assignment(json!({ "depth": 5 })), CancellationToken::new()).await
}

async fn shell(script: &str) -> Report {
    run(json!({ "argv": ["sh", "-c", script] })).await
}

fn failure(report: Report) -> Failure {
    report.outcome.expect_err("failed")
}

fn value(report: Report) -> Value {
    report.outcome.expect("completed").read().expect("JSON")
}

#[tokio::test]
async fn gets_the_message_on_standard_input_and_answers_on_standard_output() {
    let content = value(run(json!({ "argv": ["cat"] })).await);
    assert_eq!(content["type"], "ExecuteSubtask");
    assert_eq!(content["subtask_id"], "2.3");
    assert_eq!(content["input"], json!({ "depth": 5 }));
    assert_eq!(value(shell(r#"printf ' \n{"a": [1, 2.50]}\n'"#).await), json!({ "a": [1, 2.5] }));
}

#[tokio::test]
async fn nothing_on_standard_output_is_null() {
    assert_eq!(shell("true").await, Report::completed(Raw::null()));
    assert_eq!(shell("echo; echo").await, Report::completed(Raw::null()));
}

#[tokio::test]
async fn what_is_not_one_value_is_permanent() {
    for script in ["echo 1 2", "echo '{'", "echo nonsense", r"printf '\377'", "echo '[1]' '[2]'"] {
        let failure = failure(shell(script).await);
        assert_eq!(failure.kind, FailureKind::Permanent, "{script}");
        assert!(failure.message.starts_with("standard output is not one JSON value"), "{}", failure.message);
    }
}

#[tokio::test]
async fn the_exit_status_says_what_kind_of_failure() {
    for (script, kind, retry_after_ms, message) in [
        ("exit 3", FailureKind::Permanent, None, "exit status 3"),
        ("echo no disk >&2; exit 1", FailureKind::Permanent, None, "exit status 1: no disk"),
        ("exit 75", FailureKind::Transient, None, "exit status 75"),
        (r#"echo '{"retry_after_ms": 250}' >&2; exit 75"#, FailureKind::Transient, Some(250), ""),
        (
            r#"echo '{"retry_after_ms": 9}' >&2; echo '{"progress": {"done": 1}}' >&2; exit 4"#,
            FailureKind::Transient,
            Some(9),
            "",
        ),
        (r#"echo busy >&2; echo '{"retry_after_ms": 9}' >&2; exit 4"#, FailureKind::Transient, Some(9), ""),
        (r#"echo '{"retry_after_ms": 9}' >&2; echo late >&2; exit 4"#, FailureKind::Permanent, None, ""),
        (r#"echo '{"retry_after_ms": -9}' >&2; exit 4"#, FailureKind::Permanent, None, ""),
        ("kill -SEGV $$", FailureKind::Crashed, None, "ended by signal 11"),
        ("kill -TERM $$", FailureKind::Crashed, None, "ended by signal 15"),
    ] {
        let failure = failure(shell(script).await);
        assert_eq!((failure.kind, failure.retry_after_ms), (kind, retry_after_ms), "{script}");
        assert!(failure.message.starts_with(message), "{script}: {}", failure.message);
    }
    let wish = shell(r#"echo '{"retry_after_ms": 250}' >&2"#).await;
    assert_eq!(wish.outcome, Ok(Raw::null()), "success needs no other attempt");
}

#[tokio::test]
async fn the_end_of_standard_error_is_the_log() {
    let report = shell(r"printf 'a\000b\377c' >&2").await;
    assert_eq!(report.log.as_deref(), Some("a\u{FFFD}b\u{FFFD}c"));
    let report =
        shell("i=0; while [ $i -lt 3000 ]; do echo 'line of thirty characters: '$i; i=$((i+1)); done >&2").await;
    let log = report.log.expect("a log");
    assert_eq!(log.len(), ERRORS_BYTES_MAX);
    assert!(log.ends_with("characters: 2999\n"), "{}", &log[log.len() - 50..]);
    let controls = shell(r"head -c 200000 /dev/zero | tr '\000' '\033' >&2").await.log.expect("a log");
    assert!(serde_json::to_string(&controls).expect("JSON").len() <= 2 * ERRORS_BYTES_MAX + 2);
}

#[tokio::test]
async fn only_the_named_environment_gets_through() {
    let names = value(run(json!({ "argv": ["sh", "-c", "env | sed 's/=.*//' | sort | sed 's/.*/\"&\"/' | paste -sd, | sed 's/.*/[&]/'"] })).await);
    let names: Vec<&str> = names.as_array().expect("names").iter().filter_map(Value::as_str).collect();
    let known = [
        "HOME",
        "LANG",
        "PATH",
        "PWD",
        "SHLVL",
        "TRIREME_ATTEMPT",
        "TRIREME_PROJECT_ID",
        "TRIREME_SUBTASK_ID",
        "_",
        "OLDPWD",
    ];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "the tests have a variable to hide");
    let told = json!({ "argv": ["sh", "-c", "echo \"[\\\"$TRIREME_PROJECT_ID\\\",\\\"$TRIREME_SUBTASK_ID\\\",$TRIREME_ATTEMPT,\\\"$CARGO_MANIFEST_DIR\\\"]\""], "env": ["CARGO_MANIFEST_DIR", "NOT_SET_ANYWHERE"] });
    let expected = json!(["00000000-0000-0000-0000-000000000007", "2.3", 4, env!("CARGO_MANIFEST_DIR")]);
    assert_eq!(value(run(told).await), expected);
}

#[tokio::test]
async fn it_may_say_how_far_it_is() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let of = heard.clone();
    let assignment = Assignment::new(assignment(Value::Null).command, move |progress: Progress| {
        of.lock().expect("the lock").push((progress.done, progress.of, progress.note));
    });
    let script = r#"
        exec >&2
        echo '{"progress": {"done": 0}}'; echo 'as usual'
        printf '{"progress": {"do'; sleep 0.1; printf 'ne": 2.5, "of": 10, "note": "pages"}}\n'
        echo '{"progress": {"done": -1}}'; echo '{"progress": {"done": 1e999}}'; echo '{"progress": "3"}'; echo '{"done": 3}'
        printf '{"progress": {"done": 4, "note": "%05000d"}}\n' 0
        printf '{"progress": {"done": 5, "note": "a\\u0000\\n%0500d"}}\n' 0
        printf '{"progress": {"done": 6}}'
    "#;
    let runner = build("command", Some(&json!({ "argv": ["sh", "-c", script] }))).expect("options");
    let report = runner.run(&assignment, CancellationToken::new()).await;
    assert!(report.outcome.is_ok() && report.log.expect("a log").contains("as usual\n{\"progress\""));
    let mut heard = heard.lock().expect("the lock").clone();
    let (_, _, note) = heard.pop().expect("words");
    assert!(note.starts_with(r"a\u{0}\n000") && note.len() < 400, "{note}");
    assert_eq!(heard, [(0.0, None, String::new()), (2.5, Some(10.0), "pages".into())]);
}

#[tokio::test]
async fn what_can_not_be_started_says_so() {
    let missing = failure(run(json!({ "argv": ["no-such-program-anywhere"] })).await);
    let unable = |reason: &str| Failure { avoid: true, ..Failure::new(FailureKind::Released, reason) };
    assert_eq!(missing, unable("there is no program `no-such-program-anywhere` on its PATH"));
    let nowhere = failure(run(json!({ "argv": ["true"], "cwd": "/no/such/folder" })).await);
    assert_eq!(nowhere, unable("`true` can not run in `/no/such/folder`: no such folder"));
    assert_eq!(failure(run(json!({ "argv": ["/"] })).await), unable("`/` is no file"));
}

#[tokio::test]
async fn too_much_output_ends_the_whole_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "sleep 600 & echo $! > pids; yes";
    let report = run(json!({ "argv": ["sh", "-c", script], "cwd": folder.path(), "output_max": 100_000 })).await;
    let failure = failure(report);
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("more than 100000 bytes"), "{}", failure.message);
    assert_gone(folder.path());
    let just_enough = json!({ "argv": ["sh", "-c", "printf 12345"], "output_max": 5 });
    assert_eq!(value(run(just_enough).await), json!(12345));
}

#[tokio::test]
async fn whoever_keeps_the_pipes_open_holds_nothing_up() {
    let begin = Instant::now();
    assert_eq!(value(shell("sleep 600 & echo 1").await), json!(1));
    assert_eq!(value(shell("setsid sleep 5 & echo 2").await), json!(2), "out of reach, in another session");
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn input_that_nobody_reads_is_fine() {
    let runner = build("command", Some(&json!({ "argv": ["true"] }))).expect("options");
    let big = assignment(json!("x".repeat(900_000)));
    assert_eq!(runner.run(&big, CancellationToken::new()).await, Report::completed(Raw::null()));
    let late = build("command", Some(&json!({ "argv": ["sh", "-c", "exec <&-; echo 1"] }))).expect("options");
    assert_eq!(value(late.run(&big, CancellationToken::new()).await), json!(1));
}

/// Fails when one of the processes whose ids stand in the folder's `pids` is alive.
fn assert_gone(folder: &std::path::Path) {
    let pids = std::fs::read_to_string(folder.join("pids")).expect("pids");
    for pid in pids.split_whitespace() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let dead = status.is_empty() || status.contains("State:\tZ") || status.contains("State:\tX");
        assert!(dead, "{pid} is alive: {status}");
    }
}

/// A program that made a child, wrote down both ids, and said so by closing its standard error.
const OBSTINATE: &str =
    "trap '' TERM; sh -c \"trap '' TERM; sleep 600\" & echo $$ $! > pids; mkfifo never; touch ready; read x < never";

async fn is_ready(folder: &std::path::Path) {
    while !folder.join("ready").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stop_ends_the_whole_group_even_when_it_does_not_listen() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = json!({ "argv": ["sh", "-c", OBSTINATE], "cwd": folder.path() });
    let runner = build("command", Some(&options)).expect("options");
    let stop = CancellationToken::new();
    let assignment = assignment(json!({}));
    let ask = async {
        is_ready(folder.path()).await;
        stop.cancel();
    };
    let (report, ()) = tokio::join!(runner.run(&assignment, stop.clone()), ask);
    assert_eq!(failure(report).kind, FailureKind::Cancelled);
    assert_gone(folder.path());
}

#[tokio::test]
async fn a_stop_leaves_time_to_put_things_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "trap 'sleep 0.3; echo clean > done; exit 0' TERM; touch ready; while :; do sleep 0.05; done";
    let options = json!({ "argv": ["sh", "-c", script], "cwd": folder.path() });
    let runner = build("command", Some(&options)).expect("options");
    let stop = CancellationToken::new();
    let assignment = assignment(json!({}));
    let ask = async {
        is_ready(folder.path()).await;
        stop.cancel();
    };
    let _ = tokio::join!(runner.run(&assignment, stop.clone()), ask);
    assert_eq!(std::fs::read_to_string(folder.path().join("done")).expect("done"), "clean\n");
}

#[tokio::test]
async fn dropping_the_future_kills_the_whole_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = json!({ "argv": ["sh", "-c", OBSTINATE], "cwd": folder.path() });
    let runner = build("command", Some(&options)).expect("options");
    let assignment = assignment(json!({}));
    tokio::select! {
        biased;
        report = runner.run(&assignment, CancellationToken::new()) => panic!("it ended by itself: {report:?}"),
        () = is_ready(folder.path()) => {}
    }
    // SIGKILL is on its way: it is waited for by looking, as nobody is left who could be told.
    let pids = std::fs::read_to_string(folder.path().join("pids")).expect("pids");
    for _ in 0..200 {
        let alive = pids.split_whitespace().any(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            !(status.is_empty() || status.contains("State:\tZ"))
        });
        if !alive {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_gone(folder.path());
}

#[test]
fn bad_options_are_refused() {
    for (options, message) in [
        (json!({}), "runner `command`: missing field `argv`"),
        (json!({ "argv": "rm -rf /" }), "runner `command`: invalid type: string"),
        (json!({ "argv": [] }), "runner `command`: `argv` names no program"),
        (json!({ "argv": ["a\0b"] }), "runner `command`: `argv` has a NUL character"),
        (json!({ "argv": ["a"], "env": ["A=B"] }), "runner `command`: `env` has `A=B`, which is no variable's name"),
        (json!({ "argv": ["a"], "output_max": 0 }), "runner `command`: `output_max` is not between 1 and 1048576"),
    ] {
        let refused = build("command", Some(&options)).err().expect("refused").to_string();
        assert!(refused.starts_with(message), "{refused}");
    }
}
