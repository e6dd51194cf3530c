//! `trireme cancel`: a project, or one subtask of it, ends before it is done.

use trireme::config::Settings;
use trireme::domain::bad_input::quote;
use trireme::domain::to_come::Meant;
use trireme::domain::view::{ProjectView, QuestionView, SubtaskView};
use trireme::wire::content::Control;
use trireme::wire::{self, Content, SubtaskId, SubtaskStatus};

use super::{About, Spoken, decide};
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::reading;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme cancel 0197a3c1 --reason \"wrong input\"
  trireme cancel 0197a3c1 --subtask 1.3
  trireme cancel 0197a3c1 --subtask \"Write the report\"

Nothing of it is dispatched any more, and executors end what runs of it. What depends on a cancelled subtask follows the \
project's `on_failure`; where that is `ask`, `trireme decide` answers.")]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    /// Only this subtask: its id, as in 1.3, or its name
    #[arg(long, value_name = "SUBTASK")]
    subtask: Option<String>,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let spoken = match arguments.subtask {
        None => Spoken::find_early(&arguments.about, settings, output).await?,
        Some(_) => Spoken::find(&arguments.about, settings, output).await?,
    };
    spoken.check_open("cancelled")?;
    let subtask_id = arguments.subtask.as_deref().map(|named| find(&spoken.view, named)).transpose()?;
    let mut asker = spoken.asker().await?;
    let word = Content::Cancel(Control { subtask_id, reason: arguments.reason.clone(), ..Control::about(spoken.id()) });
    let heard = spoken.say(&mut asker, word).await;
    asker.close().await;
    match (heard?, subtask_id) {
        (None, _) => spoken.sent(),
        (Some(_), None) => whole(&spoken).await,
        (Some(_), Some(subtask)) => one(&spoken, subtask).await,
    }
}

/// A subtask that has not ended, also of a phase that has not begun. What has ended under its name is not meant.
fn find(view: &ProjectView, named: &str) -> Result<SubtaskId, Failure> {
    let id: Option<SubtaskId> = named.parse().ok();
    if let Some(id) = id.filter(|&id| is_to_come(view, id)) {
        return Ok(id);
    }
    let is_id = id.is_some_and(|id| subtask(view, id).is_some());
    let is_meant = |subtask: &&SubtaskView| subtask.name == named && !subtask.status.is_ended();
    let begun: Vec<SubtaskId> = view.subtasks().filter(is_meant).map(|subtask| subtask.id).collect();
    let to_come = view.phases.iter().filter_map(|phase| Some((phase.phase, phase.to_come.as_ref()?.meant_by(named)?)));
    let to_come: Vec<(u32, Meant)> = to_come.collect();
    match (begun.as_slice(), to_come.as_slice()) {
        _ if is_id => {}
        ([], []) => {}
        ([id], []) | ([], [(_, Meant::One(id))]) => return Ok(*id),
        ([], [(_, Meant::Copies(copies))]) => {
            let numbered = |copy: u32| quote(&format!("{named} {copy}"));
            return Err(Failure::usage(format!("there will be {copies} subtasks {}", quote(named))).hint(format!(
                "name one of them: {} to {}",
                numbered(1),
                numbered(*copies)
            )));
        }
        ([], [(_, Meant::Somewhere)]) => {
            return Err(Failure::usage(format!(
                "the id of subtask {} is not known yet: its phase has not begun, and a planner is still to say what comes \
                 before it",
                quote(named)
            )));
        }
        _ => return Err(several(named, &begun, &to_come)),
    }
    let subtask = reading::subtask(view, named)?;
    check_open(subtask)?;
    Ok(subtask.id)
}

/// A name that more than one phase has.
fn several(named: &str, begun: &[SubtaskId], to_come: &[(u32, Meant)]) -> Failure {
    let to_come = to_come.iter().map(|(phase, meant)| match meant {
        Meant::One(id) => format!("`{id}`"),
        Meant::Copies(_) => format!("{} ... in phase {phase}", quote(&format!("{named} 1"))),
        Meant::Somewhere => format!("one of phase {phase}, whose id is not known yet"),
    });
    let which: Vec<String> = begun.iter().map(|id| format!("`{id}`")).chain(to_come).collect();
    Failure::usage(format!("{} subtasks that have not ended have the name {}", which.len(), quote(named)))
        .hint(format!("name it by its id: {}", which.join(" or ")))
}

async fn whole(spoken: &Spoken<'_>) -> Result<Status, Failure> {
    let view = spoken.look_for(|view| view.status.is_ended()).await?;
    match view.status.is_ended() {
        true => spoken.tell(&view, &view.status.as_str().to_lowercase(), &format!("project {}", view.status)),
        false => spoken.tell(&view, "cancelling", "it ends when the phase that runs has closed everything"),
    }
}

async fn one(spoken: &Spoken<'_>, id: SubtaskId) -> Result<Status, Failure> {
    let is_seen = |view: &ProjectView| match subtask(view, id) {
        Some(known) => question(view, id).is_some() || known.status.is_ended(),
        None => is_kept_in_mind(view, id) || !is_to_come(view, id),
    };
    let view = spoken.look_for(is_seen).await?;
    let known = subtask(&view, id);
    let which = match known {
        Some(known) => format!("subtask {id} {}", quote(&known.name)),
        None => format!("subtask {id}"),
    };
    match (question(&view, id), known.map(|known| known.status).filter(|status| status.is_ended())) {
        (Some(question), _) => {
            let answer = decide::command(&view, question);
            let line = format!("{which} is cancelled, and what depends on it waits for an answer: {answer}");
            spoken.tell(&view, "waiting", &line)
        }
        (None, Some(status)) => {
            let said = spoken.tell(&view, &status.as_str().to_lowercase(), &format!("{which} {status}"))?;
            // Or it had come to an end of its own.
            Ok(if status == SubtaskStatus::Cancelled { said } else { Status::Negative })
        }
        // One that a coordinator is about to open has to hear of it first.
        (None, None) if is_kept_in_mind(&view, id) && !is_handed_over(&view, id) => {
            let line = format!("{which} is cancelled as soon as phase {} has begun", id.phase);
            spoken.tell(&view, "cancelling", &line)
        }
        (None, None) => spoken.tell(&view, "cancelling", &format!("{which} is being cancelled")),
    }
}

fn is_to_come(view: &ProjectView, id: SubtaskId) -> bool {
    view.phases.iter().filter_map(|phase| phase.to_come.as_ref()).any(|phase| phase.may_have(id))
}

/// It is of a phase that has not begun, and will be cancelled then.
fn is_kept_in_mind(view: &ProjectView, id: SubtaskId) -> bool {
    view.phases.iter().any(|phase| phase.unwanted.contains(&id))
}

/// Its phase is with the coordinators, although none may have opened it.
fn is_handed_over(view: &ProjectView, id: SubtaskId) -> bool {
    view.phases.iter().any(|phase| phase.phase == id.phase && phase.status == wire::Status::Busy)
}

/// What a person is asked about a subtask that others depend on: what was asked before it was cancelled is over.
fn question(view: &ProjectView, id: SubtaskId) -> Option<&QuestionView> {
    view.waiting_for.iter().find(|question| question.subtask_id == Some(id))
}

fn subtask(view: &ProjectView, id: SubtaskId) -> Option<&SubtaskView> {
    view.subtasks().find(|subtask| subtask.id == id)
}

fn check_open(subtask: &SubtaskView) -> Result<(), Failure> {
    match subtask.status.is_ended() {
        true => Err(Failure::usage(format!(
            "subtask {} {} has ended ({}): it can not be cancelled",
            subtask.id,
            quote(&subtask.name),
            subtask.status
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use trireme::domain::to_come::ToCome;
    use trireme::domain::view::{GoalView, PhaseView};
    use trireme::wire::{Counts, GoalPlan, ProjectId, Status, SubtaskPlan, SubtaskStatus};
    use uuid::Uuid;

    use super::*;

    fn phase(phase: u32, begun: &[(&str, SubtaskStatus)], to_come: &[(&str, Option<u32>)]) -> PhaseView {
        let subtasks = (0u32..).zip(begun).map(|(ordinal, &(name, status))| SubtaskView {
            id: SubtaskId { phase, ordinal },
            name: name.into(),
            skill: "noop".into(),
            status,
            attempts: 0,
            next_attempt_at: None,
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
        });
        let planned = to_come.iter().map(|&(name, repeat)| SubtaskPlan { repeat, ..SubtaskPlan::new(name, "noop") });
        let goal = GoalPlan {
            goal_name: "G".into(),
            priority: phase,
            description: String::new(),
            input: None,
            subtasks: Some(planned.collect()),
        };
        PhaseView {
            phase,
            priority: phase,
            status: Status::Busy,
            counts: Counts::default(),
            error: None,
            goals: vec![GoalView { name: "G".into(), status: Status::Busy, subtasks: subtasks.collect() }],
            unwanted: BTreeSet::new(),
            to_come: (!to_come.is_empty()).then(|| ToCome::new(phase, [goal].iter())),
        }
    }

    #[test]
    fn a_name_means_the_one_that_has_not_ended() {
        let view = ProjectView {
            project_id: ProjectId(Uuid::nil()),
            name: "p".into(),
            status: Status::Busy,
            run: 1,
            submitted_at: None,
            finished_at: None,
            error: None,
            waiting_for: Vec::new(),
            counts: Counts::default(),
            phases: vec![
                phase(1, &[("done", SubtaskStatus::Completed), ("over", SubtaskStatus::Completed)], &[]),
                phase(2, &[("run", SubtaskStatus::Busy), ("both", SubtaskStatus::Ready)], &[]),
                phase(3, &[], &[("done", None), ("both", None), ("x", Some(3)), ("x 03", None), ("twice", None)]),
                phase(4, &[], &[("twice", None), ("run", Some(2))]),
            ],
        };
        let found = |named: &str| match find(&view, named) {
            Ok(id) => id.to_string(),
            Err(failure) => format!("{}; {}", failure.message, failure.hint.unwrap_or_default()),
        };
        let is = [("run 2", "4.2"), ("done", "3.0"), ("x 3", "3.4"), ("x 03", "3.5"), ("2.1", "2.1"), ("3.0", "3.0")];
        for (named, id) in is {
            assert_eq!(found(named), id, "{named}");
        }
        for (named, told) in [
            ("over", "subtask 1.1 `over` has ended (COMPLETED): it can not be cancelled; "),
            ("1.0", "subtask 1.0 `done` has ended (COMPLETED): it can not be cancelled; "),
            ("both", "2 subtasks that have not ended have the name `both`; name it by its id: `2.1` or `3.1`"),
            ("twice", "2 subtasks that have not ended have the name `twice`; name it by its id: `3.6` or `4.0`"),
            (
                "run",
                "2 subtasks that have not ended have the name `run`; name it by its id: `2.0` or `run 1` ... in phase 4",
            ),
            ("x", "there will be 3 subtasks `x`; name one of them: `x 1` to `x 3`"),
            ("twic", "the project has no subtask `twic`; did you mean `twice`?"),
            (" ", "the project has no subtask ` `; `trireme status 00000000-0000-0000-0000-000000000000` lists them"),
        ] {
            assert_eq!(found(named), told);
        }
    }
}
