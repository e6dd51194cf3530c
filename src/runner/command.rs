//! `command`: runs a program. Standard input is the content of the ExecuteSubtask message as it is on the wire;
//! how the program ends is how the attempt ends:
//!
//! | the program | the attempt |
//! | --- | --- |
//! | exits 0 | completed; standard output, whole, is one JSON value, and nothing at all is null |
//! | exits 0 with anything else on standard output | `permanent` |
//! | exits 75, or writes a last line `{"retry_after_ms": N}` to standard error and does not exit 0 | `transient` |
//! | is ended by a signal that is not ours | `crashed` |
//! | exits in any other way, or writes too much | `permanent` |
//! | can not be started, or lacks a shared library or its interpreter | goes to another executor (see [`start`]) |
//!
//! While it runs it may say how far it is: a line `{"progress": {"done": 3, "of": 10, "note": "pages"}}` on standard
//! error, of which `of` and `note` may be left out. The end of standard error is the attempt's log. There is no shell: `argv` goes to the program word by word,
//! and of the environment only what is named gets through. The argv is the settings'; nothing that a client
//! submits is ever a part of it.

use std::ffi::OsString;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::options::BuildError;
use super::process::{ERRORS_BYTES_MAX, End, FILES_MAX, Program, log_text};
use super::start;
use crate::runtime::port::{Assignment, ExecutorFault, Report, Runner};
use crate::wire::codec::ENVELOPE_BYTES_MAX;
use crate::wire::content::{ExecuteSubtask, Progress};
use crate::wire::{Content, Failure, FailureKind, Raw};

pub(super) const OPTIONS: [&str; 4] = ["argv", "cwd", "env", "output_max"];

#[derive(Deserialize)]
pub(super) struct Options {
    /// The program and its arguments. A relative path in it is relative to `cwd`.
    argv: Vec<String>,
    /// Where it runs; without it, where the worker runs.
    #[serde(default)]
    cwd: Option<PathBuf>,
    /// Names of environment variables that it gets beside the usual ones.
    #[serde(default)]
    env: Vec<String>,
    /// The most that it may write to standard output, in bytes.
    #[serde(default = "output_max")]
    output_max: usize,
}

/// A log may take twice its length in JSON, and the rest of the envelope wants room too.
const ROOM: usize = 2 * ERRORS_BYTES_MAX + 32 * 1024;

fn output_max() -> usize {
    ENVELOPE_BYTES_MAX - ROOM
}

/// The variables that every program gets, when they are set.
const USUAL: [&str; 3] = ["PATH", "HOME", "LANG"];
/// A program's wish to be tried again: `EX_TEMPFAIL` of sysexits.
const TRY_AGAIN: i32 = 75;
/// How much of a program's own words goes into an error message.
const QUOTE_CHARS_MAX: usize = 300;

pub(super) struct Command {
    options: Options,
}

impl Command {
    pub(super) fn new(options: Options) -> Result<Self, BuildError> {
        let bad = |message: String| Err(BuildError::bad_option("command", message));
        if options.argv.first().is_none_or(String::is_empty) {
            return bad("`argv` names no program".into());
        }
        if options.argv.iter().any(|word| word.contains('\0')) {
            return bad("`argv` has a NUL character".into());
        }
        if let Some(name) = options.env.iter().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return bad(format!("`env` has `{}`, which is no variable's name", name.escape_default()));
        }
        if !(1..=ENVELOPE_BYTES_MAX).contains(&options.output_max) {
            return bad(format!("`output_max` is not between 1 and {ENVELOPE_BYTES_MAX}"));
        }
        Ok(Self { options })
    }

    /// The program, with nothing of a command but its standard input.
    fn program(&self, stdin: Vec<u8>) -> Program {
        let names = USUAL.into_iter().chain(self.options.env.iter().map(String::as_str));
        Program {
            argv: self.options.argv.iter().map(OsString::from).collect(),
            cwd: self.options.cwd.clone(),
            env: names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect(),
            stdin,
            output_max: self.options.output_max,
        }
    }

    fn program_for(&self, command: &ExecuteSubtask) -> Result<Program, serde_json::Error> {
        let mut program = self.program(serde_json::to_vec(&Content::ExecuteSubtask(command.clone()))?);
        let told = [
            ("TRIREME_PROJECT_ID", command.project_id.to_string()),
            ("TRIREME_SUBTASK_ID", command.subtask_id.to_string()),
            ("TRIREME_ATTEMPT", command.attempt.to_string()),
        ];
        program.env.extend(told.map(|(name, value)| (name.to_owned(), value.into())));
        Ok(program)
    }

    /// The executor's fault that an exit status of a shell, of `env` or of the loader stands for: what was to be run was
    /// not found (127) or may not be run (126). A program may end with these of itself, so something has to be wrong.
    fn fault_of(&self, end: End, log: &str) -> Option<ExecutorFault> {
        let End::Exited(status) = end else { return None };
        match start::of_loader(status, log) {
            Some(line) => Some(ExecutorFault { reason: quote(line), may_pass: false }),
            None if matches!(status, 126 | 127) => self.look().err(),
            None => None,
        }
    }
}

#[async_trait]
impl Runner for Command {
    fn look(&self) -> Result<(), ExecutorFault> {
        start::look(&self.program(Vec::new()))
    }

    fn files_per_attempt(&self) -> u32 {
        FILES_MAX
    }

    async fn run(&self, assignment: &Assignment, stop: CancellationToken) -> Report {
        let program = match self.program_for(&assignment.command) {
            Ok(program) => program,
            Err(error) => return Report::failed(Failure::permanent(format!("the command is no JSON: {error}"))),
        };
        let said = |line: &[u8]| {
            if let Some(progress) = progress(line) {
                assignment.report(progress);
            }
        };
        match program.run(&stop, said).await {
            Err(error) => Report::unable(start::fault(&self.program(Vec::new()), &error)),
            Ok(ended) => {
                let log = log_text(&ended.stderr);
                if let Some(fault) = self.fault_of(ended.end, &log) {
                    return Report { log: Some(log), ..Report::unable(fault) };
                }
                let outcome = outcome(ended.end, ended.stdout, &log, self.options.output_max);
                Report { outcome, log: (!log.is_empty()).then_some(log), fault: None }
            }
        }
    }
}

fn outcome(end: End, stdout: Vec<u8>, log: &str, output_max: usize) -> Result<Raw, Failure> {
    match end {
        End::Exited(0) => result(stdout),
        End::Exited(code) => {
            let retry_after_ms = retry_after_ms(log);
            let transient = code == TRY_AGAIN || retry_after_ms.is_some();
            let kind = if transient { FailureKind::Transient } else { FailureKind::Permanent };
            Err(Failure {
                kind,
                message: format!("exit status {code}{}", last_words(log)),
                retry_after_ms,
                avoid: false,
            })
        }
        End::Signalled(signal) => {
            Err(Failure::new(FailureKind::Crashed, format!("ended by signal {signal}{}", last_words(log))))
        }
        End::TooMuchOutput => {
            Err(Failure::permanent(format!("more than {output_max} bytes on standard output, the most it may write")))
        }
        End::Stopped => Err(Failure::new(FailureKind::Cancelled, "stopped")),
    }
}

fn result(stdout: Vec<u8>) -> Result<Raw, Failure> {
    let refused = |why: String| Failure::permanent(format!("standard output is not one JSON value: {why}"));
    let text = String::from_utf8(stdout).map_err(|error| refused(error.utf8_error().to_string()))?;
    if text.trim().is_empty() {
        return Ok(Raw::null());
    }
    let begin = quote(&text);
    Raw::parse(text).map_err(|error| refused(format!("{error}, in `{begin}`")))
}

/// How far it is, if the line says that.
fn progress(line: &[u8]) -> Option<Progress> {
    #[derive(Deserialize)]
    struct Said {
        progress: Progress,
    }
    serde_json::from_slice::<Said>(line).ok().map(|said| said.progress)
}

/// The wish on the last line, if that is one.
fn retry_after_ms(log: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Wish {
        retry_after_ms: u64,
    }
    serde_json::from_str::<Wish>(last_line(log)?).ok().map(|wish| wish.retry_after_ms)
}

/// The last line that says anything but how far it was.
fn last_line(log: &str) -> Option<&str> {
    log.lines().map(str::trim).rfind(|line| !line.is_empty() && progress(line.as_bytes()).is_none())
}

fn last_words(log: &str) -> String {
    last_line(log).map(|line| format!(": {}", quote(line))).unwrap_or_default()
}

fn quote(text: &str) -> String {
    let mut quote: String = text.trim().chars().filter(|character| *character != '\0').take(QUOTE_CHARS_MAX).collect();
    if text.trim().chars().nth(QUOTE_CHARS_MAX).is_some() {
        quote.push_str("...");
    }
    quote
}

#[cfg(test)]
mod tests;
