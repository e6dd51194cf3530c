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
/// What a dynamic loader says before it exits with 127. For a version that is missing that of glibc exits with 1.
const LOADER_WORDS: [&str; 4] = [
    ": error while loading shared libraries: ",
    ": symbol lookup error: ",
    "Error loading shared library ",
    "Error relocating ",
];

/// The fault behind an error of starting `program`.
pub(super) fn fault(program: &Program, error: &io::Error) -> ExecutorFault {
    let name = program.name();
    let number = Errno::from_io_error(error);
    if let Some((_, why)) = PASSING.iter().find(|(passing, _)| number == Some(*passing)) {
        return ExecutorFault { reason: format!("`{name}` could not be started: {why}"), may_pass: true };
    }
    // The cause that can be seen, else what the number can only mean for a file that is there, else the system's words.
    look(program).err().unwrap_or_else(|| {
        let why = match number {
            Some(Errno::NOENT) => "its file is there, but not the dynamic loader that it names".to_owned(),
            Some(Errno::NOEXEC) => "its file is no program of this kind of machine".to_owned(),
            _ => error.to_string(),
        };
        lasting(format!("`{name}` could not be started: {why}"))
    })
}

/// The line with which the dynamic loader (of glibc, or of musl) says that it could not load a program, of a program
/// that ended with `status`. It is the loader of the program itself, or of one that this has started.
pub(super) fn of_loader(status: i32, log: &str) -> Option<&str> {
    let is_said = |line: &&str| match status {
        127 => LOADER_WORDS.iter().any(|words| line.contains(words)),
        1 => line.contains(": version `") && line.contains("' not found (required by "),
        _ => false,
    };
    log.lines().find(is_said)
}

/// Looks whether `program` could be started: its folder, its file, and what runs that.
pub(super) fn look(program: &Program) -> Result<(), ExecutorFault> {
    let name = program.name();
    if let Some(cwd) = &program.cwd {
        let refused = |why: &str| Err(lasting(format!("`{name}` can not run in `{}`: {why}", cwd.display())));
        match std::fs::metadata(cwd) {
            Ok(found) if !found.is_dir() => return refused("that is no folder"),
            Ok(_) if access(cwd, Access::EXEC_OK).is_err() => return refused("this user may not enter that folder"),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return refused("no such folder"),
            Err(error) => return refused(&error.to_string()),
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
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_start();
    let (interpreter, rest) = match line.iter().position(|byte| b" \t".contains(byte)) {
        Some(end) => (&line[..end], trim_blanks(&line[end..])),
        None => (line, &[][..]),
    };
    let shown = |word: &[u8]| String::from_utf8_lossy(word).escape_default().to_string();
    // A carriage return is a part of the last word, to Linux too.
    let crlf = match line.ends_with(b"\r") {
        true => format!("; the first line of `{}` ends with a carriage return (CRLF)", file.display()),
        false => String::new(),
    };
    if interpreter.trim_ascii().is_empty() {
        return refused(format!("the first line of `{}` names no interpreter{crlf}", file.display()));
    }
    let path = Path::new(OsStr::from_bytes(interpreter));
    if access(program.at(path), Access::EXEC_OK).is_err() {
        return refused(format!("its interpreter `{}` is not there, or may not be run{crlf}", shown(interpreter)));
    }
    let is_env = path.file_name() == Some(OsStr::new("env"));
    match looked_up_by_env(rest).filter(|_| is_env) {
        Some(wanted) if find(program, OsStr::from_bytes(wanted)).is_err() => {
            refused(format!("`env` finds no interpreter `{}` on its PATH{crlf}", shown(wanted)))
        }
        _ => Ok(()),
    }
}

/// The interpreter that `env` looks for, where that can be told from the rest of a first line. Linux hands over that rest
/// as one word, whatever blanks are in it; with `-S` it is `env` that splits it, and has options that change all.
fn looked_up_by_env(rest: &[u8]) -> Option<&[u8]> {
    let Some(rest) = rest.strip_prefix(b"-S") else {
        return Some(rest).filter(|rest| !rest.is_empty() && !rest.starts_with(b"-") && !rest.contains(&b'='));
    };
    let is_plain = |word: &&[u8]| !word.iter().any(|byte| b"\"'\\$#".contains(byte));
    let mut words = rest.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty());
    let word = words.find(|word| !word.contains(&b'=') || word.starts_with(b"PATH=") || !is_plain(word))?;
    Some(word).filter(|word| is_plain(word) && !word.starts_with(b"-") && !word.contains(&b'='))
}

/// As Linux does with the rest of a first line: a carriage return stays.
fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
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
        return match std::fs::metadata(&path) {
            Ok(_) if may_run(&path) => Ok(path),
            Ok(found) if found.is_file() => Err(lasting(format!("`{name}` may not be executed by this user"))),
            Ok(_) => Err(lasting(format!("`{name}` is no file"))),
            Err(_) if std::fs::read_link(&path).is_ok() => {
                Err(lasting(format!("`{name}` is a link that leads to no file")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(lasting(format!("there is no program `{name}`")))
            }
            // Above it is a folder that this user may not enter, or what is no folder.
            Err(error) => Err(lasting(format!("`{name}` can not be reached: {error}"))),
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
        write("env-crlf", b"#!/usr/bin/env sh\r\necho 1\r\n", 0o755);
        // Perl takes a carriage return after its options for a blank, and runs.
        write("perl-crlf", b"#!/bin/sh -w\r\nprint 1;\r\n", 0o755);
        write("env-unset", b"#!/usr/bin/env -S -u LANG sh\n", 0o755);
        write("env-path", b"#!/usr/bin/env -S PATH=/opt/tool/bin tool\n", 0o755);
        write("env-words", b"#!/usr/bin/env sh -e\n", 0o755);
        write("spaces", b"#! /bin/sh \n", 0o755);
        let link = |from: &str, to: &str| std::os::unix::fs::symlink(to, folder.path().join(from)).expect("linked");
        link("loop", "loop");
        link("nowhere", "missing");
        write("no-line", b"echo 1\n", 0o755);
        for (argv0, expected) in [
            ("./good", None),
            ("./by-env", None),
            ("./perl-crlf", None),
            ("./env-unset", None),
            ("./env-path", None),
            ("./spaces", None),
            ("./env-words", Some("`env` finds no interpreter `sh -e`")),
            ("./env-crlf", Some("interpreter `sh\\r` on its PATH; the first line of `")),
            ("./loop", Some("`./loop` is a link that leads to no file")),
            ("./nowhere", Some("`./nowhere` is a link that leads to no file")),
            ("./good/below", Some("`./good/below` can not be reached: Not a directory")),
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
        let no_folder = look(&program("sh", Some(&folder.path().join("good")))).expect_err("no folder");
        assert!(no_folder.reason.ends_with("/good`: that is no folder"), "{}", no_folder.reason);
    }

    /// A file that is there, and of which the system says that it is not: its dynamic loader is missing.
    #[test]
    fn what_can_only_be_the_loader_or_the_machine_is_named() {
        for (number, expected) in [
            (Errno::NOENT, "its file is there, but not the dynamic loader that it names"),
            (Errno::NOEXEC, "its file is no program of this kind of machine"),
            (Errno::PERM, "Operation not permitted (os error 1)"),
        ] {
            let reason = fault(&program("sh", None), &io::Error::from(number)).reason;
            assert_eq!(reason, format!("`sh` could not be started: {expected}"));
        }
    }

    /// As glibc 2.36 says it, and musl 1.2. A program may write such words itself: its status has to fit.
    #[test]
    fn a_loader_that_lacks_a_library_says_so() {
        for (status, line) in [
            (127, "./app: error while loading shared libraries: libw.so: cannot open shared object file: No such file"),
            (127, "./app: symbol lookup error: ./app: undefined symbol: f, version VER_2"),
            (127, "Error loading shared library libw.so: No such file or directory (needed by ./app)"),
            (127, "Error relocating ./app: f: symbol not found"),
            (1, "./app: /lib/libc.so.6: version `GLIBC_2.99' not found (required by ./app)"),
        ] {
            assert_eq!(of_loader(status, &format!("before\n{line}\n")), Some(line));
            assert_eq!(of_loader(2, line), None);
            assert_eq!(of_loader(128 - status, line), None);
        }
        for harmless in ["sh: 1: tool: not found", "version `2' of the letter was not found", "symbol lookup failed"] {
            assert_eq!((of_loader(127, harmless), of_loader(1, harmless)), (None, None));
        }
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
