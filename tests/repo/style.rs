//! The language of the house: `docs/style.md`. Two of its rules are counted here against a baseline that only falls: a
//! rewrite lowers the number, and nothing that is written later may raise it.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that a doc comment does not begin with: the thing that it is about is named instead.
const INDIRECT: [&str; 15] = [
    "What", "Whatever", "Whether", "Who", "Whoever", "Whose", "How", "So many", "So much", "Of", "None", "Those",
    "That", "It", "Nobody",
];

/// Words and phrases that hide who acts, or are no plain English.
const BANNED: [&str; 10] = [
    "nobody",
    "somebody",
    "anybody",
    "whoever",
    "whatever",
    "anew",
    "can not",
    "at the most",
    "of before",
    "once more",
];

/// By folder: the doc comments in a hundred that begin with an indirect word, and the banned words in all its texts.
const BASELINES: [(&str, u32, u32); 15] = [
    ("README.md", 0, 24),
    ("ARCHITECTURE.md", 0, 50),
    ("docs", 0, 7),
    ("bin", 31, 141),
    ("src/config", 33, 16),
    ("src/domain", 32, 235),
    ("src/planner", 16, 22),
    ("src/runner", 16, 51),
    ("src/runtime", 31, 259),
    ("src/store", 25, 28),
    ("src/telemetry", 34, 2),
    ("src/transport", 23, 57),
    ("src/wire", 22, 17),
    ("tests", 23, 362),
    ("findings", 0, 2),
];

/// How far below its baseline a folder may be before the baseline has to follow.
const SLACK_PERCENT: u32 = 2;
const SLACK_WORDS: u32 = 15;

/// The first line of each doc comment.
fn openings(text: &str) -> impl Iterator<Item = &str> {
    let doc = |line: &str| line.trim_start().starts_with("///") || line.trim_start().starts_with("//!");
    let mut was_doc = false;
    text.lines().filter(move |line| !std::mem::replace(&mut was_doc, doc(line)) && doc(line)).map(|line| {
        let line = line.trim_start();
        line.trim_start_matches(['/', '!']).trim_start()
    })
}

fn is_indirect(opening: &str) -> bool {
    INDIRECT.iter().any(|word| opening.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
}

/// How often banned words occur; they may be broken over two lines.
fn banned(text: &str) -> u32 {
    let words = text.to_lowercase();
    let words: Vec<&str> =
        words.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let count = |phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).filter(|window| **window == *phrase).count()
    };
    u32::try_from(BANNED.iter().map(|phrase| count(phrase)).sum::<usize>()).expect("a small number")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    if folder.is_file() {
        found.push(folder.to_owned());
        return;
    }
    for entry in fs::read_dir(folder).expect("a folder of the repository").flatten() {
        files(&entry.path(), found);
    }
}

/// The share of indirect openings, in a hundred, and the banned words of a folder or a file.
fn measure(place: &str) -> (u32, u32) {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(place), &mut found);
    let is_text = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "rs" || ending == "md");
    // These name the words that they are about.
    let is_about_words = |path: &PathBuf| path.ends_with("docs/style.md") || path.ends_with("tests/repo/style.rs");
    let texts = found.iter().filter(|path| is_text(path) && !is_about_words(path));
    let texts: Vec<String> = texts.map(|path| fs::read_to_string(path).expect("a text")).collect();
    let all: Vec<bool> = texts.iter().flat_map(|text| openings(text)).map(is_indirect).collect();
    let indirect = all.iter().filter(|indirect| **indirect).count();
    let share = (indirect * 100).div_ceil(all.len().max(1));
    (u32::try_from(share).expect("a percentage"), texts.iter().map(|text| banned(text)).sum())
}

#[test]
fn indirect_openings_and_banned_words_only_become_fewer() {
    let mut faults = Vec::new();
    for (place, share_max, words_max) in BASELINES {
        let (share, words) = measure(place);
        if share > share_max || words > words_max {
            faults.push(format!(
                "{place}: {share}% of doc comments begin with an indirect word (at most {share_max}%), {words} banned \
                 words (at most {words_max}): see docs/style.md"
            ));
        } else if share + SLACK_PERCENT < share_max || words + SLACK_WORDS < words_max {
            faults.push(format!("{place}: it is better than its baseline: write {share} and {words} into this file"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_planted_sentence_is_noticed() {
    let text = "/// What it is.\n/// It goes on.\nfn a() {}\n\n//! The name of it.\n/// Ofen\n/// Of all.\n\n    /// So many of it.\n";
    let found: Vec<bool> = openings(text).map(is_indirect).collect();
    assert_eq!(found, [true, false, true], "the first line of each comment, by whole words");
    assert_eq!(banned("Nobody has it, so it can\n/// not be sent anew; \"cannot\" is fine."), 3);
}
