//! Command lines that can not be meant.

use crate::call::Place;

#[test]
fn each_is_refused_in_one_line() {
    let place = Place::new();
    place.write("p.toml", "name = \"p\"").write("taken", "");
    let lines: [&[&str]; 32] = [
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
        &["run"],
        &["run", "p.toml", "--name", "p", "--description", "d"],
        &["run", "--name", "p"],
        &["run", "--name", "p", "--description", " "],
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
        &["dead", "drop", "5b0c", "--all"],
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
    let commands = commands(&place);
    assert!(commands.len() > 25, "{commands:?}");
    let more = [&["topology", "show"], &["topology", "declare"], &["topology", "delete"], &["config", "show"]];
    let more = more.map(|words| words.map(String::from).to_vec());
    for mut words in commands.into_iter().map(|command| vec![command]).chain(more) {
        words.push("--help".into());
        let answer = place.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{words:?}");
        assert!(answer.stdout.contains("Examples:\n  trireme "), "{words:?}: {}", answer.stdout);
    }
}

/// All of them, as the help lists them.
pub fn commands(place: &Place) -> Vec<String> {
    listed(&place.run(&["--help"]).stdout)
}

/// The commands that a help lists; none where it has no list.
pub fn listed(help: &str) -> Vec<String> {
    let list = help.split_once("\nCommands:\n").map(|(_, list)| list.lines().take_while(|line| !line.is_empty()));
    // What is indented further goes on with a description.
    let names = list.into_iter().flatten().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !["", "help"].contains(name)).map(str::to_owned).collect()
}
