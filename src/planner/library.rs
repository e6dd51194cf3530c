//! The playbooks of a process: those of the user's own folder, and those that ship. Read once, when the
//! process starts.

use std::path::Path;

use super::document;
use super::file::known;
use super::playbook::{Playbook, plain};
use crate::domain::BadInput;
use crate::domain::bad_input::quote;
use crate::wire::content::NewProject;

/// The playbooks that ship, by name: one that is added is a file and a line.
const SHIPPED: &[(&str, &str)] = &[("ecommerce", include_str!("../../playbooks/ecommerce.toml"))];
/// More files in a folder are a mistake: it is another folder.
const FILES_MAX: usize = 1_000;

/// In the order in which equal matches win: the folder's by name, then the shipped by name.
#[derive(Debug, Clone, Default)]
pub struct Library {
    playbooks: Vec<Playbook>,
}

impl Library {
    /// The playbooks of `folder`, and those that ship and have no namesake there.
    pub fn load(folder: Option<&Path>) -> Result<Self, BadInput> {
        let mut playbooks = match folder {
            Some(folder) => read_folder(folder)?,
            None => Vec::new(),
        };
        for &(name, text) in SHIPPED {
            if !playbooks.iter().any(|own: &Playbook| own.name == name) {
                playbooks.push(Playbook::parse(name, text).map_err(|bad| bad.at(format_args!("playbook `{name}`")))?);
            }
        }
        Ok(Self { playbooks })
    }

    pub fn playbooks(&self) -> &[Playbook] {
        &self.playbooks
    }

    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.playbooks.iter().map(|playbook| playbook.name.as_str())
    }

    pub fn get(&self, name: &str) -> Option<&Playbook> {
        self.playbooks.iter().find(|playbook| playbook.name == name)
    }

    /// The playbook that a request names, or else the one that matches its description best.
    pub fn choose(&self, request: &NewProject) -> Result<Option<&Playbook>, BadInput> {
        if let Some(name) = &request.playbook {
            known("playbook", name, self.names())?;
            return Ok(self.get(name));
        }
        let description = plain(&request.description);
        let mut best: Option<(usize, &Playbook)> = None;
        for playbook in &self.playbooks {
            let Some(length) = playbook.matched(&description) else { continue };
            if best.is_none_or(|(longest, _)| length > longest) {
                best = Some((length, playbook));
            }
        }
        Ok(best.map(|(_, playbook)| playbook))
    }
}

fn read_folder(folder: &Path) -> Result<Vec<Playbook>, BadInput> {
    let unreadable = |error: std::io::Error| {
        BadInput::new(format!("the playbooks in {} can not be read: {error}", quote(&folder.display().to_string())))
            .or_else("the setting `playbooks.folder` names it")
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    if paths.len() > FILES_MAX {
        let count = paths.len();
        return Err(BadInput::new(format!("{} has {count} playbooks, the most is {FILES_MAX}", folder.display())));
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            document::read(path).and_then(|text| {
                let place = quote(&path.display().to_string());
                crate::domain::check::check_name("playbook", name, crate::domain::check::NAME_BYTES_MAX)
                    .and_then(|()| Playbook::parse(name, &text))
                    .map_err(|bad| bad.at(place))
            })
        })
        .collect()
}
