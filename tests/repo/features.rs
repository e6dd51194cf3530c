//! Tests run the crates as the binary that ships has them: what a dev dependency switches on is switched on in every test,
//! and none could see that the shipped binary lacks it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What tests have and the binary does not, where nothing that it does can depend on it.
const HARMLESS: [(&str, &[&str], &str); 5] = [
    (
        "hashbrown",
        &["allocator-api2", "default", "equivalent", "inline-more", "raw-entry"],
        "more functions, and the same maps",
    ),
    ("regex-automata", &["dfa-search", "nfa", "perf"], "other ways to the same matches"),
    ("rustix", &["event", "pty"], "system calls that only tests make"),
    ("serde", &["alloc"], "a part of `std`, which is on"),
    ("tokio", &["test-util"], "a clock that stands still only where a test stops it"),
];

/// The crates that are built for these kinds of edges, with their features.
fn resolved(edges: &str, features: &str) -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| env!("CARGO").into());
    let words = ["tree", "--locked", "--prefix", "none", "--format", "{p}|{f}", "--edges", edges];
    let mut command = Command::new(cargo);
    command.args(words).args(["--features", features]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let tree = command.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{said}\nhint: `cargo fetch` brings the crates of all features");
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(tree.stdout).expect("UTF-8").lines() {
        let (name, features) = line.split_once('|').expect("a crate and its features");
        // The mark of what was listed before.
        let features = features.trim_end_matches(" (*)").split(',').filter(|feature| !feature.is_empty());
        crates.entry(name.to_owned()).or_default().extend(features.map(str::to_owned));
    }
    assert!(crates.keys().any(|name| name.starts_with("serde_json v")), "{crates:?}");
    crates
}

/// As in `serde_json: float_roundtrip`, of the crates that both have.
fn more(
    of: &BTreeMap<String, BTreeSet<String>>,
    than: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<(String, String)> {
    let both = than.iter().filter_map(|(name, features)| Some((name, of.get(name)?.difference(features))));
    let bare = |name: &str| name.split(' ').next().unwrap_or(name).to_owned();
    both.flat_map(|(name, more)| more.map(move |feature| (bare(name), feature.clone()))).collect()
}

#[test]
fn no_test_has_a_feature_of_a_crate_that_the_shipped_binary_lacks() {
    let harmless: BTreeSet<(String, String)> = HARMLESS
        .iter()
        .flat_map(|(name, features, _)| features.iter().map(|one| (name.to_string(), one.to_string())))
        .collect();
    for features in ["default", "full"] {
        let found = more(&resolved("normal,dev,build", features), &resolved("normal", features));
        let unknown: Vec<_> = found.difference(&harmless).collect();
        assert!(
            unknown.is_empty(),
            "with the features `{features}` only tests have {unknown:?}: name them in [dependencies], or say here why nothing \
             depends on them"
        );
        if features == "default" {
            assert_eq!(found, harmless, "each exception is needed");
        }
    }
}

/// What reads and writes every value: the same in the quick build, in the image and in the tests, feature by feature.
#[test]
fn values_are_read_and_written_by_the_same_code_in_every_build() {
    let of = |edges: &str, features: &str| {
        let json = resolved(edges, features).into_iter().find(|(name, _)| name.starts_with("serde_json v"));
        json.expect("it is a dependency").1
    };
    let shipped = of("normal", "full");
    assert!(shipped.contains("float_roundtrip") && shipped.contains("raw_value"), "{shipped:?}");
    for (edges, features) in [("normal", "default"), ("normal,dev,build", "default"), ("normal,dev,build", "full")] {
        assert_eq!(of(edges, features), shipped, "{edges} with {features}");
    }
    // Any of these would make another number, another order, or another value of what is the same text.
    for changes in ["arbitrary_precision", "preserve_order", "unbounded_depth"] {
        assert!(!shipped.contains(changes), "{changes}");
    }
}

#[test]
fn what_only_one_has_is_found() {
    let crates = |features: &[&str]| {
        let features: BTreeSet<String> = features.iter().map(|feature| (*feature).to_owned()).collect();
        BTreeMap::from([("serde_json v1.0.0".to_owned(), features)])
    };
    let found = more(&crates(&["std", "float_roundtrip"]), &crates(&["std"]));
    assert_eq!(found, BTreeSet::from([("serde_json".to_owned(), "float_roundtrip".to_owned())]));
    assert!(more(&crates(&["std"]), &crates(&["std"])).is_empty());
}
