//! The code report of a tree whose figures are known: empty files, no newline at the end, names with spaces,
//! newlines, marks of Markdown and bytes that are no UTF-8, links, and folders that are skipped.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::performer::{Results, assignment, file, perform};

const PROJECT: &str = include_str!("../../examples/code-report.toml");

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for (path, text) in [
        ("src/lib.rs", "one\ntwo\nthree\n"),
        ("src/no newline at end.rs", "one\ntwo"),
        ("src/empty.rs", ""),
        ("src/UPPER.RS", "\n"),
        ("src/two\nlines.py", "\r\n\n\n"),
        ("src/|`pipe`|.py", "xyz"),
        ("Cargo.toml", "[package]\n"),
        ("docs/read me.md", "# Title\n\ntext"),
        (".hidden", "a\n"),
        ("Makefile", "all:\n\ttrue\n"),
        ("archive.tar.gz", "\0\0\n\0"),
        ("target/debug/skipped.rs", "never\n"),
        (".git/config", "never\n"),
        ("deep/target/also.rs", "never\n"),
    ] {
        write(&root.join(path), text);
    }
    write(&root.join(OsStr::from_bytes(b"src/not-\xff-utf8.sh")), "#!/bin/sh\n");
    symlink("lib.rs", root.join("src/link.rs")).expect("a link");
    symlink("nowhere", root.join("broken.rs")).expect("a link to nothing");
    symlink("src", root.join("folder")).expect("a link to a folder");
    symlink("..", root.join("src/circle.md")).expect("a link in a circle");
    folder
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, text).expect("a file");
}

async fn report_on(root: &Path) -> Results {
    let root = serde_json::to_string(root.to_str().expect("a path")).expect("a text");
    perform(&PROJECT.replace("root = \".\"", &format!("root = {root}"))).await
}

#[tokio::test]
async fn every_figure_of_a_known_tree_is_right() {
    let folder = tree();
    let results = report_on(folder.path()).await;
    let merged = &results["Report on the Tree"]["Merge All"];
    let figures = |kind: &str| -> Vec<u64> {
        let keys = ["files", "lines", "bytes", "empty", "links", "others", "unreadable_count"];
        let figures = if kind == "total" { &merged["total"] } else { &merged["types"][kind] };
        keys.map(|key| figures[key].as_u64().unwrap_or_else(|| panic!("{kind}: {key}"))).to_vec()
    };
    assert_eq!(figures("rs"), [4, 6, 22, 1, 2, 0, 0]);
    assert_eq!(figures("py"), [2, 4, 7, 0, 0, 0, 0]);
    assert_eq!(figures("sh"), [1, 1, 10, 0, 0, 0, 0]);
    assert_eq!(figures("toml"), [1, 1, 10, 0, 0, 0, 0]);
    assert_eq!(figures("md"), [1, 3, 13, 0, 1, 0, 0]);
    assert_eq!(figures("everything else"), [3, 5, 17, 0, 1, 0, 0]);
    assert_eq!(figures("total"), [12, 20, 79, 1, 4, 0, 0]);
    let largest = &merged["types"]["py"]["largest"];
    assert_eq!(
        *largest,
        json!([
            { "path": "src/two\nlines.py", "lines": 3, "bytes": 4 },
            { "path": "src/|`pipe`|.py", "lines": 1, "bytes": 3 },
        ])
    );

    let report = file(&results["Report on the Tree"]["Write Report"], "code-report.md");
    assert!(report.contains("| rs | 4 | 6 | 22 | 1 | 2 | 0 | 0 |\n"), "{report}");
    assert!(report.contains("| total | 12 | 20 | 79 | 1 | 4 | 0 | 0 |\n"), "{report}");
    assert!(report.contains("| src/two&#92;nlines.py | py | 3 | 4 |\n"), "{report}");
    assert!(report.contains("| src/&#124;&#96;pipe&#96;&#124;.py | py | 1 | 3 |\n"), "{report}");
    assert!(report.contains("| src/not-\u{fffd}-utf8.sh | sh | 1 | 10 |\n"), "{report}");
    let table = file(&results["Report on the Tree"]["Write Report"], "code-report.csv");
    assert!(table.contains("\nmd,1,3,13,0,1,0,0\n"), "{table}");
    let sizes = &results["Report on the Tree"]["Analyze Sizes"]["columns"]["files"];
    assert_eq!((&sizes["count"], &sizes["mean"], &sizes["max"]), (&json!(6), &json!(2.0), &json!(4.0)));
}

#[tokio::test]
async fn this_repository_can_be_measured() {
    let results = report_on(Path::new(env!("CARGO_MANIFEST_DIR"))).await;
    let rust = &results["Measure the Tree"]["Measure Rust"]["types"]["rs"];
    assert!(rust["lines"].as_u64() > Some(1_000), "{rust}");
    assert_eq!(rust["unreadable"], Value::from(Vec::<Value>::new()));
}

#[tokio::test]
async fn an_empty_tree_has_a_report_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = report_on(folder.path()).await;
    assert_eq!(results["Report on the Tree"]["Merge All"]["total"]["files"], 0);
}

/// Measures with these arguments; the end of its standard error when it does not work.
async fn measure(arguments: &[&str], input: Value) -> Result<Value, String> {
    let argv: Vec<&str> = ["python3", "examples/code-report/measure.py"].iter().chain(arguments).copied().collect();
    let runner = trireme::runner::build("command", Some(&json!({ "argv": argv }))).expect("options");
    let assignment = assignment("CodeMeasure", &input);
    let report = runner.run(&assignment, CancellationToken::new()).await;
    report.outcome.map(|result| result.read().expect("JSON")).map_err(|failure| failure.message)
}

#[tokio::test]
async fn what_can_not_be_measured_says_why() {
    let folder = tree();
    let root = folder.path().to_str().expect("a path");
    for (arguments, input, message) in [
        (vec![], json!({ "root": "/no/such/folder", "types": ["rs"] }), "input `root` is no folder here"),
        (vec![], json!({ "root": root }), "input has neither `types` nor `except`, or both"),
        (vec![], json!({ "root": root, "types": ["rs"], "except": ["rs"] }), "input has neither"),
        (vec![], json!({ "root": root, "types": "rs" }), "input `types` is no array of texts"),
        (vec!["--within", root], json!({ "root": "/", "types": ["rs"] }), "input `root` is not in"),
    ] {
        let refused = measure(&arguments, input.clone()).await.expect_err("refused");
        assert!(refused.starts_with(&format!("exit status 1: {message}")), "{input}: {refused}");
    }
    let inside = json!({ "root": format!("{root}/src"), "types": ["rs"] });
    assert_eq!(measure(&["--within", root], inside).await.expect("measured")["types"]["rs"]["files"], 4);
}
