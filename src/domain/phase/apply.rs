//! How each event moves a phase on. Live running and loading a stream go through here, and nowhere else.

use super::event::{Answered, Budget, Dependants, Kept, Then};
use super::state::{Cancelled, Ended, Flight, Phase, Question, Subtask};
use super::{Event, Outcome};
use crate::domain::dossier::{ATTEMPTS_MAX, ERROR_BYTES_MAX, FailedAttempt, SUBTASKS_MAX};
use crate::domain::expand::{dependants, remaining_paths};
use crate::wire::{FailureKind, MessageId, Policy, SubtaskStatus, Timestamp};

/// How long after its last moment an answer may take to arrive, where the event does not say.
const ANSWER_WITHIN_MS: u64 = 30_000;

impl Phase {
    /// Moves the state on by one event.
    pub fn apply(&mut self, event: &Event) {
        self.version += 1;
        match event {
            Event::Opened(opened) => {
                // A policy that can not be read does not get past the managers.
                self.policy = Policy::read(&opened.policy).unwrap_or_default();
                self.handed_over = opened.project_version;
                self.opened = Some(opened.clone());
            }
            Event::SubtasksAdded { specs } => self.specs.extend_from_slice(specs),
            Event::Planned {} => self.plan(),
            Event::Kept { subtasks, .. } => subtasks.iter().for_each(|kept| self.keep(kept)),
            Event::Dispatched { cause, not_after, commands, answer_within_ms, .. } => {
                let within = answer_within_ms.unwrap_or(ANSWER_WITHIN_MS);
                commands.iter().for_each(|&command| self.dispatch(command, *cause, *not_after, within));
            }
            Event::DispatchRefused { at, ordinal, again_at, .. } => {
                let skill = self.skill_of(*ordinal);
                self.held[skill as usize] = *again_at;
                self.postpone(*ordinal, *at, *again_at);
            }
            Event::Accepted { ordinal, agent, until, .. } => {
                self.lessees.insert(*ordinal, agent.clone());
                self.change_flight(*ordinal, |flight| {
                    flight.begin_by = None;
                    flight.lease = Some(*until);
                });
            }
            Event::LeasesRenewed { leases, .. } => {
                for &(ordinal, until) in leases {
                    self.change_flight(ordinal, |flight| flight.lease = Some(until));
                }
            }
            Event::Begun { ordinal, .. } => self.change_flight(*ordinal, |flight| flight.begin_by = None),
            Event::Completed { ordinal, bytes, .. } => {
                self.subtasks[*ordinal as usize].bytes = *bytes;
                self.set_status(*ordinal, SubtaskStatus::Completed);
                self.notes.remove(ordinal);
                self.release_dependants(*ordinal);
            }
            Event::Failed { at, ordinal, attempt, agent, kind, error, avoid, outcome, .. } => {
                let attempt = FailedAttempt {
                    attempt: *attempt,
                    skill: self.other_skill(*ordinal).map(Into::into),
                    // Whoever has accepted it had it, though he did not say himself that it failed.
                    agent_id: agent.clone().or_else(|| self.lessees.get(ordinal).cloned()),
                    kind: *kind,
                    error: error[..error.floor_char_boundary(ERROR_BYTES_MAX)].to_owned(),
                    avoid: *avoid,
                };
                self.fail(*ordinal, *at, *outcome, attempt, agent.is_none());
            }
            Event::WaitEnded { ordinal, .. } => self.set_status(*ordinal, SubtaskStatus::Ready),
            Event::Withdrawn { ordinal, .. } => {
                self.disown(*ordinal);
                self.set_status(*ordinal, SubtaskStatus::Ready);
            }
            Event::AskRefused { at, ordinal, again_at, .. } => self.wait_until(*ordinal, *at, *again_at),
            Event::AskedAgain { cause, ordinal, .. } => {
                if let Some(until) = self.waits.remove(ordinal) {
                    self.due.remove(&(until, *ordinal));
                }
                if let Some(question) = self.questions.get_mut(ordinal) {
                    (question.cause, question.version) = (*cause, self.version);
                }
            }
            Event::Decided { ordinal, answer, .. } => self.answer(*ordinal, *answer),
            Event::SubtaskCancelled { cause, ordinal, reason, then, .. } => {
                self.heard.insert(*cause);
                self.cancel_one(*ordinal, *cause, reason.as_deref(), *then);
            }
            Event::SubtaskUnwanted { cause, ordinal, reason, .. } => {
                self.heard.insert(*cause);
                self.never_wanted.insert(*ordinal, reason.clone());
            }
            Event::Cancelled { project_version, reason, .. } => {
                self.word_version = Some(*project_version);
                self.cancelled = Some(Cancelled { reason: reason.clone() });
                self.cancel_all();
            }
            Event::RunningCancelled { .. } => {
                let flying = self.flights.keys().copied();
                let unwanted: Vec<u32> = flying.filter(|&ordinal| !self.spec(ordinal).is_cleanup()).collect();
                for ordinal in unwanted {
                    self.disown(ordinal);
                    self.set_status(ordinal, SubtaskStatus::Cancelled);
                }
            }
            Event::Paused { at, project_version } => {
                self.word_version = Some(*project_version);
                self.paused.get_or_insert(*at);
            }
            Event::Resumed { at, project_version } => {
                self.word_version = Some(*project_version);
                if let Some(paused) = self.paused.take() {
                    self.resume_waits(paused, *at);
                }
            }
            Event::CancelRepeated { at } => self.unwanted.retain(|_, unwanted| unwanted.until > *at),
            Event::Hushed { command, .. } => {
                self.unwanted.remove(command);
            }
            Event::AlarmSet { alarm, .. } => self.alarms.set(*alarm),
            Event::Ended { at, cause, status, error, laid_down } => {
                if *laid_down {
                    self.lay_down();
                }
                let error = error.clone();
                self.ended = Some(Ended { at: *at, cause: *cause, status: *status, error });
            }
            Event::ReportRefused { .. } => self.report_refused = true,
            Event::SentAgain { .. } => {}
            Event::Recovered { cause, .. } => {
                self.heard.insert(*cause);
            }
            Event::HandedOverAgain { project_version, .. } => self.handed_over = *project_version,
            Event::ReportAgain { cause, .. } => {
                self.report_refused = false;
                if let Some(ended) = &mut self.ended {
                    ended.cause = *cause;
                }
            }
        }
        self.release_cleanups();
    }

    /// The plan is complete: the graph's indexes are built, once, and what has no dependencies is ready.
    fn plan(&mut self) {
        self.dependants = dependants(&self.specs);
        self.askers = self.dependants.iter().map(|list| u32::try_from(list.len()).unwrap_or(u32::MAX)).collect();
        self.paths = remaining_paths(&self.specs, &self.dependants).unwrap_or_else(|_| vec![1; self.specs.len()]);
        self.open = self.specs.iter().map(|spec| spec.dependencies.iter().map(|span| span.count).sum()).collect();
        for at in 0..self.specs.len() {
            let own = self.place_of_skill(self.specs[at].terms(false).skill.to_owned());
            let fallback = self.place_of_skill(self.specs[at].terms(true).skill.to_owned());
            self.spec_skills.push(own);
            self.spec_fallbacks.push(fallback);
        }
        self.in_flight = vec![0; self.skills.len()];
        self.held = vec![Timestamp::default(); self.skills.len()];
        for at in 0..self.specs.len() {
            let spec = u32::try_from(at).expect("fewer specs than subtasks");
            for _ in self.specs[at].span().ordinals() {
                let status = SubtaskStatus::Idle;
                self.subtasks.push(Subtask::new(spec, status));
                self.counts.add(status);
                self.cleanups += u32::from(self.specs[at].is_cleanup());
            }
        }
        for at in 0..self.specs.len() {
            self.ready_if_free(at);
        }
    }

    fn place_of_skill(&mut self, skill: String) -> u32 {
        let known = self.skills.iter().position(|other| *other == skill);
        let place = known.unwrap_or_else(|| {
            self.skills.push(skill);
            self.skills.len() - 1
        });
        u32::try_from(place).expect("fewer skills than subtasks")
    }

    fn keep(&mut self, kept: &Kept) {
        self.subtasks[kept.ordinal as usize].bytes = kept.bytes;
        self.kept.insert(kept.ordinal, kept.from);
        self.set_status(kept.ordinal, SubtaskStatus::Completed);
        self.release_dependants(kept.ordinal);
    }

    fn dispatch(&mut self, (ordinal, attempt): (u32, u32), cause: MessageId, not_after: Timestamp, within_ms: u64) {
        let terms = self.terms(ordinal);
        let deadline = not_after.plus_ms(terms.timeout_ms).plus_ms(within_ms);
        let begin_by = terms.queue_wait_ms.map(|_| not_after.plus_ms(within_ms));
        self.take_off(ordinal, Flight { attempt, cause, not_after, deadline, begin_by, lease: None });
    }

    /// Waits, and is not charged.
    fn postpone(&mut self, ordinal: u32, at: Timestamp, until: Timestamp) {
        self.wait(ordinal, at, until);
        self.subtasks[ordinal as usize].postponed += 1;
    }

    /// `is_hearsay`: nobody said so who had it.
    fn fail(&mut self, ordinal: u32, at: Timestamp, outcome: Outcome, failed: FailedAttempt, is_hearsay: bool) {
        // It may be run all the same. What the broker gave up is not.
        let is_leased = self.flights.get(&ordinal).is_some_and(|flight| flight.lease.is_some());
        if is_hearsay && (failed.kind != FailureKind::Crashed || is_leased) {
            self.disown(ordinal);
        }
        let error = format!("{}: {}", failed.kind, failed.error);
        let notes = self.notes.entry(ordinal).or_default();
        if notes.len() == ATTEMPTS_MAX {
            notes.remove(0);
        }
        notes.push(failed);
        self.charge(ordinal, outcome);
        match outcome {
            Outcome::Again { .. } => self.set_status(ordinal, SubtaskStatus::Ready),
            Outcome::Wait { until } => self.postpone(ordinal, at, until),
            Outcome::Retry { until, .. } => self.wait(ordinal, at, until),
            Outcome::FallBack { until, .. } => {
                // What it waits for is an attempt of the other skill: the old one's place is left first.
                self.wait(ordinal, at, until);
                self.fall_back(ordinal);
            }
            Outcome::Exhausted { .. } => {
                self.set_status(ordinal, SubtaskStatus::Error);
                self.failed_for_good(ordinal);
                let name = self.spec(ordinal).name_of(ordinal);
                self.fail_phase(format!("subtask `{name}` failed: {error}"));
            }
            Outcome::PassOver { dependants, .. } => {
                self.set_status(ordinal, SubtaskStatus::Skipped);
                self.failed_for_good(ordinal);
                match dependants {
                    Dependants::Skip => self.skip_dependants(ordinal),
                    Dependants::Run => self.release_dependants(ordinal),
                }
            }
            Outcome::Ask { cause, .. } => self.question(ordinal, cause),
        }
    }

    fn charge(&mut self, ordinal: u32, outcome: Outcome) {
        let budget = match outcome {
            Outcome::Wait { .. } => return,
            Outcome::Again { budget }
            | Outcome::Retry { budget, .. }
            | Outcome::FallBack { budget, .. }
            | Outcome::Exhausted { budget }
            | Outcome::PassOver { budget, .. }
            | Outcome::Ask { budget, .. } => budget,
        };
        let subtask = &mut self.subtasks[ordinal as usize];
        match budget {
            Budget::Failures => subtask.failures += 1,
            Budget::Crashes => subtask.crashes += 1,
        }
    }

    fn fall_back(&mut self, ordinal: u32) {
        let subtask = &mut self.subtasks[ordinal as usize];
        subtask.fell_back = true;
        (subtask.failures, subtask.crashes, subtask.postponed) = (0, 0, 0);
    }

    pub(super) fn failed_for_good(&mut self, ordinal: u32) {
        self.failed_count += 1;
        match self.failed.len() < SUBTASKS_MAX {
            true => self.failed.push(ordinal),
            false => {
                self.notes.remove(&ordinal);
            }
        }
    }

    fn question(&mut self, ordinal: u32, cause: MessageId) {
        self.set_status(ordinal, SubtaskStatus::Waiting);
        let attempt = self.subtasks[ordinal as usize].attempt;
        self.questions.insert(ordinal, Question { cause, attempt, version: self.version });
    }

    fn answer(&mut self, ordinal: u32, answer: Answered) {
        match answer {
            Answered::Retry => {
                self.by_hand.remove(&ordinal);
                self.take_its_turn(ordinal);
                let subtask = &mut self.subtasks[ordinal as usize];
                (subtask.failures, subtask.crashes, subtask.postponed) = (0, 0, 0);
            }
            Answered::Skip => {
                self.set_status(ordinal, SubtaskStatus::Skipped);
                self.failed_for_good(ordinal);
                self.skip_dependants(ordinal);
            }
            Answered::Fail => {
                self.set_status(ordinal, SubtaskStatus::Error);
                self.failed_for_good(ordinal);
                let name = self.spec(ordinal).name_of(ordinal);
                self.fail_phase(format!("subtask `{name}` failed, and was given up"));
            }
        }
    }

    /// What a person has cancelled, and now wants, may not have had its turn yet; and may never have it, because what it
    /// depends on goes without a result.
    fn take_its_turn(&mut self, ordinal: u32) {
        let spec = self.subtasks[ordinal as usize].spec as usize;
        let needed = self.specs[spec].dependencies.iter().flat_map(|span| span.ordinals());
        let mut needed = needed.map(|other| self.subtasks[other as usize].status);
        let is_barred = needed.any(|status| status.is_ended() && status != SubtaskStatus::Completed);
        match self.open[spec] {
            0 => {
                self.set_status(ordinal, SubtaskStatus::Idle);
                self.ready_if_free(spec);
            }
            _ if is_barred && !self.specs[spec].is_cleanup() => {
                self.set_status(ordinal, SubtaskStatus::Skipped);
                self.skip_dependants(ordinal);
            }
            _ => self.set_status(ordinal, SubtaskStatus::Idle),
        }
    }

    fn cancel_one(&mut self, ordinal: u32, cause: MessageId, reason: Option<&str>, then: Then) {
        self.disown(ordinal);
        self.by_hand.insert(ordinal);
        self.set_status(ordinal, SubtaskStatus::Cancelled);
        match then {
            Then::Fail => {
                let name = self.spec(ordinal).name_of(ordinal);
                let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                self.fail_phase(format!("subtask `{name}` was cancelled{why}"));
            }
            Then::Skip => self.skip_dependants(ordinal),
            Then::Run => self.release_dependants(ordinal),
            Then::Ask => self.question(ordinal, cause),
        }
    }
}
