//! Programs never outlive their executor, nor does what they start, also what has left their process group and session.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::place::{Place, Shared, Worker, on_every_broker};

/// The bound on how long the programs of a dead executor may go on.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// A program, a child in its group, and one in a session of its own whose parent is gone: each writes down its process id
/// and what it is, and stays.
const SETTINGS: &str = r#"
[skills.Stay]
runner = "command"
[skills.Stay.command]
argv = ["sh", "-c", """
echo $$ program >> pids
sh -c 'echo $$ child >> pids; exec sleep 300' &
setsid sh -c 'echo $$ session >> pids; exec sleep 300' &
sh -c 'setsid sh -c "echo \\$\\$ orphan >> pids; exec sleep 300" &'
exec sleep 300
"""]
"#;

const ONE: &str = r#"
name = "One"
[[goals]]
name = "Work"
[[goals.subtasks]]
name = "stay"
skill = "Stay"
"#;

async fn team(broker_url: &str, name: &str) -> (Place, Vec<Worker>, Worker) {
    let place = Place::with_settings(broker_url, Shared::SqliteFile, name, SETTINGS).await;
    let owners = vec![place.worker(&["manager"]), place.worker(&["coordinator"])];
    let executor = place.worker(&["executor", "--id", "first"]);
    (place, owners, executor)
}

/// The processes that have written themselves down, once there are so many.
fn pids(place: &Place, count: usize) -> Vec<Pid> {
    place.wait_until("the program and what it starts are there", || place.lines("pids").len() >= count);
    let pid = |line: &String| line.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    place.lines("pids").iter().map(|line| pid(line).unwrap_or_else(|| panic!("no process id in {line}"))).collect()
}

fn alive(pids: &[Pid]) -> usize {
    pids.iter().filter(|&&pid| test_kill_process(pid).is_ok()).count()
}

fn are_gone(pids: &[Pid], since: Instant) {
    while alive(pids) > 0 {
        assert!(since.elapsed() < GONE_WITHIN, "{} of {} still run", alive(pids), pids.len());
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("gone after {} ms", since.elapsed().as_millis());
}

/// Before, the first program went on beside the second attempt, and after the cancel, with nobody to end it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_ends_with_its_executor_however_that_dies() {
    on_every_broker(killed).await;
}

async fn killed(broker_url: &str) {
    let (place, _owners, executor) = team(broker_url, "killed_executor").await;
    let id = place.submit(ONE);
    let first = pids(&place, 4);
    assert_eq!(alive(&first), 4);
    let second = place.worker(&["executor", "--id", "second"]);
    let since = Instant::now();
    executor.kill();
    are_gone(&first, since);

    // The next attempt runs, and a cancel ends all of it.
    let both = pids(&place, 8);
    assert_eq!(alive(&both), 4);
    place.run(&["cancel", &id]);
    let since = Instant::now();
    are_gone(&both, since + GONE_WITHIN);
    drop(second);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_guard_takes_its_program_with_it_and_the_attempt_has_crashed() {
    on_every_broker(guard_killed).await;
}

async fn guard_killed(broker_url: &str) {
    let (place, _owners, _executor) = team(broker_url, "killed_guard").await;
    let id = place.submit(ONE);
    let first = pids(&place, 4);
    let parent = std::fs::read_to_string(format!("/proc/{}/stat", first[0].as_raw_nonzero())).expect("it runs");
    let guard = parent.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
    let since = Instant::now();
    kill_process(guard.and_then(Pid::from_raw).expect("a guard"), Signal::KILL).expect("killed");
    are_gone(&first, since);
    let status = place.wait(&id, |status| {
        let log = status["phases"][0]["goals"][0]["subtasks"][0]["attempt_log"].as_array();
        log.is_some_and(|log| log.iter().any(|attempt| attempt["kind"] == "crashed"))
    });
    assert_eq!(status["status"], "BUSY", "{status}");
    place.leave().await;
}

/// Before, 46 defunct children stayed after 60 subtasks of an executor that was the first process of its container.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_that_is_process_1_leaves_no_zombies() {
    on_every_broker(process_1).await;
}

async fn process_1(broker_url: &str) {
    let settings = "[skills.Orphan]\nrunner = \"command\"\n[skills.Orphan.command]\nargv = [\"sh\", \"-c\", \"setsid sh -c 'sleep 0.3' &\"]\n";
    let place = Place::with_settings(broker_url, Shared::SqliteFile, "process_1", settings).await;
    let _owners = [place.worker(&["manager"]), place.worker(&["coordinator"])];
    // `unshare` needs root, or a kernel that lets users have namespaces.
    let executor = place.worker_in(&["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"], &["executor"]);
    let stray = "sh -c 'sleep 0.2' & sh -c 'sleep 0.2' &";
    let id = place.submit(&ONE.replace("skill = \"Stay\"", "skill = \"Orphan\"\nrepeat = 30"));
    let status = place.wait(&id, crate::status::has_ended);
    assert_eq!(status["status"], "COMPLETED", "{status}\n{}", executor.said());
    // What somebody else starts in the container, and leaves behind there.
    let inner = children_of(executor.id());
    assert_eq!(inner.len(), 1, "unshare has one child, the executor");
    let entered = std::process::Command::new("nsenter")
        .args(["--pid", "--mount", "--target", &inner[0].0.to_string(), "sh", "-c", stray])
        .status();
    assert!(entered.expect("nsenter").success());
    place.wait_until("nobody is left below it", || children_of(inner[0].0).is_empty());
    place.leave().await;
}

/// Process ids and states of the children of a process.
fn children_of(parent: u32) -> Vec<(u32, String)> {
    let output = std::process::Command::new("ps").args(["-o", "pid=,stat=", "--ppid", &parent.to_string()]).output();
    let text = String::from_utf8(output.expect("ps").stdout).expect("text");
    let child =
        |line: &str| Some((line.split_whitespace().next()?.parse().ok()?, line.split_whitespace().nth(1)?.to_owned()));
    text.lines().filter_map(child).collect()
}

/// A terminal that closes sends SIGHUP: before, that killed the executor at once, and its programs stayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_drains_as_sigterm_does() {
    on_every_broker(hangup).await;
}

async fn hangup(broker_url: &str) {
    let (place, _owners, mut executor) = team(broker_url, "hangup").await;
    place.submit(ONE);
    let first = pids(&place, 4);
    executor.signal(Signal::HUP);
    place.wait_until("it drains", || executor.said().contains("draining: "));
    assert_eq!(alive(&first), 4, "what runs may go on for a while");
    // Once more to leave at once, after the time in which it counts as the same wish.
    place.wait_until("it leaves", || {
        executor.signal(Signal::HUP);
        !executor.is_alive()
    });
    are_gone(&first, Instant::now());
    place.leave().await;
}

/// A guard as an executor starts it, without standard input for its program.
fn guard(script: &str) -> (UnixStream, Child) {
    let (mut ours, theirs) = UnixStream::pair().expect("a socket");
    let mut command = Command::new(env!("CARGO_BIN_EXE_trireme"));
    command.args(["program-guard", "sh", "-c", script]).stdout(Stdio::piped());
    let child = command.stdin(OwnedFd::from(theirs)).spawn().expect("a guard");
    ours.write_all(&[0; 8]).expect("written");
    (ours, child)
}

/// Before, the guard left when it could not say that the program had begun, and the program went on.
#[test]
fn an_executor_that_dies_before_the_program_begins_leaves_nothing() {
    let since = Instant::now();
    let (control, child) = guard("exec sleep 30");
    drop(control);
    // Whoever is left would hold the pipe.
    child.wait_with_output().expect("it ends");
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
}

/// Before, they were zombies of the guard for as long as the program ran.
#[test]
fn orphans_of_a_program_that_runs_are_reaped() {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sleep 0.05 &); done; sleep 0.1; for i in $(seq 100); do \
                  test $(ps -o pid= --ppid $PPID | wc -l) = 1 && exec echo none; sleep 0.1; done; echo some";
    let (control, child) = guard(script);
    assert_eq!(child.wait_with_output().expect("it ends").stdout, b"none\n");
    drop(control);
}

/// As `systemctl stop` does. Before, the guard died at once, and its program was killed instead of asked.
#[test]
fn a_service_that_is_stopped_leaves_its_programs_time() {
    let (mut control, mut child) = guard("trap 'sleep 0.3; exit 3' TERM; echo ready; while :; do sleep 0.1; done");
    child.stdout.take().expect("a pipe").read_exact(&mut [0; 6]).expect("ready");
    let mut report = [0; 5];
    control.read_exact(&mut report).expect("it has begun");
    let program = Pid::from_raw(i32::from_be_bytes([report[1], report[2], report[3], report[4]])).expect("its id");
    for pid in [Pid::from_child(&child), program] {
        kill_process(pid, Signal::TERM).expect("asked");
    }
    control.read_exact(&mut report).expect("it has ended");
    assert_eq!(report, [b'e', 0, 0, 0, 3]);
    child.wait().expect("the guard leaves");
}

/// Before, `nohup` was of no use, and what a shell had started before it became the executor was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_shell_has_set_up_for_its_executor_stays() {
    on_every_broker(set_up).await;
}

async fn set_up(broker_url: &str) {
    let settings =
        "[skills.Stay]\nrunner = \"command\"\n[skills.Stay.command]\nargv = [\"sh\", \"-c\", \"sleep 1.5\"]\n";
    let place = Place::with_settings(broker_url, Shared::SqliteFile, "set_up", settings).await;
    let _owners = [place.worker(&["manager"]), place.worker(&["coordinator"])];
    let executor = place.worker_after("trap '' HUP; sleep 300 & echo $! > helper", &["executor"]);
    let id = place.submit(ONE);
    // Longer than two looks at who is an orphan.
    let status = place.wait(&id, crate::status::has_ended);
    let helper: i32 = place.lines("helper")[0].parse().expect("a process id");
    let killed = kill_process(Pid::from_raw(helper).expect("a process id"), Signal::KILL);
    assert!(killed.is_ok(), "the helper is not there any more\n{}", executor.said());
    assert_eq!(status["status"], "COMPLETED", "{status}\n{}", executor.said());
    let process = std::fs::read_to_string(format!("/proc/{}/status", executor.id())).expect("it runs");
    let caught = process.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask");
    assert_eq!(u64::from_str_radix(caught.trim(), 16).expect("a mask") & 1, 0, "SIGHUP is left as it was");
    place.leave().await;
}
