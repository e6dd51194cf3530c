//! `trireme decide`: answers what a project asks.

use trireme::config::Settings;
use trireme::domain::bad_input::quote;
use trireme::domain::project::Answer;
use trireme::domain::view::{ProjectView, QuestionView};
use trireme::wire::Content;
use trireme::wire::content::Control;

use super::{About, Spoken};
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme decide 0197a3c1 --retry
  trireme decide 0197a3c1 --skip --subtask 1.3

A project whose policy is `on_failure = \"ask\"` waits for this when a subtask has failed for good.")]
#[command(group = clap::ArgGroup::new("answer").required(true))]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    /// It is tried again, with all its attempts
    #[arg(long, group = "answer")]
    retry: bool,
    /// It is skipped, with all that depends on it
    #[arg(long, group = "answer")]
    skip: bool,
    /// The project fails
    #[arg(long, group = "answer")]
    fail: bool,
    /// Which subtask, when several are asked about: its id, as in 1.3, or its name
    #[arg(long, value_name = "SUBTASK")]
    subtask: Option<String>,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let spoken = Spoken::find(&arguments.about, settings, output).await?;
    spoken.check_open("decided about")?;
    let question = choose(&spoken.view, arguments.subtask.as_deref())?;
    let answer = match (arguments.retry, arguments.skip) {
        (true, _) => Answer::Retry,
        (false, true) => Answer::Skip,
        (false, false) => Answer::Fail,
    };
    let word = Content::Decide(Control {
        question: Some(question.question.0),
        answer: Some(answer.as_str().to_owned()),
        ..Control::about(spoken.id())
    });
    let mut asker = spoken.asker().await?;
    let heard = spoken.say(&mut asker, word).await;
    asker.close().await;
    match heard? {
        None => spoken.sent(),
        Some(_) => {
            let view = spoken.look_for(|_| true).await?;
            spoken.tell(&view, answer.as_str(), &format!("{}: {}", about(question), answer.as_str()))
        }
    }
}

/// The question that is meant: the only one, or the one about the subtask that was named.
fn choose<'a>(view: &'a ProjectView, named: Option<&str>) -> Result<&'a QuestionView, Failure> {
    let id = view.project_id;
    let is_id = |question: &QuestionView, named: &str| question.subtask_id.is_some_and(|id| id.to_string() == named);
    // An id means what has that id, whatever else is called so.
    let by_id = named.is_some_and(|named| view.waiting_for.iter().any(|question| is_id(question, named)));
    let is_meant = |question: &&QuestionView| {
        named.is_none_or(|named| match by_id {
            true => is_id(question, named),
            false => question.name.as_deref() == Some(named),
        })
    };
    let meant: Vec<&QuestionView> = view.waiting_for.iter().filter(is_meant).collect();
    match (meant.as_slice(), view.waiting_for.is_empty(), named) {
        ([only], ..) => Ok(only),
        (_, true, _) => Err(Failure::usage(format!("project `{id}` asks nothing"))
            .hint(format!("`trireme status {id}` shows what it waits for"))),
        ([], false, Some(named)) => {
            Err(Failure::usage(format!("project `{id}` asks nothing about subtask {}", quote(named)))
                .hint(listed(view)))
        }
        (several, ..) => {
            Err(Failure::usage(format!("project `{id}` asks {} things: name one with --subtask", several.len()))
                .hint(listed(view)))
        }
    }
}

fn listed(view: &ProjectView) -> String {
    const NAMED_MAX: usize = 10;
    let all: Vec<String> = view.waiting_for.iter().take(NAMED_MAX).map(about).collect();
    format!("it asks about {}", all.join(", "))
}

/// The command that answers a question.
pub fn command(view: &ProjectView, question: &QuestionView) -> String {
    let which = match (view.waiting_for.len(), question.subtask_id) {
        (0 | 1, _) | (_, None) => String::new(),
        (_, Some(subtask)) => format!(" --subtask {subtask}"),
    };
    format!("`trireme decide {}{which} --retry | --skip | --fail`", view.project_id)
}

/// What a question is about.
pub fn about(question: &QuestionView) -> String {
    match (question.subtask_id, &question.name) {
        (Some(id), Some(name)) => format!("subtask {id} {}", show::name(name)),
        _ => format!("phase {}", question.phase),
    }
}
