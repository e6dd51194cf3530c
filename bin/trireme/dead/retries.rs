//! What dead commands are worth a retry. What is open goes on by itself, and what was completed would be done once
//! more. A retry opens a run of its project, which does again all that was neither completed nor cancelled by a person: the
//! first one to be heard is enough for all dead commands of a project, and changes nothing for the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trireme::config::Settings;
use trireme::domain::view::{PhaseView, ProjectView};
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
    /// What there was to do again in the projects that were asked about so far.
    asked: BTreeMap<ProjectId, Undone>,
}

/// What a run does again, whatever it is asked for: all that was not completed.
struct Undone {
    phases: BTreeSet<u32>,
    subtasks: BTreeSet<SubtaskId>,
}

/// What is to be asked for because of a letter.
pub enum Wanted {
    /// It is no command.
    Anything,
    These(Vec<(ProjectId, SubtaskId)>),
    /// Nothing would come of it.
    Nothing(String),
}

/// Whether something would come of a retry.
enum Pointless {
    No,
    /// It may be otherwise later, or elsewhere.
    Now(String),
    ForEver(String),
}

impl<'a> Retries<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        Self { settings, store: None, asked: BTreeMap::new() }
    }

    /// Of several commands in one letter those that were completed or cancelled meanwhile are left out. While the project
    /// of one is open, or is not known here, the letter stays.
    pub async fn wanted(&mut self, letter: &DeadLetter) -> Result<Wanted, Failure> {
        let Some(subtasks) = retried(letter) else { return Ok(Wanted::Anything) };
        let (mut wanted, mut pointless) = (Vec::new(), None);
        for (project, subtask) in subtasks {
            match self.pointless(project, subtask).await? {
                Pointless::No => wanted.push((project, subtask)),
                Pointless::Now(why) => return Ok(Wanted::Nothing(format!("{why}; project {project}"))),
                Pointless::ForEver(why) => {
                    pointless.get_or_insert(format!("{why}; project {project}"));
                }
            }
        }
        Ok(match (wanted.is_empty(), pointless) {
            (true, Some(why)) => Wanted::Nothing(why),
            _ => Wanted::These(wanted),
        })
    }

    /// Nothing can come any more of what is in it: they are commands, and each was completed, or is not wanted.
    pub async fn is_settled(&mut self, letter: &DeadLetter) -> Result<bool, Failure> {
        let Some(subtasks) = retried(letter) else { return Ok(false) };
        for (project, subtask) in subtasks {
            if !matches!(self.pointless(project, subtask).await?, Pointless::ForEver(_)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn pointless(&mut self, project: ProjectId, subtask: SubtaskId) -> Result<Pointless, Failure> {
        if !self.asked.contains_key(&project) {
            let store = match &self.store {
                Some(store) => store,
                None => self.store.insert(reading::open(self.settings).await?),
            };
            let Some(view) = reader::project(&**store, project, false).await? else {
                return Ok(Pointless::Now("the store knows no such project".to_owned()));
            };
            if !view.status.is_ended() {
                return Ok(Pointless::Now(format!("its project is open ({})", view.status)));
            }
            if view.status == Status::Cancelled {
                return Ok(Pointless::ForEver("its project was cancelled".to_owned()));
            }
            self.asked.insert(project, Undone::of(&view));
        }
        Ok(self.asked[&project].lacks(subtask).map_or(Pointless::No, Pointless::ForEver))
    }
}

impl Undone {
    fn of(view: &ProjectView) -> Self {
        // A phase of a project that was not cancelled is so by the deadline only, and that is no person's wish.
        let is_done = |phase: &PhaseView, status| match status {
            SubtaskStatus::Completed => true,
            SubtaskStatus::Cancelled => phase.status != Status::Cancelled,
            _ => false,
        };
        let undone = view.phases.iter().flat_map(|phase| {
            let all = phase.goals.iter().flat_map(|goal| &goal.subtasks);
            all.filter(|subtask| !is_done(phase, subtask.status)).map(|subtask| subtask.id)
        });
        Self { phases: view.phases.iter().map(|phase| phase.phase).collect(), subtasks: undone.collect() }
    }

    /// Why nothing would come of a retry of this subtask.
    fn lacks(&self, subtask: SubtaskId) -> Option<String> {
        match (self.phases.contains(&subtask.phase), self.subtasks.contains(&subtask)) {
            (_, true) => None,
            (false, _) => Some(format!("subtask {subtask} is of an earlier run, or plan")),
            (true, _) => Some(format!("subtask {subtask} was completed, or cancelled")),
        }
    }
}
