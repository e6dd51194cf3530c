//! `trireme check`: reads stored streams, and says whether every rule holds.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use trireme::config::Settings;
use trireme::domain::audit::Violation;
use trireme::domain::bad_input::one_line;
use trireme::runtime::check::{self, Checked};
use trireme::runtime::reader;
use trireme::wire::ProjectId;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::reading;
use crate::show::count;

/// What takes longer is shown to go on.
const SOON: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
#[command(
    override_usage = "trireme check [OPTIONS] <ID | --all>",
    after_help = "\
Examples:
  trireme check 0197a3c1
  trireme check --all
  trireme check --all --json | jq '.violations[].rule'

Each line is a rule that a stream breaks: the stream, the version at which it was seen, the rule, and what was found.
Exit status: 0 when every rule holds, 1 when not."
)]
pub struct Arguments {
    /// The project's id, or its beginning or end: 4 characters or more that no other project's id begins or ends with
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    project: Option<String>,
    /// Every project that the store knows
    #[arg(long)]
    all: bool,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let store = reading::open(settings).await?;
    let (progress, mut checked) = (Progress::new(output), Checked::default());
    match arguments.project {
        Some(named) => {
            let id = reading::Named::new(&named).find(&*store).await?;
            if !check::project(&*store, id, &mut checked, &|seen| progress.show(seen)).await? {
                return Err(reading::unknown(&id.to_string()));
            }
        }
        None => {
            let mut others: BTreeSet<ProjectId> = store.projects().await?.into_iter().collect();
            reader::pages(&*store, None, async |page| {
                for listed in page {
                    others.remove(&listed.project_id);
                    check::project(&*store, listed.project_id, &mut checked, &|seen| progress.show(seen)).await?;
                }
                Ok::<(), Failure>(())
            })
            .await?;
            // Those that have streams, and no row that tells of them.
            for id in others {
                check::project(&*store, id, &mut checked, &|seen| progress.show(seen)).await?;
            }
        }
    }
    progress.finish();
    let is_well = checked.violations.is_empty();
    if output.is_json() {
        output.json(&checked)?;
    } else {
        checked.violations.iter().for_each(|violation| output.line(&line(violation)));
        let Checked { projects, streams, events, violations } = &checked;
        let verdict = match violations.len() {
            0 => "every rule holds".to_owned(),
            found => count(found, "violation"),
        };
        output.note(&format!("{}: {verdict}", seen(*projects, *streams, *events)));
    }
    Ok(if is_well { Status::Done } else { Status::Negative })
}

fn line(Violation { stream, version, rule, detail }: &Violation) -> String {
    format!("{stream} at {version}: {rule}: {}", one_line(detail))
}

/// How much was looked at.
fn seen(projects: u64, streams: u64, events: u64) -> String {
    [(projects, "project"), (streams, "stream"), (events, "event")].map(|(number, what)| count(number, what)).join(", ")
}

/// What was seen so far, for whoever waits at a terminal.
struct Progress {
    began: Instant,
    is_quiet: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress {
    fn new(output: &Output) -> Self {
        Self { began: Instant::now(), is_quiet: output.is_quiet(), bar: Mutex::default() }
    }

    fn show(&self, checked: &Checked) {
        if self.is_quiet || self.began.elapsed() < SOON {
            return;
        }
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let bar = bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        let Checked { projects, streams, events, violations } = checked;
        let found = count(violations.len(), "violation");
        bar.set_message(format!("{}, {found}", seen(*projects, *streams, *events)));
        bar.tick();
    }

    fn finish(&self) {
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            bar.finish_and_clear();
        }
    }
}
