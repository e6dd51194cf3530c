//! A project's stream as it is followed: its runs, and how each ends.

use std::collections::{BTreeMap, BTreeSet};

use trireme::domain::project::{Event, Project, Word};
use trireme::domain::to_come::ToCome;
use trireme::wire::{MessageId, ProjectId, Status, StreamId, SubtaskId};

use crate::sights::Sight;
use crate::sim::Sim;
use crate::store::brief;
use crate::watch::{Verdict, Watch};

#[derive(Default)]
pub struct FollowedProject {
    pub state: Project,
    pub version: u64,
    /// Its current phase could not be handed over, and is to be handed over again later.
    pub is_refused: bool,
    /// The last run that has ended.
    ended_run: u32,
    /// Questions that have come to it.
    asked: BTreeSet<MessageId>,
    /// What a person has cancelled, and not taken back: by the priority of its phase and its name in the plan.
    cancelled: BTreeSet<(u32, String)>,
    /// The same when a phase was handed over, by its number.
    cancelled_before: BTreeMap<u32, BTreeSet<(u32, String)>>,
}

impl FollowedProject {
    pub fn new(id: ProjectId) -> Self {
        Self { state: Project::new(id), ..Self::default() }
    }

    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Whether a question has come to it.
    pub fn knows(&self, question: MessageId) -> bool {
        self.asked.contains(&question)
    }

    /// Whether a person had cancelled this before its phase was handed over, and has not taken it back.
    pub fn is_unwanted(&self, phase: u32, priority: u32, name: &str) -> bool {
        let named = (priority, name.to_owned());
        let was = self.cancelled_before.get(&phase).is_some_and(|before| before.contains(&named));
        was && self.cancelled.contains(&named)
    }

    /// A subtask by the priority of its phase and its name, as far as the plan has it.
    fn named(&self, subtask: SubtaskId) -> Option<(u32, String)> {
        let phase = self.state.phase(subtask.phase)?;
        let name = ToCome::new(subtask.phase, self.state.goals_of(phase)).name_of(subtask.ordinal)?;
        Some((phase.priority, name))
    }

    pub fn apply(&mut self, watch: &mut Watch, stream: StreamId, event: &Event, sim: &Sim) -> Verdict {
        match event {
            Event::SubtaskUnwanted { subtask, .. }
            | Event::Told { word: Word::Cancel { subtask: Some(subtask), .. }, .. } => {
                self.cancelled.extend(self.named(*subtask));
            }
            Event::Decided { question, .. } => {
                let open = self.state.open_questions().find(|(id, _)| id == question);
                let asked = open.and_then(|(_, open)| self.named(open.subtask.as_ref()?.id));
                if let Some(named) = asked {
                    self.cancelled.remove(&named);
                }
            }
            Event::StartRefused { .. } => {
                self.is_refused = true;
                sim.see(Sight::PublishRefused);
            }
            Event::PhaseStarted { phase, .. } => {
                self.is_refused = false;
                self.cancelled_before.entry(*phase).or_insert_with(|| self.cancelled.clone());
                // Of a project that is being cancelled what runs may be handed over again, and nothing else.
                let is_current = self.state.current().is_some_and(|current| current.number == *phase);
                let may_start = self.state.is_open() && (self.state.cancel().is_none() || is_current);
                watch.rule("what_is_over_stays_over", may_start, || {
                    format!("{} starts phase {phase} when it is {}", brief(stream), self.state.status())
                })?;
            }
            Event::Ended { status, .. } => self.on_end(watch, stream, *status, sim)?,
            Event::CancelAsked { status: Status::Error, .. } => sim.see(Sight::DeadlinePassed),
            Event::CancelAsked { .. } | Event::Paused { .. } if self.state.accepted().is_none() => {
                sim.see(Sight::EarlyWord);
            }
            Event::Asked { question, .. } => {
                self.asked.insert(*question);
                sim.see(Sight::Asked);
            }
            Event::GoalReplanned { .. } => sim.see(Sight::PlannedAnew),
            Event::RunStarted { wants_all, .. } => {
                if *wants_all {
                    self.cancelled.clear();
                }
                sim.see(Sight::ProjectRunAgain);
            }
            _ => {}
        }
        self.state.apply(event);
        self.version += 1;
        Ok(())
    }

    fn on_end(&mut self, watch: &mut Watch, stream: StreamId, status: Status, sim: &Sim) -> Verdict {
        let run = self.state.run();
        watch.rule("a_run_ends_once", self.state.is_open() && self.ended_run < run, || {
            format!("{} ends in {status}: its run {run} has ended before", brief(stream))
        })?;
        self.ended_run = run;
        let asked = self.state.cancel().map(|cancel| cancel.status);
        // What is cancelled before anybody knows it may turn out to have no plan at all.
        let has_no_plan = self.state.phases().is_empty();
        let is_heard = has_no_plan || asked.is_none_or(|asked| status == asked || status == Status::Completed);
        watch.rule("a_cancel_is_heard", is_heard, || {
            format!("{} was to end in {asked:?} and ends in {status}", brief(stream))
        })?;
        match status {
            Status::Error => sim.see(Sight::ProjectInError),
            Status::Cancelled => sim.see(Sight::ProjectCancelled),
            _ => {}
        }
        Ok(())
    }
}
