//! Private folders that go with their process, and with the next one when it was killed: each has a file in it that its
//! process keeps locked, and the kernel takes the lock away however a process ends.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Once;

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat};
use rustix::process::geteuid;
use tempfile::TempDir;

const LOCK: &str = ".in-use";

/// A folder in the place for temporary files; gone with the value.
pub struct Scratch {
    folder: TempDir,
    _lock: File,
}

/// The folders of one kind: what they are for.
pub struct Kind {
    /// What their names begin with.
    prefix: &'static str,
    cleaned: Once,
}

impl Kind {
    pub const fn new(prefix: &'static str) -> Self {
        Self { prefix, cleaned: Once::new() }
    }

    /// Makes a folder; the first time in a process after those of processes that are dead have been removed.
    ///
    /// # Errors
    /// As of making a folder, and a file in it.
    pub fn make(&self) -> io::Result<Scratch> {
        self.cleaned.call_once(|| remove_leftovers(&std::env::temp_dir(), self.prefix));
        let folder = tempfile::Builder::new().prefix(self.prefix).tempdir()?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Scratch { folder, _lock: lock })
    }
}

impl Scratch {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder there for good.
    pub fn keep(self) -> PathBuf {
        // Without it nobody takes the folder for a leftover.
        if let Err(error) = fs::remove_file(self.path().join(LOCK)) {
            tracing::warn!(%error, "a folder that is to stay may be removed later");
        }
        self.folder.keep()
    }
}

/// Removes folders whose process is dead. What can not be removed, or is somebody else's, stays.
fn remove_leftovers(place: &Path, prefix: &str) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_meant = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
        // One without the file is just being made, or was kept.
        let Some(lock) = is_meant.then(|| own_lock(&entry.path())).flatten() else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => tracing::info!(folder = %entry.path().display(), "removed what a dead process has left"),
            Err(error) => tracing::debug!(folder = %entry.path().display(), %error, "a leftover stays"),
        }
    }
}

/// The file in a folder of this user's own. Anybody may make what has such a name where temporary files are: a pipe would
/// keep who opens it waiting, and a link would lead elsewhere.
fn own_lock(folder: &Path) -> Option<OwnedFd> {
    let own = geteuid().as_raw();
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let folder = openat(CWD, folder, flags | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let lock = openat(&folder, LOCK, flags, Mode::empty()).ok()?;
    let (of_folder, of_lock) = (fstat(&folder).ok()?, fstat(&lock).ok()?);
    let is_file = FileType::from_raw_mode(of_lock.st_mode) == FileType::RegularFile;
    (is_file && of_folder.st_uid == own && of_lock.st_uid == own).then_some(lock)
}

#[cfg(test)]
mod tests {
    use rustix::fs::mkfifoat;

    use super::*;

    #[test]
    fn only_folders_of_dead_processes_are_removed() {
        let place = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).expect("a folder");
            File::create_new(folder.join(LOCK)).expect("a file")
        };
        let alive = make("trireme-x-alive");
        flock(&alive, FlockOperation::NonBlockingLockExclusive).expect("locked");
        drop((make("trireme-x-dead"), make("other-dead")));
        fs::create_dir(place.path().join("trireme-x-kept")).expect("a folder");
        // Neither is waited for, or followed.
        let pipe = place.path().join("trireme-x-pipe");
        fs::create_dir(&pipe).expect("a folder");
        mkfifoat(CWD, pipe.join(LOCK), Mode::from_raw_mode(0o600)).expect("a pipe");
        std::os::unix::fs::symlink(place.path().join("trireme-x-dead"), place.path().join("trireme-x-link"))
            .expect("linked");
        remove_leftovers(place.path(), "trireme-x-");
        let mut left: Vec<_> =
            fs::read_dir(place.path()).expect("read").flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["other-dead", "trireme-x-alive", "trireme-x-kept", "trireme-x-link", "trireme-x-pipe"]);
    }

    #[test]
    fn a_folder_goes_with_its_value_unless_it_is_kept() {
        static KIND: Kind = Kind::new("trireme-scratch-test-");
        let gone = KIND.make().expect("made");
        let path = gone.path().to_owned();
        drop(gone);
        assert!(!path.exists());
        let kept = KIND.make().expect("made").keep();
        assert_eq!(fs::read_dir(&kept).expect("it is there").count(), 0);
        fs::remove_dir(kept).expect("removed");
    }
}
