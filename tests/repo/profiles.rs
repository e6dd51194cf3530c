//! `Cargo.toml`: what a profile inherits for a crate that is named beats what it says for all, so it is named again.

use serde_json::{Value, json};

#[test]
fn what_is_not_optimised_to_be_built_quickly_is_in_what_ships() {
    let manifest: Value = toml::from_str(include_str!("../../Cargo.toml")).expect("TOML");
    let profile = |name: &str| manifest["profile"][name]["package"].as_object().expect("crates").clone();
    let cold = profile("release").into_iter().filter(|(_, of_crate)| of_crate["opt-level"] == 0);
    let expected: Vec<_> = cold.map(|(name, _)| (name, json!({ "opt-level": 3 }))).collect();
    assert!(!expected.is_empty());
    assert_eq!(Vec::from_iter(profile("dist")), expected);
}
