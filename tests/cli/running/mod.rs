//! The commands that run agents, as processes: `run`, `up`, the workers, `topology`.

mod cleanup;
mod run;
mod submit;
mod topology;
mod up;
mod words;
mod workers;

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr, Command};
use trireme::runtime::port::Topology;
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::transport::rabbit::{Claim, claim};
use trireme::wire::address::Namespace;

/// Nothing here takes longer, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody listens there.
const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";
const PARTITIONS: u32 = 2;

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {} s in vain: {what}", PATIENCE.as_secs()),
    }
}

/// Where the broker is.
fn broker() -> String {
    let urls = std::env::var("TRIREME_TEST_AMQP_URLS").unwrap_or_default();
    match urls.split(',').next().map(str::trim) {
        Some(url) if !url.is_empty() => url.to_owned(),
        _ => "amqp://guest:guest@127.0.0.1:5672/%2f".into(),
    }
}

/// A folder to run commands in, with settings of its own.
struct Home {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// How a command ended, and what it wrote.
struct Done {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Done {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// Its complaint: everything that begins with `error: `, to the end.
    fn complaint(&self) -> &str {
        let at = self.stderr.find("error: ").unwrap_or_else(|| panic!("no complaint:\n{}", self.stderr));
        &self.stderr[at..]
    }
}

impl Home {
    /// Without any broker.
    fn new() -> Self {
        let home = Self { folder: TempDir::new().expect("a folder"), environment: Vec::new() };
        let settings = format!(
            "[skills.hold]\nrunner = \"command\"\n[skills.hold.command]\nargv = [\"sh\", \"-c\", {:?}]\n\n\
             [skills.elsewhere]\nrunner = \"external\"\n",
            "echo $$ > began; read go < may_end"
        );
        home.write("queues.toml", &settings);
        home.with("TRIREME_BROKER__URL", NO_BROKER)
    }

    /// In this namespace of the broker.
    fn at(claim: &Claim) -> Self {
        Self::new()
            .with("TRIREME_BROKER__URL", &broker())
            .with("TRIREME_BROKER__NAMESPACE", claim.namespace().as_str())
            .with("TRIREME_BROKER__PARTITIONS", &PARTITIONS.to_string())
            .with("TRIREME_AGENTS__HEARTBEAT_INTERVAL", "1s")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.into(), value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trireme"));
        command.args(words).current_dir(self.folder.path()).kill_on_drop(true);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRIREME_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    async fn run(&self, words: &[&str]) -> Done {
        let output = within(&words.join(" "), self.command(words).output()).await.expect("it starts");
        Done {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Starts a command.
    fn start(&self, words: &[&str]) -> Running {
        let mut child = self.command(words).spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Running { child, stderr, heard: String::new() }
    }

    /// The gate of the skill `hold`: a subtask says that it began, and waits until it may end.
    fn gate(&self) -> Gate {
        let fifo = |name: &str| {
            let path = self.path(name);
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
            path
        };
        // Both ends are held: nothing that comes or goes on the other side ends it.
        let mut options = pipe::OpenOptions::new();
        let options = options.read_write(true);
        let began = options.open_receiver(fifo("began")).expect("a FIFO");
        let may_end = options.open_sender(fifo("may_end")).expect("a FIFO");
        Gate { began: BufReader::new(began).lines(), may_end }
    }
}

struct Gate {
    began: Lines<BufReader<pipe::Receiver>>,
    may_end: pipe::Sender,
}

impl Gate {
    /// Waits for the next subtask that began; the answer is its process.
    async fn began(&mut self) -> Pid {
        let line = within("a subtask that begins", self.began.next_line()).await.expect("a line").expect("a line");
        Pid::from_raw(line.trim().parse().expect("a number")).expect("a process")
    }

    async fn let_one_end(&mut self) {
        self.may_end.write_all(b"go\n").await.expect("room in a pipe");
    }
}

/// A command that runs.
struct Running {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    heard: String,
}

impl Running {
    /// Waits for a line with these words on standard error.
    async fn says(&mut self, words: &str) -> String {
        self.says_all(&[words]).await.remove(0)
    }

    /// Waits for lines with each of these words, in any order.
    async fn says_all(&mut self, words: &[&str]) -> Vec<String> {
        let mut found = vec![None; words.len()];
        let looking = async {
            while found.iter().any(Option::is_none) {
                let Some(line) = self.stderr.next_line().await.expect("UTF-8") else { return false };
                self.heard.push_str(&line);
                self.heard.push('\n');
                let open = found.iter_mut().zip(words).find(|(found, words)| found.is_none() && line.contains(**words));
                if let Some((found, _)) = open {
                    *found = Some(line);
                }
            }
            true
        };
        let all = tokio::time::timeout(PATIENCE, looking).await;
        assert_eq!(all.ok(), Some(true), "{words:?} was not said:\n{}", self.heard);
        found.into_iter().flatten().collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is alive");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().expect("alive").try_into().expect("a number")).expect("a process")
    }

    async fn end(mut self) -> Done {
        let mut stdout = String::new();
        let status: ExitStatus = within("the end of a command", async {
            while let Some(line) = self.stderr.next_line().await.expect("UTF-8") {
                self.heard.push_str(&line);
                self.heard.push('\n');
            }
            if let Some(mut pipe) = self.child.stdout.take() {
                pipe.read_to_string(&mut stdout).await.expect("UTF-8");
            }
            self.child.wait().await.expect("a status")
        })
        .await;
        Done { status: status.code(), stdout, stderr: self.heard }
    }
}

/// Waits until a process that is not our child is gone.
async fn gone(pid: Pid) {
    // None any more: also good.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let ended = tokio::task::spawn_blocking(move || {
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience)).expect("a process can be waited for")
    });
    assert_eq!(ended.await.expect("no panic"), 1, "process {pid:?} outlives its parent");
}

/// A namespace of the pool, empty, as the settings of [`Home::at`] make it.
async fn namespace() -> Claim {
    claim(&broker(), "trireme_test", shape).await.unwrap_or_else(|error| {
        panic!("{error}\nhint: the tests need RabbitMQ; `TRIREME_TEST_AMQP_URLS` says where, comma separated")
    })
}

fn shape(namespace: &Namespace) -> Topology {
    topology(&TopologyOptions {
        namespace: namespace.clone(),
        partitions: PARTITIONS,
        skills: ["elsewhere", "hold", "noop", "sleep"].map(str::to_owned).to_vec(),
        requests_max: 10_000,
        skill_delivery_limit: 5,
        queue_kind: trireme::runtime::port::QueueKind::Quorum,
    })
}

/// The subtasks of a view.
fn subtasks(view: &Value) -> Vec<&Value> {
    let list = |value: &Value, key: &str| value[key].as_array().expect("an array").len();
    let mut all = Vec::new();
    for phase in 0..list(view, "phases") {
        let phase = &view["phases"][phase];
        for goal in 0..list(phase, "goals") {
            all.extend(phase["goals"][goal]["subtasks"].as_array().expect("an array"));
        }
    }
    all
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
