//! Running generated Python: its tests, in a folder of their own, in a process group of their own. Where there is
//! no Python the result says that it was not tried, and why; where a test fails there is no result.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::task::File;
use crate::runner::process::{End, Ended, Program, log_text};
use crate::runner::scratch::{self, Scratch};
use crate::runner::start;
use crate::runtime::port::{ExecutorFault, Report};
use crate::wire::{Failure, FailureKind, Raw};

const CHECK: &str = include_str!("../../../templates/code/check.py");
/// The answer of the tests, and what they measured.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// How many failed tests an error message names.
const FAILED_NAMED_MAX: usize = 5;

static CHECKS: scratch::Kind = scratch::Kind::new("trireme-check-");

/// A result that holds when the tests of its files do.
pub(super) struct Unproven {
    pub result: Value,
    pub files: Vec<File>,
    /// Tested by `test_<module>`.
    pub module: String,
}

/// What `check.py` says.
#[derive(Deserialize)]
struct Checked {
    #[serde(default)]
    unchecked: Option<String>,
    #[serde(default)]
    python: String,
    #[serde(default)]
    tests: u32,
    #[serde(default)]
    failed: Vec<String>,
    #[serde(default)]
    measurements: Option<Value>,
}

impl Unproven {
    /// The report of an attempt: the result with what the tests said, or how they failed.
    pub(super) async fn prove(self, python: &str, stop: &CancellationToken) -> Report {
        let Self { mut result, files, module } = self;
        let folder = match tokio::task::spawn_blocking(move || lay(&files)).await {
            Ok(Ok(folder)) => folder,
            Ok(Err(error)) => {
                let reason = format!("there is no folder to test generated code in: {error}");
                return Report::unable(ExecutorFault { reason, may_pass: true });
            }
            Err(error) => return Report::failed(Failure::new(FailureKind::Crashed, error.to_string())),
        };
        let ended = match check(python, folder.path(), &module).run(stop, |_| {}).await {
            Ok(ended) => ended,
            Err(error) => match start::fault(&check(python, folder.path(), &module), &error) {
                fault if fault.may_pass => return Report::unable(fault),
                fault => return unchecked(result, fault.reason),
            },
        };
        let log = Some(log_text(&ended.stderr)).filter(|log| !log.is_empty());
        let outcome = match verdict(&ended, log.as_deref().unwrap_or_default()) {
            Err(failure) => Err(failure),
            Ok(Checked { unchecked: Some(reason), .. }) => return unchecked(result, reason),
            Ok(checked) => {
                result["checked"] = json!({ "python": checked.python, "tests": checked.tests, "failed": 0 });
                if let Some(measurements) = checked.measurements {
                    result["measurements"] = measurements;
                }
                Ok(Raw::from(result))
            }
        };
        Report { outcome, log, fault: None }
    }
}

fn unchecked(mut result: Value, reason: String) -> Report {
    result["checked"] = Value::Null;
    result["unchecked_because"] = reason.into();
    Report::completed(Raw::from(result))
}

/// Writes the files side by side, and the program that tests them apart from them.
fn lay(files: &[File]) -> io::Result<Scratch> {
    let folder = CHECKS.make()?;
    std::fs::write(folder.path().join("check.py"), CHECK)?;
    for file in files {
        let path = folder.path().join("code").join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, &file.text)?;
    }
    Ok(folder)
}

fn check(python: &str, folder: &Path, module: &str) -> Program {
    let words = [OsString::from(python), "-B".into(), "check.py".into(), "code".into(), module.into()];
    let inherited = ["PATH", "HOME", "LANG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut env: BTreeMap<String, OsString> = inherited.map(|(name, value)| (name.to_owned(), value)).collect();
    // What the tests put away goes when the folder does.
    env.insert("TMPDIR".into(), folder.into());
    env.insert("PYTHONIOENCODING".into(), "utf-8".into());
    Program {
        argv: words.into(),
        cwd: Some(folder.to_path_buf()),
        env,
        stdin: Vec::new(),
        output_max: OUTPUT_BYTES_MAX,
    }
}

fn verdict(ended: &Ended, log: &str) -> Result<Checked, Failure> {
    let last = log.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    match ended.end {
        End::Exited(0) => {}
        End::Exited(code) => {
            return Err(Failure::permanent(format!("the generated code does not run (exit status {code}): {last}")));
        }
        End::Signalled(signal) => {
            return Err(Failure::new(FailureKind::Crashed, format!("the tests were ended by signal {signal}")));
        }
        End::TooMuchOutput => return Err(Failure::permanent("the tests wrote too much")),
        End::Stopped => return Err(Failure::new(FailureKind::Cancelled, "stopped while the tests ran")),
    }
    let checked: Checked = serde_json::from_slice(&ended.stdout)
        .map_err(|error| Failure::permanent(format!("the tests' answer can not be read: {error}")))?;
    match (&checked.unchecked, checked.failed.as_slice(), checked.tests) {
        (Some(_), ..) => Ok(checked),
        (None, [], 0) => Err(Failure::permanent("the generated code has no tests")),
        (None, [], _) => Ok(checked),
        (None, failed, tests) => {
            let names = failed.iter().take(FAILED_NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join("`, `");
            Err(Failure::permanent(format!("{} of {tests} tests failed: `{names}`", failed.len())))
        }
    }
}
