//! A project for people: what `status` prints, and `run` and `submit --wait` at the end.

use std::path::Path;

use trireme::domain::bad_input::{one_line, quote};
use trireme::domain::view::{GoalView, PhaseView, ProjectView, SubtaskView};
use trireme::runtime::port::Store;
use trireme::runtime::reader;
use trireme::wire::content::Progress;
use trireme::wire::{self, Counts, ProjectId, SubtaskId, SubtaskStatus, Timestamp};

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::table::{Column, Table};
use crate::{files, progress, reading};

/// Of what is handed out, how many run by the word of their executors; and how many are with external workers, which do
/// not say whether they have begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Begun {
    pub running: u32,
    #[serde(rename = "with_external_workers")]
    pub unknown: u32,
}

/// What agents say of an open project.
#[derive(Default)]
pub struct Now {
    /// None when no executor could be asked.
    pub begun: Option<Begun>,
    /// How far it is and what it waits for, a line each.
    pub waits: Vec<String>,
}

/// So many of something, as in `1 queue` or `2 queues`.
pub fn count(number: impl std::fmt::Display, what: &str) -> String {
    let number = number.to_string();
    let ending = if number == "1" { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// A longer table is not read: of more subtasks only those are shown that have something to say.
const SUBTASKS_MAX: usize = 200;

/// What became of a project that ended: its files when they are wanted, then the report; and what that means to
/// the exit status.
pub async fn ending(
    store: &dyn Store,
    id: ProjectId,
    out: Option<&Path>,
    force: bool,
    output: &Output,
) -> Result<Status, Failure> {
    let has_results = out.is_some() || output.is_json();
    let view = reader::project(store, id, has_results).await?.ok_or_else(|| reading::unknown(&id.to_string()))?;
    // First what is to be read, so that it is there even when the files can not be written.
    project(&view, &Now::default(), output)?;
    let files = match out {
        Some(dir) => files(&view, dir, force, output)?,
        None => Status::Done,
    };
    Ok(match progress::verdict(view.status) {
        Status::Done => files,
        verdict => verdict,
    })
}

/// Writes the files of a project's results, and says how many, and what was left out. The answer is no when a file could
/// not be written because of its path.
pub fn files(view: &ProjectView, dir: &Path, force: bool, output: &Output) -> Result<Status, Failure> {
    let written = files::write(dir, view, force)?;
    output.note(&format!("{} in {}", count(written.files, "file"), dir.display()));
    for bad in written.left_out {
        output.note(&format!("no files: {}", bad.in_one_line()));
    }
    for bad in &written.refused {
        output.fault(&format!("not written: {}", bad.in_one_line()));
    }
    if written.refused.is_empty() {
        return Ok(Status::Done);
    }
    // Said here, and not handed on: what the project has become is known and shown, and these are not all of it.
    output.failure(&not_written(written.refused.len(), dir));
    Ok(Status::Negative)
}

fn not_written(number: usize, dir: &Path) -> Failure {
    let were = if number == 1 { "was" } else { "were" };
    let message = format!("{} {were} not written", count(number, "file"));
    let report = quote(&dir.join(files::REPORT).display().to_string());
    let hint = format!("all results are in {report}; the lines above name each file, and why");
    Failure { status: Status::Negative, message, hint: Some(hint) }
}

/// A project, with what agents say of it.
pub fn project(view: &ProjectView, now: &Now, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(view);
    }
    output.table(&head(view, now));
    let (shown, left_out) = choose(view);
    if !shown.is_empty() {
        output.line("");
        output.table(&subtasks(&shown));
    }
    if left_out > 0 {
        output.note(&format!("{left_out} more subtasks; --json has all of them"));
    }
    Ok(())
}

fn head(view: &ProjectView, now: &Now) -> Table {
    let mut table = Table::list();
    table.row(["project".into(), view.project_id.to_string()]);
    table.row(["name".into(), view.name.clone()]);
    table.row(["status".into(), view.status.to_string()]);
    if view.run > 1 {
        table.row(["run".into(), view.run.to_string()]);
    }
    table.row(["submitted".into(), time(view.submitted_at)]);
    if view.finished_at.is_some() {
        table.row(["finished".into(), time(view.finished_at)]);
    }
    table.row(["subtasks".into(), counts(&view.counts, now.begun)]);
    for wait in &now.waits {
        table.row(["waiting".into(), wait.clone()]);
    }
    // Of what is over nothing is to come.
    let is_open = |status: wire::Status| !status.is_ended();
    let may_begin = |phase: &&PhaseView| is_open(phase.status) && is_open(view.status);
    let has_unwanted = |phase: &&PhaseView| !phase.unwanted.is_empty();
    for phase in view.phases.iter().filter(may_begin).filter(has_unwanted) {
        let unwanted: Vec<String> = phase.unwanted.iter().map(SubtaskId::to_string).collect();
        let has_begun = phase.goals.iter().any(|goal| !goal.subtasks.is_empty());
        let when = match has_begun {
            true => "in vain: the plan has no such subtask",
            false => "as soon as the phase has begun",
        };
        table.row(["cancelled".into(), format!("{} ({when})", unwanted.join(", "))]);
    }
    let of_phases = view.phases.iter().filter_map(|phase| phase.error.as_deref());
    for error in errors(view.error.as_deref(), of_phases) {
        table.row(["error".into(), error.to_owned()]);
    }
    table
}

/// What went wrong, each once: a project mostly repeats what its last phase said, and may say more of it.
fn errors<'a>(of_project: Option<&'a str>, of_phases: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut errors: Vec<&str> = of_project.into_iter().collect();
    for error in of_phases {
        if !errors.iter().any(|said| said.starts_with(error)) {
            errors.push(error);
        }
    }
    errors
}

fn subtasks(shown: &[(&GoalView, &SubtaskView)]) -> Table {
    let mut table = Table::new([
        Column::new("ID"),
        Column::text("GOAL").left_out(5),
        Column::text("SUBTASK").left_out(7),
        Column::text("SKILL").left_out(4),
        Column::new("STATUS"),
        Column::new("ATTEMPTS").left_out(6),
        Column::new("AGENT").left_out(3),
        Column::new("STARTED").left_out(2),
        Column::new("FINISHED").left_out(1),
        Column::text("ERROR").left_out(8),
    ]);
    for (goal, subtask) in shown {
        table.row([
            subtask.id.to_string(),
            goal.name.clone(),
            subtask.name.clone(),
            subtask.skill.clone(),
            subtask.status.to_string(),
            subtask.attempts.to_string(),
            subtask.agent_id.clone().unwrap_or_default(),
            time(subtask.started_at),
            time(subtask.finished_at),
            subtask.error.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn choose(view: &ProjectView) -> (Vec<(&GoalView, &SubtaskView)>, usize) {
    let goals = view.phases.iter().flat_map(|phase| &phase.goals);
    let all = || goals.clone().flat_map(|goal| goal.subtasks.iter().map(move |subtask| (goal, subtask)));
    let count = all().count();
    if count <= SUBTASKS_MAX {
        return (all().collect(), 0);
    }
    let is_quiet = |status| matches!(status, SubtaskStatus::Idle | SubtaskStatus::Ready | SubtaskStatus::Completed);
    let shown: Vec<_> = all().filter(|(_, subtask)| !is_quiet(subtask.status)).take(SUBTASKS_MAX).collect();
    let left_out = count - shown.len();
    (shown, left_out)
}

/// `3 of 7 completed, 2 handed out (1 running), 1 failed`: what is zero is left out.
pub fn counts(counts: &Counts, begun: Option<Begun>) -> String {
    let mut text = format!("{} of {} completed", counts.completed, counts.total);
    if counts.handed_out > 0 {
        text.push_str(&format!(", {}", handed_out(counts.handed_out, begun)));
    }
    for (count, what) in [
        (counts.ready, "ready"),
        (counts.waiting, "waiting"),
        (counts.idle, "idle"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// `20 handed out (4 running)`; how many of them run is left out where no executor could be asked.
pub fn handed_out(count: u32, begun: Option<Begun>) -> String {
    let begun = begun.map(|begun| match begun.unknown {
        0 => format!(" ({} running)", begun.running),
        unknown => format!(" ({} running, {unknown} with external workers)", begun.running),
    });
    format!("{count} handed out{}", begun.unwrap_or_default())
}

/// A name in backticks, whole and in one line: it is to be found again by whoever reads it.
pub fn name(name: &str) -> String {
    format!("`{}`", one_line(name))
}

/// How far an attempt is: `3 of 10: pages`.
pub fn how_far(progress: &Progress) -> String {
    let Progress { done, of, note } = progress;
    let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
    let note = if note.is_empty() { String::new() } else { format!(": {}", one_line(note)) };
    format!("{done}{of}{note}")
}

pub fn time(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// As in `its machine's clock is 11m 0s ahead of the store's: synchronise it (NTP)`.
pub fn clock_ahead(ahead_ms: i64) -> String {
    let seconds = ahead_ms.unsigned_abs() / 1_000;
    let by = match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
    };
    let way = if ahead_ms > 0 { "ahead of" } else { "behind" };
    format!("its machine's clock is {by} {way} the store's: synchronise it (NTP)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_said_once() {
        let of_phases = ["`a` failed", "`b` failed", "`b` failed"];
        let shown = |of_project| errors(of_project, of_phases.into_iter());
        assert_eq!(shown(None), ["`a` failed", "`b` failed"]);
        assert_eq!(shown(Some("`b` failed")), ["`b` failed", "`a` failed"]);
        let replanned = "`b` failed (it was planned anew 2 times)";
        assert_eq!(shown(Some(replanned)), [replanned, "`a` failed"]);
    }
}
