//! Operators: in the storm they say anything about any project at any time, as a client does; in calm weather they let
//! what is paused go on, and answer what is asked.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::sleep;
use trireme::domain::project::{Answer, Open, PhaseState, Project};
use trireme::runtime::World;
use trireme::runtime::client::Client;
use trireme::wire::content::Control;
use trireme::wire::{Content, MessageId, ProjectId, Status, StreamId, SubtaskId};

use crate::ending::Said;
use crate::projects::PlannedProject;
use crate::sights::Sight;
use crate::sim::Sim;
use crate::store::brief;
use crate::team::Terms;

/// How long they wait, in calm weather, for what comes of their words.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of a project that nobody knows yet.
const EARLY: [Sight; 4] = [Sight::SaidCancel, Sight::SaidPause, Sight::SaidPause, Sight::SaidResume];
/// Of one that is open.
const OPEN: [Sight; 10] = [
    Sight::SaidCancel,
    Sight::SaidCancelSubtask,
    Sight::SaidCancelSubtask,
    Sight::SaidCancelSubtask,
    Sight::SaidPause,
    Sight::SaidPause,
    Sight::SaidResume,
    Sight::SaidResume,
    Sight::SaidRecover,
    Sight::SaidRetry,
];
/// Of one that asks.
const ASKING: [Sight; 6] = [
    Sight::SaidDecide,
    Sight::SaidDecide,
    Sight::SaidDecide,
    Sight::SaidCancelSubtask,
    Sight::SaidPause,
    Sight::SaidRecover,
];
/// Of one that has ended.
const ENDED: [Sight; 8] = [
    Sight::SaidRetry,
    Sight::SaidRetry,
    Sight::SaidRetryFailed,
    Sight::SaidRetryFailed,
    Sight::SaidRetrySubtask,
    Sight::SaidRetrySubtask,
    Sight::SaidRecover,
    Sight::SaidCancel,
];

pub struct Operator<'a> {
    sim: &'a Sim,
    client: Client,
    projects: &'a [PlannedProject],
    said: Mutex<BTreeMap<ProjectId, Said>>,
    /// They name the subtask that they answer about, as people do, and not the question.
    names_subtasks: bool,
}

impl<'a> Operator<'a> {
    pub async fn come(sim: &'a Sim, terms: &Terms, projects: &'a [PlannedProject]) -> Self {
        let World { transport, clock, .. } = terms.calm_world("operator");
        let client = Client::connect(&*transport, clock).await.expect("a broker");
        let names_subtasks = sim.draw(|random| random.percent(50));
        Self { sim, client, projects, said: Mutex::default(), names_subtasks }
    }

    /// What was said of a project.
    pub fn said(&self, project: ProjectId) -> Said {
        self.said.lock().expect("nobody panics while it is held").get(&project).copied().unwrap_or_default()
    }

    /// Says some words, or none.
    pub async fn speak(&self) {
        let (words, pause) = self.sim.draw(|random| (random.pick(&[0, 0, 1, 3, 6, 12]), random.pick(&[2_000, 20_000])));
        for _ in 0..words {
            sleep(self.sim.draw(|random| random.ms(0, pause))).await;
            if self.sim.has_failed() {
                return;
            }
            let at = self.sim.draw(|random| random.below(self.projects.len() as u64));
            let project = self.projects[usize::try_from(at).expect("an index")].id;
            let word = self.choose(project);
            if let Some((word, control)) = self.control(project, word) {
                self.say(project, word, control).await;
            }
        }
    }

    /// Never ends.
    pub async fn set_right(&self) {
        loop {
            for planned in self.projects {
                let state = self.with(planned.id, |state| (state.is_open() && state.is_paused(), is_asking(state)));
                let (is_paused, is_asking) = state.unwrap_or_default();
                let words = [(is_paused, Sight::SaidResume), (is_asking, Sight::SaidDecide)];
                for (_, word) in words.into_iter().filter(|(is_due, _)| *is_due) {
                    if let Some((word, control)) = self.control(planned.id, word) {
                        self.say(planned.id, word, control).await;
                    }
                }
            }
            sleep(PATIENCE).await;
        }
    }

    fn choose(&self, project: ProjectId) -> Sight {
        let words = self.with(project, |state| match state.accepted() {
            None => EARLY.as_slice(),
            Some(_) if !state.is_open() => &ENDED,
            Some(_) if is_asking(state) => &ASKING,
            Some(_) => &OPEN,
        });
        self.sim.draw(|random| random.pick(words.unwrap_or(&EARLY)))
    }

    fn with<T>(&self, project: ProjectId, look: impl FnOnce(&Project) -> T) -> Option<T> {
        self.sim.watch().projects.get(&project).map(|followed| look(&followed.state))
    }

    /// A word with all that it has to say; none when there is nothing to say it of.
    fn control(&self, project: ProjectId, word: Sight) -> Option<(Sight, Control)> {
        let about = Control::about(project);
        let control = match word {
            Sight::SaidCancelSubtask | Sight::SaidRetrySubtask => {
                let asked = self.asked_about(project).filter(|_| self.sim.draw(|random| random.percent(70)));
                let to_come = self.subtask_to_come(project).filter(|_| word == Sight::SaidCancelSubtask);
                let subtask = asked.or(to_come).or_else(|| self.some_subtask(project));
                Control { subtask_id: Some(subtask?), ..about }
            }
            Sight::SaidRetryFailed => Control { failed_only: true, ..about },
            Sight::SaidDecide => {
                let asked = self.with(project, |state| answerable(state, self.names_subtasks));
                let question = self.pick(&asked.unwrap_or_default())?;
                let answer =
                    self.sim.draw(|random| random.pick(&[Answer::Retry, Answer::Skip, Answer::Skip, Answer::Fail]));
                Control { question: Some(question.0), answer: Some(answer.as_str().to_owned()), ..about }
            }
            _ => about,
        };
        Some((word, control))
    }

    /// One that somebody is asked about.
    fn asked_about(&self, project: ProjectId) -> Option<SubtaskId> {
        let about = |open: &Open| open.subtask.as_ref().map(|asked| asked.id);
        let asked: Option<Vec<SubtaskId>> =
            self.with(project, |state| state.open_questions().filter_map(|(_, open)| about(open)).collect());
        self.pick(&asked?)
    }

    /// Now and then of a phase that has not begun, where there is one.
    fn subtask_to_come(&self, project: ProjectId) -> Option<SubtaskId> {
        let to_come = self.with(project, |state| {
            let number = |phase: &PhaseState| (phase.status == Status::Idle).then_some(phase.number);
            state.phases().iter().filter_map(number).collect::<Vec<u32>>()
        });
        let phase = self.pick(&to_come?)?;
        self.sim.draw(|random| random.percent(40).then(|| SubtaskId { phase, ordinal: random.between(0, 3) }))
    }

    /// Of the newest phase that has any.
    fn some_subtask(&self, project: ProjectId) -> Option<SubtaskId> {
        let of_project = StreamId::Phase(project, 0)..=StreamId::Phase(project, u32::MAX);
        let newest = self.sim.watch().phases.range(of_project).rev().find_map(|(&stream, phase)| match stream {
            StreamId::Phase(_, phase_number) => {
                Some((phase_number, phase.state.counts().total)).filter(|&(_, total)| total > 0)
            }
            StreamId::Project(_) => None,
        });
        let (phase, total) = newest?;
        Some(SubtaskId { phase, ordinal: self.sim.draw(|random| random.between(0, total - 1)) })
    }

    fn pick<T: Copy>(&self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| self.sim.draw(|random| random.pick(from)))
    }

    async fn say(&self, project: ProjectId, word: Sight, control: Control) {
        let answer = control.answer.as_deref().and_then(Answer::read);
        self.said.lock().expect("nobody panics while it is held").entry(project).or_default().add(word, answer);
        let of = control.subtask_id.map(|subtask| format!(", {subtask}")).unwrap_or_default();
        let content = match word {
            Sight::SaidCancel | Sight::SaidCancelSubtask => Content::Cancel(control),
            Sight::SaidPause => Content::Pause(control),
            Sight::SaidResume => Content::Resume(control),
            Sight::SaidRecover => Content::Recover(control),
            Sight::SaidDecide => Content::Decide(control),
            _ => Content::Retry(control),
        };
        // A queue of requests that is full takes no words: they are not said then.
        if self.client.say(project, content).await.is_ok() {
            self.sim.see(word);
            self.sim.step("operator", format!("{}: {}{of} {answer:?}", word.name(), brief(StreamId::Project(project))));
        }
    }
}

/// The questions that can be answered. Where a subtask is named, only one about each: whoever names it does not say which
/// of two.
fn answerable(state: &Project, names_subtasks: bool) -> Vec<MessageId> {
    let about = |open: &Open| open.subtask.as_ref().map(|asked| asked.id);
    let is_only = |open: &Open| state.open_questions().filter(|(_, other)| about(other) == about(open)).count() == 1;
    let open = state.open_questions().filter(|(_, open)| !names_subtasks || is_only(open));
    open.map(|(id, _)| id).collect()
}

fn is_asking(state: &Project) -> bool {
    state.open_questions().next().is_some()
}
