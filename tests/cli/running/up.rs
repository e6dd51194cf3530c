//! `trireme up`: the layers as children, kept alive, ended together, and never left behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use trireme::runtime::client::Client;
use trireme::runtime::port::SystemClock;
use trireme::transport::rabbit::{Claim, RabbitTransport};
use trireme::wire::address::Address;

use super::{Home, Running, gone, namespace, subtasks, within};

const ALL: [&str; 3] = ["--managers=1", "--coordinators=1", "--executors=1"];

/// Starts one agent of each layer, and waits until they are ready.
async fn up(home: &Home) -> Running {
    let mut up = home.start(&["up", ALL[0], ALL[1], ALL[2]]);
    let ready = up.says_all(&["layer=management", "layer=coordination", "layer=execution"]).await;
    assert!(ready[0].starts_with("manager-1     | "), "{ready:?}");
    assert!(ready[1].starts_with("coordinator-1 | "), "{ready:?}");
    assert!(ready[2].starts_with("executor-1    | "), "{ready:?}");
    up
}

/// The children by name.
async fn children(claim: &Claim) -> BTreeMap<String, Pid> {
    let transport = RabbitTransport::new(claim.options.clone()).expect("the URL was read before");
    let mut client = Client::connect(&transport, Arc::new(SystemClock)).await.expect("a client");
    let answers = client.ping(Address::everybody(), Duration::from_secs(30), Some(3)).await.expect("answers");
    transport.close().await;
    let process = |pid: u32| Pid::from_raw(pid.try_into().expect("a number")).expect("a process");
    let children: BTreeMap<_, _> =
        answers.answered.into_values().map(|agent| (agent.name, process(agent.pid))).collect();
    assert_eq!(children.len(), 3, "{children:?}");
    children
}

#[tokio::test]
async fn a_child_that_dies_is_started_again_and_all_end_together() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    let mut up = up(&home).await;
    let first = children(&claim).await;
    kill_process(first["executor-1"], Signal::KILL).expect("it is alive");
    up.says("executor-1 ended (signal: 9 (SIGKILL)); it is started again").await;
    up.says("layer=execution").await;
    let second = children(&claim).await;
    assert_eq!(first["manager-1"], second["manager-1"]);
    assert_ne!(first["executor-1"], second["executor-1"]);

    home.write("x.toml", "name = \"x\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\nskill = \"noop\"\n");
    let done = home.run(&["submit", "x.toml", "--wait", "--json"]).await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert_eq!(subtasks(&done.json())[0]["status"], "COMPLETED");

    up.signal(Signal::INT);
    let done = up.end().await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(!done.stderr.contains('\u{1b}'), "colours are for terminals:\n{}", done.stderr);
    for pid in second.into_values() {
        gone(pid).await;
    }
    claim.release().await;
}

#[tokio::test]
async fn no_child_outlives_it_however_it_dies() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    let up = up(&home).await;
    let children = children(&claim).await;
    up.signal(Signal::KILL);
    assert_eq!(up.end().await.status, None);
    for pid in children.into_values() {
        gone(pid).await;
    }
    claim.release().await;
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_what_runs() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    let mut gate = home.gate();
    let mut up = up(&home).await;
    home.write("x.toml", "name = \"x\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\nskill = \"hold\"\n");
    assert_eq!(home.run(&["submit", "x.toml"]).await.status, Some(0));
    let worker = gate.began().await;
    up.signal(Signal::TERM);
    up.says("executor-1    | ").await;
    // What comes at once is the same wish.
    tokio::time::sleep(Duration::from_millis(150)).await;
    up.signal(Signal::TERM);
    let done = up.end().await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    gone(worker).await;
    claim.release().await;
}

#[tokio::test]
async fn what_every_child_would_stumble_over_is_said_once() {
    let done = Home::new().run(&["up"]).await;
    assert_eq!(done.status, Some(3));
    assert!(done.stderr.starts_with("error: the broker is not reachable"), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 2, "{}", done.stderr);
    let done = Home::new().with("TRIREME_AGENTS__SLOTS", "0").run(&["up"]).await;
    assert_eq!(done.status, Some(2), "{}", done.stderr);
}

#[tokio::test]
async fn a_child_that_can_not_start_ends_it_with_its_own_words() {
    let claim = namespace().await;
    let home = Home::at(&claim).with("TRIREME_STORE__URL", "sqlite:one.db");
    let mut manager = home.start(&["manager", "--id", "first"]);
    manager.says("ready").await;
    let home = home.with("TRIREME_STORE__URL", "sqlite:two.db");
    let done = within("a refusal", home.run(&["up", "--managers=0", "--coordinators=1", "--executors=1"])).await;
    assert_eq!(done.status, Some(3), "{}", done.stderr);
    let complaint = done.stderr.split("\nerror: ").nth(1).expect("a complaint of its own");
    assert!(complaint.starts_with("coordinator-1 can not start: agent `first` on "), "{}", done.stderr);
    assert!(complaint.ends_with("hint: all agents of a namespace need the same `store.url`\n"), "{}", done.stderr);
    manager.signal(Signal::TERM);
    assert_eq!(manager.end().await.status, Some(0));
    claim.release().await;
}
