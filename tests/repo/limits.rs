//! `docs/limits.md` says what the constants say, and leaves out none of those that people meet.

use std::collections::BTreeSet;
use std::path::Path;

/// Files whose limits people meet: all of them stand in the table.
const MET: [&str; 8] = [
    "src/domain/check.rs",
    "src/domain/expand.rs",
    "src/wire/codec.rs",
    "src/wire/id.rs",
    "src/config/mod.rs",
    "src/config/terms.rs",
    "src/planner/document.rs",
    "bin/trireme/files.rs",
];

/// But these.
const NOT_MET: [(&str, &str); 6] = [
    ("SUBTASK_NAME_BYTES_MAX", "the same limit, for a name that a planner makes of a goal's"),
    ("CIRCLE_NAMES_MAX", "how much of an error is printed"),
    ("DETAIL_CHARS_MAX", "how much of an error is printed"),
    ("USUAL_BYTES", "a guess of a length, and no limit"),
    ("TIMEOUT_MAX", "TIMEOUT_MS_MAX as a duration"),
    ("BACKOFF_MAX", "BACKOFF_MS_MAX as a duration"),
];

struct Row {
    said: u64,
    name: String,
    file: String,
}

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn rows(text: &str) -> Vec<Row> {
    let is_row = |line: &&str| line.starts_with('|') && !line.contains("| --- |") && !line.ends_with("| constant |");
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, most, beyond, constant] = cells[..] else { panic!("not four cells: {line}") };
        assert!(!beyond.is_empty(), "it does not say what happens: {line}");
        let (name, file) = constant.split_once(" in ").expect("`NAME` in `file`");
        let bare = |text: &str| text.trim_matches('`').to_owned();
        Row { said: number(most), name: bare(name), file: bare(file) }
    };
    text.lines().filter(is_row).map(row).collect()
}

/// As in `1,000`, `512 KiB`, `30 days` (in milliseconds), or `60 levels`.
fn number(text: &str) -> u64 {
    let mut words = text.split(' ');
    let digits = words.next().expect("a number").replace(',', "");
    let count: u64 = digits.parse().unwrap_or_else(|_| panic!("no number: {text}"));
    count
        * match words.next() {
            Some("KiB") => 1024,
            Some("MiB") => 1024 * 1024,
            Some("s") => 1_000,
            Some("hours") => 60 * 60 * 1_000,
            Some("days") => 24 * 60 * 60 * 1_000,
            _ => 1,
        }
}

/// What a file says that a constant is, or what a function without arguments gives.
fn text_of<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let by_const = source.match_indices(&format!("const {name}: ")).next().map(|(at, _)| &source[at..]);
    if let Some(from) = by_const {
        return Some(from.split_once(" = ")?.1.split_once(';')?.0.trim());
    }
    let (_, body) = source.split_once(&format!("fn {name}() -> usize {{\n"))?;
    Some(body.split_once("\n}")?.0.trim())
}

/// The value of a constant, durations in milliseconds.
fn value(file: &str, name: &str) -> u64 {
    let source = read(file);
    match text_of(&source, name) {
        Some(text) => evaluate(file, text),
        None => panic!("{file} has no constant {name}"),
    }
}

/// A duration, or a sum or difference of products: all that constants are made of.
fn evaluate(file: &str, text: &str) -> u64 {
    for (call, unit) in [("Duration::from_secs(", 1_000), ("Duration::from_millis(", 1)] {
        if let Some(inner) = text.trim().strip_prefix(call) {
            return unit * evaluate(file, inner.strip_suffix(')').expect("closed"));
        }
    }
    let (mut total, mut adds) = (0u64, true);
    for word in text.replace(" + ", "\n+\n").replace(" - ", "\n-\n").lines() {
        match word {
            "+" => adds = true,
            "-" => adds = false,
            product => {
                let product =
                    product.split(" / ").map(|factors| factors.split(" * ").map(|one| atom(file, one)).product());
                let product = product.reduce(|whole: u64, part: u64| whole / part).expect("a number");
                total = if adds { total + product } else { total - product };
            }
        }
    }
    total
}

fn atom(file: &str, text: &str) -> u64 {
    let text = text.split(" as ").next().unwrap_or(text).trim();
    if text == "u16::MAX" {
        return u16::MAX.into();
    }
    if let Ok(number) = text.replace('_', "").parse() {
        return number;
    }
    let name = text.rsplit("::").next().expect("a name");
    let own = text_of(&read(file), name).is_some();
    let file = if own { file } else { home(name) };
    value(file, name)
}

/// Where a constant is that is named in another file.
fn home(name: &str) -> &'static str {
    match name {
        "ENVELOPE_BYTES_MAX" => "src/wire/codec.rs",
        "TIMEOUT_MS_MAX" | "BACKOFF_MS_MAX" => "src/domain/check.rs",
        "ERRORS_BYTES_MAX" => "src/runner/process.rs",
        _ => panic!("where is {name}?"),
    }
}

#[test]
fn every_number_in_the_table_is_that_of_its_constant() {
    let rows = rows(&read("docs/limits.md"));
    assert!(rows.len() > 45, "only {} rows were found", rows.len());
    for Row { said, name, file } in rows {
        assert_eq!(said, value(&file, &name), "{name} in {file}: the table's number is on the left");
    }
}

#[test]
fn no_limit_that_people_meet_is_missing_in_the_table() {
    let rows = rows(&read("docs/limits.md"));
    let mut left_out = BTreeSet::new();
    for file in MET {
        let source = read(file);
        let names = source.lines().filter_map(|line| {
            let name = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix("const ")?;
            Some(name.split_once(':')?.0)
        });
        for name in names.filter(|name| name.ends_with("_MAX") || name.ends_with("_BYTES")) {
            let is_there = rows.iter().any(|row| row.name == name && row.file == file);
            let is_excepted = NOT_MET.iter().any(|(not_met, _)| *not_met == name);
            assert!(is_there || is_excepted, "{name} in {file} is not in docs/limits.md");
            assert!(!(is_there && is_excepted), "{name} in {file} is an exception, and in docs/limits.md");
            left_out.extend(is_excepted.then(|| name.to_owned()));
        }
    }
    let excepted = NOT_MET.map(|(name, _)| name.to_owned());
    assert_eq!(left_out, BTreeSet::from(excepted), "each exception is needed");
}

#[test]
fn numbers_are_read_as_people_write_them_and_constants_as_the_compiler_does() {
    for (text, expected) in
        [("1,000,000", 1_000_000), ("512 KiB", 524_288), ("60 levels", 60), ("30 days", 2_592_000_000)]
    {
        assert_eq!(number(text), expected, "{text}");
    }
    for (text, expected) in [
        ("1024 * 1024 - 2 * 64", 1_048_448),
        ("Duration::from_secs(24 * 60 * 60)", 86_400_000),
        ("u16::MAX as u32", 65_535),
        ("16 * 10 / 20 + 1_000", 1_008),
        ("Duration::from_millis(crate::domain::check::TIMEOUT_MS_MAX)", 2_592_000_000),
    ] {
        assert_eq!(evaluate("src/wire/codec.rs", text), expected, "{text}");
    }
}
