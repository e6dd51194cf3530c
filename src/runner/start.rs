//! Programs that can not be started, and why: always a fault of the executor, never of the work, for the settings alone
//! choose the program.
//!
//! `execve` has one number for several causes: ENOENT is a missing program, a missing interpreter of a script, or a
//! missing folder to run in. So the program is looked at when it could not be started, and once when an executor starts.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::process::Program;
use crate::runtime::port::ExecutorFault;

/// The part of a program's file that Linux reads for its first line.
const FIRST_LINE_BYTES: usize = 256;
/// Faults of a machine that may pass within seconds, with how they are called in an error.
const PASSING: [(Errno, &str); 10] = [
    (Errno::MFILE, "this process has too many files open (see `ulimit -n`, and `agents.slots`)"),
    (Errno::NFILE, "this machine has too many files open"),
    (Errno::AGAIN, "this user or container may start no more processes (see `ulimit -u`)"),
    (Errno::NOMEM, "there is no memory left"),
    (Errno::NOSPC, "the disk is full"),
    (Errno::DQUOT, "the disk quota is used up"),
    (Errno::IO, "the disk can not be read"),
    (Errno::STALE, "its network file system is not there any more"),
    (Errno::TXTBSY, "its file is being written"),
    (Errno::INTR, "starting it was interrupted"),
];

/// The fault behind an error of starting `program`.
pub(super) fn fault(program: &Program, error: &io::Error) -> ExecutorFault {
    let name = program.name();
    let number = Errno::from_io_error(error);
    if let Some((_, why)) = PASSING.iter().find(|(passing, _)| number == Some(*passing)) {
        return ExecutorFault { reason: format!("`{name}` could not be started: {why}"), may_pass: true };
    }
    // The cause that can be seen, else the system's own words.
    look(program).err().unwrap_or_else(|| lasting(format!("`{name}` could not be started: {error}")))
}

/// Looks whether `program` could be started: its folder, its file, and what runs that.
pub(super) fn look(program: &Program) -> Result<(), ExecutorFault> {
    let name = program.name();
    if let Some(cwd) = &program.cwd {
        let at = cwd.display();
        if !cwd.is_dir() {
            return Err(lasting(format!("`{name}` can not run in `{at}`: no such folder")));
        }
        if access(cwd, Access::EXEC_OK).is_err() {
            return Err(lasting(format!("`{name}` can not run in `{at}`: this user may not enter that folder")));
        }
    }
    let file = find(program, &program.argv[0])?;
    let mut first = Vec::with_capacity(FIRST_LINE_BYTES);
    let begins = File::open(&file).and_then(|file| file.take(FIRST_LINE_BYTES as u64).read_to_end(&mut first));
    // A program need not be readable to be run.
    if begins.is_err() {
        return Ok(());
    }
    let refused = |why: String| Err(lasting(format!("`{name}` can not be run: {why}")));
    let Some(line) = first.strip_prefix(b"#!") else {
        return match is_binary(&first) {
            true => Ok(()),
            false => {
                refused(format!("`{}` is no binary, and its first line names no interpreter (#!)", file.display()))
            }
        };
    };
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return refused(format!("the first line of `{}` ends with a carriage return (CRLF)", file.display()));
    }
    let mut words = line.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    let Some(interpreter) = words.next() else {
        return refused(format!("the first line of `{}` names no interpreter", file.display()));
    };
    let shown = |word: &OsStr| word.to_string_lossy().escape_default().to_string();
    if access(program.at(Path::new(interpreter)), Access::EXEC_OK).is_err() {
        return refused(format!("its interpreter `{}` is not there, or may not be run", shown(interpreter)));
    }
    // `env` looks for the interpreter itself; its options and variables come before that.
    let is_env = Path::new(interpreter).file_name() == Some(OsStr::new("env"));
    let wanted = words.find(|word| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'='));
    match wanted.filter(|_| is_env) {
        Some(wanted) if find(program, wanted).is_err() => {
            refused(format!("`env` finds no interpreter `{}` on its PATH", shown(wanted)))
        }
        _ => Ok(()),
    }
}

/// ELF, or what other systems run: their files begin with bytes that no text has.
fn is_binary(first: &[u8]) -> bool {
    first.iter().any(|byte| !byte.is_ascii() || (byte.is_ascii_control() && !byte.is_ascii_whitespace()))
}

/// The file that `word` starts, as `execvp` looks for it.
fn find(program: &Program, word: &OsStr) -> Result<PathBuf, ExecutorFault> {
    let name = word.to_string_lossy();
    let may_run = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if word.as_bytes().contains(&b'/') {
        let path = program.at(Path::new(word));
        return match (may_run(&path), path.is_file(), path.exists()) {
            (true, ..) => Ok(path),
            (false, true, _) => Err(lasting(format!("`{name}` may not be executed by this user"))),
            (false, false, true) => Err(lasting(format!("`{name}` is no file"))),
            (false, false, false) => Err(lasting(format!("there is no program `{name}`"))),
        };
    }
    let path = program.env.get("PATH").cloned().unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    let mut found = None;
    for folder in std::env::split_paths(&path) {
        let candidate = program.at(&folder).join(word);
        if may_run(&candidate) {
            return Ok(candidate);
        }
        found = found.or_else(|| candidate.is_file().then_some(candidate));
    }
    Err(lasting(match found {
        Some(found) => format!("`{}` may not be executed by this user", found.display()),
        None => format!("there is no program `{name}` on its PATH"),
    }))
}

fn lasting(reason: String) -> ExecutorFault {
    ExecutorFault { reason, may_pass: false }
}

impl Program {
    /// The program as errors call it.
    fn name(&self) -> String {
        self.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// A path of the program's, as it is from here.
    fn at(&self, path: &Path) -> PathBuf {
        self.cwd.as_deref().map_or_else(|| path.to_path_buf(), |cwd| cwd.join(path))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(argv0: &str, cwd: Option<&Path>) -> Program {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Program {
            argv: vec![argv0.into()],
            cwd: cwd.map(Path::to_path_buf),
            env: BTreeMap::from([("PATH".to_owned(), path)]),
            stdin: Vec::new(),
            output_max: 1,
        }
    }

    #[test]
    fn every_cause_of_one_error_number_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &[u8], mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        };
        write("good", b"#!/bin/sh\necho 1\n", 0o755);
        write("by-env", b"#!/usr/bin/env -S FOO=1 sh -e\n", 0o755);
        write("no-right", b"#!/bin/sh\n", 0o644);
        write("no-interpreter", b"#!/no/such/interpreter -x\n", 0o755);
        write("no-env", b"#!/usr/bin/env no-such-interpreter\n", 0o755);
        write("crlf", b"#!/bin/sh\r\necho 1\r\n", 0o755);
        write("no-line", b"echo 1\n", 0o755);
        for (argv0, expected) in [
            ("./good", None),
            ("./by-env", None),
            ("sh", None),
            ("./missing", Some("there is no program `./missing`")),
            ("no-such-program-anywhere", Some("there is no program `no-such-program-anywhere` on its PATH")),
            ("./no-right", Some("`./no-right` may not be executed by this user")),
            ("./no-interpreter", Some("its interpreter `/no/such/interpreter` is not there, or may not be run")),
            ("./no-env", Some("`env` finds no interpreter `no-such-interpreter` on its PATH")),
            ("./crlf", Some("ends with a carriage return (CRLF)")),
            ("./no-line", Some("its first line names no interpreter (#!)")),
            (".", Some("there is no program `.` on its PATH")),
        ] {
            let looked = look(&program(argv0, Some(folder.path())));
            match (expected, looked) {
                (None, looked) => assert_eq!(looked, Ok(()), "{argv0}"),
                (Some(expected), looked) => {
                    let fault = looked.expect_err(argv0);
                    assert!(fault.reason.contains(expected) && !fault.may_pass, "{argv0}: {}", fault.reason);
                }
            }
        }
        let nowhere = look(&program("sh", Some(Path::new("/no/such/folder")))).expect_err("no folder");
        assert_eq!(nowhere.reason, "`sh` can not run in `/no/such/folder`: no such folder");
    }

    #[test]
    fn exhaustion_may_pass_and_the_rest_has_to_be_mended() {
        for (number, _) in PASSING {
            let fault = fault(&program("sh", None), &io::Error::from(number));
            assert!(fault.may_pass && fault.reason.starts_with("`sh` could not be started: "), "{}", fault.reason);
        }
        for number in [Errno::NOENT, Errno::ACCESS, Errno::PERM, Errno::NOEXEC, Errno::LOOP, Errno::TOOBIG] {
            assert!(!fault(&program("sh", None), &io::Error::from(number)).may_pass, "{number}");
        }
    }
}
