//! `trireme dead`: the messages that nobody could handle. They are shown, sent on their way again, or dropped; nothing
//! else ever takes one out of its queue.

mod redrive;
mod retries;
mod shown;

use std::sync::Arc;

use serde_json::json;
use trireme::config::Settings;
use trireme::runtime::dead::{DeadLetter, DeadLetters, Named, Redriver};
use trireme::runtime::port::SystemClock;
use trireme::transport::rabbit::RabbitTransport;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::show::count;
use crate::{consent, wiring};
use retries::Retries;

#[derive(clap::Subcommand)]
#[command(after_help = "\
Examples:
  trireme dead list
  trireme dead list --json | jq -r '.[] | select(.reason == \"unknown_stream\") | .id'
  trireme dead show 5b0c
  trireme dead redrive 5b0c
  trireme dead redrive --skill Download --rate 10
  trireme dead drop 5b0c
  trireme dead drop --settled
  trireme dead drop --all --yes

Whoever looks holds the letters until it is done; somebody else who looks at that moment sees those that are left.")]
pub enum Command {
    /// The dead letters, by the time of their death
    List(ListArguments),
    /// One letter with its message
    Show(ShowArguments),
    /// Send letters on their way again: for a command its subtask is retried, anything else goes where it once went
    Redrive(redrive::Arguments),
    /// Forget a letter, those that are settled, or all of them, for ever
    Drop(DropArguments),
}

#[derive(clap::Args)]
pub struct ListArguments {
    /// How many at the most
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(clap::Args)]
pub struct ShowArguments {
    /// The letter's id, or its beginning: 4 characters or more that no other letter's id begins with
    #[arg(value_name = "ID")]
    letter: String,
}

#[derive(clap::Args)]
pub struct DropArguments {
    #[command(flatten)]
    which: Dropped,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Dropped {
    /// The letter's id, or its beginning: 4 characters or more that no other letter's id begins with
    #[arg(value_name = "ID")]
    letter: Option<String>,
    /// All letters that are there now
    #[arg(long)]
    all: bool,
    /// The commands whose subtask was completed or cancelled since, or is of an earlier run: there is nothing to redrive
    #[arg(long)]
    settled: bool,
}

pub async fn run(command: Command, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let transport = wiring::rabbit(settings, "dead")?;
    let done = act(command, settings, &transport, output).await;
    // What is held is back in its queue by this.
    transport.close().await;
    done
}

async fn act(
    command: Command,
    settings: &Settings,
    transport: &RabbitTransport,
    output: &Output,
) -> Result<Status, Failure> {
    let namespace = &settings.broker.namespace;
    let mut letters = DeadLetters::open(transport, namespace.clone()).await?;
    match command {
        Command::List(arguments) => shown::list(&mut letters, arguments.limit, output).await,
        Command::Show(arguments) => {
            let named = letters.find(&arguments.letter).await?;
            shown::show(&named, output)
        }
        Command::Drop(DropArguments { which: Dropped { letter: Some(named), .. }, yes }) => {
            drop_one(&mut letters, &named, yes, output).await
        }
        Command::Drop(DropArguments { which: Dropped { settled: true, .. }, yes }) => {
            drop_settled(&mut letters, settings, yes, output).await
        }
        Command::Drop(DropArguments { yes, .. }) => drop_all(&mut letters, yes, output).await,
        Command::Redrive(arguments) => {
            let redriver = Redriver::connect(transport, namespace.clone(), Arc::new(SystemClock)).await?;
            redrive::run(arguments, &mut letters, &redriver, settings, output).await
        }
    }
}

async fn drop_one(letters: &mut DeadLetters, named: &str, yes: bool, output: &Output) -> Result<Status, Failure> {
    if !yes {
        consent::check_terminal("drops a dead letter")?;
    }
    let named = letters.find(named).await?;
    let held = named.count() - named.left_alone;
    if !yes && !consent::ask(format!("drop {} for ever?", shown::in_words(&named))).await? {
        output.note("nothing was dropped");
        return Ok(Status::Done);
    }
    for letter in &named.letters {
        letters.remove(letter).await?;
    }
    if output.is_json() {
        output.json(&json!({ "id": named.id, "dropped": held }))?;
    } else {
        output.line(&format!("dropped {}", named.id));
    }
    say_left_alone(&named, output);
    Ok(Status::Done)
}

async fn drop_all(letters: &mut DeadLetters, yes: bool, output: &Output) -> Result<Status, Failure> {
    let mut next = letters.next().await?;
    if !yes && !are_meant(letters, next.as_ref(), "drop").await? {
        output.note("nothing was dropped");
        return Ok(Status::Done);
    }
    let mut dropped = 0;
    while let Some(letter) = next {
        letters.remove(&letter).await?;
        dropped += letter.copies();
        next = letters.next().await?;
    }
    say_dropped(dropped, output)
}

async fn drop_settled(
    letters: &mut DeadLetters,
    settings: &Settings,
    yes: bool,
    output: &Output,
) -> Result<Status, Failure> {
    let (mut retries, mut settled) = (Retries::new(settings), Vec::new());
    while let Some(letter) = letters.next().await? {
        if retries.is_settled(&letter).await? {
            settled.push(letter);
        }
    }
    let dropped = settled.iter().map(DeadLetter::copies).sum();
    if !yes && dropped > 0 {
        consent::check_terminal("drops all settled dead letters")?;
        if !consent::ask(format!("drop {} for ever?", count(dropped, "settled letter"))).await? {
            output.note("nothing was dropped");
            return Ok(Status::Done);
        }
    }
    for letter in &settled {
        letters.remove(letter).await?;
    }
    say_dropped(dropped, output)
}

fn say_dropped(dropped: usize, output: &Output) -> Result<Status, Failure> {
    if output.is_json() {
        output.json(&json!({ "dropped": dropped }))?;
    }
    output.note(&format!("{} dropped", count(dropped, "letter")));
    Ok(Status::Done)
}

/// Asks whether something is to be done to all of them: to the first, where there is one, and those behind it.
async fn are_meant(letters: &DeadLetters, first: Option<&DeadLetter>, what: &str) -> Result<bool, Failure> {
    if first.is_none() {
        return Ok(true);
    }
    consent::check_terminal(&format!("{what}s all dead letters"))?;
    consent::ask(format!("{what} {}?", count(letters.left() + 1, "dead letter"))).await
}

/// Of very many letters of one id some are left.
fn say_left_alone(named: &Named, output: &Output) {
    if named.left_alone > 0 {
        output.note(&format!("{} more letters have this id: do it once more", named.left_alone));
    }
}
