//! The ledger: what was done, told by who did it, in files that are not the store. One JSON object a line,
//! whose one key says what it tells: `{"answered": {"at_us": ..., "run": ..., "value": ...}}`.
//!
//! | file | written by | lines |
//! | --- | --- | --- |
//! | `submitted.jsonl` | the client | `asked`, before it publishes a request; `confirmed`, when the broker has it; `told`, when it asked how one ended and was told |
//! | `executor-<n>-<life>.jsonl` | the work of one executor process, a file a process | `ran`, before the work; `answered`, before the answer is given |
//! | `watched.jsonl` | the watcher | `ended`, a line for every completion event that it heard; `cut_off`, when its connection was gone |
//! | `faults.jsonl` | whoever breaks things | `fault`, when a process was struck or before a server is broken; `mended`, when that goes on, or answers again |
//!
//! A line is one `write` to a file that is opened to append, so that lines of several programs do not mix, and none
//! is lost when its writer is killed after it. Times are microseconds of the machine's clock.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trireme::wire::{GoalPlan, ProjectId, Status};
use uuid::Uuid;

/// What a subtask answers: the right value can be computed by whoever knows the plan; the number of the run can not,
/// so that whoever was handed an answer can be seen to have been handed that of this run and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub value: String,
    pub run: Uuid,
}

/// A line of `submitted.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submission {
    Asked {
        at_us: u64,
        project: ProjectId,
        plan: Vec<GoalPlan>,
    },
    Confirmed {
        at_us: u64,
        project: ProjectId,
    },
    /// A manager answered whoever asked again.
    Told {
        at_us: u64,
        project: ProjectId,
        status: Status,
    },
}

/// A line of an executor's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    Ran {
        at_us: u64,
        run: Uuid,
        project: ProjectId,
        name: String,
        attempt: u32,
        /// What it was handed of its dependencies, by name.
        deps: BTreeMap<String, Answer>,
    },
    Answered {
        at_us: u64,
        run: Uuid,
        value: String,
    },
    /// Work that takes long, or what it has left behind, is still there.
    Alive {
        at_us: u64,
        run: Uuid,
    },
}

impl Work {
    fn at_us(&self) -> u64 {
        match self {
            Self::Ran { at_us, .. } | Self::Answered { at_us, .. } | Self::Alive { at_us, .. } => *at_us,
        }
    }
}

/// A line of `watched.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// A manager said that a project has ended.
    Ended {
        at_us: u64,
        project: ProjectId,
        status: Status,
        completed: u32,
        total: u32,
    },
    CutOff {
        at_us: u64,
    },
}

/// A line of `faults.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// `target` is a process, named by its layer, a number and which of its lives it is; empty where a server is broken.
    Fault { at_us: u64, kind: String, target: String },
    /// A server is there again (`target` has the time from a failover to the next commit, in milliseconds), or a process
    /// that stood still goes on.
    Mended { at_us: u64, kind: String, target: String },
    /// A process began its life in a condition that is a fault.
    Born { at_us: u64, kind: String, target: String },
}

pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A file of the ledger, to be added to.
pub struct Book(File);

impl Book {
    pub fn open(path: &Path) -> io::Result<Self> {
        File::options().create(true).append(true).open(path).map(Self)
    }

    pub fn add(&self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        (&self.0).write_all(&text)
    }
}

/// All whole lines of a text. A last one without its end is still being written.
pub fn lines<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let read = |line: &str| serde_json::from_str(line).map_err(|error| format!("`{line}`: {error}"));
    whole.lines().map(read).collect()
}

/// The lines of all files of the executors.
pub fn work(folder: &Path) -> Result<Vec<Work>, String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if is_executors(&path) {
            all.extend(read(&path)?);
        }
    }
    Ok(all)
}

/// When the programs of each executor process last wrote a line, by its name.
pub fn last_lines(folder: &Path) -> Result<BTreeMap<String, u64>, String> {
    let mut last = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if is_executors(&path)
            && let Some(at_us) = read::<Work>(&path)?.iter().map(Work::at_us).max()
        {
            last.insert(name, at_us);
        }
    }
    Ok(last)
}

pub fn is_executors(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("executor-"))
}

/// The lines of one file; none when nobody has written one.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => lines(&text).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
