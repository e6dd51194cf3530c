//! A login for each layer, with no more rights at the broker than it needs, where nobody but an administrator declares.

use crate::place::{Place, Shared, Worker};
use crate::servers::Server;
use crate::status::{completed, has_ended};

/// `configure`, `write` and `read` of each layer: the table in the README.
const RIGHTS: [(&str, &str, &str, &str); 4] = [
    (
        "client",
        r"^trireme\.(agent|watcher)\..*",
        r"^trireme\.((agent|watcher)\..*|requests|agents)$",
        r"^trireme\.((agent|watcher)\..*|agents|events)$",
    ),
    (
        "manager",
        r"^trireme\.agent\..*",
        r"^trireme\.(agent\..*|phases|later|agents|events|dead)$",
        r"^trireme\.(agent\..*|agents|requests|management)$",
    ),
    (
        "coordinator",
        r"^trireme\.agent\..*",
        r"^trireme\.(agent\..*|phases|skills|reports|later|agents|events|dead)$",
        r"^trireme\.(agent\..*|agents|coordination\..*)$",
    ),
    (
        "executor",
        r"^trireme\.agent\..*",
        r"^trireme\.(agent\..*|results|skills|agents|dead)$",
        r"^trireme\.(agent\..*|agents|skill\..*)$",
    ),
];

const PROJECT: &str = r#"
name = "Rights"
[[goals]]
name = "First"
[[goals.subtasks]]
name = "work"
skill = "sleep"
repeat = 20
input = { ms = 20 }
[[goals]]
name = "Second"
priority = 2
[[goals.subtasks]]
name = "more"
skill = "noop"
"#;

fn login(broker: &Server, name: &str) -> String {
    broker.url.replace("guest:guest", &format!("{name}:{name}"))
}

/// Before, each worker declared the whole topology, and so needed the right to delete all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_layer_works_with_the_rights_that_it_needs_and_no_more() {
    let broker = Server::rabbitmq();
    for (layer, configure, write, read) in RIGHTS {
        broker.ctl(&["-q", "add_user", layer, layer]);
        broker.ctl(&["-q", "set_permissions", layer, configure, write, read]);
    }
    let place = Place::alone(&broker.url, Shared::SqliteFile, "rights").await;
    let check = ["TRIREME_BROKER__DECLARE=check"];
    let worker = |layer: &str| place.worker_with(&login(&broker, layer), &check, &[layer]);

    // Nobody has declared yet: what is missing is named, with who makes it.
    let mut early = worker("executor");
    place.wait_until("it gives up", || !early.is_alive());
    let said = early.said();
    assert!(said.contains("no exchange 'trireme.") && said.contains("hint: `trireme topology declare`"), "{said}");

    place.run(&["topology", "declare"]);
    let workers: Vec<Worker> = ["manager", "coordinator", "coordinator", "executor"].map(worker).into();
    let client = |arguments: &[&str]| {
        let mut command = place.trireme(arguments);
        command.env("TRIREME_BROKER__URL", login(&broker, "client")).env("TRIREME_BROKER__DECLARE", "check");
        let output = command.output().expect("a command");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        output.stdout
    };
    let file = place.file(PROJECT);
    let submitted = client(&["submit", &file.display().to_string(), "--wait", "--json", "-q"]);
    let status: serde_json::Value = serde_json::from_slice(&submitted).expect("JSON");
    assert!(has_ended(&status) && completed(&status) == 21, "{status}");
    client(&["agents"]);
    client(&["health"]);
    for worker in &workers {
        assert!(!worker.said().contains("refused"), "{}", worker.said());
    }

    // With "always" the same login can not start, and is told which right it lacks.
    let mut always = place.worker_with(&login(&broker, "executor"), &[], &["executor"]);
    place.wait_until("it gives up", || !always.is_alive());
    assert!(always.said().contains("the login needs `configure`"), "{}", always.said());
    drop(workers);
    place.leave().await;
}
