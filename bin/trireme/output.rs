//! Where a command's words go: data to standard output, everything else to standard error.

use std::io::{self, Write};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;
use crate::table::{Fitted, Table, columns_of};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The one printer of a process.
pub struct Output {
    json: bool,
    quiet: bool,
    /// Whether tables are shown whole on a terminal too.
    wide: bool,
    unwritten: OnceLock<String>,
}

/// The last line on standard error of a command that fails, with `--json`.
#[derive(Serialize)]
struct Told<'a> {
    error: &'a str,
    hint: Option<&'a str>,
    exit_status: u8,
}

impl Output {
    pub fn new(json: bool, quiet: bool, wide: bool) -> Self {
        Self { json, quiet, wide, unwritten: OnceLock::new() }
    }

    /// Whether data is to be printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether what goes on is not to be said.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Data as one JSON document.
    pub fn json<T: Serialize + ?Sized>(&self, data: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(data).map_err(|error| Failure::bug(format!("output is no JSON: {error}")))?;
        self.line(&text);
        Ok(())
    }

    /// A line of data. Whoever reads it may have gone away; that is no failure of ours. Anything else that keeps it
    /// from being written is, and `unwritten` tells.
    pub fn line(&self, text: &str) {
        match writeln!(anstream::stdout(), "{text}").and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.unwritten.get_or_init(|| error.to_string());
            }
            _ => {}
        }
    }

    /// A line about what went wrong beside what was done: why the exit status is what it is.
    pub fn fault(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// A table of data. What of it has no room on a terminal is named.
    pub fn table(&self, table: &Table) {
        let Fitted { text, left_out } = table.fit(columns_of(io::stdout()).filter(|_| !self.wide));
        self.line(&text);
        self.say_left_out(&left_out);
    }

    /// A table about what goes on, as with `note`.
    pub fn note_table(&self, table: &Table) {
        let Fitted { text, left_out } = table.fit(columns_of(io::stderr()).filter(|_| !self.wide));
        self.note(&text);
        self.say_left_out(&left_out);
    }

    fn say_left_out(&self, titles: &[&str]) {
        if !titles.is_empty() {
            self.note(&format!("not shown: {}; --wide shows all", titles.join(", ")));
        }
    }

    /// Why data could not be written, when some could not.
    pub fn unwritten(&self) -> Option<Failure> {
        let why = self.unwritten.get()?;
        Some(Failure::unreachable(format!("standard output can not be written: {why}")))
    }

    /// A line about what goes on, unless nobody wants to hear it.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// Why a command gives up: for people, and where data is JSON once more in the last line, for programs.
    pub fn failure(&self, failure: &Failure) {
        let mut stderr = anstream::stderr().lock();
        let _ = writeln!(stderr, "{ERROR}error:{ERROR:#} {}", failure.message);
        if let Some(hint) = &failure.hint {
            let _ = writeln!(stderr, "{HINT}hint:{HINT:#} {hint}");
        }
        let told = Told { error: &failure.message, hint: failure.hint.as_deref(), exit_status: failure.status as u8 };
        if let Some(told) = self.json.then(|| serde_json::to_string(&told).ok()).flatten() {
            let _ = writeln!(stderr, "{told}");
        }
    }
}
