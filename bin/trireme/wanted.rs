//! What a new project is made of: a file, or a name and what is wanted. `run` and `submit` take the same.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use trireme::domain::BadInput;
use trireme::domain::bad_input::quote;
use trireme::planner::ProjectFile;

/// Either of the two is given, and not both: whoever takes these says so with a group.
#[derive(Clone, clap::Args)]
pub struct Wanted {
    /// The project file, in TOML or JSON; - reads it from standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// A project without a file: its name
    #[arg(long, value_name = "NAME", requires = "description")]
    name: Option<String>,
    /// A project without a file: what is wanted. Planners make goals of it
    #[arg(long, value_name = "TEXT", requires = "name")]
    description: Option<String>,
}

impl Wanted {
    /// Reads it. A pipe may keep whoever reads it for as long as it likes.
    pub fn read(&self) -> Result<ProjectFile, BadInput> {
        match (&self.file, &self.name) {
            (Some(path), _) if path == Path::new("-") => {
                ProjectFile::read_from(std::io::stdin().lock(), "standard input")
            }
            (Some(path), _) => ProjectFile::read(path),
            (None, _) if self.description.as_deref().is_some_and(|text| text.trim().is_empty()) => {
                Err(BadInput::new("the description is empty").or_else("say what is wanted: planners make goals of it"))
            }
            (None, name) => {
                ProjectFile::named(name.as_deref().unwrap_or_default(), self.description.as_deref().unwrap_or_default())
            }
        }
    }

    /// Where it stands: the beginning of what is said about it.
    pub fn place(&self) -> String {
        match &self.file {
            Some(path) => quote(&path.display().to_string()),
            None => quote("--description"),
        }
    }

    /// The same on another command line.
    pub fn words(&self) -> Vec<String> {
        let file = self.file.iter().map(|path| path.display().to_string());
        let option = |option: &str, value: &Option<String>| {
            value.clone().map_or_else(Vec::new, |value| vec![option.to_owned(), value])
        };
        file.chain(option("--name", &self.name)).chain(option("--description", &self.description)).collect()
    }
}
