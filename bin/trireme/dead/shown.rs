//! Dead letters as they are printed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use trireme::domain::bad_input::cut;
use trireme::runtime::dead::{DeadLetter, DeadLetters, Facts, Named};
use trireme::wire::Raw;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::show;
use crate::table::{Column, Table};

/// So many bytes of a message that is no text are printed for people; `--json` has all of them.
const SHOWN_BYTES_MAX: usize = 4096;

/// A letter of `dead show --json`.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    copies: usize,
    /// Null when it is no JSON: then `base64` is there.
    message: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

pub async fn list(letters: &mut DeadLetters, limit: u32, output: &Output) -> Result<Status, Failure> {
    let mut all: Vec<Facts> = Vec::new();
    while all.len() < limit as usize {
        let Some(letter) = letters.next().await? else { break };
        all.push(letter.facts);
    }
    // Whoever looked before has put them back in any order.
    all.sort_by_key(|facts| facts.died_at);
    if letters.left() > 0 {
        output.note(&format!("{} more dead letters; --limit says how many are shown", letters.left()));
    }
    if output.is_json() {
        output.json(&all)?;
        return Ok(Status::Done);
    }
    if all.is_empty() {
        output.note("no dead letters");
        return Ok(Status::Done);
    }
    let mut table = Table::new([
        Column::new("LETTER"),
        Column::text("REASON"),
        Column::new("DIED").left_out(3),
        Column::text("TYPE").left_out(5),
        Column::new("PROJECT").left_out(4),
        Column::new("SUBTASK").left_out(6),
        Column::text("QUEUE").left_out(2),
        Column::text("SENDER").left_out(1),
    ]);
    for facts in all {
        table.row([
            facts.id,
            facts.reason,
            show::time(facts.died_at),
            facts.kind.unwrap_or_default(),
            text(facts.project_id),
            text(facts.subtask_id),
            facts.queue.unwrap_or_default(),
            facts.sender.unwrap_or_default(),
        ]);
    }
    output.table(&table);
    Ok(Status::Done)
}

pub fn show(named: &Named, output: &Output) -> Result<Status, Failure> {
    if output.is_json() {
        output.json(&named.letters.iter().map(shown).collect::<Vec<_>>())?;
    } else {
        for (at, letter) in named.letters.iter().enumerate() {
            if at > 0 {
                output.line("");
            }
            output.table(&head(letter));
            output.line("");
            output.line(&message(letter));
        }
    }
    super::say_left_alone(named, output);
    Ok(Status::Done)
}

/// What a question is about.
pub fn in_words(named: &Named) -> String {
    let kind = named.letters.first().and_then(|letter| letter.facts.kind.as_deref());
    let reason = named.letters.first().map(|letter| letter.facts.reason.as_str());
    let copies = match named.count() - named.left_alone {
        1 => String::new(),
        count => format!("{count} letters of "),
    };
    format!("{copies}{} ({}, {})", named.id, cut(kind.unwrap_or("unreadable")), cut(reason.unwrap_or_default()))
}

fn shown(letter: &DeadLetter) -> Shown<'_> {
    let message = std::str::from_utf8(&letter.body).ok().and_then(|text| Raw::parse(text).ok());
    let base64 = message.is_none().then(|| STANDARD.encode(&letter.body));
    Shown { facts: &letter.facts, copies: letter.copies(), message, base64 }
}

fn head(letter: &DeadLetter) -> Table {
    let facts = &letter.facts;
    let mut table = Table::list();
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.row([name.to_owned(), value]);
        }
    };
    row("letter", Some(facts.id.clone()));
    row("copies", (letter.copies() > 1).then(|| letter.copies().to_string()));
    row("reason", Some(facts.reason.clone()));
    row("detail", facts.detail.clone());
    row("died", facts.died_at.map(|at| at.to_string()));
    row("exchange", facts.exchange.clone());
    row("routing key", Some(facts.routing_key.clone()));
    row("queue", facts.queue.clone());
    row("sender", facts.sender.clone());
    row("type", facts.kind.clone());
    row("project", facts.project_id.map(|id| id.to_string()));
    row("subtask", facts.subtask_id.map(|id| id.to_string()));
    row("attempt", facts.attempt.map(|attempt| attempt.to_string()));
    row("skill", facts.skill.clone());
    row("bytes", Some(facts.bytes.to_string()));
    table
}

/// The message for a person: JSON with its line breaks, or what of it can be shown.
fn message(letter: &DeadLetter) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(&letter.body).ok();
    match value.and_then(|value| serde_json::to_string_pretty(&value).ok()) {
        Some(pretty) => pretty,
        None => {
            let start = &letter.body[..letter.body.len().min(SHOWN_BYTES_MAX)];
            let more = if start.len() < letter.body.len() { " ..." } else { "" };
            format!("\"{}\"{more}", start.escape_ascii())
        }
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
