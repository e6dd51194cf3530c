//! The worker processes: ready, drained, refused.

use rustix::process::{Signal, kill_process};

use super::{Done, Home, Running, gone, namespace, within};

#[tokio::test]
async fn a_worker_without_a_broker_says_so_in_one_line() {
    for layer in ["manager", "coordinator", "executor"] {
        let Done { status, stdout, stderr } = Home::new().run(&[layer]).await;
        assert_eq!((status, stdout.as_str()), (Some(3), ""), "{layer}: {stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{stderr}");
        assert!(lines[0].starts_with("error: the broker is not reachable: `127.0.0.1:1`"), "{stderr}");
        assert!(lines[1].starts_with("hint: "), "{stderr}");
    }
}

#[tokio::test]
async fn a_worker_is_ready_drains_at_the_first_signal_and_ends_well() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    for words in [&["manager"][..], &["coordinator"], &["executor", "--skills", "noop,hold"]] {
        let mut worker = home.start(words);
        let ready = worker.says("ready").await;
        assert!(ready.contains("INFO"), "{ready}");
        worker.signal(Signal::TERM);
        let done = worker.end().await;
        assert_eq!(done.status, Some(0), "{}", done.stderr);
    }
    claim.release().await;
}

#[tokio::test]
async fn a_worker_on_another_store_than_its_peers_refuses_to_go_on() {
    let claim = namespace().await;
    let home = Home::at(&claim).with("TRIREME_STORE__URL", "sqlite:one.db");
    let mut manager = home.start(&["manager", "--id", "first"]);
    manager.says("ready").await;
    let home = home.with("TRIREME_STORE__URL", "sqlite:two.db");
    let refused = within("a refusal", home.run(&["coordinator"])).await;
    assert_eq!(refused.status, Some(3), "{}", refused.stderr);
    assert!(refused.complaint().starts_with("error: agent `first` on "), "{}", refused.stderr);
    assert!(refused.stderr.ends_with("hint: all agents of a namespace need the same `store.url`\n"));
    manager.signal(Signal::TERM);
    assert_eq!(manager.end().await.status, Some(0));
    claim.release().await;
}

/// Whoever waits for agents on another store would wait for ever.
#[tokio::test]
async fn a_client_on_another_store_than_the_agents_is_told() {
    let claim = namespace().await;
    let home = Home::at(&claim).with("TRIREME_STORE__URL", "sqlite:theirs.db");
    let mut manager = home.start(&["manager", "--id", "first"]);
    manager.says("ready").await;
    let own = format!("sqlite:{}", home.path("own.db").display());
    let store = trireme::store::open(&own).await.expect("a store");
    store.identity(2).await.expect("an id");
    let home = home.with("TRIREME_STORE__URL", "sqlite:own.db");
    home.write("p.toml", "name = \"p\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\nskill = \"hold\"\n");
    for words in [&["submit", "p.toml", "--wait"][..], &["submit", "p.toml", "--wait", "--quiet"]] {
        let told = home.run(words).await;
        assert_eq!(told.status, Some(2), "{}", told.stderr);
        assert!(told.complaint().starts_with("error: agents work on another store: `first` on "), "{}", told.stderr);
        assert!(told.complaint().contains("\nhint: give it the `store.url` of the agents"), "{}", told.stderr);
    }

    // A project of its own store that has not ended.
    let mut gate = home.gate();
    let mut run = home.start(&["run", "p.toml", "--store", "sqlite:own.db"]);
    gate.began().await;
    run.child.kill().await.expect("killed");
    let list = home.run(&["list", "--json"]).await.json();
    let id = list[0]["project_id"].as_str().expect("an id");
    for words in [&["watch", id][..], &["watch", id, "--json"], &["status", id]] {
        let told = home.run(words).await;
        assert_eq!(told.status, Some(2), "{words:?}: {}", told.stderr);
        assert!(told.complaint().starts_with("error: agents work on another store: `first` on "), "{}", told.stderr);
    }
    manager.signal(Signal::TERM);
    assert_eq!(manager.end().await.status, Some(0));
    claim.release().await;
}

/// An executor has no state: it works where the store can not be reached, and makes none.
#[tokio::test]
async fn an_executor_needs_no_store() {
    let claim = namespace().await;
    let home = Home::at(&claim).with("TRIREME_STORE__URL", "postgres://nobody@127.0.0.1:1/nowhere");
    let mut executor = home.start(&["executor", "--skills", "noop"]);
    // It is the first to come, and makes what it needs at the broker.
    executor.says("ready").await;
    let home = home.with("TRIREME_STORE__URL", "sqlite:owners.db");
    let mut owners = [home.start(&["manager"]), home.start(&["coordinator"])];
    for owner in &mut owners {
        owner.says("ready").await;
    }
    home.write("p.toml", "name = \"p\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\nskill = \"noop\"\n");
    let done = home.run(&["submit", "p.toml", "--wait", "--json"]).await;
    assert_eq!((done.status, &done.json()["counts"]["completed"]), (Some(0), &1.into()), "{}", done.stderr);
    for agent in owners.into_iter().chain([executor]) {
        agent.signal(Signal::TERM);
        assert_eq!(agent.end().await.status, Some(0));
    }
    claim.release().await;
}

/// A command that is held for longer than the broker allows comes back while it runs.
#[tokio::test]
async fn a_held_skill_that_may_take_too_long_is_named_at_the_start() {
    let claim = namespace().await;
    let home = Home::at(&claim).with("TRIREME_BROKER__CONSUMER_TIMEOUT", "1m");
    home.write(
        "slow.toml",
        "[skills.brief]\nrunner = \"noop\"\ntimeout = \"59s\"\n\
         [skills.long]\nrunner = \"noop\"\ntimeout = \"61s\"\n\
         [skills.leased]\nrunner = \"noop\"\ntimeout = \"61s\"\nmode = \"leased\"\n",
    );
    let mut executor = home.start(&["--config", "slow.toml", "executor", "--skills", "brief,long,leased"]);
    let said = executor.says_all(&["ready"]).await.join("\n");
    executor.signal(Signal::TERM);
    let said = format!("{said}\n{}", executor.end().await.stderr);
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("set `mode = \"leased\"`")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("long"), "{said}");
    claim.release().await;
}

#[tokio::test]
async fn a_worker_whose_log_nobody_reads_any_more_goes_on() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    let mut manager = home.start(&["manager"]);
    manager.says("ready").await;
    let pid = manager.pid();
    let Running { mut child, stderr, .. } = manager;
    drop(stderr);
    // It says that it drains before it does.
    kill_process(pid, Signal::TERM).expect("it is alive");
    assert_eq!(within("its end", child.wait()).await.expect("a status").code(), Some(0));
    claim.release().await;
}

#[tokio::test]
async fn a_worker_leaves_with_its_parent() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    let mut command = home.command(&["manager", "--with-parent"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("it starts");
    let pid = rustix::process::Pid::from_raw(child.id().expect("alive").try_into().expect("a number"));
    drop(child.stdin.take());
    gone(pid.expect("a process")).await;
    assert_eq!(within("its end", child.wait()).await.expect("a status").code(), Some(0));
    claim.release().await;
}

#[tokio::test]
async fn completions_need_no_settings() {
    let home = Home::new();
    home.write("queues.toml", "this is no TOML");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = home.run(&["completions", shell]).await;
        assert_eq!(done.status, Some(0), "{}", done.stderr);
        assert!(done.stdout.contains("coordinator"), "{shell}: {}", done.stdout);
    }
    assert_eq!(home.run(&["completions", "tcsh"]).await.status, Some(2));
}
