//! The shape of the house, read off its source text: which way imports go, who may name which library, and what
//! a pure layer is made of. Each rule is a line in a table, and each is shown to bite.

use std::path::{Path, PathBuf};

/// From the ground up: a layer imports only from lower ones, and nothing from beside it.
const LAYERS: [(&str, u8); 11] = [
    ("wire", 0),
    ("broken", 0),
    ("domain", 1),
    ("runtime", 2),
    ("transport", 3),
    ("store", 3),
    ("planner", 3),
    ("runner", 3),
    ("telemetry", 4),
    ("config", 5),
    ("bin", 6),
];

/// A word that only files under some paths may have in their code.
struct Reserved {
    word: &'static str,
    only: &'static [&'static str],
    because: &'static str,
}

const RESERVED: [Reserved; 5] = [
    Reserved {
        word: "lapin",
        // The benchmark measures against the plainest program that one would write on the library itself.
        only: &["src/transport/rabbit/", "bin/trireme/bench"],
        because: "one adapter knows the broker's library",
    },
    Reserved {
        word: "rusqlite",
        // The template runner tries SQL that it made on an in-memory database: no store of ours.
        only: &["src/store/", "src/runner/template/"],
        because: "one adapter knows the database's library",
    },
    Reserved { word: "tokio_postgres", only: &["src/store/"], because: "one adapter knows the database's library" },
    Reserved { word: "deadpool_postgres", only: &["src/store/"], because: "one adapter knows the database's library" },
    Reserved { word: "tracing_subscriber", only: &["src/telemetry/"], because: "one place sets the log up" },
];

/// Words that do not occur in the code of a layer, its tests apart.
const FORBIDDEN: [(&str, &[&str], &str); 3] = [
    (
        "src/domain/",
        &[
            "async",
            "await",
            "tokio",
            "tracing",
            "SystemTime",
            "Instant",
            "std::fs",
            "std::env",
            "std::net",
            "now_v7",
            "new_v4",
            "Timestamp::now",
            "HashMap",
            "HashSet",
            "thread",
        ],
        "the domain is a pure function of state, input and time",
    ),
    (
        "src/wire/",
        &["async", "await", "tokio", "tracing", "SystemTime", "Instant", "Timestamp::now", "HashMap", "HashSet"],
        "what travels is plain data",
    ),
    (
        "src/runtime/",
        &["HashMap", "HashSet", "SystemTime", "rand", "now_v7", "new_v4", "Timestamp::now"],
        "a simulation owns order, time and ids",
    ),
];

/// The port's own file is where the machine's clock and its ids are.
const CLOCK: &str = "src/runtime/port/clock.rs";

/// The typical file has 100 to 250 lines; beyond this it is two nouns.
const LINES_MAX: usize = 500;

/// What is wrong with one file.
fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |line: usize, what: String| faults.push(format!("{path}:{line}: {what}"));
    if !text.starts_with("//!") {
        fault(1, "does not open with `//!`: what it is for, what it must never do".into());
    }
    if text.lines().count() > LINES_MAX {
        fault(LINES_MAX, format!("has {} lines, the most is {LINES_MAX}", text.lines().count()));
    }
    let is_test = path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("tests/");
    let layer = layer_of(path);
    for (number, line) in code(text).iter().enumerate().map(|(at, line)| (at + 1, line)) {
        for other in imported(path, line) {
            let (Some((own, rank)), Some((name, below))) = (layer, layer_named(&other)) else { continue };
            if own != name && below >= rank && !is_test {
                fault(number, format!("`{own}` imports `{name}`, which is not below it"));
            }
        }
        for Reserved { word, only, because } in &RESERVED {
            if has_word(line, word) && layer.is_some() && !only.iter().any(|place| path.starts_with(place)) {
                fault(number, format!("names `{word}`, which only {} may: {because}", only.join(", ")));
            }
        }
        for (place, words, because) in &FORBIDDEN {
            if !path.starts_with(place) || is_test || path == CLOCK {
                continue;
            }
            for word in words.iter().filter(|word| has_word(line, word)) {
                fault(number, format!("has `{word}`: {because}"));
            }
        }
    }
    faults
}

fn layer_of(path: &str) -> Option<(&'static str, u8)> {
    if path.starts_with("bin/") {
        return layer_named("bin");
    }
    let name = path.strip_prefix("src/")?.split(['/', '.']).next()?;
    layer_named(name)
}

fn layer_named(name: &str) -> Option<(&'static str, u8)> {
    LAYERS.into_iter().find(|(layer, _)| *layer == name)
}

/// The layers that a line of code names: by `crate::x`, `crate::{x, y::...}`, or `super::super::x`.
fn imported(path: &str, line: &str) -> Vec<String> {
    let mut found = Vec::new();
    // `super` at the top of a layer's module is the crate; each folder below it takes one more.
    let depth = path.trim_start_matches("src/").trim_end_matches("/mod.rs").trim_end_matches(".rs").split('/').count();
    let supers = "super::".repeat(depth);
    for root in ["crate::", supers.as_str()] {
        for (at, _) in line.match_indices(root) {
            let after = &line[at + root.len()..];
            let is_whole = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if !is_whole {
                continue;
            }
            match after.strip_prefix('{') {
                None => found.extend(first_word(after)),
                Some(group) => found.extend(parts(group).filter_map(first_word)),
            }
        }
    }
    found
}

/// The parts of a `{...}` at its own level.
fn parts(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    let mut is_closed = false;
    group.split(move |c: char| {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => is_closed = true,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0 && !is_closed
    })
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// Whether `word`, which may be a path, occurs in `line` by itself.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(joins) && !line[at + word.len()..].starts_with(joins))
}

/// The lines of a file without comments and texts; what a `use` spreads over several lines is put on its first.
/// Everything from `#[cfg(test)]` with a module in the same file on is left out: tests may do more.
fn code(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open_use: Option<usize> = None;
    let mut all = text.lines().peekable();
    while let Some(line) = all.next() {
        let opens_tests =
            line.trim() == "#[cfg(test)]" && all.peek().is_some_and(|next| next.trim_end().ends_with('{'));
        if opens_tests {
            break;
        }
        let bare = bare(line);
        match open_use {
            Some(first) => {
                lines[first].push_str(bare.trim());
                lines.push(String::new());
            }
            None => lines.push(bare.clone()),
        }
        let is_use = bare.trim_start().trim_start_matches("pub ").starts_with("use ");
        if open_use.is_none() && is_use {
            open_use = Some(lines.len() - 1);
        }
        if bare.contains(';') {
            open_use = None;
        }
    }
    lines
}

/// A line without what stands in quotes, and without what follows `//`.
fn bare(line: &str) -> String {
    let mut bare = String::new();
    let mut characters = line.chars().peekable();
    let mut in_text = false;
    while let Some(c) = characters.next() {
        match c {
            '\\' if in_text => drop(characters.next()),
            '"' => in_text = !in_text,
            '/' if !in_text && characters.peek() == Some(&'/') => break,
            c if !in_text => bare.push(c),
            _ => {}
        }
    }
    bare
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of this package") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn the_house_has_its_shape() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["src", "bin", "tests"].iter().for_each(|folder| sources(&root.join(folder), &mut files));
    files.sort();
    assert!(files.len() > 20, "only {} files were found", files.len());
    let faults: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            faults(&name, &std::fs::read_to_string(path).expect("a source file"))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Every layer is known here, so that a new one can not stand outside the rules.
#[test]
fn every_module_is_a_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("src/lib.rs")).expect("the crate's root");
    for module in text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        assert!(layer_named(module).is_some(), "`{module}` is not in the list of layers");
    }
}

#[test]
fn each_rule_bites() {
    for (path, line, expected) in [
        ("src/domain/a.rs", "use crate::planner::Library;", "`domain` imports `planner`"),
        ("src/domain/a.rs", "use crate::{wire, runtime::port::Clock};", "`domain` imports `runtime`"),
        (
            "src/domain/a.rs",
            "use crate::{\n    wire::{Raw, store},\n    store::Sqlite,\n};",
            "`domain` imports `store`",
        ),
        ("src/domain/a.rs", "let x = crate::config::Settings::new();", "`domain` imports `config`"),
        ("src/domain/phase/a.rs", "use super::super::super::runtime::port;", "`domain` imports `runtime`"),
        ("src/domain/mod.rs", "use super::runtime;", "`domain` imports `runtime`"),
        ("src/store/a.rs", "use crate::transport::Memory;", "`store` imports `transport`"),
        ("src/wire/a.rs", "pub use crate::domain::check;", "`wire` imports `domain`"),
        ("src/runtime/a.rs", "use lapin::Channel;", "names `lapin`"),
        ("src/transport/memory.rs", "fn f(c: &lapin::Channel) {}", "names `lapin`"),
        ("bin/trireme/main.rs", "use tokio_postgres::Client;", "names `tokio_postgres`"),
        ("src/runner/command.rs", "use rusqlite::Connection;", "names `rusqlite`"),
        ("src/domain/a.rs", "async fn f() {}", "has `async`"),
        ("src/domain/a.rs", "tracing::info!(x);", "has `tracing`"),
        ("src/domain/a.rs", "let now = jiff::Timestamp::now();", "has `Timestamp::now`"),
        ("src/domain/a.rs", "let now = std::time::Instant::now();", "has `Instant`"),
        ("src/domain/a.rs", "use std::collections::HashMap;", "has `HashMap`"),
        ("src/runtime/a.rs", "let seen: std::collections::HashSet<u8>;", "has `HashSet`"),
        ("src/runtime/a.rs", "let id = uuid::Uuid::now_v7();", "has `now_v7`"),
    ] {
        let found = faults(path, &format!("//! A file.\n\n{line}\n"));
        assert_eq!(found.len(), 1, "{path}: {line}: {found:?}");
        assert!(found[0].starts_with(&format!("{path}:3: {expected}")), "{}", found[0]);
    }
    assert_eq!(faults("src/domain/a.rs", "fn f() {}\n").len(), 1);
    assert_eq!(faults("src/domain/a.rs", &format!("//! Long.\n{}", "fn f() {}\n".repeat(LINES_MAX))).len(), 1);
}

#[test]
fn what_is_allowed_is_let_through() {
    for (path, line) in [
        ("src/domain/a.rs", "use crate::wire::{Raw, codec};"),
        ("src/domain/phase/a.rs", "use super::super::check;"),
        ("src/domain/a.rs", "// not async, no tracing, crate::config"),
        ("src/domain/a.rs", "let text = \"async \\\" crate::config HashMap\"; // HashMap"),
        ("src/domain/a.rs", "let asynchronous = instant_of(HashMapped);"),
        ("src/domain/a.rs", "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}"),
        ("src/domain/check/tests.rs", "use std::time::Instant;"),
        ("src/runtime/lane/tests.rs", "use crate::transport::memory;"),
        ("src/runtime/port/clock.rs", "Uuid::now_v7();"),
        ("src/transport/rabbit/mod.rs", "use lapin::Channel;"),
        ("src/runner/template/sql.rs", "use rusqlite::Connection;"),
        ("bin/trireme/main.rs", "use trireme::config::Settings;"),
        ("tests/contract/rabbit.rs", "use lapin::Channel;"),
        ("src/config/mod.rs", "use crate::{planner::document, telemetry::Format};"),
    ] {
        assert_eq!(faults(path, &format!("//! A file.\n\n{line}\n")), Vec::<String>::new(), "{path}: {line}");
    }
}
