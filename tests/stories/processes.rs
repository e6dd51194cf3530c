//! The real thing: worker processes of the shipped binary on RabbitMQ, with PostgreSQL or a shared SQLite file.
//!
//! These tests wait for processes and block a thread by it, so they have more than one: the connection that guards
//! their namespace has a heart that must go on beating.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use trireme::config::Settings;
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::store::postgres::Throwaway;
use trireme::transport::rabbit::{Claim, RabbitTransport, claim};
use trireme::wire::address::Namespace;

/// Until a project of these tests has to have ended, whatever was killed on the way.
const DONE_WITHIN: Duration = Duration::from_secs(180);

/// Where the workers of one test live: a namespace, a store, and the repository as their working directory.
pub struct Place {
    claim: Claim,
    database: Option<Throwaway>,
    folder: tempfile::TempDir,
    store_url: String,
}

/// Which store the workers share.
#[derive(Clone, Copy)]
pub enum Shared {
    Postgres,
    SqliteFile,
}

impl Place {
    pub async fn new(shared: Shared, name: &str) -> Self {
        let settings =
            Settings::resolve(Some(&root().join("queues.toml")), [], Vec::new()).expect("the shipped settings");
        let urls = std::env::var("TRIREME_TEST_AMQP_URLS").unwrap_or_else(|_| settings.broker.url.clone());
        let url = urls.split(',').next().unwrap_or_default().to_owned();
        let shape =
            |namespace: &_| topology(&TopologyOptions { namespace: Clone::clone(namespace), ..settings.topology() });
        let claim = claim(&url, "trireme_test", shape).await.expect("a namespace on RabbitMQ: is it running?");
        let folder = tempfile::tempdir().expect("a folder");
        let (database, store_url) = match shared {
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
        Self { claim, database, folder, store_url }
    }

    /// A command of the binary, in this place.
    pub fn trireme(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trireme"));
        command
            .args(arguments)
            .current_dir(root())
            .env("TRIREME_BROKER__URL", &self.claim.options.url)
            .env("TRIREME_BROKER__NAMESPACE", self.claim.namespace().as_str())
            .env("TRIREME_STORE__URL", &self.store_url)
            .stdin(Stdio::null());
        command
    }

    /// Starts a worker; what it says goes into a file that a failing test can be asked about.
    pub fn worker(&self, arguments: &[&str]) -> Worker {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("workers.log"))
            .expect("a file");
        let mut command = self.trireme(arguments);
        command.stdout(Stdio::null()).stderr(file);
        Worker { child: command.spawn().expect("a worker") }
    }

    /// Runs a command to its end, and gives its standard output as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.trireme(arguments).output().expect("a command");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}\n{}", self.log());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
    }

    /// Waits until a project is as `wanted`, and gives its status.
    pub fn wait(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let output = self.trireme(&["status", id, "--json"]).output().expect("a command");
            // Until a manager has taken the request, nobody knows the id.
            let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if !status.is_null() && wanted(&status) {
                return status;
            }
            assert!(began.elapsed() < DONE_WITHIN, "not in time: {}\n{}", status["counts"], self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A project file of this text.
    pub fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("project.toml");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// The broker as one more process sees it.
    pub fn transport(&self) -> RabbitTransport {
        RabbitTransport::new(self.claim.options.clone()).expect("the URL was read before")
    }

    pub fn namespace(&self) -> &Namespace {
        self.claim.namespace()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("workers.log")).unwrap_or_default()
    }

    pub async fn leave(self) {
        if let Some(database) = &self.database {
            database.remove().await.expect("the database is dropped");
        }
        self.claim.release().await;
    }
}

/// A worker process, killed when it is dropped.
pub struct Worker {
    child: Child,
}

impl Worker {
    pub fn kill(mut self) {
        self.end();
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

/// The elements of a list in a JSON object.
fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    of[key].as_array().into_iter().flatten()
}

fn subtasks_of(phase: &Value) -> impl Iterator<Item = &Value> {
    list(phase, "goals").flat_map(|goal| list(goal, "subtasks"))
}

fn subtasks(status: &Value) -> Vec<&Value> {
    list(status, "phases").flat_map(subtasks_of).collect()
}

/// Every subtask is recorded once, and began after all its dependencies had ended.
fn check_order(status: &Value) {
    let all = subtasks(status);
    let ids: BTreeSet<_> = all.iter().map(|subtask| subtask["id"].to_string()).collect();
    assert_eq!((ids.len(), &status["counts"]["completed"]), (all.len(), &all.len().into()));
    for phase in list(status, "phases") {
        let ended: BTreeMap<_, _> = subtasks_of(phase)
            .map(|subtask| (subtask["name"].to_string(), subtask["finished_at"].to_string()))
            .collect();
        for subtask in subtasks_of(phase) {
            assert_eq!(subtask["status"], "COMPLETED", "{subtask}");
            for dependency in list(subtask, "dependencies") {
                let began = subtask["started_at"].to_string();
                assert!(ended[&dependency.to_string()] <= began, "{subtask} began before {dependency}");
            }
        }
    }
}

/// 1 manager, 2 coordinators, 3 executors with different skills; both examples; every subtask ran once, after its
/// dependencies, by an executor that has its skill.
async fn both_examples(shared: Shared, name: &str) {
    let place = Place::new(shared, name).await;
    let offers = [
        ("designer", "DatabaseDesign,Generic"),
        ("coder", "CodeGeneration,ApiCall,CodeReport"),
        ("analyst", "DataAnalysis,CodeMeasure,CodeMerge,CodeReport"),
    ];
    let mut workers = vec![place.worker(&["manager"]), place.worker(&["coordinator"]), place.worker(&["coordinator"])];
    workers.extend(offers.map(|(id, skills)| place.worker(&["executor", "--id", id, "--skills", skills])));
    for example in ["examples/ecommerce.toml", "examples/code-report.toml"] {
        let status = place.json(&["submit", example, "--wait", "--json", "-q"]);
        assert_eq!(status["status"], "COMPLETED", "{status}");
        check_order(&status);
        for subtask in subtasks(&status) {
            assert_eq!((&subtask["attempts"], subtask["attempt_log"].as_array().map(Vec::len)), (&1.into(), Some(1)));
            let agent = subtask["agent_id"].as_str().expect("an agent");
            let (_, skills) = offers.iter().find(|(id, _)| *id == agent).expect("one of ours");
            let skill = subtask["skill"].as_str().expect("a skill");
            assert!(skills.split(',').any(|offered| offered == skill), "{agent} does not offer {skill}");
        }
    }
    drop(workers);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_examples_on_rabbitmq_with_postgresql() {
    both_examples(Shared::Postgres, "examples").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_examples_on_rabbitmq_with_a_shared_sqlite_file() {
    both_examples(Shared::SqliteFile, "examples").await;
}

fn completed(status: &Value) -> u64 {
    status["counts"]["completed"].as_u64().unwrap_or(0)
}

fn has_ended(status: &Value) -> bool {
    ["COMPLETED", "ERROR", "CANCELLED"].contains(&status["status"].as_str().unwrap_or_default())
}

const SLEEPERS: &str = r#"
name = "Sleepers"
[[goals]]
name = "First"
[[goals.subtasks]]
name = "work"
skill = "sleep"
repeat = 120
input = { ms = 60 }
[[goals.subtasks]]
name = "join"
skill = "noop"
dependencies = ["work"]
[[goals]]
name = "Second"
priority = 2
[[goals.subtasks]]
name = "more"
skill = "sleep"
repeat = 60
input = { ms = 60 }
"#;

/// One SIGKILL of each layer while the project runs; others take over what they held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_ends_whole_although_one_of_each_layer_is_killed() {
    let place = Place::new(Shared::Postgres, "kills").await;
    let start = |layer: &str| place.worker(&[layer]);
    let mut managers = vec![start("manager"), start("manager")];
    let mut coordinators = vec![start("coordinator"), start("coordinator")];
    let mut executors = vec![start("executor"), start("executor")];
    let file = place.file(SLEEPERS);
    let id = place.json(&["submit", &file.display().to_string(), "--json"])["project_id"].clone();
    let id = id.as_str().expect("an id");
    for (done, victims) in [(20, &mut executors), (45, &mut coordinators), (70, &mut managers)] {
        place.wait(id, |status| completed(status) >= done);
        victims.remove(0).kill();
    }
    // The second of each is killed too once a third is there: nothing of the first generation is left.
    place.wait(id, |status| completed(status) >= 95);
    let successors = [start("executor"), start("coordinator"), start("manager")];
    for victims in [&mut executors, &mut coordinators, &mut managers] {
        victims.remove(0).kill();
    }
    let status = place.wait(id, has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert_eq!(completed(&status), 181);
    check_order(&status);
    drop(successors);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_that_is_added_takes_work() {
    let place = Place::new(Shared::SqliteFile, "added").await;
    let _first =
        [place.worker(&["manager"]), place.worker(&["coordinator"]), place.worker(&["executor", "--slots", "1"])];
    let file = place.file(SLEEPERS);
    let id = place.json(&["submit", &file.display().to_string(), "--json"])["project_id"].clone();
    let id = id.as_str().expect("an id");
    place.wait(id, |status| completed(status) >= 5);
    let _added = place.worker(&["executor", "--id", "added", "--slots", "8"]);
    let status = place.wait(id, has_ended);
    assert_eq!(status["status"], "COMPLETED");
    let by_the_added = subtasks(&status).iter().filter(|subtask| subtask["agent_id"] == "added").count();
    assert!(by_the_added > 50, "it took {by_the_added} of 181");
    place.leave().await;
}
