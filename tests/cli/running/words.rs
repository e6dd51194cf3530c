//! The words of operators, said to workers on a broker: each changes what the store says, and is refused where it
//! can not be done.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use trireme::transport::rabbit::Claim;

use super::{Home, Running, namespace, subtasks, within};

const ID: &str = "5f0c1f3e-9c1b-4d4e-8a53-7b9f4a2d6c10";
/// One that holds, and a phase after it.
const HELD: &str = r#"
name = "held"
id = "5f0c1f3e-9c1b-4d4e-8a53-7b9f4a2d6c10"
[[goals]]
name = "First"
[[goals.subtasks]]
name = "quick"
skill = "noop"
[[goals.subtasks]]
name = "held"
skill = "hold"
[[goals]]
name = "Second"
priority = 2
[[goals.subtasks]]
name = "last"
skill = "noop"
dependencies = []
"#;
/// One that fails for good, and what depends on it; a person is asked.
const ASKING: &str = r#"
name = "asking"
id = "5f0c1f3e-9c1b-4d4e-8a53-7b9f4a2d6c10"
policy = { on_failure = "ask" }
[[goals]]
name = "Only"
[[goals.subtasks]]
name = "fails"
skill = "sleep"
input = { ms = "long" }
max_attempts = 1
[[goals.subtasks]]
name = "after"
skill = "noop"
dependencies = ["fails"]
[[goals.subtasks]]
name = "beside"
skill = "noop"
"#;

/// A team of one process a layer.
async fn team(claim: &Claim) -> (Home, Vec<Running>) {
    let home = Home::at(claim);
    let mut agents = Vec::new();
    for words in [&["manager"][..], &["coordinator"], &["executor", "--skills", "noop,sleep,hold", "--slots", "8"]] {
        let mut agent = home.start(words);
        agent.says("ready").await;
        agents.push(agent);
    }
    (home, agents)
}

async fn dismiss(agents: Vec<Running>, claim: Claim) {
    agents.iter().for_each(|agent| agent.signal(Signal::TERM));
    for agent in agents {
        let done = agent.end().await;
        assert_eq!(done.status, Some(0), "{}", done.stderr);
    }
    claim.release().await;
}

/// What a word did, as its `--json` says.
async fn effect(home: &Home, words: &[&str]) -> Value {
    let done = home.run(&[words, &["--json"]].concat()).await;
    assert_eq!(done.status, Some(0), "{words:?}: {}", done.stderr);
    done.json()["effect"].clone()
}

/// The complaint about a word that can not be said.
async fn refused(home: &Home, words: &[&str]) -> String {
    let done = home.run(words).await;
    assert_eq!(done.status, Some(2), "{words:?}: {}", done.stderr);
    done.complaint().to_owned()
}

async fn status(home: &Home) -> Value {
    home.run(&["status", ID, "--json"]).await.json()
}

/// The attempts of each subtask by name, with how it stands.
fn stands(view: &Value) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let one = |subtask: &&Value| {
        (text(&subtask["name"]), text(&subtask["status"]), subtask["attempts"].as_u64().expect("a number"))
    };
    subtasks(view).iter().map(one).collect()
}

fn stand(name: &str, status: &str, attempts: u64) -> (String, String, u64) {
    (name.into(), status.into(), attempts)
}

/// Its request waits for a manager, and so does the word that it is not wanted.
#[tokio::test]
async fn what_no_manager_has_taken_yet_can_be_cancelled_by_its_whole_id() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    // Somebody has to make the store, and the queues.
    let mut first = home.start(&["manager"]);
    first.says("ready").await;
    first.signal(Signal::TERM);
    assert_eq!(first.end().await.status, Some(0));
    home.write("held.toml", HELD);
    assert_eq!(home.run(&["submit", "held.toml"]).await.status, Some(0));
    assert!(refused(&home, &["cancel", &ID[..8]]).await.contains("the store knows no project `5f0c1f3e`"));
    assert!(refused(&home, &["cancel", ID, "--subtask", "held"]).await.contains("the store knows no project"));
    assert_eq!(effect(&home, &["cancel", ID, "--no-wait"]).await, "sent");
    let mut agents = Vec::new();
    for layer in ["manager", "coordinator"] {
        let mut agent = home.start(&[layer]);
        agent.says("ready").await;
        agents.push(agent);
    }
    // The same once more is the same project.
    let done = home.run(&["submit", "held.toml", "--wait"]).await;
    assert_eq!(done.status, Some(1), "{}", done.stderr);
    let view = status(&home).await;
    assert_eq!(view["status"], "CANCELLED");
    assert!(stands(&view).iter().all(|(_, _, attempts)| *attempts == 0), "{view}");
    dismiss(agents, claim).await;
}

#[tokio::test]
async fn paused_cancelled_and_run_again_it_ends_whole() {
    let claim = namespace().await;
    let (home, agents) = team(&claim).await;
    let mut gate = home.gate();
    home.write("held.toml", HELD);
    let mut watched = home.start(&["submit", "held.toml", "--wait"]);
    gate.began().await;

    assert!(refused(&home, &["retry", ID]).await.contains("is still open (BUSY): it can not be retried"));
    assert_eq!(effect(&home, &["pause", ID]).await, "paused");
    assert_eq!(effect(&home, &["pause", ID]).await, "paused", "said twice it is one pause");
    watched.says(&format!("paused: `trireme resume {ID}` lets it go on")).await;
    assert_eq!(status(&home).await["status"], "PAUSED");
    assert_eq!(effect(&home, &["resume", ID]).await, "resumed");
    assert_eq!(effect(&home, &["retry", ID, "--stuck"]).await, "recovered");
    // What is in flight was handed out again.
    gate.began().await;

    assert_eq!(effect(&home, &["cancel", ID, "--reason", "wrong input"]).await, "cancelled");
    let done = watched.end().await;
    assert_eq!(done.status, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("project CANCELLED: wrong input"), "{}", done.stderr);
    let complaint = refused(&home, &["cancel", ID]).await;
    assert!(complaint.contains("has ended (CANCELLED): it can not be cancelled"), "{complaint}");
    assert!(complaint.ends_with(&format!("hint: `trireme retry {ID}` runs it again\n")), "{complaint}");

    let again = home.start(&["retry", ID, "--wait", "--json"]);
    gate.began().await;
    // Whichever of those before it was not ended ends now, and changes nothing.
    for _ in 0..3 {
        gate.let_one_end().await;
    }
    let done = again.end().await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let view = done.json();
    assert_eq!((&view["status"], &view["run"]), (&"COMPLETED".into(), &2.into()));
    let all = stands(&view);
    assert_eq!(all.iter().map(|(_, status, _)| status.as_str()).collect::<Vec<_>>(), ["COMPLETED"; 3], "{all:?}");
    assert!(refused(&home, &["retry", ID]).await.contains("nothing to run again: everything was completed"));
    // Whatever was completed is done again when it is named.
    assert_eq!(effect(&home, &["retry", ID, "--subtask", "last"]).await, "retried");
    assert_eq!(home.run(&["watch", ID]).await.status, Some(0));
    assert_eq!(status(&home).await["run"], 3);
    dismiss(agents, claim).await;
}

/// Nobody is missing: it waits for whoever paused it.
#[tokio::test]
async fn paused_between_two_phases_it_waits_for_nobody_else() {
    let claim = namespace().await;
    let (home, agents) = team(&claim).await;
    let mut gate = home.gate();
    home.write("held.toml", HELD);
    assert_eq!(home.run(&["submit", "held.toml"]).await.status, Some(0));
    gate.began().await;
    assert_eq!(effect(&home, &["pause", ID]).await, "paused");
    gate.let_one_end().await;
    within("the end of its first phase", async { while status(&home).await["phases"][0]["status"] != "COMPLETED" {} })
        .await;
    let shown = home.run(&["status", ID]).await.stdout;
    assert!(shown.contains("waiting    paused: `trireme resume "), "{shown}");
    assert!(!shown.contains("waits for a coordinator"), "{shown}");
    assert_eq!(effect(&home, &["resume", ID]).await, "resumed");
    assert_eq!(home.run(&["watch", ID]).await.status, Some(0));
    dismiss(agents, claim).await;
}

/// Nobody said why: it is said once what became of it.
#[tokio::test]
async fn a_project_that_ends_by_a_cancelled_subtask_says_so_once() {
    let claim = namespace().await;
    let (home, agents) = team(&claim).await;
    let mut gate = home.gate();
    home.write("held.toml", HELD);
    let running = home.start(&["submit", "held.toml", "--wait", "--json"]);
    gate.began().await;
    assert_eq!(effect(&home, &["cancel", ID, "--subtask", "held"]).await, "cancelled");
    gate.let_one_end().await;
    let done = running.end().await;
    assert_eq!((done.status, &done.json()["error"]), (Some(1), &"subtask `held` was cancelled".into()));
    dismiss(agents, claim).await;
}

#[tokio::test]
async fn one_subtask_is_cancelled_and_the_rest_follows_the_policy() {
    let claim = namespace().await;
    let (home, agents) = team(&claim).await;
    let mut gate = home.gate();
    home.write(
        "held.toml",
        &HELD.replace("[[goals]]\nname = \"First\"", "policy = { on_failure = \"skip\" }\n[[goals]]\nname = \"First\""),
    );
    let running = home.start(&["submit", "held.toml", "--wait", "--json"]);
    gate.began().await;
    assert!(refused(&home, &["cancel", ID, "--subtask", "heldd"]).await.contains("did you mean `held`?"));
    assert!(refused(&home, &["cancel", ID, "--subtask", "9.9"]).await.contains("has no subtask `9.9`"));
    assert!(refused(&home, &["cancel", ID, "--subtask", "2.1"]).await.contains("has no subtask `2.1`"));
    assert_eq!(effect(&home, &["cancel", ID, "--subtask", "held"]).await, "cancelled");
    gate.let_one_end().await;
    let done = running.end().await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let view = done.json();
    assert_eq!(view["status"], "COMPLETED");
    let wanted = [stand("quick", "COMPLETED", 1), stand("held", "CANCELLED", 1), stand("last", "COMPLETED", 1)];
    assert_eq!(stands(&view), wanted);
    dismiss(agents, claim).await;
}

#[tokio::test]
async fn a_subtask_of_a_phase_that_has_not_begun_is_cancelled_and_never_runs() {
    let claim = namespace().await;
    let (home, agents) = team(&claim).await;
    let mut gate = home.gate();
    home.write(
        "held.toml",
        &HELD.replace("[[goals]]\nname = \"First\"", "policy = { on_failure = \"skip\" }\n[[goals]]\nname = \"First\""),
    );
    let running = home.start(&["submit", "held.toml", "--wait", "--json"]);
    gate.began().await;
    assert_eq!(effect(&home, &["cancel", ID, "--subtask", "last", "--reason", "too late"]).await, "cancelling");
    assert_eq!(status(&home).await["phases"][1]["unwanted"], serde_json::json!(["2.0"]));
    let shown = home.run(&["status", ID]).await;
    assert!(shown.stdout.contains("2.0 (as soon as the phase has begun)"), "{}", shown.stdout);
    let again = home.run(&["cancel", ID, "--subtask", "2.0"]).await;
    assert_eq!(again.status, Some(1));
    assert!(again.stderr.contains("the subtask is being cancelled already"), "{}", again.stderr);
    gate.let_one_end().await;
    let done = running.end().await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let wanted = [stand("quick", "COMPLETED", 1), stand("held", "COMPLETED", 1), stand("last", "CANCELLED", 0)];
    assert_eq!(stands(&done.json()), wanted);
    assert_eq!(done.json()["phases"][1]["goals"][0]["subtasks"][0]["error"], "too late");
    dismiss(agents, claim).await;
}

#[tokio::test]
async fn a_project_that_asks_waits_for_the_answer() {
    let claim = namespace().await;
    let (home, agents) = team(&claim).await;
    home.write("asking.toml", ASKING);
    let mut watched = home.start(&["submit", "asking.toml", "--wait"]);
    let asked = watched.says("`trireme decide").await;
    assert!(asked.contains("subtask 1.0 `fails` failed (permanent: "), "{asked}");
    assert!(asked.contains(&format!("`trireme decide {ID} --retry | --skip | --fail`")), "{asked}");
    let view = status(&home).await;
    assert_eq!((&view["status"], &view["waiting_for"][0]["name"]), (&"WAITING".into(), &"fails".into()));
    // In one process nobody could answer it.
    let resumed = refused(&home, &["run", "--resume", ID, "--store", "sqlite:trireme.db"]).await;
    assert!(
        resumed.contains(&format!("project `{ID}`: `on_failure` is `ask`, and nobody can answer here")),
        "{resumed}"
    );
    let usage = home.run(&["decide", ID]).await;
    assert_eq!(usage.status, Some(2), "{}", usage.stderr);
    assert!(refused(&home, &["decide", ID, "--skip", "--subtask", "beside"]).await.contains("asks nothing about"));
    // Tried again it fails again, and that is another question.
    let first = view["waiting_for"][0]["question"].clone();
    assert_eq!(effect(&home, &["decide", ID, "--retry"]).await, "retry");
    let second = loop {
        let view = status(&home).await;
        match view["waiting_for"].as_array().and_then(|asked| asked.first()) {
            Some(asked) if asked["question"] != first => break asked["question"].clone(),
            _ => {}
        }
    };
    assert_ne!(first, second);
    assert_eq!(effect(&home, &["decide", ID, "--skip"]).await, "skip");
    let done = watched.end().await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("project COMPLETED, 2 subtasks skipped"), "{}", done.stderr);
    assert!(refused(&home, &["decide", ID, "--skip"]).await.contains("has ended (COMPLETED)"));
    assert_eq!(effect(&home, &["retry", ID, "--failed"]).await, "retried");
    watched = home.start(&["watch", ID]);
    let decided = loop {
        if !status(&home).await["waiting_for"].is_null() {
            break effect(&home, &["decide", ID, "--fail"]).await;
        }
    };
    assert_eq!(decided, "fail");
    assert_eq!(watched.end().await.status, Some(1));
    dismiss(agents, claim).await;
}

/// Others depend on it: what is to become of them is asked at once, and nobody waits for an end.
#[tokio::test]
async fn a_cancelled_subtask_that_is_asked_about_says_how_to_answer() {
    let claim = namespace().await;
    let (home, agents) = team(&claim).await;
    let mut gate = home.gate();
    let held = "name = \"fails\"\nskill = \"hold\"\n";
    home.write(
        "asking.toml",
        &ASKING.replace("name = \"fails\"\nskill = \"sleep\"\ninput = { ms = \"long\" }\n", held),
    );
    let watched = home.start(&["submit", "asking.toml", "--wait"]);
    gate.began().await;
    let began = Instant::now();
    let cancelled = home.run(&["cancel", ID, "--subtask", "fails"]).await;
    assert_eq!(cancelled.status, Some(0), "{}", cancelled.stderr);
    assert!(began.elapsed() < Duration::from_secs(8), "it waited for more");
    let answer = format!("`trireme decide {ID} --retry | --skip | --fail`");
    let told = format!("subtask 1.0 `fails` is cancelled, and what depends on it waits for an answer: {answer}\n");
    assert_eq!(cancelled.stdout, told);
    assert_eq!(status(&home).await["waiting_for"][0]["error"], "it was cancelled");
    let shown = home.run(&["status", ID]).await.stdout;
    assert!(shown.contains(&format!("subtask 1.0 `fails` was cancelled: {answer}")), "{shown}");
    // Said again it is the same.
    assert_eq!(effect(&home, &["cancel", ID, "--subtask", "fails"]).await, "waiting");
    assert_eq!(effect(&home, &["decide", ID, "--skip"]).await, "skip");
    gate.let_one_end().await;
    let done = watched.end().await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let results = home.run(&["result", ID]).await.stdout;
    assert!(results.contains("Only / after: SKIPPED: its dependency `fails` was cancelled\n"), "{results}");
    dismiss(agents, claim).await;
}

#[tokio::test]
async fn what_nobody_knows_is_not_said() {
    let home = Home::new();
    home.write(
        "quick.toml",
        "name = \"q\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\nskill = \"noop\"\n",
    );
    let kept = home.run(&["run", "quick.toml", "--store", "sqlite:trireme.db"]).await;
    assert_eq!(kept.status, Some(0), "{}", kept.stderr);
    // A whole id may be of one that a manager is about to take: that can be said to it.
    let part = &ID[..8];
    for words in [&["cancel", part][..], &["pause", part], &["resume", ID], &["retry", ID], &["decide", ID, "--skip"]] {
        assert!(refused(&home, words).await.contains("the store knows no project"), "{words:?}");
    }
    home.write("asking.toml", ASKING);
    let asked = home.run(&["run", "asking.toml"]).await;
    assert_eq!(asked.status, Some(2));
    assert!(asked.complaint().contains("`on_failure` is `ask`, and nobody can answer here"), "{}", asked.stderr);
}
