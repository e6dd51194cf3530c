//! Who is there: a manager and an executor as real processes, on a RabbitMQ namespace of the pool.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::transport::rabbit::{Claim, claim};

use crate::bad_places::url;
use crate::call::{Answer, Place};

/// A process needs a second to be there on a busy machine; it is asked until it is.
const START_MAX: Duration = Duration::from_secs(30);

/// A worker, which ends with the test.
pub struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Team {
    pub place: Place,
    pub claim: Claim,
}

impl Team {
    pub async fn new() -> Self {
        let options = |namespace: &trireme::wire::address::Namespace| TopologyOptions {
            namespace: namespace.clone(),
            partitions: 2,
            skills: SKILLS.map(String::from).to_vec(),
            requests_max: 100,
            skill_delivery_limit: 5,
            queue_kind: trireme::runtime::port::QueueKind::Quorum,
        };
        let claim = claim(&url(), "trireme_test", |namespace| topology(&options(namespace))).await;
        let claim = claim.expect("these tests need RabbitMQ, see TRIREME_TEST_AMQP_URLS");
        let place = Place::new();
        place.write("queues.toml", "[broker]\npartitions = 2\nmax_pending_requests = 100\nskill_delivery_limit = 5\n");
        Self { place, claim }
    }

    pub fn environment(&self) -> [(&str, String); 3] {
        [
            ("TRIREME_BROKER__URL", url()),
            ("TRIREME_BROKER__NAMESPACE", self.claim.namespace().to_string()),
            ("TRIREME_STORE__URL", "sqlite:t.db".into()),
        ]
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.place.answer(self.place.command(arguments).envs(self.environment()))
    }

    pub fn start(&self, arguments: &[&str]) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trireme"));
        command.args(arguments).current_dir(self.place.path()).envs(self.environment());
        let worker = Worker(command.stderr(Stdio::null()).spawn().expect("started"));
        let id = arguments.last().expect("an id");
        let began = Instant::now();
        // Answering a ping is the signal: each try waits for it.
        while self.run(&["ping", id]).status != 0 {
            assert!(began.elapsed() < START_MAX, "{id} is not there");
        }
        worker
    }
}

/// Those that are always there.
const SKILLS: [&str; 2] = ["noop", "sleep"];

#[tokio::test(flavor = "multi_thread")]
async fn they_are_listed_and_answer() {
    let team = Team::new().await;
    let nobody = team.run(&["ping", "--wait", "100ms"]);
    assert_eq!((nobody.status, nobody.stdout.as_str()), (1, ""));
    assert_eq!(nobody.stderr, "error: nobody answered to `all`\nhint: `trireme agents` shows who is there\n");
    assert_eq!(team.run(&["ping", "--wait", "100ms", "--json"]).stdout, "[]\n");
    assert_eq!(team.run(&["agents", "--wait", "100ms", "--json"]).json(), json!([]));

    let manager = team.start(&["manager", "--name", "Anna", "--id", "m1"]);
    let executor = team.start(&["executor", "--skills", "sleep,noop", "--slots", "3", "--id", "e1"]);
    let agents = team.run(&["agents", "--json"]).json();
    let of = |id: &str| agents.as_array().expect("an array").iter().find(|agent| agent["agent_id"] == id).expect("it");
    let fields: Vec<&String> = of("m1").as_object().expect("an object").keys().collect();
    let mut expected =
        ["agent_id", "name", "layer", "status", "skills", "slots", "busy", "version", "host", "pid", "last_seen"];
    expected.sort_unstable();
    assert_eq!(fields, expected.iter().collect::<Vec<_>>());
    let fields = |agent: &Value, names: [&str; 5]| names.map(|name| agent[name].clone());
    let names = ["name", "layer", "status", "skills", "slots"];
    assert_eq!(fields(of("m1"), names), [json!("Anna"), json!("management"), json!("IDLE"), json!([]), json!(0)]);
    assert_eq!(fields(of("e1"), names), [json!("e1"), json!("execution"), json!("IDLE"), json!(SKILLS), json!(3)]);
    assert_eq!(of("m1")["pid"], manager.0.id());
    assert_eq!(team.run(&["ping", "coordination", "--wait", "100ms"]).status, 1, "there is none");
    assert_eq!(team.run(&["ping", "executors"]).status, 0);

    let health = |words: &[&str]| team.run(&[&["health", "--json"], words].concat());
    for words in [&["--layer", "management", "--here"][..], &["--here"], &["--id", "e1"], &["--layer", "executor"]] {
        let health = health(words);
        assert_eq!(health.status, 0, "{words:?}: {}", health.stdout);
    }
    // A layer without anybody is not well, whoever else is there.
    let lines = team.run(&["health"]);
    let told = "agents not well: no coordinator answered (`trireme coordinator` starts one)\n";
    assert_eq!((lines.status, lines.stdout.ends_with(told)), (1, true), "{}", lines.stdout);
    let coordinator = team.start(&["coordinator", "--id", "c1"]);
    let lines = team.run(&["health"]);
    let told = "agents well: 1 manager, 1 coordinator, 1 executor answer\n";
    assert_eq!((lines.status, lines.stdout.ends_with(told)), (0, true), "{}", lines.stdout);
    drop(coordinator);
    for words in [&["--layer", "coordination"][..], &["--id", "e2"], &["--id", "e1", "--layer", "management"]] {
        let health = health(words);
        let told: Value = serde_json::from_str(&health.stdout).expect("JSON");
        let well = ["broker", "store"].map(|_| json!(true));
        assert_eq!(
            (health.status, [0, 1].map(|at| told["checks"][at]["is_well"].clone())),
            (1, well),
            "{words:?}: {told}"
        );
        assert_eq!(told["checks"][2]["detail"], "none answered", "{words:?}");
    }

    // Executors open no store: whoever asks for them needs none.
    let storeless = |words: &[&str]| {
        let mut command = team.place.command(&[&["health", "--json"], words].concat());
        command.envs(team.environment()).env("TRIREME_STORE__URL", "sqlite:none.db");
        team.place.answer(&mut command)
    };
    for words in [&["--layer", "execution"][..], &["--id", "e1"]] {
        let health = storeless(words);
        assert_eq!((health.status, health.stdout.contains("store")), (0, false), "{words:?}: {}", health.stdout);
    }
    for words in [&[][..], &["--id", "m1"], &["--layer", "management"]] {
        assert_eq!(storeless(words).status, 1, "{words:?}");
    }

    // One that went without a word: heard of, and silent.
    drop(executor);
    let silent = team.run(&["agents", "--json"]).json();
    let status = |id: &str| {
        silent
            .as_array()
            .expect("an array")
            .iter()
            .find(|agent| agent["agent_id"] == id)
            .map(|agent| agent["status"].clone())
    };
    assert_eq!((status("m1"), status("e1")), (Some(json!("IDLE")), Some(json!("SILENT"))));
    let lines = team.run(&["health"]).stdout;
    assert!(lines.contains("no coordinator answered; no executor answered; "), "{lines}");
    assert!(lines.contains("e1 was heard of in the last minute and does not answer"), "{lines}");
    drop(manager);
    team.claim.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_taken_and_the_same_id_with_other_content_is_not() {
    const ID: &str = "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d";
    let team = Team::new().await;
    let file = "name = \"p\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"a\"\nskill = \"SKILL\"\n";
    team.place.write("p.toml", file.replace("SKILL", "noop")).write("q.toml", file.replace("SKILL", "sleep"));
    let manager = team.start(&["manager", "--id", "m1"]);
    let coordinator = team.start(&["coordinator", "--id", "c1"]);
    let executor = team.start(&["executor", "--id", "e1"]);
    assert_eq!(team.run(&["submit", "p.toml", "--id", ID, "--json"]).json(), json!({ "project_id": ID }));
    // The same again is the same project, and whoever waits is told how it ended.
    let waited = team.run(&["submit", "p.toml", "--id", ID, "--wait", "--json", "--out", "made"]);
    assert_eq!((waited.json()["project_id"].clone(), waited.json()["status"].clone()), (json!(ID), json!("COMPLETED")));
    assert_eq!(waited.json(), team.run(&["status", ID, "--json"]).json());
    assert!(team.place.path().join("made/report.json").exists());
    assert_eq!(team.run(&["list", "--json"]).json().as_array().map(Vec::len), Some(1));
    let refused = team.run(&["submit", "q.toml", "--id", ID, "--wait"]);
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    assert_eq!(team.run(&["watch", ID, "-q"]).status, 0);

    // While no manager is there nobody can say which of two was first: whoever waits hears it from the manager.
    const LATER: &str = "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6e";
    drop(manager);
    assert_eq!(team.run(&["submit", "p.toml", "--id", LATER]).stdout, format!("{LATER}\n"));
    let mut waiting = team.place.command(&["submit", "q.toml", "--id", LATER, "--wait", "-q"]);
    waiting.envs(team.environment());
    let waiting = std::thread::spawn(move || waiting.output().expect("the binary runs"));
    let manager = team.start(&["manager", "--id", "m2"]);
    let refused = waiting.join().expect("it ends");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with(&format!("error: another project has the id `{LATER}`: `p`\n")), "{stderr}");
    assert_eq!(team.run(&["watch", LATER, "-q"]).status, 0, "the first of them was not touched");
    drop((manager, coordinator, executor));
    team.claim.release().await;
}
