//! Progress on a terminal: a bar a phase, and below them what runs, what failed and what is waited for.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use trireme::domain::bad_input::cut;
use trireme::domain::view::{PhaseView, ProjectView};

use super::{Picture, waiting};
use crate::show::{self, Begun};

/// A terminal has few lines: of more phases those around the current one are drawn.
const BARS_MAX: usize = 12;
const NOTES_MAX: usize = 6;
/// As often as the store is looked at, and a little more.
const DRAWS_PER_SECOND: u8 = 6;

pub struct Bars {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
    notes: Vec<ProgressBar>,
}

impl Bars {
    pub fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        Self { all, bars: Vec::new(), notes: Vec::new() }
    }

    pub fn paint(&mut self, picture: &Picture<'_>) {
        let phases = picture.view.map_or(&[][..], around_current);
        while self.bars.len() < phases.len() {
            let bar = ProgressBar::new(0).with_style(style("{prefix} {bar:30} {wide_msg}"));
            self.bars.push(self.all.insert(self.bars.len(), bar));
        }
        for (bar, phase) in self.bars.iter().zip(phases) {
            bar.set_prefix(format!("phase {} {:<9}", phase.phase, phase.status));
            // A bar of nothing would be drawn as done.
            bar.set_length(u64::from(phase.counts.total.max(1)));
            bar.set_position(u64::from(phase.counts.ended()));
            bar.set_message(message(phase, waiting::begun(picture, phase)));
        }
        let notes = notes(picture);
        while self.notes.len() < notes.len() {
            self.notes.push(self.all.add(ProgressBar::no_length().with_style(style("{wide_msg}"))));
        }
        let texts = notes.into_iter().chain(std::iter::repeat(String::new()));
        for (note, text) in self.notes.iter().zip(texts) {
            note.set_message(text);
        }
    }

    /// Takes everything from the terminal again.
    pub fn finish(&self) {
        self.bars.iter().chain(&self.notes).for_each(ProgressBar::finish_and_clear);
    }
}

fn style(template: &str) -> ProgressStyle {
    // Only a template of ours comes here: one that can not be read shows as indicatif's own.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn around_current(view: &ProjectView) -> &[PhaseView] {
    let current = view.phases.iter().position(|phase| !phase.status.is_ended()).unwrap_or(view.phases.len());
    let first = current.saturating_sub(BARS_MAX / 2).min(view.phases.len().saturating_sub(BARS_MAX));
    let shown = &view.phases[first..];
    &shown[..shown.len().min(BARS_MAX)]
}

fn message(phase: &PhaseView, begun: Option<Begun>) -> String {
    let counts = &phase.counts;
    let mut texts: Vec<String> =
        (counts.handed_out > 0).then(|| show::handed_out(counts.handed_out, begun)).into_iter().collect();
    let parts = [(counts.waiting, "waiting"), (counts.failed, "failed")];
    texts.extend(parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    let goals: Vec<String> = phase.goals.iter().take(4).map(|goal| cut(&goal.name)).collect();
    texts.push(goals.join(", "));
    let planned = match counts.total {
        0 => String::new(),
        total => format!("{} of {total}; ", counts.ended()),
    };
    format!("{planned}{}", texts.join("; "))
}

fn notes(picture: &Picture<'_>) -> Vec<String> {
    let mut notes = waiting::reasons(picture);
    if let Some(running) = waiting::running(picture) {
        notes.insert(0, format!("runs: {running}"));
    }
    if let Some(view) = picture.view {
        let failed = view.subtasks().filter(|subtask| subtask.attempts > 0 && subtask.error.is_some());
        notes.extend(failed.map(|subtask| {
            let attempt = subtask.attempts;
            let error = subtask.error.as_deref().unwrap_or_default();
            format!("{} (attempt {attempt}): {}", cut(&subtask.name), cut(error))
        }));
    }
    let rest = notes.len().saturating_sub(NOTES_MAX);
    notes.truncate(NOTES_MAX);
    if rest > 0 {
        notes.push(format!("and {rest} more"));
    }
    notes
}
