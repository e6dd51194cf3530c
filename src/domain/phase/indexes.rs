//! The one place where a subtask's status changes, with every index that follows from it.

use super::state::{Caused, Flight, Phase, Subtask, Unwanted};
use crate::wire::{MessageId, RunAfter, SubtaskStatus, Timestamp};

impl Phase {
    pub(super) fn set_status(&mut self, ordinal: u32, status: SubtaskStatus) {
        let Subtask { status: old, spec, attempt, .. } = self.subtasks[ordinal as usize];
        let (is_cleanup, was_over) = (self.specs[spec as usize].is_cleanup(), self.is_over(ordinal));
        let status = match status {
            // Nothing else is started any more.
            SubtaskStatus::Ready if self.failing.is_some() && self.cleanups > 0 && !is_cleanup => SubtaskStatus::Idle,
            status => status,
        };
        let (skill, path) = (self.skill_of(ordinal), self.paths[spec as usize]);
        match old {
            SubtaskStatus::Ready => self.ready.remove(skill, path, ordinal),
            SubtaskStatus::Busy => self.land(ordinal, skill),
            SubtaskStatus::Waiting => {
                self.questions.remove(&ordinal);
                if let Some(until) = self.waits.remove(&ordinal) {
                    self.due.remove(&(until, ordinal));
                }
            }
            _ => {}
        }
        match status {
            SubtaskStatus::Ready if attempt > 0 => self.ready.push_first(skill, path, ordinal),
            SubtaskStatus::Ready => self.ready.push(skill, path, ordinal),
            SubtaskStatus::Busy => self.in_flight[skill as usize] += 1,
            _ => {}
        }
        *self.counts.of(old) -= 1;
        *self.counts.of(status) += 1;
        self.subtasks[ordinal as usize].status = status;
        match (is_cleanup, old.is_ended(), status.is_ended()) {
            (true, false, true) => self.cleanups -= 1,
            (true, true, false) => self.cleanups += 1,
            _ => {}
        }
        if self.cleanups > 0 && !was_over && self.is_over(ordinal) {
            self.over.push(ordinal);
        }
    }

    /// Whether it will not run any more: it has ended, or its phase is failing, it is no cleanup, and is not running.
    fn is_over(&self, ordinal: u32) -> bool {
        let status = self.subtasks[ordinal as usize].status;
        let is_given_up = || self.failing.is_some() && !self.spec(ordinal).is_cleanup();
        status.is_ended() || status != SubtaskStatus::Busy && is_given_up()
    }

    /// The phase fails, unless it is failing already: from now on cleanups wait only for what runs, and for cleanups.
    pub(super) fn fail_phase(&mut self, error: String) {
        if self.failing.is_some() {
            return;
        }
        self.failing = Some(error);
        if self.cleanups == 0 {
            return;
        }
        let ready = (0u32..).zip(&self.subtasks).filter(|(_, subtask)| subtask.status == SubtaskStatus::Ready);
        let ready = ready.map(|(ordinal, _)| ordinal).filter(|&ordinal| !self.spec(ordinal).is_cleanup());
        for ordinal in ready.collect::<Vec<u32>>() {
            self.set_status(ordinal, SubtaskStatus::Idle);
        }
        // Whoever is over is counted here.
        self.over.clear();
        let cleanups: Vec<usize> = (0..self.specs.len()).filter(|&at| self.specs[at].is_cleanup()).collect();
        for &at in &cleanups {
            let needed = self.specs[at].dependencies.iter().flat_map(|span| span.ordinals());
            let open = needed.filter(|&ordinal| !self.is_over(ordinal)).count();
            self.open[at] = u32::try_from(open).expect("fewer dependencies than subtasks");
        }
        cleanups.into_iter().for_each(|at| self.ready_if_free(at));
    }

    /// What waited for the end of something that is over has one dependency less.
    pub(super) fn release_cleanups(&mut self) {
        while let Some(ordinal) = self.over.pop() {
            // A person may be asked about what was cancelled: then it is not.
            if !self.is_over(ordinal) {
                continue;
            }
            let spec = self.subtasks[ordinal as usize].spec as usize;
            for at in 0..self.dependants[spec].len() {
                let dependant = self.dependants[spec][at] as usize;
                if self.specs[dependant].is_cleanup() {
                    self.open[dependant] -= 1;
                    self.ready_if_free(dependant);
                }
            }
        }
    }

    /// Whether a subtask whose dependencies are over has to run: one that runs after a failure needs one that has no
    /// result, other than by being unneeded itself.
    pub(super) fn is_needed(&self, spec: usize) -> bool {
        let mut needed = self.specs[spec].dependencies.iter().flat_map(|span| span.ordinals());
        let has_failed = |other: u32| {
            let subtask = &self.subtasks[other as usize];
            subtask.status != SubtaskStatus::Completed && !self.unneeded.contains(&subtask.spec)
        };
        self.specs[spec].run_after != RunAfter::Failure || needed.any(has_failed)
    }

    /// The place in [`Phase::skills`] of the skill that its next attempt, or the current one, is of.
    pub(super) fn skill_of(&self, ordinal: u32) -> u32 {
        let Subtask { spec, fell_back, .. } = self.subtasks[ordinal as usize];
        match fell_back {
            true => self.spec_fallbacks[spec as usize],
            false => self.spec_skills[spec as usize],
        }
    }

    pub(super) fn take_off(&mut self, ordinal: u32, flight: Flight) {
        self.set_status(ordinal, SubtaskStatus::Busy);
        if self.subtasks[ordinal as usize].attempt == 0 {
            self.ask(ordinal);
        }
        self.subtasks[ordinal as usize].attempt = flight.attempt;
        self.due.insert((flight.due(), ordinal));
        let caused = self.caused.entry(flight.cause).or_default();
        caused.ordinals.push(ordinal);
        caused.live += 1;
        self.flights.insert(ordinal, flight);
    }

    /// The broker no longer has a current command of this subtask.
    fn land(&mut self, ordinal: u32, skill: u32) {
        self.in_flight[skill as usize] -= 1;
        self.lessees.remove(&ordinal);
        if let Some(flight) = self.flights.remove(&ordinal) {
            self.due.remove(&(flight.due(), ordinal));
            if let Some(caused) = self.caused.get_mut(&flight.cause) {
                caused.live -= 1;
                if caused.live == 0 {
                    self.caused.remove(&flight.cause);
                }
            }
        }
    }

    /// Changes when a flight is looked at next.
    pub(super) fn change_flight(&mut self, ordinal: u32, change: impl FnOnce(&mut Flight)) {
        let Some(flight) = self.flights.get_mut(&ordinal) else { return };
        let before = flight.due();
        change(flight);
        let after = flight.due();
        self.due.remove(&(before, ordinal));
        self.due.insert((after, ordinal));
    }

    /// The current command of a subtask, if any, is not wanted any more, and may be run all the same.
    pub(super) fn disown(&mut self, ordinal: u32) {
        let (Some(command), Some(flight)) = (self.command_id(ordinal), self.flights.get(&ordinal)) else { return };
        self.unwanted.insert(command, Unwanted { ordinal, until: flight.deadline });
    }

    /// When the last copy of a spec is dispatched for the first time, its dependencies have one asker less.
    fn ask(&mut self, ordinal: u32) {
        let spec = &self.specs[self.subtasks[ordinal as usize].spec as usize];
        if spec.span().ordinals().next_back() == Some(ordinal) {
            for span in &spec.dependencies {
                let specs = crate::domain::expand::specs_of(&self.specs, *span);
                self.askers[specs].iter_mut().for_each(|askers| *askers -= 1);
            }
        }
    }

    /// Waits; while the phase is paused a wait is kept as it would have been at the beginning of the pause.
    pub(super) fn wait(&mut self, ordinal: u32, at: Timestamp, until: Timestamp) {
        self.set_status(ordinal, SubtaskStatus::Waiting);
        self.wait_until(ordinal, at, until);
    }

    pub(super) fn wait_until(&mut self, ordinal: u32, at: Timestamp, until: Timestamp) {
        let until = match self.paused {
            Some(paused) => paused.plus_ms(until.ms_since(at)),
            None => until,
        };
        self.waits.insert(ordinal, until);
        self.due.insert((until, ordinal));
    }

    /// The waits go on where they stood.
    pub(super) fn resume_waits(&mut self, paused: Timestamp, now: Timestamp) {
        let stood_ms = now.ms_since(paused);
        let waits: Vec<_> = std::mem::take(&mut self.waits).into_iter().collect();
        for (ordinal, until) in waits {
            self.due.remove(&(until, ordinal));
            let until = until.plus_ms(stood_ms);
            self.waits.insert(ordinal, until);
            self.due.insert((until, ordinal));
        }
    }

    /// Nothing is started here any more: what was ready, or waited, is idle.
    pub fn lay_down(&mut self) {
        // What somebody was asked about, and nobody has answered, has failed.
        let asked: Vec<u32> = self.questions.keys().copied().collect();
        for ordinal in asked {
            let is_cancelled = self.by_hand.contains(&ordinal);
            self.set_status(ordinal, if is_cancelled { SubtaskStatus::Cancelled } else { SubtaskStatus::Error });
            if !is_cancelled {
                self.failed_for_good(ordinal);
            }
        }
        let is_over = |status| matches!(status, SubtaskStatus::Ready | SubtaskStatus::Waiting);
        let ordinals = (0u32..).zip(&self.subtasks).filter(|(_, subtask)| is_over(subtask.status));
        let over: Vec<u32> = ordinals.map(|(ordinal, _)| ordinal).collect();
        over.into_iter().for_each(|ordinal| self.set_status(ordinal, SubtaskStatus::Idle));
        self.over.clear();
    }

    /// Everything that has not ended is cancelled, at once: its indexes are emptied and not searched.
    pub(super) fn cancel_all(&mut self) {
        let flying: Vec<u32> = self.flights.keys().copied().collect();
        flying.into_iter().for_each(|ordinal| self.disown(ordinal));
        self.ready = Default::default();
        self.flights.clear();
        self.lessees.clear();
        self.caused = std::collections::BTreeMap::<MessageId, Caused>::new();
        self.in_flight.iter_mut().for_each(|count| *count = 0);
        self.waits.clear();
        self.due.clear();
        self.questions.clear();
        self.cleanups = 0;
        for subtask in self.subtasks.iter_mut().filter(|subtask| !subtask.status.is_ended()) {
            *self.counts.of(subtask.status) -= 1;
            *self.counts.of(SubtaskStatus::Cancelled) += 1;
            subtask.status = SubtaskStatus::Cancelled;
        }
    }

    /// A subtask has ended with a result, or goes without one: what depended on it has one dependency less.
    pub(super) fn release_dependants(&mut self, ordinal: u32) {
        let spec = self.subtasks[ordinal as usize].spec as usize;
        for at in 0..self.dependants[spec].len() {
            let dependant = self.dependants[spec][at] as usize;
            // A cleanup waits until all is over, and hears of that otherwise.
            if !self.specs[dependant].is_cleanup() {
                self.open[dependant] -= 1;
                self.ready_if_free(dependant);
            }
        }
    }

    pub(super) fn ready_if_free(&mut self, spec: usize) {
        if self.open[spec] > 0 {
            return;
        }
        let is_needed = self.is_needed(spec);
        for ordinal in self.specs[spec].span().ordinals() {
            // What is kept from another phase has ended already.
            if self.subtasks[ordinal as usize].status == SubtaskStatus::Idle {
                self.set_status(ordinal, if is_needed { SubtaskStatus::Ready } else { SubtaskStatus::Skipped });
            }
        }
        if !is_needed {
            self.skip_after(spec, true);
        }
    }

    /// A subtask goes without a result, and so does everything that depends on it, but cleanups.
    pub(super) fn skip_dependants(&mut self, ordinal: u32) {
        self.skip_after(self.subtasks[ordinal as usize].spec as usize, false);
    }

    fn skip_after(&mut self, spec: usize, is_unneeded: bool) {
        let mut specs = vec![spec];
        while let Some(spec) = specs.pop() {
            if is_unneeded {
                self.unneeded.insert(u32::try_from(spec).expect("fewer specs than subtasks"));
            }
            for at in 0..self.dependants[spec].len() {
                let dependant = self.dependants[spec][at] as usize;
                if self.specs[dependant].is_cleanup() {
                    continue;
                }
                let ordinals = self.specs[dependant].span().ordinals();
                let idle: Vec<u32> =
                    ordinals.filter(|&ordinal| self.subtasks[ordinal as usize].status == SubtaskStatus::Idle).collect();
                // One that was skipped before had its dependants skipped then.
                if !idle.is_empty() {
                    idle.into_iter().for_each(|ordinal| self.set_status(ordinal, SubtaskStatus::Skipped));
                    specs.push(dependant);
                }
            }
        }
    }
}
