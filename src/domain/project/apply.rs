//! How events move a project on.

use super::questions::{Answer, Open};
use super::state::{CancelAsked, Ended, PhaseState, Project, Unwanted};
use super::words::{Told, Word};
use super::{Accepted, Added, Event};
use crate::wire::content::Former;
use crate::wire::{Status, SubtaskId, Timestamp};

impl Project {
    /// Moves the state on by one event.
    pub fn apply(&mut self, event: &Event) {
        self.version += 1;
        match event {
            Event::Accepted(accepted) => self.accept(accepted),
            Event::GoalPlanned { goal } => {
                self.goals.push(goal.clone());
                self.add_priority(goal.priority);
            }
            Event::PhaseStarted { at, cause, phase, partition } => {
                self.current = Some(*phase);
                self.refused_until = None;
                let version = self.version;
                if let Some(phase) = self.latest_mut(*phase) {
                    phase.status = Status::Busy;
                    phase.partition = Some(*partition);
                    if phase.started_by.replace(*cause).is_none() {
                        phase.started_at = *at;
                    }
                    phase.handed_over_at = *at;
                    phase.started_version = version;
                }
            }
            Event::StartRefused { again_at, .. } => self.refused_until = Some(*again_at),
            Event::PhaseReported { phase, status, counts, error, .. } => {
                let run = self.run;
                if let Some(phase) = self.latest_mut(*phase) {
                    phase.reported_in = run;
                    phase.status = *status;
                    phase.counts = *counts;
                    phase.error.clone_from(error);
                }
                self.leave_phase(*phase);
            }
            Event::PhaseSkipped { phase, .. } => {
                if let Some(phase) = self.latest_mut(*phase) {
                    phase.is_skipped = true;
                    phase.counts = phase.counts.passed_over();
                }
            }
            Event::GoalReplanned { replaces, goal, .. } => {
                if let Some(known) = self.goals.iter_mut().find(|known| known.goal_name == *replaces) {
                    known.clone_from(goal);
                }
            }
            Event::PhaseAdded { phase, why, former, .. } => {
                self.replans += u32::from(*why == Added::Replan);
                self.supersede(*phase, *former);
            }
            Event::AlarmSet { alarm, .. } => self.alarms.set(*alarm),
            Event::CancelAsked { cause, status, reason, .. } => {
                self.heard.insert(*cause);
                self.cancel = Some(CancelAsked { status: *status, reason: reason.clone() });
                // Nothing that was asked, or is held back, matters any more.
                self.questions.clear();
                self.resume(None);
            }
            Event::SubtaskUnwanted { cause, subtask, reason, said_of, .. } => {
                self.heard.insert(*cause);
                self.unwant(*subtask, reason, *said_of);
            }
            Event::Paused { at, cause } => {
                self.heard.insert(*cause);
                self.paused_at = Some(*at);
            }
            Event::Resumed { at, cause } => {
                self.heard.insert(*cause);
                self.resume(Some(*at));
            }
            Event::Told { cause, number, phase, word, .. } => {
                self.heard.insert(*cause);
                self.told_last = self.told_last.max(*number);
                if let Word::Cancel { subtask: Some(subtask), reason } = word {
                    self.unwant(*subtask, reason, None);
                    self.stop_asking(*subtask);
                }
                // Of what contradicts each other the newest counts.
                self.told.retain(|_, told| told.phase != *phase || !word.outdates(&told.word));
                let is_farewell = self.current != Some(*phase);
                let (word, phase) = (word.clone(), *phase);
                let told = Told { phase, word, cause: *cause, version: self.version, again_at: None, is_farewell };
                self.told.insert(*number, told);
            }
            Event::TellRefused { number, again_at, .. } => match self.told.get_mut(number) {
                // Nobody waits for it.
                Some(told) if told.is_farewell => drop(self.told.remove(number)),
                Some(told) => told.again_at = Some(*again_at),
                None => {}
            },
            Event::SentAgain { .. } => {}
            Event::Recovered { cause, .. } => {
                self.heard.insert(*cause);
            }
            Event::Asked { at, question, phase, subtask, error, asking } => {
                let (subtask, error) = (subtask.clone(), error.clone());
                let (asking, answer, is_over) = (*asking, None, false);
                self.ask(*question, Open { at: *at, phase: *phase, subtask, error, asking, answer, is_over });
            }
            Event::Decided { cause, question, answer, .. } => {
                self.heard.insert(*cause);
                if let Some(open) = self.questions.get_mut(question) {
                    open.answer = Some(*answer);
                    if *answer == Answer::Retry {
                        // It is wanted after all.
                        open.subtask.iter().for_each(|asked| drop(self.unwanted.remove(&asked.id)));
                    }
                }
            }
            Event::RunStarted { at, cause, run, requester, wants_all } => {
                self.heard.insert(*cause);
                if *wants_all {
                    self.unwanted.clear();
                }
                self.run = *run;
                self.requester.clone_from(requester);
                self.ended = None;
                self.replans = 0;
                self.set_deadline(*at);
            }
            Event::Ended { at, status, error, .. } => {
                self.ended = Some(Ended { at: *at, status: *status, error: error.clone() });
                self.current.into_iter().for_each(|phase| self.leave_phase(phase));
                self.questions.clear();
                (self.cancel, self.paused_at, self.deadline) = (None, None, None);
            }
        }
    }

    fn accept(&mut self, accepted: &Accepted) {
        self.run = accepted.run;
        self.requester.clone_from(&accepted.requester);
        self.accepted = Some(accepted.clone());
        self.set_deadline(accepted.at);
        // It was paused before anybody knew it: from now on that counts.
        self.paused_at = self.paused_at.map(|_| accepted.at);
    }

    fn set_deadline(&mut self, from: Timestamp) {
        let allowed = self.accepted.as_ref().and_then(|accepted| accepted.deadline_ms);
        self.deadline = allowed.map(|ms| from.plus_ms(ms));
    }

    /// While it was paused the deadline stood still.
    fn resume(&mut self, at: Option<Timestamp>) {
        let Some(paused_at) = self.paused_at.take() else { return };
        self.resumed_at = at.max(self.resumed_at);
        let stood_ms = at.map_or(0, |at| at.ms_since(paused_at));
        self.deadline = self.deadline.map(|deadline| deadline.plus_ms(stood_ms));
    }

    /// The coordinators have it no more: what it was told and what it asked is over.
    fn leave_phase(&mut self, phase: u32) {
        if self.current == Some(phase) {
            (self.current, self.refused_until) = (None, None);
        }
        self.told.retain(|_, told| told.is_farewell);
        self.questions.clear();
    }

    fn latest_mut(&mut self, number: u32) -> Option<&mut PhaseState> {
        self.phases.iter_mut().find(|phase| phase.number == number)
    }

    /// Goals of one priority make a phase; phases are numbered in the order of their priorities.
    fn add_priority(&mut self, priority: u32) {
        let Err(at) = self.phases.binary_search_by_key(&priority, |phase| phase.priority) else { return };
        self.phases.insert(at, PhaseState::new(0, priority, None));
        (1..).zip(&mut self.phases).for_each(|(number, phase)| phase.number = number);
    }

    /// A person does not want it: he may have said so before.
    fn unwant(&mut self, subtask: SubtaskId, reason: &str, said_of: Option<(u32, u32)>) {
        let known = self.unwanted.get(&subtask).map(|known| known.said_of);
        let (first, said_last) = said_of.unwrap_or((subtask.phase, subtask.phase));
        let said_of = known.map_or(first, |known| known.min(first));
        self.unwanted.insert(subtask, Unwanted { reason: reason.to_owned(), said_of, said_last });
    }

    /// A new phase takes the place of `former.phase`.
    fn supersede(&mut self, number: u32, former: Former) {
        let Some(known) = self.latest_mut(former.phase) else { return };
        let new = PhaseState::new(number, known.priority, Some(former));
        let old = std::mem::replace(known, new);
        self.superseded.push(old);
    }

    /// The number that the next phase of all gets.
    pub(super) fn next_number(&self) -> u32 {
        self.phases.iter().chain(&self.superseded).map(|phase| phase.number).max().unwrap_or(0) + 1
    }
}
