//! How the binary is called here, and how its answer is written down.

use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing here waits for anything but a refusal; ten seconds is what a silent broker gets.
const TIME_MAX: Duration = Duration::from_secs(40);
/// A port that nobody listens on: it is below those that are handed out, and of no known service.
pub const NOBODY: &str = "127.0.0.1:9";

/// A folder of a test's own, in which every command runs.
pub struct Place {
    folder: TempDir,
}

/// What came of a command.
pub struct Answer {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.path().join(name), content).expect("written");
        self
    }

    /// A command with an environment that says nothing, a broker that is not there and no store yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::from_std(self.plain(arguments));
        command.timeout(TIME_MAX);
        command
    }

    /// The same for who wants to say where its output goes.
    pub fn plain(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_trireme"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            // A backtrace would be shown if there were one.
            .env("RUST_BACKTRACE", "1")
            .env("TRIREME_BROKER__URL", format!("amqp://guest:guest@{NOBODY}/%2f"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.answer(&mut self.command(arguments))
    }

    /// Runs it, and forgets where the folder is.
    pub fn answer(&self, command: &mut Command) -> Answer {
        let output = command.output().expect("the binary runs");
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.replace(&self.path().display().to_string(), "[DIR]")
        };
        Answer {
            status: output.status.code().expect("an exit status, and no signal"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Answer {
    /// A refusal, as it is written down: checks what holds for all of them.
    pub fn refusal(&self, what: &str) -> String {
        let Self { status, stdout, stderr } = self;
        assert_eq!(stdout, "", "{what}: data on standard output");
        assert!([1, 2, 3].contains(status), "{what}: exit status {status}: {stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains("backtrace"), "{what}: {stderr}");
        let mut lines: Vec<&str> = stderr.lines().collect();
        let told = lines.pop_if(|last| last.starts_with('{'));
        if let Some(told) = told {
            let told: Value = serde_json::from_str(told).expect("JSON");
            let text = |start: &str| lines.iter().find_map(|line| line.strip_prefix(start));
            let expected = json!({ "error": text("error: "), "hint": text("hint: "), "exit_status": status });
            assert_eq!(told, expected, "{what}");
        }
        let is_form = match lines.as_slice() {
            [error] => error.starts_with("error: "),
            [error, hint] => error.starts_with("error: ") && hint.starts_with("hint: "),
            _ => false,
        };
        assert!(is_form, "{what}: not an error with its hint: {stderr:?}");
        format!("## {what}\nexit status {status}\n{stderr}\n")
    }

    /// The data on standard output.
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).expect("one JSON document")
    }
}
