//! What commands print on a terminal: pseudo terminals of several widths, and the real binary on them.

use std::io::Read;
use std::process::{Command, Stdio};

use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::agents::Team;
use crate::bad_places::url;
use crate::bad_usage::{commands, listed};
use crate::call::Place;

const WIDTHS: [u16; 3] = [60, 80, 200];
const NAME: &str = "A project with a name that is rather longer than a column of a narrow terminal can have";
const WHY: &str = "the disk of the machine is full, and nothing that is on it can be removed without asking its owner";

/// Which stream is the terminal; the other one is read by nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

/// What is on the terminal when the command has ended.
fn on_terminal(columns: u16, stream: Stream, mut command: Command) -> String {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("its other end");
    let name = ptsname(&ours, Vec::new()).expect("its name");
    tcsetwinsize(&ours, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("its size");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = Stdio::from(rustix::fs::open(&*name, flags, Mode::empty()).expect("its other end"));
    let (output, error) = match stream {
        Stream::Output => (theirs, Stdio::null()),
        Stream::Error => (Stdio::null(), theirs),
    };
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(error).spawn().expect("started");
    // It keeps the other end open, and so would never be read to its end.
    drop(command);
    let mut written = Vec::new();
    // The end of a terminal is an error on Linux.
    if let Err(error) = std::fs::File::from(ours).read_to_end(&mut written) {
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "{error}");
    }
    child.wait().expect("ended");
    String::from_utf8(written).expect("UTF-8").replace("\r\n", "\n")
}

/// A command on terminals of several widths: everything fits, each of these texts is there at every width, and what is cut
/// is whole with `--wide`, and where it goes elsewhere.
fn fits(place: &Place, stream: Stream, words: &[&str], environment: &[(&str, String)], always: &[&str], whole: &str) {
    let shown = |columns: u16, more: &[&str]| {
        let mut command = place.plain(&[words, more].concat());
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        on_terminal(columns, stream, command)
    };
    for columns in WIDTHS {
        let text = shown(columns, &[]);
        // What a command fails with is no table.
        for line in text.lines().filter(|line| !line.starts_with("error: ")) {
            assert!(line.width() <= columns.into(), "{words:?} at {columns}: {line:?} has {}", line.width());
        }
        for always in always {
            assert!(text.contains(always), "{words:?} at {columns} lacks {always:?}:\n{text}");
        }
    }
    assert!(!shown(60, &[]).contains(whole), "{words:?}: nothing gave way at 60, so this shows nothing");
    assert!(shown(60, &["--wide"]).contains(whole), "{words:?}: not whole with --wide:\n{}", shown(60, &["--wide"]));
    let piped = place.answer(place.command(words).envs(environment.iter().map(|(name, value)| (*name, value))));
    let piped = if stream == Stream::Output { piped.stdout } else { piped.stderr };
    assert!(piped.contains(whole) && !piped.contains('…'), "{words:?}: not whole in a pipe:\n{piped}");
}

/// A place with a project that failed, both at some length.
fn failed() -> (Place, String) {
    let place = Place::new();
    let argv = json!(["/bin/sh", "-c", format!("echo '{WHY}' >&2; exit 1")]);
    place.write(
        "queues.toml",
        format!("[skills.Broken]\nrunner = \"command\"\nmax_attempts = 1\n[skills.Broken.command]\nargv = {argv}\n"),
    );
    let subtasks = json!([{ "name": "Collect", "skill": "noop" }, { "name": NAME, "skill": "Broken" }]);
    let file = json!({ "name": NAME, "goals": [{ "name": format!("Goal of {NAME}"), "subtasks": subtasks }] });
    place.write("p.json", file.to_string());
    let ran = place.run(&["run", "p.json", "--store", "sqlite:trireme.db", "-q"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let id = place.run(&["list", "--json"]).json()[0]["project_id"].as_str().expect("an id").to_owned();
    (place, id)
}

#[test]
fn tables_about_projects_and_settings_fit_every_terminal() {
    let (place, id) = failed();
    let id = id.as_str();
    fits(&place, Stream::Output, &["list"], &[], &["PROJECT", id, "ERROR"], NAME);
    fits(&place, Stream::Output, &["status", id], &[], &[id, "ID", "1.0", "1.1", "COMPLETED", "ERROR"], WHY);
    fits(&place, Stream::Output, &["history", id], &[], &["VERSION", "EVENT", "Accepted", "SubtasksAdded"], WHY);
    fits(&place, Stream::Output, &["config", "show"], &[], &["KEY", "skills.Broken.command.argv"], WHY);
    let prune = ["prune", "--older-than", "1ms"];
    fits(&place, Stream::Error, &prune, &[], &["PROJECT", id, "ERROR"], NAME);
    // What `run` says at its end. Another run each time, so only that it fits.
    for columns in WIDTHS {
        let text = on_terminal(columns, Stream::Output, place.plain(&["run", "p.json"]));
        assert!(text.contains("COMPLETED") && text.contains("ERROR"), "{text}");
        assert!(text.lines().all(|line| line.width() <= columns.into()), "{columns}:\n{text}");
    }
}

#[test]
fn what_had_no_room_is_named_and_columns_that_are_set_count() {
    let (place, id) = failed();
    let list = |columns: u16, set: &str, words: &[&str]| {
        let mut command = place.plain(words);
        command.env("COLUMNS", set);
        on_terminal(columns, Stream::Output, command)
    };
    for (columns, set, has_room) in [(200, "60", false), (60, "200", true), (60, "", false), (200, "0", true)] {
        let text = list(columns, set, &["list"]);
        assert_eq!(text.contains("FINISHED"), has_room, "{columns} {set:?}:\n{text}");
    }
    // Elsewhere than on a terminal it does not.
    let piped = place.answer(place.command(&["list"]).env("COLUMNS", "60"));
    assert!(piped.stdout.contains("FINISHED") && piped.stdout.contains(NAME) && piped.stderr.is_empty());
    // Said on standard error, beside the data.
    let mut shell = Command::new("/bin/sh");
    let binary = env!("CARGO_BIN_EXE_trireme");
    shell.args(["-c", &format!("'{binary}' status {id} 2>&1")]).current_dir(place.path());
    let text = on_terminal(60, Stream::Output, shell);
    let said = "not shown: GOAL, SKILL, AGENT, STARTED, FINISHED; --wide shows all\n";
    assert!(text.ends_with(said), "{text}");
}

/// Lines are no tables: a name is whole in each, so that it can be found.
#[test]
fn lines_about_subtasks_have_their_names_whole() {
    let (place, id) = failed();
    for words in [["watch", &id], ["result", &id]] {
        let said = place.run(&words).stdout;
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("1.1 ")).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.contains(NAME) && line.contains(WHY)), "{said}");
    }
}

/// Skills, letters, agents and queues with long names.
#[tokio::test(flavor = "multi_thread")]
async fn tables_about_agents_letters_and_queues_fit_every_terminal() {
    let team = Team::new().await;
    let environment = team.environment();
    let manager = team.start(&["manager", "--name", NAME, "--id", "m1"]);
    let executor = team.start(&["executor", "--slots", "3", "--id", "e1"]);
    let namespace = team.claim.namespace().to_string();
    dead_letter(&namespace).await;
    let fits = |words: &[&str], always: &[&str], whole: &str| {
        self::fits(&team.place, Stream::Output, words, &environment, always, whole);
    };
    fits(&["agents"], &["AGENT", "m1", "e1", "STATUS", "IDLE"], NAME);
    fits(&["ping"], &["AGENT", "m1", "e1", "STATUS", "IDLE"], NAME);
    let letters = team.run(&["dead", "list", "--json"]).json();
    let letter = letters[0]["id"].as_str().expect("an id");
    fits(&["dead", "list"], &["LETTER", letter, "REASON"], WHY);
    fits(&["dead", "show", letter], &[letter, "reason", "the disk of the machine"], WHY);
    let queue = format!("{namespace}.requests");
    fits(&["topology", "show"], &["EXCHANGE", "KIND", "QUEUE", "READY", "ROUTING KEY", &queue], "dead-letters=");
    drop((manager, executor));
    team.claim.release().await;
}

async fn dead_letter(namespace: &str) {
    let connection = Connection::connect(&url(), ConnectionProperties::default()).await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    let mut headers = FieldTable::default();
    headers.insert("x-reason".into(), AMQPValue::LongString(WHY.into()));
    let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    let queue = format!("{namespace}.dead");
    let letter = json!({ "sender_id": "peer", "message_type": "COMMAND", "content": {} }).to_string();
    let sent =
        channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), letter.as_bytes(), properties);
    sent.await.expect("sent").await.expect("taken");
    connection.close(200, "done".into()).await.expect("closed");
}

/// Words of all commands, with those below them.
fn all_commands(place: &Place) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for command in commands(place) {
        let below = listed(&place.run(&[&command, "--help"]).stdout);
        all.extend(below.into_iter().map(|name| vec![command.clone(), name]));
        all.push(vec![command]);
    }
    all
}

#[test]
fn help_is_broken_at_the_width_of_the_terminal_and_at_100_columns_elsewhere() {
    let place = Place::new();
    let all = all_commands(&place);
    assert!(all.len() > 30 && all.iter().any(|words| words == &["dead", "redrive"]), "{all:?}");
    for words in all {
        for form in ["--help", "-h"] {
            let words: Vec<&str> = words.iter().map(String::as_str).chain([form]).collect();
            let width = |text: &str| text.lines().map(|line| (plain(line).width(), line.to_owned())).max();
            let piped = place.answer(place.command(&words).env("COLUMNS", "300"));
            let (widest, line) = width(&piped.stdout).expect("lines");
            assert!(widest <= 100, "{words:?} in a pipe has {widest} columns: {line}");
            for (columns, max) in [(80, 80), (200, 100)] {
                let text = on_terminal(columns, Stream::Output, place.plain(&words));
                let (widest, line) = width(&text).expect("lines");
                assert!(widest <= max, "{words:?} at {columns} has {widest} columns: {line}");
            }
        }
    }
}

/// Without what switches colours.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut parts = line.split('\x1b');
    plain.push_str(parts.next().unwrap_or_default());
    parts.for_each(|part| plain.push_str(part.split_once('m').map_or("", |(_, text)| text)));
    plain
}
