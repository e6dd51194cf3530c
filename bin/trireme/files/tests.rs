//! Results that lie, and folders that are not as they seem.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use trireme::domain::view::{GoalView, PhaseView};
use trireme::wire::{Counts, ProjectId, Status, SubtaskId, SubtaskStatus};
use uuid::Uuid;

use super::*;

/// A project whose subtasks, each with its goal's name and its own, have these results.
fn view(results: &[(&str, &str, Value)]) -> ProjectView {
    let subtask = |(ordinal, (_, name, result)): (u32, &(&str, &str, Value))| SubtaskView {
        id: SubtaskId { phase: 1, ordinal },
        name: (*name).into(),
        skill: "noop".into(),
        status: SubtaskStatus::Completed,
        next_attempt_at: None,
        question: None,
        kept_from: None,
        attempts: 1,
        attempt_log: Vec::new(),
        agent_id: None,
        dependencies: Vec::new(),
        run_after: trireme::wire::RunAfter::Success,
        started_at: None,
        finished_at: None,
        result: Some(Raw::from(result.clone())),
        error: None,
    };
    let goals = (0..).zip(results).map(|(ordinal, result)| GoalView {
        name: result.0.into(),
        status: Status::Completed,
        subtasks: vec![subtask((ordinal, result))],
    });
    ProjectView {
        project_id: ProjectId(Uuid::from_u128(1)),
        name: "p".into(),
        status: Status::Completed,
        run: 1,
        waiting_for: Vec::new(),
        submitted_at: None,
        finished_at: None,
        error: None,
        counts: Counts::default(),
        phases: vec![PhaseView {
            phase: 1,
            priority: 1,
            status: Status::Completed,
            counts: Counts::default(),
            error: None,
            goals: goals.collect(),
            unwanted: BTreeSet::new(),
            to_come: None,
        }],
    }
}

fn file(path: &str) -> Value {
    json!({ "files": [{ "path": path, "text": "new" }] })
}

/// Refuses, and leaves the folder as it was.
fn refused(dir: &TempDir, view: &ProjectView, force: bool) -> String {
    let before = entries(dir.path());
    let failure = write(dir.path(), view, force).expect_err("refused");
    assert_eq!(entries(dir.path()), before, "something was written all the same");
    failure.message
}

fn entries(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(entries(&path));
        }
        found.insert(path);
    }
    found
}

#[test]
fn a_path_never_leads_out_of_its_folder() {
    let long = "x".repeat(256);
    for (path, expected) in [
        ("/etc/passwd", "is absolute"),
        ("../x", "leads out of its folder"),
        ("a/../../x", "leads out of its folder"),
        ("a/..", "leads out of its folder"),
        ("", "has a part without a name"),
        ("a//b", "has a part without a name"),
        ("./a", "has a part without a name"),
        ("a/", "has a part without a name"),
        ("a\0b", "has a control character"),
        ("a\nb", "has a control character"),
        (&long, "has a part of over 255 bytes"),
        (&"x/".repeat(600), "is longer than 1024 bytes"),
    ] {
        // A good file beside it is written all the same.
        let dir = tempdir().expect("a folder");
        let project = view(&[("g", "good", file("ok")), ("h", "bad", file(path))]);
        let written = write(dir.path(), &project, true).expect("written");
        let [message] = &written.refused[..] else { panic!("{written:?}") };
        let message = message.to_string();
        assert!(message.contains(expected) && message.contains("(bad)"), "{path:?}: {message}");
        let expected = ["g", "g/good", "g/good/ok", "report.json"].map(|path| dir.path().join(path));
        assert_eq!(entries(dir.path()), BTreeSet::from(expected), "{path:?}");
    }
}

#[test]
fn what_a_result_says_of_its_files_is_judged() {
    let dir = tempdir().expect("a folder");
    for (paths, expected) in [
        (["a", "a"], "the path `a` is there twice"),
        (["a", "a/b"], "the path `a/b` has a file as a folder"),
        (["a/b", "a"], "the path `a` is a file, and the folder of another"),
    ] {
        let files = paths.map(|path| json!({ "path": path, "text": "" }));
        let written = write(dir.path(), &view(&[("g", "s", json!({ "files": files }))]), true).expect("written");
        let [message] = &written.refused[..] else { panic!("{written:?}") };
        assert!(message.to_string().contains(expected), "{expected}: {message}");
        assert_eq!(written.files, 2, "the first of them, and the report");
        std::fs::remove_dir_all(dir.path().join("g")).expect("removed");
    }
    std::fs::remove_file(dir.path().join("report.json")).expect("removed");
    let none = view(&[("g", "s", json!("\"files\"")), ("h", "s", json!({ "other": 1 }))]);
    let written = write(dir.path(), &none, false).expect("written");
    assert_eq!((written.files, written.left_out.len()), (1, 0), "only the report");
}

#[test]
fn what_is_not_in_the_form_of_files_is_left_out_and_the_rest_is_written() {
    for (files, expected) in [
        (json!(7), "can not be read"),
        (json!([{ "text": "x" }]), "missing field `path`"),
        (json!([{ "path": "a" }]), "has neither `text` nor `base64`"),
        (json!([{ "path": "b", "text": "" }, { "path": "a", "text": "", "base64": "" }]), "has both"),
        (json!([{ "path": "a", "base64": "?" }]), "is no base64"),
    ] {
        let dir = tempdir().expect("a folder");
        let project = view(&[("g", "good", file("ok")), ("h", "odd", json!({ "files": files }))]);
        let written = write(dir.path(), &project, false).expect("written");
        let [left_out] = &written.left_out[..] else { panic!("{written:?}") };
        let message = left_out.to_string();
        assert!(message.contains("(odd)") && message.contains(expected), "{expected}: {message}");
        assert_eq!(written.files, 2);
        assert!(dir.path().join("g/good/ok").is_file() && !dir.path().join("h").exists());
    }
}

#[test]
fn a_link_is_neither_followed_nor_written_through() {
    let outside = tempdir().expect("a folder");
    std::fs::write(outside.path().join("theirs"), "old").expect("written");
    let project = view(&[("g", "s", file("a/b"))]);
    let links =
        [("g", "", ""), ("s", "g", ""), ("a", "g/s", ""), ("b", "g/s/a", "theirs"), ("report.json", "", "theirs")];
    for (link, folder, target) in links {
        let dir = tempdir().expect("a folder");
        let folder = dir.path().join(folder);
        std::fs::create_dir_all(&folder).expect("made");
        symlink(outside.path().join(target), folder.join(link)).expect("linked");
        let message = refused(&dir, &project, true);
        assert!(message.contains("is a link"), "{link}: {message}");
    }
    assert_eq!(std::fs::read(outside.path().join("theirs")).expect("there"), b"old");
    assert_eq!(entries(outside.path()).len(), 1);
}

/// What appears between the look and the write is not followed either.
#[test]
fn a_link_that_comes_late_is_not_followed() {
    let (dir, outside) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
    symlink(outside.path(), dir.path().join("g")).expect("linked");
    symlink(outside.path().join("theirs"), dir.path().join("late")).expect("linked");
    let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    assert!(make(dir.path(), &path(&["g", "a"]), b"new", true).is_err());
    assert!(make(dir.path(), &path(&["late"]), b"new", true).is_err());
    assert!(entries(outside.path()).is_empty());
}

#[test]
fn what_exists_is_kept_unless_it_is_forced() {
    let dir = tempdir().expect("a folder");
    let project = view(&[("g", "s", file("a"))]);
    assert_eq!(write(dir.path(), &project, false).map(|written| written.files).ok(), Some(2));
    let place = dir.path().join("g/s/a");
    // Another name of the same file keeps what it has.
    std::fs::hard_link(&place, dir.path().join("other")).expect("linked");
    std::fs::write(&place, "mine").expect("written");
    std::fs::remove_file(dir.path().join("report.json")).expect("removed");
    assert!(refused(&dir, &project, false).contains("exists"));
    assert_eq!(write(dir.path(), &project, true).map(|written| written.files).ok(), Some(2));
    assert_eq!(std::fs::read(&place).expect("there"), b"new");
    assert_eq!(std::fs::read(dir.path().join("other")).expect("there"), b"mine");
}

fn refusals(written: &Written) -> Vec<String> {
    written.refused.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_in_the_way_of_one_file_keeps_no_other_from_being_written() {
    let project = view(&[("g", "s", file("a/b")), ("h", "s", file("c"))]);
    let folder = |path: &Path| std::fs::create_dir_all(path).expect("made");
    let plain = |path: &Path| {
        folder(path.parent().expect("a parent"));
        std::fs::write(path, "old").expect("written");
    };
    let socket = |path: &Path| {
        folder(path.parent().expect("a parent"));
        drop(std::os::unix::net::UnixListener::bind(path).expect("bound"));
    };
    type Put<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Put<'_>, &str); 5] = [
        ("g", &plain, "is a file, and is to be a folder"),
        ("g/s", &plain, "is a file, and is to be a folder"),
        ("g/s/a", &plain, "is a file, and is to be a folder"),
        ("g/s/a/b", &folder, "is a folder, and is to be a file"),
        ("g/s/a/b", &socket, "is no plain file"),
    ];
    for (there, put, expected) in cases {
        for force in [false, true] {
            let dir = tempdir().expect("a folder");
            put(&dir.path().join(there));
            let written = write(dir.path(), &project, force).expect("the other one is written");
            let mut named = format!("`{}` {expected}", dir.path().join(there).display());
            if there != "g/s/a/b" {
                named.insert_str(0, &format!("`{}`: ", dir.path().join("g/s/a/b").display()));
            }
            assert_eq!((written.files, refusals(&written)), (2, vec![named]), "{there}");
            assert_eq!(std::fs::read(dir.path().join("h/s/c")).expect("there"), b"new", "{there}");
            assert!(dir.path().join("report.json").is_file(), "{there}");
        }
    }
    // Without a report nothing is written.
    let dir = tempdir().expect("a folder");
    folder(&dir.path().join("report.json"));
    assert!(refused(&dir, &project, true).contains("is a folder"));
}

/// Each part is short enough, and so is each path, but not the whole with the folder that it is below.
#[test]
fn a_path_that_is_too_long_for_the_system_is_named_and_the_others_are_written() {
    let dir = tempdir().expect("a folder");
    let deep = (0..13).fold(dir.path().to_owned(), |deep, _| deep.join("d".repeat(250)));
    let long = format!("{}end", "x/".repeat(510));
    let project = view(&[("g", "s", file(&long)), ("h", "s", file("c"))]);
    // Folder by folder it can be made, and then nobody can look at it.
    assert_eq!(write(&deep, &project, false).map(|written| (written.files, written.refused.len())).ok(), Some((3, 0)));
    let written = write(&deep, &project, true).expect("the other one is written");
    let [why] = &refusals(&written)[..] else { panic!("{written:?}") };
    assert!(why.contains("/x/end` can not be written: File name too long"), "{why}");
    assert_eq!(written.files, 2);
    assert!(deep.join("h/s/c").is_file() && deep.join("report.json").is_file());
}

/// What a look can not know: names that only some file systems refuse, and what comes between the look and the write.
#[test]
fn what_the_file_system_refuses_is_named_and_the_others_are_written() {
    let dir = tempdir().expect("a folder");
    std::fs::write(dir.path().join("late"), "old").expect("written");
    let long = "x".repeat(256);
    let paths: [&[&str]; 6] =
        [&["a", "good"], &["g", long.as_str()], &["g", "a\0b"], &["late", "b"], &["late"], &["z", "good"]];
    let files = paths.map(|path| (path.iter().map(|part| (*part).to_owned()).collect(), b"new".to_vec()));
    let refused = make_all(dir.path(), &Files::from(files), false).expect("others are written");
    let refused: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let expected = [
        ("g/a\\u{0}b", "Invalid argument"),
        (&*format!("g/{long}"), "File name too long"),
        ("late", "File exists"),
        ("late/b", "Not a directory"),
    ];
    assert_eq!(refused.len(), expected.len(), "{refused:?}");
    for (refused, (name, why)) in refused.iter().zip(expected) {
        let named = format!("`{}/{name}` can not be written: {why}", dir.path().display());
        assert!(refused.starts_with(&named), "{refused} is not {named}");
    }
    for good in ["a/good", "z/good"] {
        assert_eq!(std::fs::read(dir.path().join(good)).expect("there"), b"new", "{good}");
    }
}

/// A disk that is full would refuse each of ten thousand files.
#[test]
fn what_keeps_every_file_from_being_written_is_said_once() {
    let path = ["g".to_owned()];
    for errno in [Errno::NOSPC, Errno::ROFS, Errno::IO, Errno::MFILE, Errno::DQUOT] {
        let failure = refused_or_failed(Path::new("out"), &path, &errno.into()).expect_err("all");
        assert!(failure.message.starts_with("`out/g` can not be written: "), "{}", failure.message);
    }
}

#[test]
fn any_name_makes_a_folder_of_its_own() {
    let dir = tempdir().expect("a folder");
    let long = "ä".repeat(300);
    let names = [
        "../up",
        "/",
        "..",
        ".",
        "a/b",
        "a_b",
        "A_b",
        "a_b-2",
        "report.json",
        "a\0b",
        " ",
        long.as_str(),
        &long[..280],
    ];
    let results: Vec<(&str, &str, Value)> = names.iter().map(|name| (*name, *name, file("f"))).collect();
    assert_eq!(write(dir.path(), &view(&results), false).map(|written| written.files).ok(), Some(names.len() + 1));
    let folders: Vec<String> = std::fs::read_dir(dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(folders.len(), names.len() + 1);
    for expected in ["_.._up", "_", "_..", "_.", "a_b", "a_b-2", "A_b-3", "a_b-2-2", "report.json", "report.json-2"] {
        assert!(folders.iter().any(|folder| folder == expected), "{expected} is not among {folders:?}");
    }
}
