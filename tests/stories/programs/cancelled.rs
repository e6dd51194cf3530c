//! What is cancelled ends: the program and all that it started, on a held skill and on a leased one. Nobody who comes
//! later starts it again.

use std::time::{Duration, Instant};

use super::{is_running, place, stands};
use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::status::{has_ended, subtasks};

/// Long after a cancel that is heard.
const SOON: Duration = Duration::from_secs(10);
/// A program with a child that has a child: all three say who they are.
const WORK: &str = r#"
sh -c 'sleep 600 & echo $! >> "$TRIREME_SUBTASK_ID"; echo $$ >> "$TRIREME_SUBTASK_ID"; wait' &
echo $$ >> "$TRIREME_SUBTASK_ID"
wait
"#;
const PROCESSES: usize = 3;

fn project(policy: &str) -> String {
    format!(
        r#"
name = "Long"
policy = {{ on_failure = "{policy}" }}
[[goals]]
name = "First"
subtasks = [
    {{ name = "held", skill = "held" }},
    {{ name = "leased", skill = "leased" }},
    {{ name = "after held", skill = "noop", dependencies = ["held"] }},
    {{ name = "after leased", skill = "noop", dependencies = ["leased"] }},
]
[[goals]]
name = "Second"
priority = 2
subtasks = [{{ name = "last", skill = "noop" }}]
"#
    )
}

/// A project that shows that everybody is at work.
const QUICK: &str = "name = \"Quick\"\n[[goals]]\nname = \"g\"\nsubtasks = [{ name = \"s\", skill = \"noop\" }]\n";

fn owners(place: &Place) -> [Worker; 2] {
    [place.worker(&["manager"]), place.worker(&["coordinator"])]
}

/// The processes of a subtask's program, once all have said who they are.
fn processes(place: &Place, subtask: &str) -> Vec<String> {
    place.wait_until("the program has begun", || place.lines(subtask).len() == PROCESSES);
    let processes = place.lines(subtask);
    assert!(processes.iter().all(|pid| is_running(pid)), "{processes:?}");
    processes
}

fn end_soon(place: &Place, processes: &[String]) {
    let began = Instant::now();
    place.wait_until("the programs end", || !processes.iter().any(|pid| is_running(pid)));
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
}

/// New owners are at work, and nothing that was cancelled has begun again.
fn stays_cancelled(place: &Place, id: &str, begun: usize) {
    let other = place.submit(QUICK);
    place.wait(&other, has_ended);
    let lines: usize = ["1.0", "1.1"].iter().map(|subtask| place.lines(subtask).len()).sum();
    assert_eq!(lines, begun * PROCESSES);
    place.run(&["check", id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_project_ends_its_programs() {
    on_every_broker(async |url| all_of_it(place(url, Shared::SqliteFile, "cancelled", WORK).await).await).await;
}

async fn all_of_it(place: Place) {
    let (owning, _executor) = (owners(&place), place.worker(&["executor"]));
    let id = place.submit(&project("fail"));
    let running = [processes(&place, "1.0"), processes(&place, "1.1")].concat();
    place.run(&["cancel", &id, "--reason", "enough"]);
    end_soon(&place, &running);
    let status = place.wait(&id, has_ended);
    assert_eq!(status["status"], "CANCELLED", "{status}");
    let first = ["held", "leased", "after held", "after leased"].map(|name| (name, "CANCELLED"));
    assert_eq!(stands(&status)[..4], first, "{status}");
    owning.into_iter().for_each(Worker::kill);
    let _successors = owners(&place);
    stays_cancelled(&place, &id, 2);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_subtask_ends_its_program_and_what_depends_on_it_follows_the_policy() {
    on_every_broker(async |url| one_by_one(place(url, Shared::SqliteFile, "cancelled", WORK).await).await).await;
}

async fn one_by_one(place: Place) {
    let (owning, _executor) = (owners(&place), place.worker(&["executor"]));
    let id = place.submit(&project("skip"));
    let (held, leased) = (processes(&place, "1.0"), processes(&place, "1.1"));
    place.run(&["cancel", &id, "--subtask", "held"]);
    end_soon(&place, &held);
    assert!(leased.iter().all(|pid| is_running(pid)), "nobody has cancelled it");
    // Others find the one cancelled, and the other at work.
    owning.into_iter().for_each(Worker::kill);
    let _successors = owners(&place);
    stays_cancelled(&place, &id, 2);
    assert!(leased.iter().all(|pid| is_running(pid)), "nobody has cancelled it");
    place.run(&["cancel", &id, "--subtask", "leased"]);
    end_soon(&place, &leased);
    let status = place.wait(&id, has_ended);
    let wanted = [
        ("held", "CANCELLED"),
        ("leased", "CANCELLED"),
        ("after held", "SKIPPED"),
        ("after leased", "SKIPPED"),
        ("last", "COMPLETED"),
    ];
    assert_eq!((&status["status"], stands(&status)), (&"COMPLETED".into(), wanted.into()), "{status}");
    assert!(subtasks(&status)[..2].iter().all(|subtask| subtask["attempts"] == 1), "{status}");
    stays_cancelled(&place, &id, 2);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_submitted_anew_under_the_id_of_a_forgotten_project_runs() {
    on_every_broker(async |url| {
        anew(place(url, Shared::SqliteFile, "anew", "until [ -e may_end ]; do sleep 0.1; done").await).await;
    })
    .await;
}

async fn anew(place: Place) {
    let _team = (owners(&place), place.worker(&["executor"]));
    let text = "id = \"5f0c1f3e-9c1b-4d4e-8a53-7b9f4a2d6c10\"\nname = \"Anew\"\n[[goals]]\nname = \"Only\"\n\
                subtasks = [{ name = \"work\", skill = \"held\" }]\n";
    let id = place.submit(text);
    place.wait(&id, |status| status["counts"]["handed_out"] == 1);
    place.run(&["cancel", &id]);
    place.run(&["forget", &id, "--yes"]);
    place.write("may_end", "");
    // Executors have heard that its subtask is not wanted: another one of that name is.
    assert_eq!(place.submit(text), id);
    let status = place.wait(&id, has_ended);
    assert_eq!((&status["status"], &subtasks(&status)[0]["attempts"]), (&"COMPLETED".into(), &1.into()), "{status}");
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_depends_on_a_cancelled_subtask_runs_or_fails_with_its_phase() {
    on_every_broker(async |url| run_or_fail(place(url, Shared::SqliteFile, "cancelled", WORK).await).await).await;
}

async fn run_or_fail(place: Place) {
    let _team = (owners(&place), place.worker(&["executor"]));
    for (policy, ends, rest) in [("continue", "COMPLETED", "COMPLETED"), ("fail", "ERROR", "IDLE")] {
        let id = place.submit(&project(policy));
        let running = [processes(&place, "1.0"), processes(&place, "1.1")];
        for (subtask, processes) in ["held", "leased"].into_iter().zip(&running) {
            let said = place.trireme(&["cancel", &id, "--subtask", subtask]).output().expect("a command");
            assert!(said.status.success(), "{policy}: {}", String::from_utf8_lossy(&said.stderr));
            end_soon(&place, processes);
        }
        let status = place.wait(&id, has_ended);
        assert_eq!(status["status"], ends, "{status}");
        let all = stands(&status);
        assert_eq!(all[..2], [("held", "CANCELLED"), ("leased", "CANCELLED")], "{status}");
        assert!(all[2..].iter().all(|(_, status)| *status == rest), "{status}");
        stays_cancelled(&place, &id, 2);
        ["1.0", "1.1"].iter().for_each(|subtask| place.remove(subtask));
    }
    place.leave().await;
}
