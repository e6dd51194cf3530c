//! What fails with `--json` says why in the last line of standard error, for programs.

use std::collections::BTreeSet;

use serde_json::json;

use crate::bad_usage::commands;
use crate::call::Place;
use crate::reading::{ENDED, OTHER, fill};

#[tokio::test]
async fn the_last_line_is_the_failure_as_json() {
    let place = Place::new();
    fill(place.path()).await;
    place.write("p.toml", "name = \"p\"").write("bad.toml", "nmae = \"p\"");
    let unknown = "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d";
    let lines: [&[&str]; 16] = [
        &["submit", "bad.toml"],
        &["submit", "p.toml"],
        &["run", "bad.toml"],
        &["run", "p.toml", "--config", "none.toml"],
        &["status", unknown],
        &["watch", "shop"],
        &["list", "--limit", "0"],
        &["logs", ENDED, "c"],
        &["forget", OTHER, "--yes"],
        &["forget", ENDED],
        &["cancel", ENDED],
        &["dead", "drop", "--all"],
        &["ping"],
        &["topology", "delete"],
        &["manager"],
        &["executor", "--skills", "none"],
    ];
    let mut told = String::new();
    for words in lines {
        told += &same_for_programs(&place, words);
    }
    insta::assert_snapshot!("json_failures", told);
}

/// What a command fails with, which programs are told as people are: the error, its hint and the exit status.
fn same_for_programs(place: &Place, words: &[&str]) -> String {
    let answer = place.run(&[words, &["--json"]].concat());
    let refusal = answer.refusal(&words.join(" "));
    assert!(answer.stderr.lines().last().is_some_and(|last| last.starts_with('{')), "{words:?}: {}", answer.stderr);
    let plain = place.run(words);
    let without: Vec<&str> = answer.stderr.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!((plain.status, plain.stderr.lines().collect()), (answer.status, without), "{words:?}");
    // One that stands in the error itself would be none to a program.
    let error = plain.stderr.lines().next().unwrap_or_default();
    assert!(!error.contains("hint:"), "{words:?}: {error}");
    refusal
}

/// Every command has one that fails here with a way out: as a hint, for people and for programs.
#[tokio::test]
async fn every_command_gives_its_hint_to_programs_too() {
    let place = Place::new();
    fill(place.path()).await;
    place.write("p.toml", "name = \"p\"").write("bad.toml", "[brokr]\npartitions = 2\n").write("taken", "");
    let nothing = ["up", "--managers", "0", "--coordinators", "0", "--executors", "0"];
    let unknown = "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d";
    let lines: [&[&str]; 34] = [
        &["run", "--resume", unknown, "--store", "sqlite:trireme.db"],
        &["run", "p.toml", "--out", "taken"],
        &["run", "p.toml", "--config", "bad.toml"],
        &["manager"],
        &["coordinator"],
        &["executor"],
        &nothing,
        &["topology", "declare"],
        &["topology", "delete", "--yes"],
        &["bench", "--store", "sqlite:t.db"],
        &["submit", "p.toml"],
        &["submit", "p.toml", "--wait", "--out", "taken"],
        &["status", unknown],
        &["list", "--config", "bad.toml"],
        &["result", unknown],
        &["result", ENDED, "--out", "taken"],
        &["watch", unknown],
        &["cancel", ENDED],
        &["pause", ENDED],
        &["resume", ENDED],
        &["retry", OTHER],
        &["decide", OTHER, "--skip", "--subtask", "zz"],
        &["history", ENDED, "--subtask", "zz"],
        &["logs", ENDED, "zz"],
        &["check", unknown],
        &["forget", OTHER, "--yes"],
        &["prune", "--older-than", "1d", "--status", "BUSY"],
        &["agents"],
        &["ping"],
        &["dead", "list"],
        &["dead", "show", "5b0c"],
        &["dead", "redrive", "5b0c", "--yes"],
        &["config", "show", "--config", "bad.toml"],
        &["completions", "no-such-shell"],
    ];
    for words in lines {
        let told = same_for_programs(&place, words);
        assert!(told.contains("\nhint: "), "{words:?} has no way out: {told}");
    }
    // The answer of `health` is data, also when it is no.
    let known: BTreeSet<&str> = lines.iter().map(|words| words[0]).chain(["health"]).collect();
    let all = commands(&place);
    assert_eq!(known, all.iter().map(String::as_str).collect(), "each command has a line here");
}

/// What is left out is data about which programs are told too.
#[tokio::test]
async fn files_that_are_not_written_are_a_failure_for_programs_too() {
    let place = Place::new();
    fill(place.path()).await;
    std::fs::create_dir(place.path().join("made")).expect("a folder");
    place.write("made/g", "old");
    let answer = place.run(&["result", ENDED, "--out", "made", "--json"]);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    let told: serde_json::Value = serde_json::from_str(answer.stderr.lines().last().expect("a line")).expect("JSON");
    let expected = json!({
        "error": "2 files were not written", "exit_status": 1,
        "hint": "all results are in `made/report.json`; the lines above name each file, and why",
    });
    assert_eq!(told, expected);
    assert!(
        answer.stderr.contains("\nerror: 2 files were not written\nhint: all results are in "),
        "{}",
        answer.stderr
    );
    let data: serde_json::Value = serde_json::from_str(&answer.stdout).expect("the data is there all the same");
    assert_eq!(data["project_id"], ENDED);
}

/// Also where the command line itself can not be read.
#[test]
fn every_command_tells_it() {
    let place = Place::new();
    for command in commands(&place) {
        for words in
            [[command.as_str(), "--json", "--no-such-option"], [command.as_str(), "--no-such-option", "--json"]]
        {
            let answer = place.run(&words);
            let last = answer.stderr.lines().last().unwrap_or_default().to_owned();
            let told: serde_json::Value = serde_json::from_str(&last).expect(&last);
            assert_eq!((answer.status, &told["exit_status"]), (2, &2.into()), "{words:?}");
            answer.refusal(&words.join(" "));
        }
    }
    let after_all_options = place.run(&["status", "--no-such-option", "--", "--json"]);
    assert!(!after_all_options.stderr.contains('{'), "{}", after_all_options.stderr);
}
