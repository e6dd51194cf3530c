//! The work of a subtask: a program that the `command` runner of the shipped executor starts. It writes into the
//! ledger of its executor what it was handed, works for a while, writes what it answers, and answers.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use trireme::wire::ProjectId;
use uuid::Uuid;

use crate::ledger::{Answer, Book, Work, now_us};

/// The variable that names the file of the ledger; an executor is given it when it is started.
pub const LEDGER: &str = "CHAOS_LEDGER";

/// The run that something was left behind by.
const RUN: &str = "CHAOS_RUN";
/// Work that takes longer than this says that it is there, and leaves a process behind.
const LONG_MS: u64 = 1_000;
const ALIVE_EVERY: Duration = Duration::from_millis(50);
const LINGERS: Duration = Duration::from_secs(20);

/// What a subtask is handed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    pub salt: u64,
    pub ms: u64,
}

/// The content of an ExecuteSubtask message, as far as it matters here.
#[derive(Deserialize)]
struct Command {
    project_id: ProjectId,
    task_name: String,
    attempt: u32,
    input: Input,
    deps: BTreeMap<String, Answer>,
}

/// Works through one command on standard input.
pub fn run() -> Result<(), String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| format!("no command: {error}"))?;
    let Command { project_id, task_name, attempt, input, deps } =
        serde_json::from_str(&text).map_err(|error| format!("`{text}`: {error}"))?;
    let path = std::env::var_os(LEDGER).map(PathBuf::from).ok_or_else(|| format!("{LEDGER} is not set"))?;
    let book = Book::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let write = |line: &Work| book.add(line).map_err(|error| format!("{}: {error}", path.display()));

    let run = Uuid::now_v7();
    let value = value(&task_name, &input, deps.iter().map(|(name, answer)| (name.as_str(), answer.value.as_str())));
    write(&Work::Ran { at_us: now_us(), run, project: project_id, name: task_name, attempt, deps })?;
    if input.ms > LONG_MS {
        leave_something_behind(run)?;
    }
    let until = Instant::now() + Duration::from_millis(input.ms);
    while Instant::now() < until {
        std::thread::sleep((until - Instant::now()).min(ALIVE_EVERY));
        if input.ms > LONG_MS {
            write(&Work::Alive { at_us: now_us(), run })?;
        }
    }
    write(&Work::Answered { at_us: now_us(), run, value: value.clone() })?;
    let answer = serde_json::to_string(&Answer { value, run }).map_err(|error| error.to_string())?;
    // An executor that was killed meanwhile does not read it any more: that is not the work's matter.
    let _ = io::stdout().write_all(answer.as_bytes());
    Ok(())
}

/// Starts a process in a session of its own, which nobody waits for: it goes on until somebody ends it.
fn leave_something_behind(run: Uuid) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = std::process::Command::new("setsid");
    command.arg(this).arg("linger").env(RUN, run.to_string()).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|error| format!("setsid: {error}"))
}

/// Says that it is there until it is ended, and not for ever.
pub fn linger() -> Result<(), String> {
    let of = |name: &str| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    let book = Book::open(&PathBuf::from(of(LEDGER)?)).map_err(|error| error.to_string())?;
    let run = of(RUN)?.parse().map_err(|error| format!("{RUN}: {error}"))?;
    let began = Instant::now();
    while began.elapsed() < LINGERS {
        book.add(&Work::Alive { at_us: now_us(), run }).map_err(|error| error.to_string())?;
        std::thread::sleep(ALIVE_EVERY);
    }
    Ok(())
}

/// The right value of a subtask, by what it is handed. `deps` come in the order of their names.
pub fn value<'a>(name: &str, input: &Input, deps: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(name.as_bytes()).update(&input.salt.to_le_bytes());
    for (name, value) in deps {
        hash.update(name.as_bytes()).update(b"=").update(value.as_bytes()).update(b";");
    }
    hash.finalize().to_hex()[..16].to_owned()
}
