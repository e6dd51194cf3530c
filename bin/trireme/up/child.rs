//! One child of `trireme up`: started, listened to, started again when it dies, and never left behind.
//!
//! It leads a process group of its own, so that the Ctrl-C of a terminal reaches only its parent, who decides
//! what it means. Its standard input is a pipe that the parent holds: the kernel closes it however the parent
//! dies, and then the child leaves.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::worker::WITH_PARENT;
use trireme::runtime::Stop;

/// Between the end of a child and its next start; twice as long each time.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A child that lived this long was well: it starts again after the short pause, and nothing is wrong with its
/// settings.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// A child that was told to leave at once has this long to end what it started.
const LEAVE_WITHIN: Duration = Duration::from_secs(8);
/// What a child wrote is read for this long after its end: somebody that it started may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// A longer line is shown in pieces.
const LINE_BYTES_MAX: u64 = 64 * 1024;

const COLOURS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::BrightRed];

pub struct Child {
    program: PathBuf,
    words: Vec<OsString>,
    name: String,
    /// What its lines begin with.
    prefix: String,
}

/// How one life of a child ended.
struct Ended {
    status: ExitStatus,
    said: Said,
}

/// What a child said went wrong.
#[derive(Default)]
struct Said {
    error: Option<String>,
    hint: Option<String>,
}

/// Where its lines go.
#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

impl Child {
    /// The `at`-th child; names are padded to `width`.
    pub fn new(program: PathBuf, mut words: Vec<OsString>, name: String, at: usize, width: usize) -> Self {
        words.extend(["--name".into(), name.as_str().into(), WITH_PARENT.into()]);
        let style = Style::new().fg_color(Some(COLOURS[at % COLOURS.len()].into()));
        let prefix = format!("{style}{name:width$} |{style:#} ");
        Self { program, words, name, prefix }
    }

    /// Keeps it alive until `stop` drains, and ends it then. Fails when it can not even start.
    pub async fn keep(&self, stop: &Stop, output: &Output) -> Result<(), Failure> {
        let mut pause = PAUSE_FIRST;
        let mut was_well = false;
        while !stop.is_draining() {
            let began = Instant::now();
            let Ended { status, said } = self.live(stop).await?;
            let is_well = began.elapsed() >= WELL_AFTER;
            if stop.is_draining() {
                break;
            }
            was_well |= is_well;
            if is_well {
                pause = PAUSE_FIRST;
            }
            match status.code().and_then(cannot_start) {
                Some(why) if !was_well => return Err(self.failure(why, said)),
                _ => output.note(&format!("{} ended ({status}); it is started again in {pause:?}", self.name)),
            }
            tokio::select! {
                biased;
                () = stop.draining() => {}
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// One life.
    async fn live(&self, stop: &Stop) -> Result<Ended, Failure> {
        let mut command = Command::new(&self.program);
        command.args(&self.words).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process =
            command.spawn().map_err(|error| Failure::bug(format!("{} can not be started: {error}", self.name)))?;
        // Held, and never written to.
        let mut lifeline = process.stdin.take();
        let id = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let out = self.relay(process.stdout.take(), Stream::Out);
        let err = self.relay(process.stderr.take(), Stream::Err);
        let mut relayed = std::pin::pin!(async { tokio::join!(out, err).1 });
        let mut said = None;
        let mut told = Told::Nothing;
        let status = loop {
            tokio::select! {
                biased;
                status = process.wait() => break status,
                heard = &mut relayed, if said.is_none() => said = Some(heard),
                () = stop.leaving(), if told < Told::Leave => {
                    told = Told::Leave;
                    lifeline = None;
                }
                () = stop.draining(), if told < Told::Drain => {
                    told = Told::Drain;
                    drain(id);
                }
                () = sleep(LEAVE_WITHIN), if told == Told::Leave => {
                    told = Told::Killed;
                    let _ = process.start_kill();
                }
            }
        };
        drop(lifeline);
        let status = status.map_err(|error| Failure::bug(format!("{} is lost: {error}", self.name)))?;
        if said.is_none() {
            said = timeout(LAST_WORDS, relayed).await.ok();
        }
        Ok(Ended { status, said: said.unwrap_or_default() })
    }

    /// Shows what it writes line by line.
    async fn relay(&self, pipe: Option<impl AsyncRead + Unpin>, stream: Stream) -> Said {
        let mut said = Said::default();
        let Some(pipe) = pipe else { return said };
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut pipe).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return said,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            said.hear(text);
            self.show(text, stream);
        }
    }

    /// Whoever reads it may have gone away; that is no failure of ours.
    fn show(&self, text: &str, stream: Stream) {
        let prefix = &self.prefix;
        let _ = match stream {
            Stream::Out => writeln!(anstream::stdout(), "{prefix}{text}"),
            Stream::Err => writeln!(anstream::stderr(), "{prefix}{text}"),
        };
    }

    fn failure(&self, status: Status, said: Said) -> Failure {
        let message = match said.error {
            Some(error) => format!("{} can not start: {error}", self.name),
            None => format!("{} can not start", self.name),
        };
        Failure { status, message, hint: said.hint }
    }
}

/// What a child was told to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Drain,
    Leave,
    Killed,
}

/// The number is not somebody else's: the child was not waited for yet.
fn drain(id: Option<Pid>) {
    if let Some(id) = id {
        let _ = kill_process(id, Signal::TERM);
    }
}

/// The exit statuses that say that another try would end the same way.
fn cannot_start(code: i32) -> Option<Status> {
    [Status::Usage, Status::Unreachable].into_iter().find(|status| *status as i32 == code)
}

impl Said {
    fn hear(&mut self, line: &str) {
        if let Some(error) = line.strip_prefix("error: ") {
            *self = Self { error: Some(error.into()), hint: None };
        } else if let Some(hint) = line.strip_prefix("hint: ") {
            self.hint = Some(hint.into());
        }
    }
}
