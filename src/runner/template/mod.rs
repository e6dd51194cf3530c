//! `template`: work that can be checked, without any key, network or model. Entities that the input carries are
//! rendered into SQL, Python and descriptions of interfaces, and what is rendered is tried before it counts.
//!
//! | `template` | makes | and tries it by |
//! | --- | --- | --- |
//! | `database_design` | SQL | running it on an empty SQLite |
//! | `code_generation` | Python and its tests | running the tests, where a python3 is |
//! | `api_call` | an OpenAPI description and a signed exchange | holding the exchange against it |
//! | `data_analysis` | figures of CSV or JSON | |
//! | `generic` | a report in Markdown | |
//! | a path that ends in `.j2` | a text of your own | reading it again, when it is JSON |
//!
//! What a client submits is data here, never code: names are checked, values quoted, and a template is only ever
//! named by the settings.

mod analysis;
mod code;
mod contract;
mod database;
mod engine;
mod entity;
mod name;
mod own;
mod python;
mod report;
mod task;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::options::{BuildError, hint};
use super::process::FILES_MAX;
use crate::runtime::port::{Assignment, Report, Runner};
use crate::wire::content::ExecuteSubtask;
use crate::wire::{Failure, FailureKind, Raw};
use own::Own;
use python::Unproven;
use task::Task;

pub(super) const OPTIONS: [&str; 2] = ["python", "template"];

#[derive(Deserialize)]
pub(super) struct Options {
    /// One of [`NAMES`], or the path of a template of your own.
    template: String,
    /// The program that runs what is generated.
    #[serde(default = "python")]
    python: String,
}

fn python() -> String {
    "python3".into()
}

/// The templates that ship.
const NAMES: [&str; 5] = ["api_call", "code_generation", "data_analysis", "database_design", "generic"];

pub(super) struct Template {
    work: Arc<Work>,
    python: String,
}

enum Work {
    ApiCall,
    CodeGeneration,
    DataAnalysis,
    DatabaseDesign,
    Generic,
    Own(Box<Own>),
}

/// What a template made: a result, or one that is still to be tried by running it.
enum Made {
    Result(Value),
    Unproven(Unproven),
}

impl Template {
    pub(super) fn new(options: Options) -> Result<Self, BuildError> {
        let work = match options.template.as_str() {
            "api_call" => Work::ApiCall,
            "code_generation" => Work::CodeGeneration,
            "data_analysis" => Work::DataAnalysis,
            "database_design" => Work::DatabaseDesign,
            "generic" => Work::Generic,
            path if path.ends_with(".j2") => Work::Own(Box::new(Own::read(path)?)),
            unknown => {
                let message = format!("no template is named `{unknown}`\nhint: {}", hint(unknown, &NAMES));
                return Err(BuildError::bad_option("template", message));
            }
        };
        Ok(Self { work: Arc::new(work), python: options.python })
    }
}

impl Work {
    fn make(&self, command: &ExecuteSubtask) -> Result<Made, Failure> {
        let task = Task::read(command)?;
        match self {
            Self::ApiCall => contract::make(&task).map(Made::Result),
            Self::CodeGeneration => code::make(&task).map(Made::Unproven),
            Self::DataAnalysis => analysis::make(&task).map(Made::Result),
            Self::DatabaseDesign => database::make(&task).map(Made::Result),
            Self::Generic => report::make(&task).map(Made::Result),
            Self::Own(own) => own.make(&task).map(Made::Result),
        }
    }
}

#[async_trait]
impl Runner for Template {
    fn files_per_attempt(&self) -> u32 {
        FILES_MAX
    }

    async fn run(&self, assignment: &Assignment, stop: CancellationToken) -> Report {
        let (work, command) = (Arc::clone(&self.work), assignment.command.clone());
        let making = tokio::task::spawn_blocking(move || work.make(&command));
        let made = tokio::select! {
            biased;
            // The rest of the making is bounded, and nobody looks at it.
            () = stop.cancelled() => return Report::failed(Failure::new(FailureKind::Cancelled, "stopped")),
            made = making => made,
        };
        match made {
            Ok(Ok(Made::Result(result))) => Report::completed(Raw::from(result)),
            Ok(Ok(Made::Unproven(unproven))) => unproven.prove(&self.python, &stop).await,
            Ok(Err(failure)) => Report::failed(failure),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Report::failed(Failure::new(FailureKind::Crashed, error.to_string())),
            },
        }
    }
}

#[cfg(test)]
mod tests;
