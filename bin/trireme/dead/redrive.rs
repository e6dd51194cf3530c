//! `trireme dead redrive`: letters on their way again, one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};
use trireme::config::Settings;
use trireme::domain::bad_input::quote;
use trireme::runtime::dead::{DeadLetter, DeadLetters, NotRedriven, OnItsWay, Redriven, Redriver};
use trireme::runtime::port::TransportError;

use super::retries::{Retries, Wanted};
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::show::count;

/// The letters a second that can be asked for: more than a broker confirms one by one, and one in a quarter of an hour.
const RATES: std::ops::RangeInclusive<f64> = 0.001..=10_000.0;
/// So many letters are sent before the first of them is confirmed: the broker syncs many at once.
const ON_THEIR_WAY_MAX: usize = 64;
/// So many that were not taken are listed in JSON; all of them are counted, and said on standard error.
const LISTED_MAX: usize = 1_000;

#[derive(clap::Args)]
#[command(after_help = "\
A letter goes when the broker has confirmed what was sent for it. One that nobody takes stays where it is, and the exit \
status is 1. So does the command of a subtask that was completed, or whose project is open: that goes on by itself. What \
could not be handled once may come straight back: nothing is changed in it.")]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// So many letters a second at the most
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The letter's id, or its beginning: 4 characters or more that no other letter's id begins with
    #[arg(value_name = "ID")]
    letter: Option<String>,
    /// All letters that are there now
    #[arg(long)]
    all: bool,
    /// All commands of this skill, and whatever else died in its queue
    #[arg(long, value_name = "SKILL")]
    skill: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok().filter(|rate| RATES.contains(rate));
    rate.ok_or_else(|| format!("not a number of letters a second from {} to {}", RATES.start(), RATES.end()))
}

pub async fn run(
    arguments: Arguments,
    letters: &mut DeadLetters,
    redriver: &Redriver,
    settings: &Settings,
    output: &Output,
) -> Result<Status, Failure> {
    let mut work = Work {
        redriver,
        retries: Retries::new(settings),
        output,
        pace: arguments.rate.map(pace),
        on_their_way: VecDeque::new(),
        tally: Tally::default(),
    };
    match &arguments.which {
        Which { letter: Some(named), .. } => {
            let named = letters.find(named).await?;
            super::say_left_alone(&named, output);
            for letter in named.letters {
                work.redrive(letters, letter).await?;
            }
        }
        Which { skill: Some(skill), .. } => {
            work.redrive_all(letters, None, |letter| letter.facts.skill.as_deref() == Some(skill)).await?;
            if work.tally.is_empty() {
                output.note(&format!("no dead letter is of the skill {}", quote(skill)));
            }
        }
        Which { .. } => {
            let first = letters.next().await?;
            if !arguments.yes && !super::are_meant(letters, first.as_ref(), "redrive").await? {
                output.note("nothing was redriven");
                return Ok(Status::Done);
            }
            work.redrive_all(letters, first, |_| true).await?;
        }
    }
    work.arrive(letters, 0).await?;
    work.end()
}

struct Work<'a> {
    redriver: &'a Redriver,
    retries: Retries<'a>,
    output: &'a Output,
    pace: Option<Interval>,
    on_their_way: VecDeque<OnItsWay>,
    tally: Tally,
}

/// What came of it: the shape of `dead redrive --json`.
#[derive(Default, Serialize)]
struct Tally {
    redriven: usize,
    left: usize,
    not_redriven: Vec<Refused>,
}

impl Tally {
    fn is_empty(&self) -> bool {
        self.redriven + self.left == 0
    }
}

#[derive(Serialize)]
struct Refused {
    id: String,
    why: String,
}

fn pace(rate: f64) -> Interval {
    let mut pace = interval(Duration::from_secs_f64(1.0 / rate));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

impl Work<'_> {
    /// Those of the letters, and of `first`, that are wanted. The others are held until the end, so that none of them
    /// is met twice.
    async fn redrive_all(
        &mut self,
        letters: &mut DeadLetters,
        first: Option<DeadLetter>,
        is_wanted: impl Fn(&DeadLetter) -> bool,
    ) -> Result<(), Failure> {
        let mut next = first;
        loop {
            let letter = match next.take() {
                Some(letter) => letter,
                None => match letters.next().await? {
                    Some(letter) => letter,
                    None => return self.arrive(letters, 0).await,
                },
            };
            if is_wanted(&letter) {
                self.redrive(letters, letter).await?;
            }
        }
    }

    /// Sends a letter, and waits for others when many are on their way. At a pace there is time to wait for each.
    async fn redrive(&mut self, letters: &DeadLetters, letter: DeadLetter) -> Result<(), Failure> {
        let wanted = match self.retries.wanted(&letter).await? {
            Wanted::Anything => None,
            Wanted::These(subtasks) => Some(subtasks),
            Wanted::Nothing(why) => {
                self.refused(&letter, &NotRedriven::Pointless(why));
                return Ok(());
            }
        };
        if let Some(pace) = &mut self.pace {
            pace.tick().await;
        }
        let sent = match wanted {
            None => self.redriver.send(letter).await,
            Some(subtasks) => self.redriver.send_retries(letter, &subtasks).await,
        };
        let sent = sent.map_err(|error| self.broken(error))?;
        self.on_their_way.push_back(sent);
        self.arrive(letters, if self.pace.is_some() { 0 } else { ON_THEIR_WAY_MAX }).await
    }

    /// Waits until no more than `most` are on their way.
    async fn arrive(&mut self, letters: &DeadLetters, most: usize) -> Result<(), Failure> {
        while self.on_their_way.len() > most {
            let Some(first) = self.on_their_way.pop_front() else { break };
            let (letter, outcome) = first.arrive(letters).await.map_err(|error| self.broken(error))?;
            match outcome {
                Ok(redriven) => {
                    self.tally.redriven += letter.copies();
                    self.say(&letter, &redriven);
                }
                Err(why) => self.refused(&letter, &why),
            }
        }
        Ok(())
    }

    fn broken(&self, error: TransportError) -> Failure {
        let Failure { status, message, hint } = error.into();
        Failure { status, message: format!("{} redriven, then {message}", count(self.tally.redriven, "letter")), hint }
    }

    fn say(&self, letter: &DeadLetter, redriven: &Redriven) {
        if self.output.is_json() {
            return;
        }
        let id = &letter.facts.id;
        match redriven {
            Redriven::Retry(subtasks) => {
                for (project, subtask) in subtasks {
                    self.output.line(&format!("{id}: retry of subtask {subtask} of project {project} is asked for"));
                }
            }
            Redriven::Sent { exchange, routing_key } => {
                self.output.line(&format!("{id}: sent to {exchange} with the key {}", quote(routing_key)));
            }
        }
    }

    fn refused(&mut self, letter: &DeadLetter, why: &NotRedriven) {
        let (id, why) = (letter.facts.id.clone(), why.to_string());
        self.tally.left += letter.copies();
        self.output.note(&format!("{id} stays: {why}"));
        if self.tally.not_redriven.len() < LISTED_MAX {
            self.tally.not_redriven.push(Refused { id, why });
        }
    }

    fn end(self) -> Result<Status, Failure> {
        let Tally { redriven, left, .. } = self.tally;
        if self.output.is_json() {
            self.output.json(&self.tally)?;
        }
        match left {
            0 => {
                self.output.note(&format!("{} redriven", count(redriven, "letter")));
                Ok(Status::Done)
            }
            _ => Err(Failure {
                status: Status::Negative,
                message: format!("{} not taken, and still there; {redriven} redriven", count(left, "letter")),
                hint: Some(
                    "what stays says why; `trireme dead show ID` says where one came from, `dead drop ID` removes it, `dead drop --settled` what is done"
                        .into(),
                ),
            }),
        }
    }
}
