//! The real thing: worker processes of the shipped binary on RabbitMQ, with PostgreSQL or a shared SQLite file.

use crate::place::{Place, Shared, on_every_broker};
use crate::status::{check_order, completed, has_ended, subtasks};

/// 1 manager, 2 coordinators, 3 executors with different skills; both examples; every subtask ran once, after its
/// dependencies, by an executor that has its skill.
async fn both_examples(broker_url: &str, shared: Shared<'_>) {
    let place = Place::new(broker_url, shared, "examples").await;
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
    on_every_broker(async |url| both_examples(url, Shared::Postgres).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_examples_on_rabbitmq_with_a_shared_sqlite_file() {
    on_every_broker(async |url| both_examples(url, Shared::SqliteFile).await).await;
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
    on_every_broker(kills).await;
}

async fn kills(broker_url: &str) {
    let place = Place::new(broker_url, Shared::Postgres, "kills").await;
    let start = |layer: &str| place.worker(&[layer]);
    let mut managers = vec![start("manager"), start("manager")];
    let mut coordinators = vec![start("coordinator"), start("coordinator")];
    let mut executors = vec![start("executor"), start("executor")];
    let id = place.submit(SLEEPERS);
    for (done, victims) in [(20, &mut executors), (45, &mut coordinators), (70, &mut managers)] {
        place.wait(&id, |status| completed(status) >= done);
        victims.remove(0).kill();
    }
    // The second of each is killed too once a third is there: nothing of the first generation is left.
    place.wait(&id, |status| completed(status) >= 95);
    let successors = [start("executor"), start("coordinator"), start("manager")];
    for victims in [&mut executors, &mut coordinators, &mut managers] {
        victims.remove(0).kill();
    }
    let status = place.wait(&id, has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}");
    assert_eq!(completed(&status), 181);
    check_order(&status);
    drop(successors);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_that_is_added_takes_work() {
    on_every_broker(added).await;
}

async fn added(broker_url: &str) {
    let place = Place::new(broker_url, Shared::SqliteFile, "added").await;
    let _first =
        [place.worker(&["manager"]), place.worker(&["coordinator"]), place.worker(&["executor", "--slots", "1"])];
    let id = place.submit(SLEEPERS);
    place.wait(&id, |status| completed(status) >= 5);
    let _added = place.worker(&["executor", "--id", "added", "--slots", "8"]);
    let status = place.wait(&id, has_ended);
    assert_eq!(status["status"], "COMPLETED");
    let by_the_added = subtasks(&status).iter().filter(|subtask| subtask["agent_id"] == "added").count();
    assert!(by_the_added > 50, "it took {by_the_added} of 181");
    place.leave().await;
}
