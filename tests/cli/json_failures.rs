//! What fails with `--json` says why in the last line of standard error, for programs.

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
        let answer = place.run(&[words, &["--json"]].concat());
        let refusal = answer.refusal(&words.join(" "));
        assert!(answer.stderr.lines().last().is_some_and(|last| last.starts_with('{')), "{words:?}: {}", answer.stderr);
        let plain = place.run(words);
        let without: Vec<&str> = answer.stderr.lines().filter(|line| !line.starts_with('{')).collect();
        assert_eq!((plain.status, plain.stderr.lines().collect()), (answer.status, without), "{words:?}");
        told += &refusal;
    }
    insta::assert_snapshot!("json_failures", told);
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
