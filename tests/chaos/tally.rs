//! How much is outstanding, read from the ledger while it is written: what the broker has confirmed, and no executor
//! has answered yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use trireme::wire::ProjectId;
use uuid::Uuid;

use crate::ledger::{self, Work};

#[derive(Default)]
pub struct Tally(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    planned: BTreeMap<ProjectId, usize>,
    /// How far each file was read.
    read: BTreeMap<PathBuf, u64>,
    runs: BTreeMap<Uuid, (ProjectId, String)>,
    answered: BTreeSet<(ProjectId, String)>,
}

impl Tally {
    fn lock(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn confirmed(&self, project: ProjectId, subtasks: usize) {
        self.lock().planned.insert(project, subtasks);
    }

    /// Reads what was written since.
    pub fn update(&self, ledger: &Path) -> Result<(), String> {
        let mut counted = self.lock();
        for entry in std::fs::read_dir(ledger).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if ledger::is_executors(&path) {
                counted.update(&path)?;
            }
        }
        Ok(())
    }

    pub fn outstanding(&self) -> usize {
        let counted = self.lock();
        let planned: usize = counted.planned.values().sum();
        let answered = counted.answered.iter().filter(|(project, _)| counted.planned.contains_key(project)).count();
        planned.saturating_sub(answered)
    }

    pub fn answered(&self) -> usize {
        self.lock().answered.len()
    }

    pub fn projects(&self) -> Vec<ProjectId> {
        self.lock().planned.keys().copied().collect()
    }
}

impl Counted {
    fn update(&mut self, path: &Path) -> Result<(), String> {
        let from = self.read.entry(path.to_owned()).or_default();
        let mut text = String::new();
        let mut file = File::open(path).map_err(|error| error.to_string())?;
        file.seek(SeekFrom::Start(*from)).map_err(|error| error.to_string())?;
        file.read_to_string(&mut text).map_err(|error| error.to_string())?;
        *from += text.rfind('\n').map_or(0, |end| u64::try_from(end + 1).unwrap_or(0));
        for line in ledger::lines(&text)? {
            match line {
                Work::Ran { run, project, name, .. } => drop(self.runs.insert(run, (project, name))),
                Work::Answered { run, .. } => self.answered.extend(self.runs.remove(&run)),
                Work::Alive { .. } => {}
            }
        }
        Ok(())
    }
}
