//! Where `trireme run` keeps its project: in a private file that goes with it, or in a store that stays.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use trireme::config::{Settings, masked};
use trireme::domain::bad_input::quote;
use trireme::runner::scratch::{self, Scratch};
use trireme::runtime::port::Store;
use trireme::store::sqlite::{SqliteOptions, SqliteStore, Synchronous};
use trireme::wire::ProjectId;

use super::Arguments;
use crate::failure::{Failure, Status};
use crate::output::Output;

/// The private store, in a folder of its own.
const PRIVATE: &str = "run.db";

static RUNS: scratch::Kind = scratch::Kind::new("trireme-run-");

pub struct Place {
    pub store: Arc<dyn Store>,
    /// The URL of a store that stays.
    kept: Option<String>,
    /// Removed with what is in it when this is dropped.
    private: Option<Scratch>,
}

impl Place {
    pub async fn open(arguments: &Arguments, settings: &Settings) -> Result<Self, Failure> {
        if arguments.store.is_none() {
            return Self::private().await;
        }
        let url = &settings.store.url;
        // What is to be resumed is there: a store is not made for it.
        let missing = url.strip_prefix("sqlite:").filter(|path| !Path::new(path).exists());
        if let (Some(_), Some(path)) = (&arguments.resume, missing) {
            return Err(Failure::usage(format!("there is no store {}", quote(path))));
        }
        let store = trireme::store::open(url).await?;
        Ok(Self { store, kept: Some(masked(url)), private: None })
    }

    async fn private() -> Result<Self, Failure> {
        let folder = RUNS.make().map_err(|error| {
            Failure::unreachable(format!("there is no place for a store: {error}")).hint("TMPDIR names another folder")
        })?;
        let options = SqliteOptions { synchronous: Synchronous::Normal, ..SqliteOptions::default() };
        let store = SqliteStore::open(folder.path().join(PRIVATE), options).await?;
        Ok(Self { store: Arc::new(store), kept: None, private: Some(folder) })
    }

    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// What is said when a project has ended and its results could not be written: where they are, and the command that
    /// has them. A private store stays for it.
    pub fn not_shown(self, id: ProjectId, is_for_files: bool, failure: Failure) -> Failure {
        let url = match (self.kept, self.private) {
            (Some(url), _) => url,
            (None, Some(folder)) => format!("sqlite:{}", folder.keep().join(PRIVATE).display()),
            (None, None) => return failure,
        };
        let mut words = vec!["trireme", "run", "--resume"];
        let id = id.to_string();
        words.extend([id.as_str(), "--store", url.as_str()]);
        let command = words.into_iter().map(quoted).collect::<Vec<_>>().join(" ");
        let where_to = if is_for_files { " --out DIR" } else { "" };
        let message = format!("{}; the results are kept in {}", failure.message, quote(&url));
        Failure { message, ..failure }.hint(format!("they are written with: {command}{where_to}"))
    }

    /// What is said after Ctrl-C: how to go on, or that there is nothing to go on with.
    pub fn interrupted(
        &self,
        arguments: &Arguments,
        common: Vec<OsString>,
        id: ProjectId,
        is_taken: bool,
        output: &Output,
    ) -> Failure {
        let failure = |message: String| Failure { status: Status::Interrupted, message, hint: None };
        let Some(url) = &self.kept else {
            return failure("interrupted; nothing was kept, so the work is lost".into())
                .hint("--store sqlite:PATH keeps it");
        };
        let command = command(arguments, common, url, is_taken.then_some(id), output);
        match is_taken {
            true => failure(format!("interrupted; project {id} is kept")).hint(format!("it goes on with: {command}")),
            false => failure("interrupted before it began".into()).hint(format!("it begins with: {command}")),
        }
    }
}

/// The command that goes on, ready for a shell. A password in the URL is not repeated.
fn command(
    arguments: &Arguments,
    common: Vec<OsString>,
    url: &str,
    resumed: Option<ProjectId>,
    output: &Output,
) -> String {
    let mut words: Vec<String> = vec!["trireme".into(), "run".into()];
    match resumed {
        Some(id) => words.extend(["--resume".into(), id.to_string()]),
        None => words.extend(arguments.wanted.words()),
    }
    words.extend(["--store".into(), url.to_owned()]);
    if let Some(dir) = &arguments.out {
        words.extend(["--out".into(), dir.display().to_string()]);
    }
    words.extend(arguments.force.then(|| "--force".into()));
    words.extend(arguments.slots.iter().flat_map(|slots| ["--slots".into(), slots.clone()]));
    words.extend(output.is_json().then(|| "--json".into()));
    words.extend(common.iter().map(|word| word.to_string_lossy().into_owned()));
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
