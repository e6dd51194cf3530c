//! What a project waits for, in words: the skill without a free executor, the slowest running subtask.

use std::collections::{BTreeMap, BTreeSet};

use trireme::domain::bad_input::{one_line, quote};
use trireme::domain::view::{PhaseView, ProjectView, SubtaskView};
use trireme::wire::content::{Presence, Progress};
use trireme::wire::{ProjectId, Status, SubtaskId, SubtaskStatus, Timestamp};

use super::Picture;
use crate::show::{self, Begun};
use crate::words::decide;

/// Of more than this, the rest is a number.
const NAMED_MAX: usize = 3;

/// A line for each thing that it waits for; none when it simply runs.
pub fn reasons(picture: &Picture<'_>) -> Vec<String> {
    let Some(view) = picture.view else { return vec!["waits for a manager to take it".into()] };
    let mut reasons = asked(view);
    // While it is paused, or asks what is to become of a phase that was given up, none is handed over.
    let asks_about_phase = view.waiting_for.iter().any(|question| question.subtask_id.is_none());
    if view.status != Status::Paused
        && !asks_about_phase
        && let Some(phase) = view.phases.iter().find(|phase| !phase.status.is_ended())
        && phase.counts.total == 0
    {
        reasons.push(format!("phase {} waits for a coordinator", phase.phase));
    }
    let mut handed_over: BTreeMap<&str, usize> = BTreeMap::new();
    for subtask in busy(view) {
        *handed_over.entry(skill_of(subtask)).or_default() += 1;
    }
    if let Some(executors) = picture.executors {
        let ours = handed_over.iter().filter(|(skill, _)| !picture.external.contains(**skill));
        reasons.extend(ours.filter_map(|(skill, count)| lack(executors, skill, *count)));
    }
    reasons.extend(next_attempts(view));
    reasons
}

/// How many subtasks wait for their time, and when the first one's comes.
fn next_attempts(view: &ProjectView) -> Option<String> {
    let times: Vec<Timestamp> = view.subtasks().filter_map(|subtask| subtask.next_attempt_at).collect();
    let soonest = times.iter().min()?;
    let wait = match times.len() {
        1 => "1 subtask waits for its next attempt".to_owned(),
        count => format!("{count} subtasks wait for their next attempts"),
    };
    Some(match (view.status, times.len()) {
        // Their time stands still.
        (Status::Paused, _) => wait,
        (_, 1) => format!("{wait}, due at {soonest}"),
        _ => format!("{wait}, the soonest due at {soonest}"),
    })
}

/// What a person has to say before it goes on, with the command that says it.
fn asked(view: &ProjectView) -> Vec<String> {
    let mut asked = Vec::new();
    if view.status == Status::Paused {
        asked.push(format!("paused: `trireme resume {}` lets it go on", view.project_id));
    }
    for question in view.waiting_for.iter().take(NAMED_MAX) {
        let what = match question.is_cancelled {
            true => "was cancelled".to_owned(),
            false => format!("failed ({})", one_line(&question.error)),
        };
        asked.push(format!("{} {what}: {}", decide::about(question), decide::command(view, question)));
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
    let is_able = |executor: &&Presence| !executor.unable.iter().any(|unable| unable.skill == skill);
    if offering().next().is_some() && !offering().any(|executor| is_able(&executor)) {
        let unable = offering().flat_map(|executor| executor.unable.iter().map(move |unable| (executor, unable)));
        let reasons = unable.filter(|(_, unable)| unable.skill == skill).take(NAMED_MAX);
        let reasons: Vec<String> = reasons
            .map(|(executor, unable)| format!("`{}`: {}", executor.agent_id, one_line(&unable.reason)))
            .collect();
        let waits = subtasks(count);
        return Some(format!("{waits} for an executor that can perform {}: {}", quote(skill), reasons.join("; ")));
    }
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

/// How many of what a phase has handed out run, by the word of the executors; none when they could not be asked.
pub fn begun(picture: &Picture<'_>, phase: &PhaseView) -> Option<Begun> {
    let (project, executors) = (picture.view?.project_id, picture.executors?);
    let commands = executors.iter().flat_map(|executor| &executor.commands);
    let run: BTreeSet<SubtaskId> = commands.filter(|of| of.project_id == project).map(|of| of.subtask_id).collect();
    let mut begun = Begun { running: 0, unknown: 0 };
    let subtasks = phase.goals.iter().flat_map(|goal| &goal.subtasks);
    for subtask in subtasks.filter(|subtask| subtask.status == SubtaskStatus::Busy) {
        match run.contains(&subtask.id) {
            true => begun.running += 1,
            // Their workers answer, and say nothing before.
            false => begun.unknown += u32::from(picture.external.contains(skill_of(subtask))),
        }
    }
    Some(begun)
}

/// The same of all phases.
pub fn begun_of_all(picture: &Picture<'_>) -> Option<Begun> {
    let mut all = Begun { running: 0, unknown: 0 };
    for phase in &picture.view?.phases {
        let Begun { running, unknown } = begun(picture, phase)?;
        (all.running, all.unknown) = (all.running + running, all.unknown + unknown);
    }
    Some(all)
}

/// The skill of its newest attempt: its own, or its fallback's.
fn skill_of(subtask: &SubtaskView) -> &str {
    subtask.attempt_log.last().and_then(|attempt| attempt.skill.as_ref()).unwrap_or(&subtask.skill)
}

/// Those that are in the hands of executors, or on their way there, the longest first; of that one also how far it is,
/// where its runner says so.
pub fn running(picture: &Picture<'_>) -> Option<String> {
    let view = picture.view?;
    let mut running: Vec<(Timestamp, &SubtaskView)> =
        busy(view).filter_map(|subtask| Some((subtask.attempt_log.last()?.handed_over_at?, subtask))).collect();
    running.sort_by_key(|(since, subtask)| (*since, subtask.id));
    let (since, slowest) = running.first()?;
    let seconds = picture.now.ms_since(*since) / 1000;
    let names: Vec<String> =
        running.iter().skip(1).take(NAMED_MAX).map(|(_, subtask)| show::name(&subtask.name)).collect();
    let rest = running.len().saturating_sub(1 + names.len());
    let progress = progress(picture, view.project_id, slowest.id);
    let progress = progress.map(|progress| format!(" ({})", show::how_far(progress))).unwrap_or_default();
    let mut text = format!("{} for {seconds} s{progress}", show::name(&slowest.name));
    names.iter().for_each(|name| text.push_str(&format!(", {name}")));
    if rest > 0 {
        text.push_str(&format!(", and {rest} more"));
    }
    Some(text)
}

/// How far some of those that run are.
pub fn on_the_way(picture: &Picture<'_>) -> impl Iterator<Item = String> {
    let known = picture.view.into_iter().flat_map(|view| {
        let of = |subtask: &SubtaskView| {
            Some((subtask.id, show::name(&subtask.name), progress(picture, view.project_id, subtask.id)?))
        };
        busy(view).filter_map(of)
    });
    known.take(NAMED_MAX).map(|(id, name, progress)| format!("subtask {id} {name}: {}", show::how_far(progress)))
}

/// What the executor that has it was last told by its runner.
fn progress<'a>(picture: &Picture<'a>, project: ProjectId, subtask: SubtaskId) -> Option<&'a Progress> {
    let mut commands = picture.executors?.iter().flat_map(|executor| &executor.commands);
    commands.find(|of| (of.project_id, of.subtask_id) == (project, subtask))?.progress.as_ref()
}

fn busy(view: &ProjectView) -> impl Iterator<Item = &SubtaskView> {
    view.subtasks().filter(|subtask| subtask.status == SubtaskStatus::Busy)
}

#[cfg(test)]
mod tests {
    use trireme::domain::view::{GoalView, QuestionView};
    use trireme::wire::content::RunningCommand;
    use trireme::wire::{Counts, MessageId};
    use uuid::Uuid;

    use super::*;

    fn view(status: Status, waiting_for: Vec<QuestionView>, subtasks: Vec<SubtaskView>) -> ProjectView {
        let phase = PhaseView {
            phase: 1,
            priority: 1,
            status: Status::Busy,
            counts: Counts { total: subtasks.len() as u32, waiting: subtasks.len() as u32, ..Counts::default() },
            error: None,
            goals: vec![GoalView { name: "g".into(), status: Status::Busy, subtasks }],
            unwanted: BTreeSet::new(),
            to_come: None,
        };
        ProjectView {
            project_id: ProjectId(Uuid::nil()),
            name: "p".into(),
            status,
            run: 1,
            submitted_at: None,
            finished_at: None,
            error: None,
            waiting_for,
            counts: phase.counts,
            phases: vec![phase],
        }
    }

    fn waits_until(ordinal: u32, next_attempt_at: Option<Timestamp>) -> SubtaskView {
        SubtaskView {
            id: SubtaskId { phase: 1, ordinal },
            name: format!("s{ordinal}"),
            skill: "noop".into(),
            status: SubtaskStatus::Waiting,
            attempts: 1,
            next_attempt_at,
            question: None,
            kept_from: None,
            attempt_log: Vec::new(),
            agent_id: None,
            dependencies: Vec::new(),
            run_after: trireme::wire::RunAfter::Success,
            started_at: None,
            finished_at: None,
            result: None,
            error: None,
        }
    }

    fn question(subtask_id: Option<SubtaskId>, is_cancelled: bool) -> QuestionView {
        QuestionView {
            question: MessageId(Uuid::nil()),
            asked_at: Timestamp::default(),
            phase: 1,
            subtask_id,
            name: subtask_id.map(|_| "s0".into()),
            error: "no way".into(),
            is_cancelled,
        }
    }

    fn said(view: &ProjectView) -> Vec<String> {
        let nil = Uuid::nil().to_string();
        let reasons = reasons(&Picture {
            view: Some(view),
            executors: None,
            external: &BTreeSet::new(),
            now: Timestamp::default(),
        });
        reasons.into_iter().map(|reason| reason.replace(&nil, "ID")).collect()
    }

    #[test]
    fn a_phase_that_is_asked_about_waits_for_no_coordinator() {
        assert_eq!(said(&view(Status::Busy, vec![], vec![])), ["phase 1 waits for a coordinator"]);
        let asks = view(Status::Waiting, vec![question(None, false)], vec![]);
        assert_eq!(said(&asks), ["phase 1 failed (no way): `trireme decide ID --retry | --skip | --fail`"]);
    }

    #[test]
    fn what_runs_is_told_from_what_waits_in_a_queue_and_from_what_nobody_can_say() {
        let handed_out = |ordinal, skill: &str| SubtaskView {
            status: SubtaskStatus::Busy,
            skill: skill.into(),
            ..waits_until(ordinal, None)
        };
        let view = view(
            Status::Busy,
            vec![],
            vec![handed_out(0, "noop"), handed_out(1, "noop"), handed_out(2, "theirs"), waits_until(3, None)],
        );
        let run = |project_id, ordinal| RunningCommand {
            command: MessageId(Uuid::nil()),
            project_id,
            subtask_id: SubtaskId { phase: 1, ordinal },
            progress: None,
        };
        // It runs one of them, one that was given up by its owner, and one of another project.
        let another = ProjectId(Uuid::from_u128(1));
        let mut executor: Presence = serde_json::from_value(serde_json::json!({
            "agent_id": "e", "name": "e", "layer": "execution", "status": "BUSY", "version": "1", "host": "h",
            "pid": 1, "slots": 4, "busy": 3, "last_seen": "2026-01-01T00:00:00.000Z",
        }))
        .expect("a presence");
        executor.commands = vec![run(view.project_id, 0), run(view.project_id, 3), run(another, 1)];
        let executors = [executor];
        let external = BTreeSet::from(["theirs".to_owned()]);
        let picture =
            |executors| Picture { view: Some(&view), executors, external: &external, now: Timestamp::default() };
        assert_eq!(begun_of_all(&picture(Some(&executors))), Some(Begun { running: 1, unknown: 1 }));
        assert_eq!(begun_of_all(&picture(None)), None);
        let said = |executors| show::handed_out(3, begun_of_all(&picture(executors)));
        assert_eq!(said(Some(&executors[..])), "3 handed out (1 running, 1 with external workers)");
        assert_eq!(said(None), "3 handed out");
    }

    #[test]
    fn a_cancelled_subtask_is_not_said_to_have_failed() {
        let subtask = waits_until(0, None);
        let asked = |is_cancelled| {
            said(&view(Status::Waiting, vec![question(Some(subtask.id), is_cancelled)], vec![subtask.clone()]))
        };
        let command = "`trireme decide ID --retry | --skip | --fail`";
        assert_eq!(asked(false), [format!("subtask 1.0 `s0` failed (no way): {command}")]);
        assert_eq!(asked(true), [format!("subtask 1.0 `s0` was cancelled: {command}")]);
    }

    #[test]
    fn the_soonest_next_attempt_is_said_unless_time_stands_still() {
        let (soon, later) = (Timestamp(1_763_800_000_000), Timestamp(1_763_800_060_000));
        let waits = |status, times: &[Timestamp]| {
            let subtasks = (0..).zip(times).map(|(ordinal, at)| waits_until(ordinal, Some(*at))).collect();
            said(&view(status, vec![], subtasks)).pop().expect("it waits")
        };
        assert_eq!(
            waits(Status::Busy, &[soon]),
            "1 subtask waits for its next attempt, due at 2025-11-22T08:26:40.000Z"
        );
        assert_eq!(
            waits(Status::Busy, &[later, soon]),
            "2 subtasks wait for their next attempts, the soonest due at 2025-11-22T08:26:40.000Z"
        );
        assert_eq!(waits(Status::Paused, &[soon]), "1 subtask waits for its next attempt");
    }
}
