//! Progress elsewhere than on a terminal: a plain line when something changed, or one JSON object.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use trireme::domain::bad_input::one_line;
use trireme::domain::view::{PhaseView, ProjectView, QuestionView};
use trireme::wire::{Counts, FailureKind, ProjectId, Status, SubtaskId, Timestamp};

use super::{Picture, waiting};
use crate::failure::Failure;
use crate::output::Output;
use crate::show::{self, Begun};

/// Counts that change all the time are said again after this.
const COUNTS_PAUSE_MS: u64 = 1_000;
/// What runs is said again after this.
const RUNNING_PAUSE_MS: u64 = 10_000;
/// So many failures are told one by one at a time.
const FAILURES_MAX: usize = 20;

pub struct Lines<'a> {
    output: &'a Output,
    /// Whether they are the data.
    is_data: bool,
    said: BTreeMap<u32, (Status, Counts, Option<Begun>, Timestamp)>,
    failures: BTreeSet<(SubtaskId, u32)>,
    /// What it waited for at the last look, and whether that was said.
    reasons: Vec<(String, bool)>,
    running_at: Timestamp,
}

impl<'a> Lines<'a> {
    pub fn new(output: &'a Output, is_data: bool) -> Self {
        let (said, failures) = (BTreeMap::new(), BTreeSet::new());
        Self { output, is_data, said, failures, reasons: Vec::new(), running_at: Timestamp::default() }
    }

    pub fn paint(&mut self, picture: &Picture<'_>) {
        if let Some(view) = picture.view {
            for phase in &view.phases {
                self.phase(phase, waiting::begun(picture, phase), view.status.is_ended(), picture.now);
            }
            self.failures(view, picture.now);
        }
        self.waiting(picture);
        if let Some(view) = picture.view.filter(|view| view.status.is_ended()) {
            let error = view.error.as_deref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
            let skipped = match view.counts.skipped {
                0 => String::new(),
                1 => ", 1 subtask skipped".to_owned(),
                count => format!(", {count} subtasks skipped"),
            };
            self.say(picture.now, &format!("project {}{skipped}{error}", view.status));
        }
    }

    fn phase(&mut self, phase: &PhaseView, begun: Option<Begun>, is_last: bool, now: Timestamp) {
        let is_due = match self.said.get(&phase.phase) {
            // Until it is planned there is nothing to count.
            None => phase.counts.total > 0 || phase.status.is_ended(),
            Some((status, counts, said, at)) => {
                let is_late = is_last || now.ms_since(*at) >= COUNTS_PAUSE_MS;
                *status != phase.status || ((*counts, *said) != (phase.counts, begun) && is_late)
            }
        };
        if is_due {
            self.said.insert(phase.phase, (phase.status, phase.counts, begun, now));
            let Counts { total, completed, handed_out, waiting, failed, skipped, cancelled, .. } = phase.counts;
            let handed_out = show::handed_out(handed_out, begun.filter(|_| handed_out > 0));
            let mut text = format!(
                "phase {} {}: {completed} of {total} completed, {handed_out}, {waiting} waiting, {failed} failed",
                phase.phase, phase.status
            );
            for (count, what) in [(skipped, "skipped"), (cancelled, "cancelled")] {
                if count > 0 {
                    text.push_str(&format!(", {count} {what}"));
                }
            }
            self.say(now, &text);
        }
    }

    fn failures(&mut self, view: &ProjectView, now: Timestamp) {
        let mut fresh = Vec::new();
        // What is kept failed in an earlier phase, if ever.
        for subtask in view.subtasks().filter(|subtask| subtask.kept_from.is_none()) {
            for attempt in subtask.attempt_log.iter().filter(|attempt| attempt.error.is_some()) {
                if self.failures.insert((subtask.id, attempt.attempt)) {
                    let kind = attempt.kind.map_or("not handed over", FailureKind::as_str);
                    let (name, error) =
                        (show::name(&subtask.name), one_line(attempt.error.as_deref().unwrap_or_default()));
                    fresh.push(format!("subtask {} {name}, attempt {}: {kind}: {error}", subtask.id, attempt.attempt));
                }
            }
        }
        fresh.iter().take(FAILURES_MAX).for_each(|text| self.say(now, text));
        if fresh.len() > FAILURES_MAX {
            self.say(now, &format!("and {} more failed attempts", fresh.len() - FAILURES_MAX));
        }
    }

    fn waiting(&mut self, picture: &Picture<'_>) {
        let reasons = match picture.view.is_some_and(|view| view.status.is_ended()) {
            true => Vec::new(),
            false => waiting::reasons(picture),
        };
        let mut heard = Vec::new();
        for reason in reasons {
            // What is over by the next look is not worth a line.
            let is_said = match self.reasons.iter().find(|(known, _)| *known == reason) {
                None => false,
                Some((_, true)) => true,
                Some((_, false)) => {
                    self.say(picture.now, &reason);
                    true
                }
            };
            heard.push((reason, is_said));
        }
        self.reasons = heard;
        match waiting::running(picture) {
            // What began just now has nothing to say yet.
            None => self.running_at = picture.now,
            Some(running) if picture.now.ms_since(self.running_at) >= RUNNING_PAUSE_MS => {
                self.running_at = picture.now;
                self.say(picture.now, &format!("runs: {running}"));
            }
            Some(_) => {}
        }
    }

    fn say(&self, now: Timestamp, text: &str) {
        let line = format!("{now} {text}");
        match self.is_data {
            true => self.output.line(&line),
            false => self.output.note(&line),
        }
    }
}

/// One line of `watch --json`.
#[derive(PartialEq, Serialize)]
struct Moment {
    project_id: ProjectId,
    name: String,
    status: Status,
    run: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waiting_for: Vec<QuestionView>,
    submitted_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    counts: Counts,
    #[serde(flatten)]
    begun: Option<Begun>,
    phases: Vec<PhaseMoment>,
}

#[derive(PartialEq, Serialize)]
struct PhaseMoment {
    phase: u32,
    priority: u32,
    status: Status,
    counts: Counts,
    #[serde(flatten)]
    begun: Option<Begun>,
}

pub struct Objects<'a> {
    output: &'a Output,
    last: Option<Moment>,
}

impl<'a> Objects<'a> {
    pub fn new(output: &'a Output) -> Self {
        Self { output, last: None }
    }

    pub fn paint(&mut self, picture: &Picture<'_>) -> Result<(), Failure> {
        let Some(view) = picture.view else { return Ok(()) };
        let phase = |phase: &PhaseView| PhaseMoment {
            phase: phase.phase,
            priority: phase.priority,
            status: phase.status,
            counts: phase.counts,
            begun: waiting::begun(picture, phase),
        };
        let moment = Moment {
            project_id: view.project_id,
            name: view.name.clone(),
            status: view.status,
            run: view.run,
            waiting_for: view.waiting_for.clone(),
            submitted_at: view.submitted_at,
            finished_at: view.finished_at,
            error: view.error.clone(),
            counts: view.counts,
            begun: waiting::begun_of_all(picture),
            phases: view.phases.iter().map(phase).collect(),
        };
        if self.last.as_ref() != Some(&moment) {
            self.output.json(&moment)?;
            self.last = Some(moment);
        }
        Ok(())
    }
}
