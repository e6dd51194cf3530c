//! Command lines that can not be meant.

use crate::call::Place;

#[test]
fn each_is_refused_in_one_line() {
    let place = Place::new();
    place.write("p.toml", "name = \"p\"").write("taken", "");
    let lines: [&[&str]; 27] = [
        &["submitt"],
        &["submit"],
        &["submit", "p.toml", "--wiat"],
        &["submit", "p.toml", "q.toml"],
        &["submit", "p.toml", "--name", "p", "--description", "d"],
        &["submit", "--name", "p"],
        &["submit", "--name", "", "--description", "d"],
        &["submit", "p.toml", "--id", "7"],
        &["submit", "p.toml", "--id", "00000000-0000-0000-0000-000000000000"],
        &["submit", "p.toml", "--out", "made"],
        &["submit", "p.toml", "--wait", "--force"],
        &["submit", "p.toml", "--wait", "--out", "taken"],
        &["status"],
        &["list", "--limit", "0"],
        &["list", "--limit", "-1"],
        &["list", "--status", "FINISHED"],
        &["agents", "--wait", "5"],
        &["agents", "--wait", "1h"],
        &["ping", "a b"],
        &["logs", "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"],
        &["list", "-v", "-q"],
        &["dead", "show"],
        &["dead", "drop"],
        &["dead", "redrive"],
        &["dead", "redrive", "5b0c", "--all"],
        &["dead", "redrive", "--all", "--rate", "0"],
        &["dead", "list", "--limit", "0"],
    ];
    let refusals: String = lines
        .iter()
        .map(|arguments| {
            let answer = place.run(arguments);
            assert_eq!(answer.status, 2, "{arguments:?}: {}", answer.stderr);
            answer.refusal(&arguments.join(" "))
        })
        .collect();
    insta::assert_snapshot!("bad_usage", refusals);
}

#[test]
fn every_command_has_its_help() {
    let place = Place::new();
    for command in ["submit", "status", "list", "result", "watch", "history", "logs", "agents", "ping", "dead"] {
        let answer = place.run(&[command, "--help"]);
        assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{command}");
        assert!(answer.stdout.contains("Examples:\n  trireme "), "{command}: {}", answer.stdout);
    }
}
