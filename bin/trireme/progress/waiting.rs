//! What a project waits for, in words: the skill without a free executor, the slowest running subtask.

use std::collections::BTreeMap;

use trireme::domain::bad_input::{one_line, quote};
use trireme::domain::view::{ProjectView, SubtaskView};
use trireme::wire::content::Presence;
use trireme::wire::{Status, SubtaskStatus, Timestamp};

use super::Picture;
use crate::words::decide;

/// Of more than this, the rest is a number.
const NAMED_MAX: usize = 3;

/// A line for each thing that it waits for; none when it simply runs.
pub fn reasons(picture: &Picture<'_>) -> Vec<String> {
    let Some(view) = picture.view else { return vec!["waits for a manager to take it".into()] };
    let mut reasons = asked(view);
    // While it is paused no phase is handed over.
    if view.status != Status::Paused
        && let Some(phase) = view.phases.iter().find(|phase| !phase.status.is_ended())
        && phase.counts.total == 0
    {
        reasons.push(format!("phase {} waits for a coordinator", phase.phase));
    }
    let mut handed_over: BTreeMap<&str, usize> = BTreeMap::new();
    for subtask in busy(view) {
        let skill = subtask.attempt_log.last().and_then(|attempt| attempt.skill.as_ref()).unwrap_or(&subtask.skill);
        *handed_over.entry(skill).or_default() += 1;
    }
    if let Some(executors) = picture.executors {
        let lacking = |(skill, count): (&&str, &usize)| lack(executors, skill, *count);
        reasons.extend(handed_over.iter().filter_map(lacking));
    }
    // A subtask that a person is asked about waits for nothing else.
    let asked_about = view.waiting_for.iter().filter(|question| question.subtask_id.is_some()).count();
    match (view.counts.waiting as usize).saturating_sub(asked_about) {
        0 => {}
        1 => reasons.push("1 subtask waits for its next attempt".into()),
        count => reasons.push(format!("{count} subtasks wait for their next attempt")),
    }
    reasons
}

/// What a person has to say before it goes on, with the command that says it.
fn asked(view: &ProjectView) -> Vec<String> {
    let id = view.project_id;
    let mut asked = Vec::new();
    if view.status == Status::Paused {
        asked.push(format!("paused: `trireme resume {id}` lets it go on"));
    }
    for question in view.waiting_for.iter().take(NAMED_MAX) {
        let (about, error) = (decide::about(question), one_line(&question.error));
        let which = match (view.waiting_for.len(), question.subtask_id) {
            (0 | 1, _) | (_, None) => String::new(),
            (_, Some(subtask)) => format!(" --subtask {subtask}"),
        };
        asked.push(format!("{about} failed ({error}): `trireme decide {id}{which} --retry | --skip | --fail`"));
    }
    match view.waiting_for.len().saturating_sub(NAMED_MAX) {
        0 => {}
        1 => asked.push("and one more question".into()),
        more => asked.push(format!("and {more} more questions")),
    }
    asked
}

fn lack(executors: &[Presence], skill: &str, count: usize) -> Option<String> {
    let offering = || executors.iter().filter(|executor| executor.skills.iter().any(|offered| offered == skill));
    let skill = quote(skill);
    if offering().next().is_none() {
        return Some(format!("{} for an executor with skill {skill}: none is there", subtasks(count)));
    }
    let is_full = offering().all(|executor| executor.busy >= executor.slots);
    let running: usize = offering().map(|executor| executor.busy as usize).sum();
    let rest = count.saturating_sub(running);
    (is_full && rest > 0).then(|| format!("{} with skill {skill}: no executor of it is free", subtasks(rest)))
}

fn subtasks(count: usize) -> String {
    match count {
        1 => "1 subtask waits".into(),
        _ => format!("{count} subtasks wait"),
    }
}

/// Those that are in the hands of executors, or on their way there, the longest first.
pub fn running(view: &ProjectView, now: Timestamp) -> Option<String> {
    let mut running: Vec<(Timestamp, &SubtaskView)> =
        busy(view).filter_map(|subtask| Some((subtask.attempt_log.last()?.handed_over_at?, subtask))).collect();
    running.sort_by_key(|(since, subtask)| (*since, subtask.id));
    let (since, slowest) = running.first()?;
    let seconds = now.ms_since(*since) / 1000;
    let names: Vec<String> = running.iter().skip(1).take(NAMED_MAX).map(|(_, subtask)| quote(&subtask.name)).collect();
    let rest = running.len().saturating_sub(1 + names.len());
    let mut text = format!("{} for {seconds} s", quote(&slowest.name));
    names.iter().for_each(|name| text.push_str(&format!(", {name}")));
    if rest > 0 {
        text.push_str(&format!(", and {rest} more"));
    }
    Some(text)
}

fn busy(view: &ProjectView) -> impl Iterator<Item = &SubtaskView> {
    view.subtasks().filter(|subtask| subtask.status == SubtaskStatus::Busy)
}
