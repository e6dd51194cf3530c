//! A PostgreSQL with a replica fails over, there and back, and one becomes read-only for a while: the workers go on
//! within seconds, and nothing is lost.

use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::outages::{LONG, ends_whole, team};
use crate::place::{Place, Shared, on_every_broker};
use crate::servers::Server;
use crate::status::completed;

/// The time from the moment in which a server takes writes again to the next commit.
const GOES_ON_WITHIN: Duration = Duration::from_secs(5);

async fn sql(server: &Server, statements: &[&str]) {
    let (client, connection) = tokio_postgres::connect(&server.url, NoTls).await.expect("a session");
    tokio::spawn(connection);
    for statement in statements {
        // A session of an administrator writes whatever the default is.
        client.simple_query("set default_transaction_read_only = off").await.expect("set");
        client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Measures how long it takes until more is completed than now.
fn goes_on(place: &Place, id: &str, since: Instant, what: &str) {
    let status = || place.json(&["status", id, "--json"]);
    let before = completed(&status());
    place.wait_until("the next commit", || completed(&status()) > before);
    let took = since.elapsed();
    println!("{what}: the next subtask was completed after {} ms", took.as_millis());
    assert!(took < GOES_ON_WITHIN, "{what}: {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_fails_over_to_its_replica_and_back() {
    on_every_broker(there_and_back).await;
}

async fn there_and_back(broker_url: &str) {
    let mut first = Server::postgres();
    // What the primary says is committed the replica has too: else a failover may lose it.
    sql(&first, &["alter system set synchronous_standby_names = '*'"]).await;
    let second = Server::replica_of(&first);
    sql(&first, &["select pg_reload_conf()"]).await;
    let url = format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", first.port(), second.port());
    let place = Place::new(broker_url, Shared::Own(&url), "failover").await;
    let team = team(&place);
    let id = place.submit(LONG);
    place.wait(&id, |status| completed(status) >= 30);

    first.kill();
    second.promote();
    let since = Instant::now();
    sql(&second, &["alter system reset synchronous_standby_names", "select pg_reload_conf()"]).await;
    goes_on(&place, &id, since, "primary killed, replica promoted");

    // The old primary comes back as a replica, and the team's sessions stay where writes are taken.
    first.follow(&second);
    sql(&second, &["alter system set synchronous_standby_names = '*'", "select pg_reload_conf()"]).await;
    place.wait(&id, |status| completed(status) >= 150);
    second.stop();
    first.promote();
    let since = Instant::now();
    sql(&first, &["alter system reset synchronous_standby_names", "select pg_reload_conf()"]).await;
    goes_on(&place, &id, since, "primary stopped, replica promoted");
    ends_whole(&place, &id);
    drop(team);
    place.leave().await;
}

/// Before, sessions that could not write stayed in their pool for 30 to 41 s and more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_read_only_is_written_to_again_at_once() {
    on_every_broker(read_only).await;
}

async fn read_only(broker_url: &str) {
    let database = Server::postgres();
    let place = Place::new(broker_url, Shared::Own(&database.url), "read_only").await;
    let team = team(&place);
    let id = place.submit(LONG);
    place.wait(&id, |status| completed(status) >= 30);
    sql(&database, &["alter system set default_transaction_read_only = on", "select pg_reload_conf()"]).await;
    place.wait_until("a coordinator misses it", || team.iter().any(|worker| worker.said().contains("broken; ")));
    let health = place.trireme(&["health", "--json"]).output().expect("health");
    let said = String::from_utf8_lossy(&health.stdout).into_owned();
    assert_eq!(health.status.code(), Some(1), "{said}");
    let checks: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(checks["checks"][1]["is_well"], false, "{said}");
    assert!(team.iter().all(|worker| !worker.said().contains("whole again")), "nothing was written");

    sql(&database, &["alter system reset default_transaction_read_only", "select pg_reload_conf()"]).await;
    goes_on(&place, &id, Instant::now(), "read-only, then writable");
    ends_whole(&place, &id);
    place.wait_until("the store is well", || place.trireme(&["health"]).output().expect("health").status.success());
    drop(team);
    place.leave().await;
}
