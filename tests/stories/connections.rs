//! Connections that are there and do not work: the processes go on by themselves, say so once when it begins and once
//! when it is over, and show it to whoever asks meanwhile.

use std::net::ToSocketAddrs;

use serde_json::Value;
use trireme::runtime::port::{QueueKind, QueueSpec, Topology, Transport};
use trireme::wire::address::Queue;

use crate::outages::{LONG, ends_whole, reach, team, went_on};
use crate::place::{Place, Shared, Worker, on_every_broker};
use crate::relay::Relay;
use crate::servers::Server;
use crate::status::completed;

/// The agents that say that something does not work, each with what.
fn troubles(place: &Place) -> Vec<(String, String)> {
    let agents = place.json(&["agents", "--json"]);
    let agents = agents.as_array().expect("an array").iter().filter(|agent| agent["status"] == "ERROR");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    agents.map(|agent| (text(&agent["layer"]), text(&agent["trouble"]))).collect()
}

/// `url` with another host and port.
pub fn at(url: &str, port: u16) -> (String, std::net::SocketAddr) {
    let (front, rest) = url.split_once("://").expect("a URL");
    let (user, rest) = rest.split_once('@').map_or(("", rest), |(user, rest)| (user, rest));
    let (place, vhost) = rest.split_once('/').unwrap_or((rest, ""));
    let server = match place.contains(':') {
        true => place.to_socket_addrs(),
        false => format!("{place}:5672").to_socket_addrs(),
    };
    let server = server.expect("an address").next().expect("an address");
    let sign = if user.is_empty() { "" } else { "@" };
    (format!("{front}://{user}{sign}127.0.0.1:{port}/{vhost}"), server)
}

fn whole_again(place: &Place, team: &mut [Worker], outages: usize) {
    went_on(place, team, outages);
    place.wait_until("nobody is in trouble any more", || troubles(place).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_are_noticed_and_replaced() {
    on_every_broker(async |broker_url| {
        let (_, server) = at(broker_url, 0);
        let relay = Relay::to(server).await;
        let (through, _) = at(broker_url, relay.port);
        let place = Place::new(broker_url, Shared::SqliteFile, "half_open").await;
        // The store is shared, and every worker goes through the relay.
        let mut workers: Vec<Worker> =
            ["manager", "coordinator", "executor"].map(|layer| place.worker_at(&through, &[layer])).into();
        let id = place.submit(LONG);
        reach(&place, &id, 20);
        relay.freeze();
        ends_whole(&place, &id);
        whole_again(&place, &mut workers, 2);
        drop(workers);
        place.leave().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_memory_is_waited_for() {
    let broker = Server::rabbitmq();
    let place = Place::alone(&broker.url, Shared::SqliteFile, "memory").await;
    place.run(&["topology", "declare"]);
    let mut workers = team(&place);
    // The broker takes seconds to be told, on a machine that has other things to do.
    let id = place.submit(&LONG.replace("ms = 100", "ms = 500"));
    reach(&place, &id, 30);
    broker.ctl(&["-q", "set_vm_memory_high_watermark", "absolute", "1"]);
    // It reads nothing from those who publish. They wait, on the connections that they have, and say why.
    place.wait_until("somebody says so", || workers.iter().any(|worker| worker.said().contains("takes no messages")));
    let done = completed(&place.json(&["status", &id, "--json"]));
    assert!(done < 300, "the project was over before the alarm");
    broker.ctl(&["-q", "set_vm_memory_high_watermark", "0.6"]);
    ends_whole(&place, &id);
    whole_again(&place, &mut workers, 1);
    drop(workers);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_sqlite_file_is_waited_for() {
    on_every_broker(async |broker_url| {
        let place = Place::new(broker_url, Shared::SqliteFile, "locked").await;
        let mut workers = team(&place);
        let id = place.submit(LONG);
        reach(&place, &id, 30);
        let other = rusqlite::Connection::open(place.sqlite_file()).expect("the file");
        other.busy_timeout(std::time::Duration::from_secs(5)).expect("a timeout");
        other.execute_batch("begin immediate").expect("the lock");
        place.wait_until("a coordinator says what it misses", || {
            let is_store = |(layer, trouble): &(String, String)| layer == "coordination" && trouble.contains("store");
            troubles(&place).iter().any(is_store)
        });
        let health = place.trireme(&["health", "--layer", "coordination"]).output().expect("a command");
        let told = String::from_utf8_lossy(&health.stdout);
        assert!(told.contains("broker well") && told.contains("store  not well: the store is not reachable"), "{told}");
        other.execute_batch("rollback").expect("the lock is given back");
        ends_whole(&place, &id);
        whole_again(&place, &mut workers, 2);
        drop(workers);
        place.leave().await;
    })
    .await;
}

/// The broker tells a consumer whose queue goes; the queue is made again, and what comes later is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_under_its_consumer_is_made_again() {
    on_every_broker(async |broker_url| {
        let place = Place::new(broker_url, Shared::SqliteFile, "deleted").await;
        let mut workers = team(&place);
        let first = place.submit(LONG);
        ends_whole(&place, &first);
        let stranger = place.transport();
        let queues = [Queue::Skill("sleep".into()), Queue::Coordination(0), Queue::Management];
        let spec = |queue: &Queue| QueueSpec {
            queue: queue.clone(),
            kind: QueueKind::Quorum,
            delivery_limit: 1,
            max_length: None,
            ttl: None,
            dead_letters: None,
            single_active: false,
        };
        let doomed = Topology {
            namespace: place.namespace(),
            exchanges: Vec::new(),
            queues: queues.iter().map(spec).collect(),
            bindings: Vec::new(),
        };
        stranger.delete(&doomed).await.expect("deleted");
        let second = place.submit(LONG);
        ends_whole(&place, &second);
        for queue in &queues {
            assert!(stranger.depth(queue).await.expect("an answer").is_some(), "{queue:?} is there");
        }
        stranger.close().await;
        whole_again(&place, &mut workers, 1);
        drop(workers);
        place.leave().await;
    })
    .await;
}

/// What waited in a skill's queue that somebody deletes is sent again within seconds. Before, it was missed after
/// `attempts.start_timeout`, the timeout and `attempts.answer_timeout`: after 15 minutes and a half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_a_queue_that_is_deleted_is_sent_again_within_seconds() {
    on_every_broker(async |broker_url| {
        let place = Place::new(broker_url, Shared::SqliteFile, "lost_queue").await;
        let workers = [place.worker(&["manager"]), place.worker(&["coordinator"]), place.worker(&["executor"])];
        let sixty = LONG.replace("repeat = 300", "repeat = 60").replace("ms = 100", "ms = 400");
        let id = place.submit(&sixty);
        place.wait(&id, |status| completed(status) >= 8);
        let spec = QueueSpec {
            queue: Queue::Skill("sleep".into()),
            kind: QueueKind::Quorum,
            delivery_limit: 1,
            max_length: None,
            ttl: None,
            dead_letters: None,
            single_active: false,
        };
        let doomed =
            Topology { namespace: place.namespace(), exchanges: Vec::new(), queues: vec![spec], bindings: Vec::new() };
        place.transport().delete(&doomed).await.expect("deleted");
        let since = std::time::Instant::now();
        let status = place.wait(&id, crate::status::has_ended);
        assert_eq!((&status["status"], completed(&status)), (&"COMPLETED".into(), 61), "{status}");
        // Thirteen rounds of four at 400 ms are left, and a refused publish is tried again after 5 s.
        let took = since.elapsed();
        println!("without its queue for a moment: done after {} ms", took.as_millis());
        assert!(took.as_secs() < 60, "{took:?}");
        drop(workers);
        place.leave().await;
    })
    .await;
}
