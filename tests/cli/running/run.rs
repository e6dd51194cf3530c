//! `trireme run`: a project in one process, kept or not, interrupted, killed, resumed.

use std::collections::BTreeMap;

use rustix::process::Signal;
use trireme::domain::phase::Event;
use trireme::wire::{ProjectId, StreamId};

use super::{Home, exists, gone, subtasks, within};

const ID: &str = "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d";

/// Some that end by themselves, one that is held, and what comes after both; then another phase.
const HELD: &str = r#"
name = "held"
id = "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"

[[goals]]
name = "first"
[[goals.subtasks]]
name = "quick"
skill = "noop"
repeat = 20
[[goals.subtasks]]
name = "held"
skill = "hold"
dependencies = ["quick"]
[[goals.subtasks]]
name = "join"
skill = "noop"
dependencies = ["held"]

[[goals]]
name = "second"
priority = 2
[[goals.subtasks]]
name = "last"
skill = "noop"
"#;

const QUICK: &str = r#"
name = "quick"
[[goals]]
name = "only"
[[goals.subtasks]]
name = "one"
skill = "noop"
"#;

#[tokio::test]
async fn a_project_ends_without_any_broker_and_leaves_nothing_behind() {
    let home = Home::new();
    std::fs::create_dir(home.path("tmp")).expect("a folder");
    let tmp = home.path("tmp").display().to_string();
    let home = home.with("TMPDIR", &tmp);
    home.write("quick.toml", QUICK);
    let done = home.run(&["run", "quick.toml", "--json", "--out", "made"]).await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let view = done.json();
    assert_eq!(view["status"], "COMPLETED");
    assert_eq!(view["counts"]["completed"], 1);
    assert_eq!(subtasks(&view)[0]["result"], serde_json::Value::Null);
    assert!(exists(&home.path("made/report.json")));
    assert_eq!(std::fs::read_dir(home.path("tmp")).expect("a folder").count(), 0, "the private store stays");
    let again = home.run(&["run", "quick.toml", "--out", "made"]).await;
    assert_eq!(again.status, Some(2), "what was made before is not written over");
}

/// Nothing can be made in there by anybody, and nothing of the project runs.
#[tokio::test]
async fn a_folder_that_can_not_be_written_is_refused_before_any_work() {
    let home = Home::new();
    home.write("held.toml", HELD);
    home.write("file", "");
    for (dir, why, lines) in [
        ("/proc/made", "error: `/proc/made` can not be written: ", 1),
        ("file/made", "error: `file/made", 1),
        ("file", "error: `file` is no folder\nhint: choose another --out\n", 2),
    ] {
        let refused = home.run(&["run", "held.toml", "--out", dir]).await;
        assert_eq!(refused.status, Some(2), "{dir}: {}", refused.stderr);
        assert!(refused.stderr.starts_with(why), "{dir}: {}", refused.stderr);
        assert_eq!(refused.stderr.lines().count(), lines, "{dir}: {}", refused.stderr);
        assert!(!exists(&home.path("began")), "{dir}: its work began");
    }
}

#[tokio::test]
async fn results_that_can_not_be_written_at_the_end_are_kept_and_can_be_had() {
    let home = Home::new();
    let mut gate = home.gate();
    std::fs::create_dir(home.path("tmp")).expect("a folder");
    let tmp = home.path("tmp").display().to_string();
    let home = home.with("TMPDIR", &tmp);
    home.write("held.toml", HELD);
    let running = home.start(&["run", "held.toml", "--out", "made"]);
    gate.began().await;
    // Somebody is quicker.
    home.write("made", "in the way");
    gate.let_one_end().await;
    let refused = running.end().await;
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    let complaint = refused.complaint();
    assert!(complaint.starts_with("error: `made` is no folder; the results are kept in `sqlite:"), "{complaint}");
    let command = complaint.split("they are written with: trireme ").nth(1).expect("a command").trim();
    let words: Vec<&str> = command.split(' ').map(|word| if word == "DIR" { "elsewhere" } else { word }).collect();
    let had = home.run(&words).await;
    assert_eq!(had.status, Some(0), "{command}: {}", had.stderr);
    let report = std::fs::read_to_string(home.path("elsewhere/report.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["counts"]["completed"], 23);
}

#[tokio::test]
async fn a_failed_project_is_an_exit_status_of_one() {
    let home = Home::new();
    home.write("bad.toml", &QUICK.replace("\"noop\"", "\"sleep\"\ninput = { ms = \"long\" }\nmax_attempts = 1"));
    let done = home.run(&["run", "bad.toml", "--json"]).await;
    assert_eq!(done.status, Some(1), "{}", done.stderr);
    assert_eq!(done.json()["status"], "ERROR");
}

#[tokio::test]
async fn killed_in_the_middle_and_resumed_it_ends_whole_and_nothing_is_recorded_twice() {
    let home = Home::new();
    let mut gate = home.gate();
    home.write("held.toml", HELD);
    let running = home.start(&["run", "held.toml", "--store", "sqlite:kept.db"]);
    let orphan = gate.began().await;
    running.signal(Signal::KILL);
    assert_eq!(running.end().await.status, None);

    let mut resumed = home.start(&["run", "--resume", &ID[..6], "--store", "sqlite:kept.db", "--json"]);
    let second = gate.began().await;
    assert_ne!(orphan, second);
    // One for the orphan, which nobody listens to any more.
    gate.let_one_end().await;
    gate.let_one_end().await;
    resumed.says("project COMPLETED").await;
    let done = resumed.end().await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let view = done.json();
    assert_eq!(view["counts"]["completed"], 23);
    for subtask in subtasks(&view) {
        let expected = if subtask["name"] == "held" { 2 } else { 1 };
        assert_eq!(subtask["attempts"], expected, "{subtask}");
    }
    for (ordinal, times) in completions(&home).await {
        assert_eq!(times, 1, "subtask {ordinal} of the first phase was recorded {times} times");
    }

    // A project that has ended is reported as it is.
    let again = home.run(&["run", "held.toml", "--store", "sqlite:kept.db", "--json"]).await;
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    assert_eq!(again.json(), view);
    home.write("other.toml", &HELD.replace("\"last\"", "\"another\""));
    let other = home.run(&["run", "other.toml", "--store", "sqlite:kept.db"]).await;
    assert_eq!(other.status, Some(2));
    assert!(other.complaint().contains(ID), "{}", other.stderr);
}

/// How often each subtask of the first phase was recorded as completed.
async fn completions(home: &Home) -> BTreeMap<u32, u32> {
    let url = format!("sqlite:{}", home.path("kept.db").display());
    let store = trireme::store::open_to_read(&url).await.expect("the store");
    let stream = StreamId::Phase(ID.parse::<ProjectId>().expect("an id"), 1);
    let mut times = BTreeMap::new();
    for event in store.load_from_start(stream).await.expect("a stream").events {
        if let Event::Completed { ordinal, .. } = event.read().expect("an event") {
            *times.entry(ordinal).or_insert(0) += 1;
        }
    }
    assert_eq!(times.len(), 22);
    times
}

#[tokio::test]
async fn ctrl_c_keeps_what_ran_and_says_how_to_go_on() {
    let home = Home::new();
    let mut gate = home.gate();
    home.write("held.toml", HELD);
    let mut running = home.start(&["run", "held.toml", "--store", "sqlite:kept.db", "--json", "--slots", "2"]);
    gate.began().await;
    running.signal(Signal::INT);
    running.says("what runs is finished first").await;
    gate.let_one_end().await;
    let done = running.end().await;
    assert_eq!(done.status, Some(130), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    let command = done.complaint().split("it goes on with: trireme ").nth(1).expect("a command");
    let command = command.lines().next().expect("a line");
    assert_eq!(command, format!("run --resume {ID} --store sqlite:kept.db --slots 2 --json"));
    let words: Vec<&str> = command.split(' ').collect();
    let resumed = home.run(&words).await;
    assert_eq!(resumed.status, Some(0), "{}", resumed.stderr);
    let view = resumed.json();
    assert_eq!(view["status"], "COMPLETED");
    // What ended during the drain was recorded: nothing is done twice.
    for subtask in subtasks(&view).iter().filter(|subtask| subtask["name"] != "join") {
        assert_eq!(subtask["attempts"], 1, "{subtask}");
    }
}

#[tokio::test]
async fn ctrl_c_without_a_store_loses_the_work_and_ends_what_it_started() {
    let home = Home::new();
    std::fs::create_dir(home.path("tmp")).expect("a folder");
    let tmp = home.path("tmp").display().to_string();
    let home = home.with("TMPDIR", &tmp);
    let mut gate = home.gate();
    home.write("held.toml", HELD);
    let running = home.start(&["run", "held.toml"]);
    let worker = gate.began().await;
    running.signal(Signal::INT);
    let done = running.end().await;
    assert_eq!(done.status, Some(130), "{}", done.stderr);
    assert_eq!(
        done.complaint(),
        "error: interrupted; nothing was kept, so the work is lost\nhint: --store sqlite:PATH keeps it\n"
    );
    gone(worker).await;
    assert_eq!(std::fs::read_dir(home.path("tmp")).expect("a folder").count(), 0, "the private store stays");
}

#[tokio::test]
async fn a_second_ctrl_c_leaves_at_once() {
    let home = Home::new();
    let mut gate = home.gate();
    home.write("held.toml", HELD);
    let mut running = home.start(&["run", "held.toml", "--store", "sqlite:kept.db"]);
    let worker = gate.began().await;
    running.signal(Signal::INT);
    running.says("what runs is finished first").await;
    running.signal(Signal::INT);
    let done = running.end().await;
    assert_eq!(done.status, Some(130), "{}", done.stderr);
    gone(worker).await;
}

#[tokio::test]
async fn what_can_not_be_run_is_refused_before_anything_starts() {
    let home = Home::new();
    for (skill, complaint) in [
        ("nop", "error: `x.toml`: goal `only`: subtask `one`: unknown skill `nop`\nhint: did you mean `noop`?\n"),
        (
            "elsewhere",
            "error: `x.toml`: goal `only`: subtask `one`: skill `elsewhere` is external: nobody performs it here\n\
             hint: `trireme submit` gives the project to worker processes, and to programs of your own\n",
        ),
    ] {
        home.write("x.toml", &QUICK.replace("noop", skill));
        let done = home.run(&["run", "x.toml", "--store", "sqlite:kept.db"]).await;
        assert_eq!((done.status, done.stderr.as_str()), (Some(2), complaint));
        assert!(!exists(&home.path("kept.db")), "a store was made for nothing");
    }
    let resumed = home.run(&["run", "--resume", ID, "--store", "sqlite:none.db"]).await;
    assert_eq!(resumed.status, Some(2));
    assert_eq!(resumed.stderr, "error: there is no store `none.db`\n");
    assert!(!exists(&home.path("none.db")));
}

#[tokio::test]
async fn a_name_and_a_description_are_run_without_a_file() {
    let home = Home::new();
    std::fs::create_dir(home.path("books")).expect("a folder");
    let book = "match = { any = [\"widgets\"] }\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\n";
    home.write("books/own.toml", &format!("{book}skill = \"noop\"\n"));
    let home = home.with("TRIREME_PLAYBOOKS__FOLDER", "books");
    let words = ["run", "--name", "shop", "--description", "two widgets", "--json"];
    let view = home.run(&words).await.json();
    assert_eq!((&view["name"], &view["status"]), (&"shop".into(), &"COMPLETED".into()), "{view}");
    assert_eq!(view["phases"][0]["goals"][0]["name"], "g");

    home.write("books/own.toml", &format!("{book}skill = \"elsewhere\"\n"));
    let refused = home.run(&words[..5]).await;
    let complaint = "error: `--description`: goal `g`: subtask `s`: skill `elsewhere` is external";
    assert!(refused.complaint().starts_with(complaint), "{}", refused.stderr);
}

#[tokio::test]
async fn what_a_playbook_adds_is_looked_at_too() {
    let home = Home::new();
    std::fs::create_dir(home.path("books")).expect("a folder");
    home.write("books/own.toml", "[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\nskill = \"slep\"\n");
    home.write("x.toml", "name = \"x\"\nplaybook = \"own\"\n");
    let home = home.with("TRIREME_PLAYBOOKS__FOLDER", "books");
    let done = home.run(&["run", "x.toml"]).await;
    assert_eq!(done.status, Some(2));
    assert_eq!(
        done.stderr,
        "error: `x.toml`: goal `g`: subtask `s`: unknown skill `slep`\nhint: did you mean `sleep`?\n"
    );
}

#[tokio::test]
async fn a_store_is_used_with_the_partitions_that_it_has() {
    let home = Home::new().with("TRIREME_BROKER__PARTITIONS", "3");
    home.write("quick.toml", QUICK);
    let first = home.run(&["run", "quick.toml", "--store", "sqlite:kept.db"]).await;
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    let home = home.with("TRIREME_BROKER__PARTITIONS", "8");
    let second = home.run(&["run", "quick.toml", "--store", "sqlite:kept.db"]).await;
    assert_eq!(second.status, Some(0), "{}", second.stderr);
    let manager = home.run(&["manager"]).await;
    assert_eq!(manager.status, Some(3), "a worker has no broker here: {}", manager.stderr);
}

/// Whoever writes to it may never come, or never end.
#[tokio::test]
async fn a_pipe_that_says_nothing_can_be_waited_for_and_left() {
    let home = Home::new();
    let path = home.path("pipe.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
    for signal in [Signal::TERM, Signal::INT] {
        let run = home.start(&["run", "pipe.toml"]);
        // It can be opened for writing as soon as somebody reads it.
        let opened = within("a reader", async {
            loop {
                match tokio::net::unix::pipe::OpenOptions::new().open_sender(&path) {
                    Ok(sender) => return sender,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                }
            }
        });
        let writer = opened.await;
        run.signal(signal);
        let done = run.end().await;
        assert_eq!(done.status, Some(130), "{}", done.stderr);
        assert_eq!(done.complaint(), "error: interrupted before the project file was read: nothing was run\n");
        drop(writer);
    }
    // What says something is read.
    let (read, mut write) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut write, QUICK.as_bytes()).expect("room");
    drop(write);
    let mut command = home.command(&["run", "/dev/stdin", "--json"]);
    let done = within("a run", command.stdin(read).output()).await.expect("it starts");
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

const DEEP: &str = r#"
[skills.Deep]
runner = "command"
[skills.Deep.command]
argv = ["sh", "-c", "printf '%0*d' 61 0 | tr 0 '['; printf '%0*d' 61 0 | tr 0 ']'"]

[skills.Echo]
runner = "command"
[skills.Echo.command]
argv = ["python3", "-c", "import json, sys; print(sys.stdin.read().split('\"input\":', 1)[1].split(',\"deps\"', 1)[0])"]

[skills.Good]
runner = "command"
[skills.Good.command]
argv = ["printf", "{\"files\":[{\"path\":\"a.txt\",\"text\":\"1\"}]}"]
[skills.Bad]
runner = "command"
[skills.Bad.command]
argv = ["printf", "{\"files\":[{\"path\":\"/e.txt\",\"text\":\"2\"}]}"]
"#;

/// Before, it was accepted, and its dependant was never sent: `message nested deeper than 64`, which named neither.
#[tokio::test]
async fn a_result_that_could_not_be_handed_on_is_refused_where_it_was_made() {
    let home = Home::new();
    home.write("queues.toml", DEEP);
    home.write(
        "p.json",
        r#"{"name": "p", "goals": [{"name": "g", "subtasks": [
            {"name": "deep", "skill": "Deep"}, {"name": "after", "skill": "noop", "dependencies": ["deep"]}]}]}"#,
    );
    let done = home.run(&["run", "p.json", "--json"]).await;
    assert_eq!(done.status, Some(1), "{}", done.stderr);
    let view = done.json();
    let error = subtasks(&view)[0]["error"].as_str().expect("an error").to_owned();
    assert!(error.contains("its result is nested deeper than 60, the most that can be handed on"), "{error}");
}

/// Before, no file of any subtask was written.
#[tokio::test]
async fn a_path_that_is_not_taken_keeps_no_other_file_from_being_written() {
    let home = Home::new();
    home.write("queues.toml", DEEP);
    home.write(
        "p.json",
        r#"{"name": "p", "goals": [{"name": "g", "subtasks": [
            {"name": "good", "skill": "Good"}, {"name": "bad", "skill": "Bad"}]}]}"#,
    );
    for words in [&["run", "p.json", "--out", "made"][..], &["run", "p.json", "--out", "made", "--json", "--force"]] {
        let done = home.run(words).await;
        assert_eq!(done.status, Some(1), "{}", done.stderr);
        assert!(
            done.stderr.contains("not written: subtask 1.1 (bad): the path `/e.txt` is absolute"),
            "{}",
            done.stderr
        );
        assert!(exists(&home.path("made/g/good/a.txt")) && exists(&home.path("made/report.json")));
    }
}

/// Whoever is quiet hears of it too: it is why the exit status is 1.
#[tokio::test]
async fn a_file_in_the_place_of_a_folder_keeps_no_other_file_from_being_written() {
    let home = Home::new();
    home.write("queues.toml", DEEP);
    home.write(
        "p.json",
        r#"{"name": "p", "goals": [{"name": "g", "subtasks": [{"name": "good", "skill": "Good"}]},
            {"name": "h", "subtasks": [{"name": "late", "skill": "Good"}]}]}"#,
    );
    std::fs::create_dir(home.path("made")).expect("a folder");
    home.write("made/h", "old");
    for words in
        [&["run", "p.json", "--out", "made", "-q"][..], &["run", "p.json", "--out", "made", "--json", "--force"]]
    {
        let done = home.run(words).await;
        assert_eq!(done.status, Some(1), "{}", done.stderr);
        let named = "not written: `made/h/late/a.txt`: `made/h` is a file, and is to be a folder";
        assert!(done.stderr.lines().any(|line| line == named), "{}", done.stderr);
        assert!(exists(&home.path("made/g/good/a.txt")) && exists(&home.path("made/report.json")));
        assert_eq!(std::fs::read(home.path("made/h")).expect("there"), b"old");
    }
}

/// Before, JSON without a name that ends in `.json` was read as TOML, and nothing said so.
#[tokio::test]
async fn the_form_of_a_project_is_found_by_looking() {
    let home = Home::new();
    let json = r#" {"name": "p", "goals": [{"name": "g", "subtasks": [{"name": "s", "skill": "noop"}]}]}"#;
    home.write("plan", json);
    home.write("plan.json", json);
    home.write("toml.txt", QUICK);
    for file in ["plan", "plan.json", "toml.txt"] {
        let done = home.run(&["run", file, "--json"]).await;
        assert_eq!(done.status, Some(0), "{file}: {}", done.stderr);
    }
    home.write("neither", "name = \n");
    let refused = home.run(&["run", "neither"]).await;
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.ends_with("hint: it was read as TOML; a project in JSON begins with `{`\n"),
        "{}",
        refused.stderr
    );
}

/// A double comes back as it was: one in five changed in its last digit in the binary that ships.
#[tokio::test]
async fn a_number_keeps_its_last_digit() {
    let home = Home::new();
    home.write("queues.toml", DEEP);
    home.write(
        "p.json",
        r#"{"name": "p", "goals": [{"name": "g", "subtasks": [
            {"name": "s", "skill": "Echo", "input": {"n": 31.245270191439438}}]}]}"#,
    );
    let done = home.run(&["run", "p.json", "--json"]).await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("31.245270191439438"), "{}", done.stdout);
}

/// Before, an error was cut at 80 characters, also where no terminal was there to be too narrow.
#[tokio::test]
async fn an_error_is_not_cut_where_its_table_is_piped() {
    let home = Home::new();
    let long = "a long story of what went wrong ".repeat(7);
    home.write("queues.toml", &format!(
        "[skills.fails]\nrunner = \"command\"\n[skills.fails.command]\nargv = [\"sh\", \"-c\", \"echo '{long}end' >&2; exit 1\"]\n"
    ));
    home.write("fails.toml", &QUICK.replace("noop", "fails"));
    let done = home.run(&["run", "fails.toml"]).await;
    assert_eq!(done.status, Some(1), "{}", done.stderr);
    let row = done.stdout.lines().find(|line| line.contains(" one ")).expect("a row").to_owned();
    assert!(row.ends_with(&format!("{long}end")), "{row}");
}
