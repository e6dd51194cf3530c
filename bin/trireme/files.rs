//! What a project made, as files: `DIR/<goal>/<subtask>/<path>`, and `DIR/report.json` with the whole view.
//!
//! Results are other people's words. Nothing outside of DIR is ever written, no link below it is followed or written
//! through. A file whose path can not be taken, by us or by the file system, is left out and named, and all others are
//! written; what is there already is looked for before the first file is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;
use serde::Deserialize;
use trireme::domain::BadInput;
use trireme::domain::bad_input::{cut, one_line, quote};
use trireme::domain::view::{ProjectView, SubtaskView};
use trireme::wire::Raw;

use crate::failure::Failure;

/// What the view is written to.
pub const REPORT: &str = "report.json";
/// The longest name of a file or folder, in bytes: what common file systems take.
const NAME_BYTES_MAX: usize = 255;
/// The longest name of a goal's or a subtask's folder: leaves room for a number behind it.
const FOLDER_BYTES_MAX: usize = 100;
/// The longest path within a subtask's folder.
const PATH_BYTES_MAX: usize = 1024;

/// What became of the files of a project's results.
#[derive(Debug)]
pub struct Written {
    /// How many were written, with the report.
    pub files: usize,
    /// Why those of a subtask were left out: they are not in the form of files. A program may mean something else by
    /// `files`, so this is no failure.
    pub left_out: Vec<BadInput>,
    /// Why single files were left out: they are in the form of files, and can not be written below the folder.
    pub refused: Vec<BadInput>,
}

/// Writes the files of every result, and the report. `view` has its results. What is there already is left alone, and
/// nothing is written, unless `force`.
pub fn write(dir: &Path, view: &ProjectView, force: bool) -> Result<Written, Failure> {
    check(dir, force)?;
    let Collected { mut files, left_out, mut refused } = collect(view);
    let report = serde_json::to_vec_pretty(view).map_err(|error| Failure::bug(format!("no report: {error}")))?;
    files.insert(vec![REPORT.to_owned()], report);
    let mut obstructed = Vec::new();
    for path in files.keys() {
        if let Some(why) = obstacle(dir, path, force)? {
            obstructed.push(path.clone());
            refused.push(why);
        }
    }
    obstructed.iter().for_each(|path| drop(files.remove(path)));
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &[], &error))?;
    let not_made = make_all(dir, &files, force)?;
    let files = files.len() - not_made.len();
    refused.extend(not_made);
    Ok(Written { files, left_out, refused })
}

/// Whether there is room for a project's files, as far as that can be said before it has any.
pub fn check(dir: &Path, force: bool) -> Result<(), Failure> {
    if dir.exists() && !dir.is_dir() {
        return Err(Failure::usage(format!("{} is no folder", shown(dir))).hint("choose another --out"));
    }
    match obstacle(dir, &[REPORT.to_owned()], force)? {
        Some(why) => Err(why.into()),
        None => try_to_write(dir),
    }
}

/// Makes a folder with a file where the first ones are going to be, and removes both: rights, a full or read-only
/// file system, all say so before any work is done for it.
fn try_to_write(dir: &Path) -> Result<(), Failure> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let there = dir.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let probe = tempfile::Builder::new().prefix(".trireme-").tempdir_in(there).and_then(|folder| {
        File::create(folder.path().join("file"))?.write_all(b"x")?;
        folder.close()
    });
    probe.map_err(|error| failed(dir, &[], &plain(error)))
}

/// Without the path of something that nobody asked for.
fn plain(error: io::Error) -> io::Error {
    error
        .raw_os_error()
        .or_else(|| error.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error())
        .map_or(error.kind().into(), io::Error::from_raw_os_error)
}

const FORM: &str = "a result's files are `files: [{path, text | base64, media_type?}]`";

/// The files by their paths below the folder.
type Files = BTreeMap<Vec<String>, Vec<u8>>;

/// A result, as far as it has files.
#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    files: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    path: String,
    text: Option<String>,
    base64: Option<String>,
}

#[derive(Default)]
struct Collected {
    files: Files,
    left_out: Vec<BadInput>,
    refused: Vec<BadInput>,
}

/// Every file that can be written; what is wrong with one keeps no other from it.
fn collect(view: &ProjectView) -> Collected {
    let mut collected = Collected::default();
    // The report has its name before any goal can take it.
    let mut goals_taken = BTreeSet::from([REPORT.to_owned()]);
    for goal in view.phases.iter().flat_map(|phase| &phase.goals) {
        let goal_folder = folder(&goal.name, &mut goals_taken);
        let mut subtasks_taken = BTreeSet::new();
        for subtask in &goal.subtasks {
            let place_of = [goal_folder.clone(), folder(&subtask.name, &mut subtasks_taken)];
            match outputs(subtask) {
                Ok(outputs) => collected.add(subtask, &place_of, outputs),
                Err(bad) => collected.left_out.push(bad.at(place(subtask))),
            }
        }
    }
    collected
}

impl Collected {
    fn add(&mut self, subtask: &SubtaskView, folder: &[String], outputs: Vec<(String, Vec<u8>)>) {
        for (name, bytes) in outputs {
            let added = parts(&name).and_then(|parts| {
                let path: Vec<String> = folder.iter().cloned().chain(parts).collect();
                self.check(&name, &path)?;
                self.files.insert(path, bytes);
                Ok(())
            });
            self.refused.extend(added.err().map(|bad| bad.at(place(subtask))));
        }
    }

    /// A path is one file's, and no file is another's folder.
    fn check(&self, name: &str, path: &[String]) -> Result<(), BadInput> {
        let refuse = |why: &str| Err(BadInput::new(format!("the path {} {why}", quote(name))));
        if self.files.contains_key(path) {
            return refuse("is there twice");
        }
        if (1..path.len()).any(|end| self.files.contains_key(&path[..end])) {
            return refuse("has a file as a folder");
        }
        match self.files.range(path.to_vec()..).next().is_some_and(|(other, _)| other.starts_with(path)) {
            true => refuse("is a file, and the folder of another"),
            false => Ok(()),
        }
    }
}

/// The files of a result by their paths. Any program may have made it, and may mean something else by `files`.
fn outputs(subtask: &SubtaskView) -> Result<Vec<(String, Vec<u8>)>, BadInput> {
    let names_files = |result: &&Raw| result.get().starts_with('{') && result.get().contains("\"files\"");
    let Some(result) = subtask.result.as_ref().filter(names_files) else { return Ok(Vec::new()) };
    let outcome: Outcome = result
        .read()
        .map_err(|error| BadInput::new(format!("the files of its result can not be read: {error}")).or_else(FORM))?;
    outcome.files.into_iter().map(|output| Ok((output.path.clone(), content(&output)?))).collect()
}

fn content(output: &Output) -> Result<Vec<u8>, BadInput> {
    let name = quote(&output.path);
    match (&output.text, &output.base64) {
        (Some(text), None) => Ok(text.clone().into_bytes()),
        (None, Some(base64)) => {
            STANDARD.decode(base64).map_err(|error| BadInput::new(format!("file {name} is no base64: {error}")))
        }
        (Some(_), Some(_)) => Err(BadInput::new(format!("file {name} has both `text` and `base64`"))),
        (None, None) => Err(BadInput::new(format!("file {name} has neither `text` nor `base64`")).or_else(FORM)),
    }
}

/// The folders and the name of a result's path: relative, and never upwards.
fn parts(path: &str) -> Result<Vec<String>, BadInput> {
    let refuse = |why: &str| Err(BadInput::new(format!("the path {} {why}", quote(path))));
    if path.starts_with('/') {
        return refuse("is absolute");
    }
    if path.len() > PATH_BYTES_MAX {
        return refuse(&format!("is longer than {PATH_BYTES_MAX} bytes"));
    }
    let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    for part in &parts {
        match part.as_str() {
            ".." => return refuse("leads out of its folder"),
            "" | "." => return refuse("has a part without a name"),
            part if part.contains(char::is_control) => return refuse("has a control character"),
            part if part.len() > NAME_BYTES_MAX => {
                return refuse(&format!("has a part of over {NAME_BYTES_MAX} bytes"));
            }
            _ => {}
        }
    }
    Ok(parts)
}

/// A folder's name for any name: of bounded length, without what a file system or a shell trips over, and one
/// that no other has: a namesake gets a number.
fn folder(name: &str, taken: &mut BTreeSet<String>) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ') { c } else { '_' };
    let mut folder = String::new();
    for c in name.trim().chars().map(safe) {
        if folder.len() + c.len_utf8() > FOLDER_BYTES_MAX {
            break;
        }
        folder.push(c);
    }
    if folder.is_empty() || folder.starts_with('.') {
        folder.insert(0, '_');
    }
    let mut unique = folder.clone();
    // Two names that differ in case only are one to some file systems.
    for number in 2.. {
        if taken.insert(unique.to_lowercase()) {
            break;
        }
        unique = format!("{folder}-{number}");
    }
    unique
}

/// What is in the way of this one file: looks, and makes nothing. Fails where none is to be written: what is there is not to
/// be overwritten, or a link shows that somebody meant another place.
fn obstacle(dir: &Path, path: &[String], force: bool) -> Result<Option<BadInput>, Failure> {
    let mut place = dir.to_owned();
    for (at, part) in path.iter().enumerate() {
        place.push(part);
        let is_last = at + 1 == path.len();
        let refuse = |why: &str| Failure::usage(format!("{} {why}", shown(&place)));
        let in_the_way = |why: &str| {
            let bad = BadInput::new(format!("{} {why}", shown(&place)));
            Ok(Some(if is_last { bad } else { bad.at(shown(&whole(dir, path))) }))
        };
        match std::fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return refused_or_failed(dir, path, &error).map(Some),
            Ok(found) if found.is_symlink() => {
                return Err(refuse("is a link, which is never written through").hint("choose another --out"));
            }
            Ok(found) if is_last && found.is_dir() => return in_the_way("is a folder, and is to be a file"),
            Ok(found) if is_last && !found.is_file() => return in_the_way("is no plain file"),
            Ok(_) if is_last && !force => {
                return Err(refuse("exists").hint("--force overwrites it, or choose another --out"));
            }
            Ok(found) if !is_last && !found.is_dir() => return in_the_way("is a file, and is to be a folder"),
            Ok(_) => {}
        }
    }
    Ok(None)
}

/// Makes the files, and says why some could not be made. Fails when none could be made any more.
fn make_all(dir: &Path, files: &Files, force: bool) -> Result<Vec<BadInput>, Failure> {
    let mut refused = Vec::new();
    for (path, bytes) in files {
        if let Err(error) = make(dir, path, bytes, force) {
            refused.push(refused_or_failed(dir, path, &error)?);
        }
    }
    Ok(refused)
}

/// An error that is about this path keeps no other file from being written; any other one, a full disk say, keeps all.
fn refused_or_failed(dir: &Path, path: &[String], error: &io::Error) -> Result<BadInput, Failure> {
    let failure = failed(dir, path, error);
    match Errno::from_io_error(error) {
        Some(
            Errno::NAMETOOLONG
            | Errno::NOTDIR
            | Errno::ISDIR
            | Errno::EXIST
            | Errno::NOENT
            | Errno::LOOP
            | Errno::INVAL
            | Errno::ILSEQ
            | Errno::ACCESS
            | Errno::PERM,
        ) => Ok(BadInput::new(failure.message)),
        _ => Err(failure),
    }
}

/// Makes one file. Folder by folder from an open one, so that nothing that is swapped meanwhile is followed.
fn make(dir: &Path, path: &[String], bytes: &[u8], force: bool) -> io::Result<()> {
    let Some((name, folders)) = path.split_last() else { return Ok(()) };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder: OwnedFd = openat(CWD, dir, flags, Mode::empty())?;
    for part in folders {
        match mkdirat(&folder, part.as_str(), Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        folder = openat(&folder, part.as_str(), flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    // Removed and made anew: what another name of the same file has is not overwritten with it.
    let is_file = |found: rustix::fs::Stat| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
    if force && statat(&folder, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).is_ok_and(is_file) {
        unlinkat(&folder, name.as_str(), AtFlags::empty())?;
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    File::from(openat(&folder, name.as_str(), flags, Mode::from_raw_mode(0o666))?).write_all(bytes)
}

fn place(subtask: &SubtaskView) -> String {
    format!("subtask {} ({})", subtask.id, cut(&subtask.name))
}

/// Whole: of a long path it is the end that tells.
fn shown(path: &Path) -> String {
    format!("`{}`", one_line(&path.display().to_string()))
}

fn failed(dir: &Path, path: &[String], error: &io::Error) -> Failure {
    Failure::usage(format!("{} can not be written: {error}", shown(&whole(dir, path))))
}

fn whole(dir: &Path, path: &[String]) -> PathBuf {
    dir.iter().chain(path.iter().map(AsRef::as_ref)).collect()
}

#[cfg(test)]
mod tests;
