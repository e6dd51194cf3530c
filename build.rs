//! Tells the program its profile, by the name that `--profile` has for it: cargo itself only says on which of its two
//! own ones that is based.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // As in `target/dist/build/trireme-1234/out`.
    let out = env::var("OUT_DIR").unwrap_or_default();
    let folder = Path::new(&out).ancestors().find(|folder| folder.ends_with("build")).and_then(Path::parent);
    let profile = folder.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("unknown");
    let profile = if profile == "debug" { "dev" } else { profile };
    println!("cargo::rustc-env=TRIREME_PROFILE={profile}");
}
