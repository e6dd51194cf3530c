//! Where the worker processes of a story live, and the processes.
//!
//! These tests wait for processes and block a thread by it, so they have more than one: the connection that guards
//! their namespace has a heart that must go on beating.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use trireme::config::Settings;
use trireme::runtime::port::Topology;
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::store::postgres::Throwaway;
use trireme::transport::rabbit::{Claim, RabbitTransport, claim};
use trireme::wire::address::Namespace;

/// Until a project of these tests has to have ended, whatever was killed on the way.
const DONE_WITHIN: Duration = Duration::from_secs(180);
/// The settings, in the workers' working directory.
const SETTINGS: &str = "queues.toml";

/// Where the workers of one test live: a namespace, a store, and a working directory with their settings.
pub struct Place {
    broker_url: String,
    namespace: String,
    /// What is given back at the end; none of it on servers of one's own.
    claim: Option<Claim>,
    database: Option<Throwaway>,
    folder: tempfile::TempDir,
    store_url: String,
    /// Where they work: the repository, or the folder when they have settings of their own.
    home: PathBuf,
}

/// Which store the workers share.
#[derive(Clone, Copy)]
pub enum Shared<'a> {
    Postgres,
    SqliteFile,
    /// At this URL, and nobody else uses it.
    Own(&'a str),
}

/// Tells a story on every broker of `TRIREME_TEST_AMQP_URLS`, one after the other.
pub async fn on_every_broker(story: impl AsyncFn(&str)) {
    let urls = std::env::var("TRIREME_TEST_AMQP_URLS").unwrap_or_else(|_| settings().broker.url);
    let urls: Vec<_> = urls.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
    assert!(!urls.is_empty(), "TRIREME_TEST_AMQP_URLS names no broker");
    for url in urls {
        story(url).await;
    }
}

fn settings() -> Settings {
    Settings::resolve(Some(&root().join(SETTINGS)), [], Vec::new()).expect("the shipped settings")
}

impl Place {
    /// On a broker that others use too, in a namespace that is given back.
    pub async fn new(broker_url: &str, shared: Shared<'_>, name: &str) -> Self {
        Self::alone(broker_url, shared, name).await.in_a_namespace().await
    }

    /// The same with settings of its own, which say what the skills are. The workers work in a folder of the test's.
    pub async fn with_settings(broker_url: &str, shared: Shared<'_>, name: &str, settings: &str) -> Self {
        let mut place = Self::alone(broker_url, shared, name).await;
        place.home = place.folder.path().to_owned();
        place.write(SETTINGS, settings);
        place.in_a_namespace().await
    }

    async fn in_a_namespace(self) -> Self {
        let settings = Settings::resolve(Some(&self.home.join(SETTINGS)), [], Vec::new()).expect("good settings");
        let shape =
            |namespace: &_| topology(&TopologyOptions { namespace: Clone::clone(namespace), ..settings.topology() });
        let claim = claim(&self.broker_url, "trireme_test", shape).await;
        let claim = claim.expect("a namespace on RabbitMQ: is it running?");
        let namespace = claim.namespace().to_string();
        Self { claim: Some(claim), namespace, ..self }
    }

    /// On a broker that nobody else uses: the workers declare what they need.
    pub async fn alone(broker_url: &str, shared: Shared<'_>, name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (database, store_url) = match shared {
            Shared::Own(url) => (None, url.to_owned()),
            Shared::SqliteFile => (None, format!("sqlite:{}", folder.path().join("trireme.db").display())),
            Shared::Postgres => {
                let server = std::env::var("TRIREME_TEST_POSTGRES_URL")
                    .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
                let name = format!("trireme_test_{name}_{}", std::process::id());
                let database =
                    Throwaway::create(&server, &name).await.expect("a database on PostgreSQL: is it running?");
                let url = database.url.clone();
                (Some(database), url)
            }
        };
        let (broker_url, namespace, home) = (broker_url.into(), "trireme".into(), root().to_owned());
        Self { broker_url, namespace, claim: None, database, folder, store_url, home }
    }

    /// The broker as one more process sees it.
    pub fn transport(&self) -> RabbitTransport {
        RabbitTransport::new(self.claim.as_ref().expect("a broker that others use too").options.clone())
            .expect("the URL was read before")
    }

    /// What is declared at a broker that others use too.
    pub fn topology(&self) -> &Topology {
        &self.claim.as_ref().expect("a broker that others use too").topology
    }

    pub fn namespace(&self) -> Namespace {
        Namespace::new(self.namespace.clone()).expect("a word")
    }

    /// A command of the binary, in this place.
    pub fn trireme(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trireme"));
        command
            .args(arguments)
            .current_dir(&self.home)
            .env("TRIREME_BROKER__URL", &self.broker_url)
            .env("TRIREME_BROKER__NAMESPACE", &self.namespace)
            .env("TRIREME_STORE__URL", &self.store_url)
            .stdin(Stdio::null());
        command
    }

    /// The file of the workers' store, where they share one.
    pub fn sqlite_file(&self) -> &str {
        self.store_url.strip_prefix("sqlite:").expect("a store in a file")
    }

    /// Starts a worker; what it says goes into a file that a failing test can be asked about.
    pub fn worker(&self, arguments: &[&str]) -> Worker {
        self.worker_at(&self.broker_url, arguments)
    }

    /// The same, started by a shell that does `first`: a limit, a variable.
    pub fn worker_after(&self, first: &str, arguments: &[&str]) -> Worker {
        self.worker_in(&["sh", "-c", &format!("{first}; exec \"$0\" \"$@\"")], arguments)
    }

    /// The same, started by another program.
    pub fn worker_in(&self, starter: &[&str], arguments: &[&str]) -> Worker {
        let (file, log) = self.log_of(arguments[0]);
        let trireme = self.trireme(arguments);
        let mut command = Command::new(starter[0]);
        command.args(&starter[1..]).arg(env!("CARGO_BIN_EXE_trireme")).args(arguments);
        command.current_dir(&self.home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        trireme.get_envs().for_each(|(name, value)| _ = command.env(name, value.unwrap_or_default()));
        Worker { child: command.spawn().expect("a worker"), log }
    }

    /// The same, by another way to the broker.
    pub fn worker_at(&self, broker_url: &str, arguments: &[&str]) -> Worker {
        self.worker_with(broker_url, &[], arguments)
    }

    /// The same with more settings, as `NAME=VALUE`.
    pub fn worker_with(&self, broker_url: &str, settings: &[&str], arguments: &[&str]) -> Worker {
        let (file, log) = self.log_of(arguments[0]);
        let mut command = self.trireme(arguments);
        command.envs(settings.iter().filter_map(|setting| setting.split_once('=')));
        command.env("TRIREME_BROKER__URL", broker_url).stdout(Stdio::null()).stderr(file);
        Worker { child: command.spawn().expect("a worker"), log }
    }

    fn log_of(&self, worker: &str) -> (std::fs::File, PathBuf) {
        tempfile::Builder::new()
            .prefix(worker)
            .suffix(".log")
            .tempfile_in(self.folder.path())
            .and_then(|file| file.keep().map_err(|error| error.error))
            .expect("a file")
    }

    /// A project file of this text.
    pub fn file(&self, text: &str) -> PathBuf {
        self.write("project.toml", text)
    }

    /// A file of the test's folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Removes a file of the test's folder.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).expect("it was there");
    }

    /// The lines of a file of the test's folder; none while it is not there.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Hands a project in, and gives its id.
    pub fn submit(&self, text: &str) -> String {
        let file = self.file(text);
        let submitted = self.json(&["submit", &file.display().to_string(), "--json"]);
        submitted["project_id"].as_str().expect("an id").to_owned()
    }

    /// Runs a command to its end, and gives its standard output.
    pub fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.trireme(arguments).output().expect("a command");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}\n{}", self.log());
        output.stdout
    }

    /// The same, of one that prints JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.run(arguments)).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// Waits until a project is as `wanted`, and gives its status.
    pub fn wait(&self, id: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut status = Value::Null;
        self.wait_until(&format!("the project {id} gets further"), || {
            let output = self.trireme(&["status", id, "--json"]).output().expect("a command");
            // Until a manager has taken the request, nobody knows the id.
            status = serde_json::from_slice(&output.stdout).unwrap_or_default();
            !status.is_null() && wanted(&status)
        });
        status
    }

    /// Waits until something is true.
    pub fn wait_until(&self, what: &str, mut is_true: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_true() {
            assert!(began.elapsed() < DONE_WITHIN, "not in time: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        let logs = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        let read =
            |path: PathBuf| format!("{}\n{}", path.display(), std::fs::read_to_string(&path).unwrap_or_default());
        logs.map(read).collect()
    }

    pub async fn leave(self) {
        if let Some(database) = &self.database {
            database.remove().await.expect("the database is dropped");
        }
        if let Some(claim) = self.claim {
            claim.release().await;
        }
    }
}

/// A worker process, killed when it is dropped.
pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    pub fn kill(mut self) {
        self.end();
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it is alive");
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
