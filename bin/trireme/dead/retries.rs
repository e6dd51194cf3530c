//! What dead commands are worth a retry. What is open goes on by itself, and what was completed would be done once
//! more. A retry opens a run of its project, which does again whatever its unfinished phases left undone: the other dead
//! commands of those need no run of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trireme::config::Settings;
use trireme::domain::view::ProjectView;
use trireme::runtime::dead::{DeadLetter, retried};
use trireme::runtime::port::Store;
use trireme::runtime::reader;
use trireme::wire::{ProjectId, Status, SubtaskId, SubtaskStatus};

use crate::failure::Failure;
use crate::reading;

pub struct Retries<'a> {
    settings: &'a Settings,
    /// Opened for the first command: nothing else needs it.
    store: Option<Arc<dyn Store>>,
    /// The phases that are done again by the runs that were asked for so far.
    asked: BTreeMap<ProjectId, BTreeSet<u32>>,
}

/// What is to be asked for because of a letter.
pub enum Wanted {
    /// It is no command.
    Anything,
    These(Vec<(ProjectId, SubtaskId)>),
    /// Nothing would come of it.
    Nothing(String),
}

impl<'a> Retries<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        Self { settings, store: None, asked: BTreeMap::new() }
    }

    /// Of several commands in one letter those that were completed meanwhile are left out.
    pub async fn wanted(&mut self, letter: &DeadLetter) -> Result<Wanted, Failure> {
        let Some(subtasks) = retried(letter) else { return Ok(Wanted::Anything) };
        let (mut wanted, mut pointless) = (Vec::new(), None);
        for (project, subtask) in subtasks {
            match self.pointless(project, subtask).await? {
                None => wanted.push((project, subtask)),
                Some(why) => {
                    pointless.get_or_insert(format!("{why}; project {project}"));
                }
            }
        }
        Ok(match (wanted.is_empty(), pointless) {
            (true, Some(why)) => Wanted::Nothing(why),
            _ => Wanted::These(wanted),
        })
    }

    async fn pointless(&mut self, project: ProjectId, subtask: SubtaskId) -> Result<Option<String>, Failure> {
        if let Some(phases) = self.asked.get(&project) {
            let is_covered = phases.contains(&subtask.phase);
            return Ok((!is_covered).then(|| "another run of its project was asked for just now".to_owned()));
        }
        let store = match &self.store {
            Some(store) => store,
            None => self.store.insert(reading::open(self.settings).await?),
        };
        let Some(view) = reader::project(&**store, project, false).await? else {
            return Ok(Some("the store knows no such project".to_owned()));
        };
        if !view.status.is_ended() {
            return Ok(Some(format!("its project is open ({})", view.status)));
        }
        let found = view.subtasks().find(|known| known.id == subtask).map(|known| known.status);
        Ok(match found {
            None => Some(format!("subtask {subtask} is of an earlier run")),
            Some(SubtaskStatus::Completed) => Some(format!("subtask {subtask} was completed")),
            Some(_) => {
                self.asked.insert(project, done_again(&view, subtask));
                None
            }
        })
    }
}

/// The phases that a run does again which is asked for because of this subtask.
fn done_again(view: &ProjectView, subtask: SubtaskId) -> BTreeSet<u32> {
    let is_done_again = |phase: &u32, status| *phase == subtask.phase || status != Status::Completed;
    let phases = view.phases.iter().filter(|phase| is_done_again(&phase.phase, phase.status));
    phases.map(|phase| phase.phase).collect()
}
