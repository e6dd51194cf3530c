//! `docker-compose.yml`: that compose would take it, and that it fits what is built here. Nothing is started.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};
use trireme::config::Settings;

/// The commands of the binary that are one worker process each.
const LAYERS: [&str; 3] = ["manager", "coordinator", "executor"];
const SERVERS: [&str; 2] = ["rabbitmq", "postgres"];
/// What compose puts in when nobody sets it.
const PASSWORD: &str = "${TRIREME_PASSWORD:-trireme}";

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a file of this repository")
}

/// The file as compose sees it: `<<` merged, the default password in place.
fn compose() -> Value {
    let text = text("docker-compose.yml").replace(PASSWORD, "trireme");
    let mut tree: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).expect("it is YAML");
    tree.apply_merge().expect("merges of tables");
    serde_json::to_value(tree).expect("it has no other keys than texts")
}

fn services(compose: &Value) -> &Map<String, Value> {
    compose["services"].as_object().expect("services")
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().map(|words| words.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// What the schema says against a compose file, by place.
fn faults(compose: &Value) -> Vec<String> {
    let schema = serde_json::from_str(&text("tests/compose/compose-spec.json")).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    validator.iter_errors(compose).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn compose_takes_the_file() {
    assert_eq!(faults(&compose()), Vec::<String>::new());
}

#[test]
fn the_schema_bites() {
    for (place, value) in [
        ("/services/manager/comand", json!(["manager"])),
        ("/services/executor/restart", json!(3)),
        ("/services/coordinator/deploy/replicas", json!([2])),
        ("/services/rabbitmq/healthcheck/interval", json!([5])),
        ("/services/executor/depends_on/rabbitmq/condition", json!("healthy")),
        ("/volums", json!({})),
    ] {
        let mut broken = compose();
        let (parent, key) = place.rsplit_once('/').expect("a path");
        broken.pointer_mut(parent).expect("it is there")[key] = value;
        let faults = faults(&broken);
        assert!(faults.iter().any(|fault| fault.contains(key)), "{place}: {faults:?}");
    }
}

#[test]
fn each_layer_is_a_service_that_starts_it() {
    let compose = compose();
    let mut started = Vec::new();
    for (name, service) in services(&compose).iter().filter(|(_, service)| !service["command"].is_null()) {
        let command = words(&service["command"]);
        assert!(command.first().is_some_and(|first| LAYERS.contains(first)), "{name} runs {command:?}");
        assert!(service["entrypoint"].is_null(), "{name} has an entrypoint of its own");
        assert_eq!(service["build"], ".", "{name} is not built from the Dockerfile");
        assert_is_known(&command);
        started.push(command[0]);
    }
    for (name, layer) in LAYERS.into_iter().zip(["management", "coordination", "execution"]) {
        let test = words(&compose["services"][name]["healthcheck"]["test"]);
        assert_eq!(test, ["CMD", "trireme", "health", "--layer", layer, "--here"], "{name}");
        assert_is_known(&test[2..]);
    }
    started.sort_unstable();
    assert_eq!(started, ["coordinator", "executor", "manager"]);
    assert!(text("Dockerfile").contains("\nENTRYPOINT [\"trireme\"]\n"), "`command` is not what the binary is given");
    let client = words(&compose["services"]["submit"]["entrypoint"]);
    assert_eq!(client[..2], ["trireme", "submit"]);
    assert_is_known(&client[1..]);
    // A service with one name or one port could not be scaled.
    let executor = &compose["services"]["executor"];
    assert!(["container_name", "hostname", "ports"].iter().all(|key| executor[key].is_null()), "{executor}");
}

/// That the binary's command line has such a command, with such options.
fn assert_is_known(command: &[&str]) {
    let asked = Command::new(env!("CARGO_BIN_EXE_trireme")).args(command).arg("--help").output().expect("it runs");
    assert!(asked.status.success(), "{command:?}: {}", String::from_utf8_lossy(&asked.stderr));
}

#[test]
fn workers_wait_for_the_servers_and_reach_them() {
    let compose = compose();
    for (name, service) in services(&compose).iter().filter(|(name, _)| !SERVERS.contains(&name.as_str())) {
        for server in SERVERS {
            assert_eq!(service["depends_on"][server]["condition"], "service_healthy", "{name}, {server}");
        }
        // A variable that is no setting would be refused here as it is there.
        let variables = service["environment"].as_object().expect("an environment").iter();
        let variables = variables.map(|(name, value)| (name.into(), value.as_str().expect("a text").into()));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("queues.toml");
        let settings = Settings::resolve(Some(&file), variables.collect::<Vec<(OsString, OsString)>>(), Vec::new())
            .unwrap_or_else(|bad| panic!("{name}: {}", bad.in_one_line()));
        let user = |server: &str, user: &str, password: &str| {
            let environment = &compose["services"][server]["environment"];
            let of = |key: &str| environment[key].as_str().expect("it is set").to_owned();
            format!("{}:{}@{server}", of(user), of(password))
        };
        let rabbitmq = user("rabbitmq", "RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS");
        assert_eq!(settings.broker.url, format!("amqp://{rabbitmq}:5672/%2f"), "{name}");
        let database = compose["services"]["postgres"]["environment"]["POSTGRES_DB"].as_str().expect("it is set");
        let postgres = user("postgres", "POSTGRES_USER", "POSTGRES_PASSWORD");
        assert_eq!(settings.store.url, format!("postgres://{postgres}:5432/{database}"), "{name}");
        let grace = service["stop_grace_period"].as_str().and_then(|text| text.strip_suffix('s')?.parse().ok());
        assert!(grace > Some(settings.agents.shutdown_timeout.as_secs()), "{name} is killed too early");
    }
}

#[test]
fn servers_are_pinned_are_asked_how_they_are_and_keep_what_they_have() {
    let compose = compose();
    let volumes: Vec<&String> = compose["volumes"].as_object().expect("volumes").keys().collect();
    let mut used = Vec::new();
    for name in SERVERS {
        let server = &compose["services"][name];
        let tag = server["image"].as_str().and_then(|image| image.strip_prefix(name)?.strip_prefix(':'));
        let version = tag.and_then(|tag| tag.split('-').next()).expect("an image with a tag");
        let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        assert!(version.contains('.') && version.split('.').all(is_number), "{name} may change under us: {version}");
        assert_eq!(words(&server["healthcheck"]["test"]).first(), Some(&"CMD"), "{name} has no health check");
        for port in words(&server["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} is open to the world at {port}");
        }
        for volume in words(&server["volumes"]) {
            let (volume, place) = volume.split_once(':').expect("a volume and its place");
            assert!(place.starts_with("/var/lib/"), "{name} has nothing at {place}");
            used.push(volume);
        }
    }
    used.sort_unstable();
    assert_eq!(used, volumes, "the volumes, and those that are mounted");
}

/// Both bases of the image: a name that stays on one release, and the compiler that the package asks for.
#[test]
fn the_image_is_built_with_the_compiler_that_is_asked_for() {
    let (dockerfile, package) = (text("Dockerfile"), text("Cargo.toml"));
    let version = package.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let bases: Vec<&str> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let release = "bookworm";
    assert_eq!(
        bases,
        [
            format!("rust:{}-slim-{release} AS build", version.expect("it says its compiler")),
            format!("debian:{release}-slim")
        ]
    );
}
