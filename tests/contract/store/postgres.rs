//! PostgreSQL passes the contract, and what only a server promises. It needs a server: `TRIREME_TEST_POSTGRES_URL`,
//! else the one of this machine. Without one these tests fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio_postgres::{Client, NoTls};
use trireme::runtime::port::{Append, Store, StoreError, SummaryQuery};
use trireme::store;
use trireme::wire::Status;

use super::{Bed, append, cases, events, load, project, races, refusal, retention, summaries, summary, takeover};

const SERVER: &str = "postgres://postgres@127.0.0.1:5432/postgres";
/// Databases of test runs that died are dropped after this long.
const LEFTOVER_AFTER: Duration = Duration::from_secs(3600);
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of its own, dropped with the value.
struct Postgres {
    name: String,
}

impl Postgres {
    async fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("trireme_test_store_{}_{}_{count}", now().as_secs(), std::process::id());
        let admin = connect(&server()).await;
        if count == 0 {
            drop_leftovers(&admin).await;
        }
        admin.batch_execute(&format!("create database {name} template template0")).await.expect("a database");
        Self { name }
    }

    fn url(&self) -> String {
        database_url(&self.name)
    }

    /// With these options for each session, on top of the URL's.
    fn url_with(&self, options: &str) -> String {
        let url = self.url();
        let sign = if url.ends_with('?') { "" } else { "&" };
        format!("{url}{sign}options={}", options.replace(' ', "%20").replace('=', "%3D"))
    }
}

#[async_trait]
impl Bed for Postgres {
    async fn open(&self) -> Arc<dyn Store> {
        store::open(&self.url()).await.expect("a store")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let sql = format!("drop database {} with (force)", self.name);
        // The test's own runtime can not be waited for here.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { connect(&server()).await.batch_execute(&sql).await.expect("drop database") });
        });
        if dropped.join().is_err() {
            eprintln!("{} was not dropped", self.name);
        }
    }
}

fn server() -> String {
    std::env::var("TRIREME_TEST_POSTGRES_URL").unwrap_or_else(|_| SERVER.to_owned())
}

/// The server's URL, with another database.
fn database_url(name: &str) -> String {
    let server = server();
    let (front, options) = server.split_once('?').unwrap_or((&server, ""));
    let (front, _) = front.rsplit_once('/').expect("a URL with a database");
    format!("{front}/{name}?{options}")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970")
}

async fn connect(url: &str) -> Client {
    match tokio_postgres::connect(url, NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            client
        }
        Err(error) => panic!("these tests need PostgreSQL, see TRIREME_TEST_POSTGRES_URL: {error:?}"),
    }
}

async fn drop_leftovers(admin: &Client) {
    let names =
        admin.query("select datname from pg_database where datname like 'trireme\\_test\\_store\\_%'", &[]).await;
    for row in names.expect("the databases") {
        let name: &str = row.get(0);
        let made = name.trim_start_matches("trireme_test_store_").split('_').next().and_then(|made| made.parse().ok());
        if made.is_some_and(|made| Duration::from_secs(made) + LEFTOVER_AFTER < now()) {
            admin.batch_execute(&format!("drop database if exists {name} with (force)")).await.expect("drop database");
        }
    }
}

/// The text of an error that says that the store can not be reached now.
fn unreachable(result: Result<Arc<dyn Store>, StoreError>) -> String {
    match result {
        Err(StoreError::Unreachable(text)) => text,
        Err(other) => panic!("not unreachable, but: {other}"),
        Ok(_) => panic!("reachable"),
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    // A port that nobody listens on, for it was given back a moment ago.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let text = unreachable(store::open(&format!("postgres://me:s3cret@127.0.0.1:{port}/x")).await);
    assert!(text.contains(&format!("127.0.0.1:{port}/x")) && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_wrong_database_or_url_is_refused() {
    let missing = database_url("trireme_test_not_there");
    let text = refusal(store::open(&missing).await);
    assert!(text.contains("\"trireme_test_not_there\" does not exist"), "{text}");
    for bad in
        ["postgres://me:s3cret@db:port/x", "postgresql://me:s3cret@db/x?sslmode=never", "postgres://?password=s3cret"]
    {
        let text = refusal(store::open(bad).await);
        assert!(text.contains("\nhint: ") && !text.contains("s3cret"), "{text}");
    }
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn tls_that_is_not_built_in_is_refused() {
    let text = refusal(store::open("postgres://me:s3cret@127.0.0.1/x?sslmode=require").await);
    assert_eq!(text, "TLS is not built into this trireme\nhint: cargo build --release --features tls");
}

/// The server shows a certificate that this machine does not trust, or none.
#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let bed = Postgres::new().await;
    let url = bed.url();
    let sign = if url.ends_with('?') { "" } else { "&" };
    let text = refusal(store::open(&format!("{url}{sign}sslmode=require")).await);
    assert!(text.contains("certificate") || text.contains("does not support TLS"), "{text}");
}

#[tokio::test]
async fn a_server_that_may_lose_commits_is_refused() {
    let bed = Postgres::new().await;
    let text = refusal(store::open(&bed.url_with("-c synchronous_commit=off")).await);
    assert!(text.contains("synchronous_commit = off") && text.contains("\nhint: "), "{text}");
}

#[tokio::test]
async fn a_store_newer_than_the_program_is_refused() {
    let bed = Postgres::new().await;
    drop(bed.open().await);
    let newer = "insert into trireme.refinery_schema_history values (99, 'later', '2030-01-01T00:00:00Z', '1')";
    connect(&bed.url()).await.batch_execute(newer).await.expect("a migration");
    for opened in [store::open(&bed.url()).await, store::open_to_read(&bed.url()).await] {
        let text = refusal(opened);
        assert!(text.contains("made by a newer trireme (schema 99"), "{text}");
    }
}

#[tokio::test]
async fn a_reader_changes_nothing() {
    let bed = Postgres::new().await;
    assert!(refusal(store::open_to_read(&bed.url()).await).contains("older trireme"));
    let admin = connect(&bed.url()).await;
    let made = admin.query("select 1 from pg_namespace where nspname = 'trireme'", &[]).await.expect("the schemas");
    assert!(made.is_empty());

    let writer = bed.open().await;
    let row = summary(project(1), Status::Busy, 1);
    writer
        .append(vec![Append { summary: Some(row.clone()), ..append(project(1), 0, events(1..=1)) }])
        .await
        .expect("append");
    let reader = store::open_to_read(&bed.url()).await.expect("a reader");
    assert_eq!(load(&*reader, project(1)).await.events, events(1..=1));
    assert_eq!(reader.summaries(&SummaryQuery::default()).await, Ok(vec![row]));
    let refused = Err(StoreError::Unusable("it was opened for reading only".into()));
    assert_eq!(reader.append(vec![append(project(1), 1, events(2..=2))]).await, refused);
    assert!(matches!(reader.identity(8).await, Err(StoreError::Unusable(_))));
    let identity = writer.identity(8).await;
    assert_eq!(reader.identity(3).await, identity);
}

#[tokio::test]
async fn a_stopped_writer_blocks_no_longer_than_the_lock_timeout() {
    let bed = Postgres::new().await;
    let store = store::open(&bed.url_with("-c lock_timeout=200ms")).await.expect("a store");
    store.append(vec![append(project(1), 0, events(1..=1))]).await.expect("append");
    let mut stopped = connect(&bed.url()).await;
    let open = stopped.transaction().await.expect("a transaction");
    open.execute("update trireme.streams set version = version", &[]).await.expect("a lock");
    let blocked = store.append(vec![append(project(1), 1, events(2..=2))]).await;
    // Known not to be written, so that it is not `Unknown`.
    assert!(matches!(blocked, Err(StoreError::Unreachable(_))), "{blocked:?}");
    assert_eq!(load(&*store, project(1)).await.version, 1);
    open.rollback().await.expect("no lock");
    assert_eq!(store.append(vec![append(project(1), 1, events(2..=2))]).await, Ok(()));
}

/// Every connection of the pool waits for a lock: who wants one more waits as well, and not for ever.
#[tokio::test]
async fn a_full_pool_is_waited_for_and_then_not_reachable() {
    let bed = Postgres::new().await;
    let patient = bed.url_with("-c lock_timeout=9s -c statement_timeout=9s");
    let store = store::open(&patient).await.expect("a store");
    let parts = (1..=4).map(|number| append(project(number), 0, events(1..=1))).collect();
    store.append(parts).await.expect("append");
    let mut other = connect(&bed.url()).await;
    let open = other.transaction().await.expect("a transaction");
    open.execute("update trireme.streams set version = version", &[]).await.expect("a lock");
    let blocked = (1..=4).map(|number| store.append(vec![append(project(number), 1, events(2..=2))]));
    let released = async {
        let one_more = store.load(&[project(1)]).await;
        assert!(matches!(one_more, Err(StoreError::Unreachable(_))), "{one_more:?}");
        open.rollback().await.expect("no lock");
    };
    let (written, ()) = tokio::join!(futures_util::future::join_all(blocked), released);
    assert_eq!(written, [const { Ok(()) }; 4]);
    assert_eq!(load(&*store, project(1)).await.version, 2);
}

/// A database in which every transaction is serializable.
struct Serializable(Postgres);

#[async_trait]
impl Bed for Serializable {
    async fn open(&self) -> Arc<dyn Store> {
        store::open(&self.0.url_with("-c default_transaction_isolation=serializable")).await.expect("a store")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_serialized_is_a_conflict() {
    races::two_writers_lose_and_double_nothing(&Serializable(Postgres::new().await)).await;
}

#[tokio::test]
async fn a_statement_that_is_stopped_is_unknown_and_a_read_is_not() {
    let bed = Postgres::new().await;
    let store = store::open(&bed.url_with("-c statement_timeout=200ms")).await.expect("a store");
    let mut stopped = connect(&bed.url()).await;
    let open = stopped.transaction().await.expect("a transaction");
    open.execute("lock table trireme.streams in access exclusive mode", &[]).await.expect("a lock");
    let asked = [project(1)];
    let (written, read) = tokio::join!(store.append(vec![append(project(1), 0, events(1..=1))]), store.load(&asked));
    assert!(matches!(written, Err(StoreError::Unknown(_))), "{written:?}");
    assert!(matches!(read, Err(StoreError::Unreachable(_))), "{read:?}");
}

#[tokio::test]
async fn sessions_end_what_nobody_waits_for() {
    let bed = Postgres::new().await;
    let store = bed.open().await;
    store.append(vec![append(project(1), 0, events(1..=1))]).await.expect("append");
    let admin = connect(&bed.url()).await;
    let session = "select state, query from pg_stat_activity
                   where datname = current_database() and application_name = 'trireme'";
    let rows = admin.query(session, &[]).await.expect("the sessions");
    assert!((1..=4).contains(&rows.len()));
    // Between two calls no transaction is open.
    assert!(rows.iter().all(|row| row.get::<_, &str>("state") == "idle"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_connections_are_cut_the_next_calls_work_again() {
    let bed = Postgres::new().await;
    let store = bed.open().await;
    let admin = connect(&bed.url()).await;
    let mine = "from pg_stat_activity where datname = current_database() and application_name = 'trireme'";
    let mut version = 0;
    for round in 0..5 {
        // All connections of the pool are in use once, then cut.
        let streams: Vec<_> = (1..=4).map(project).collect();
        let loads = streams.iter().map(|stream| store.load(std::slice::from_ref(stream)));
        futures_util::future::join_all(loads).await;
        admin.execute(&format!("select pg_terminate_backend(pid, 5000) {mine}"), &[]).await.expect("an end");
        // A connection may be cut in the very moment of a call: then it is unknown whether that was written, and
        // loading tells. Each of the four can do so once.
        let mut failures = 0;
        loop {
            match store.append(vec![append(project(1), version, events(version + 1..=version + 1))]).await {
                Ok(()) | Err(StoreError::Conflict) => break,
                Err(StoreError::Unknown(_) | StoreError::Unreachable(_)) => failures += 1,
                Err(other) => panic!("round {round}: {other:?}"),
            }
            assert!(failures <= 4, "round {round}");
        }
        version += 1;
        assert_eq!(load(&*store, project(1)).await.events, events(1..=version));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cut_in_the_middle_is_unknown() {
    let bed = Postgres::new().await;
    let store = bed.open().await;
    store.append(vec![append(project(1), 0, events(1..=1))]).await.expect("append");
    let mut admin = connect(&bed.url()).await;
    let watch = connect(&bed.url()).await;
    let open = admin.transaction().await.expect("a transaction");
    open.execute("update trireme.streams set version = version", &[]).await.expect("a lock");
    let cut = async {
        let waiting = "select pg_terminate_backend(pid) from pg_stat_activity
                       where datname = current_database() and application_name = 'trireme' and wait_event_type = 'Lock'";
        // Until the call is seen to wait for the lock.
        while watch.execute(waiting, &[]).await.expect("an end") == 0 {
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(store.append(vec![append(project(1), 1, events(2..=2))]), cut);
    assert!(matches!(answer, Err(StoreError::Unknown(_))), "{answer:?}");
    open.rollback().await.expect("no lock");
    assert_eq!(load(&*store, project(1)).await.version, 1);
    assert_eq!(store.append(vec![append(project(1), 1, events(2..=2))]).await, Ok(()));
}

#[tokio::test]
async fn what_was_appended_is_loaded() {
    cases::what_was_appended_is_loaded(&Postgres::new().await).await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_questions() {
    cases::answers_come_in_the_order_of_the_questions(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_version_other_than_the_streams_is_a_conflict() {
    cases::a_version_other_than_the_streams_is_a_conflict(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_conflict_leaves_nothing_behind() {
    cases::a_conflict_leaves_nothing_behind(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_stale_assertion_stops_the_batch() {
    cases::a_stale_assertion_stops_the_batch(&Postgres::new().await).await;
}

#[tokio::test]
async fn large_batches_come_back_whole() {
    cases::large_batches_come_back_whole(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_newer_snapshot_replaces_an_older_one_and_never_the_other_way() {
    cases::a_newer_snapshot_replaces_an_older_one_and_never_the_other_way(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_load_is_the_snapshot_and_what_came_after_it() {
    cases::a_load_is_the_snapshot_and_what_came_after_it(&Postgres::new().await).await;
}

#[tokio::test]
async fn of_payloads_the_newest_attempt_is_read() {
    cases::of_payloads_the_newest_attempt_is_read(&Postgres::new().await).await;
}

#[tokio::test]
async fn text_comes_back_byte_by_byte() {
    cases::text_comes_back_byte_by_byte(&Postgres::new().await).await;
}

#[tokio::test]
async fn what_can_not_be_written_is_refused() {
    cases::what_can_not_be_written_is_refused(&Postgres::new().await).await;
}

#[tokio::test]
async fn opening_it_again_keeps_everything() {
    cases::opening_it_again_keeps_everything(&Postgres::new().await).await;
}

#[tokio::test]
async fn the_first_decides_on_the_partitions() {
    cases::the_first_decides_on_the_partitions(&Postgres::new().await).await;
}

#[tokio::test]
async fn newest_first_and_a_project_before_its_phases() {
    summaries::newest_first_and_a_project_before_its_phases(&Postgres::new().await).await;
}

#[tokio::test]
async fn the_limit_counts_projects() {
    summaries::the_limit_counts_projects(&Postgres::new().await).await;
}

#[tokio::test]
async fn the_status_is_the_projects_own() {
    summaries::the_status_is_the_projects_own(&Postgres::new().await).await;
}

#[tokio::test]
async fn open_are_the_streams_that_have_not_ended() {
    summaries::open_are_the_streams_that_have_not_ended(&Postgres::new().await).await;
}

#[tokio::test]
async fn one_project_can_be_asked_for() {
    summaries::one_project_can_be_asked_for(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_row_is_replaced_by_the_next() {
    summaries::a_row_is_replaced_by_the_next(&Postgres::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_creators_one_gets_a_conflict() {
    races::of_two_creators_one_gets_a_conflict(&Postgres::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_and_double_nothing() {
    races::two_writers_lose_and_double_nothing(&Postgres::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_orders_of_the_same_streams_are_no_deadlock() {
    races::two_orders_of_the_same_streams_are_no_deadlock(&Postgres::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_slips_past_an_assertion() {
    races::nothing_slips_past_an_assertion(&Postgres::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_new_store_at_once() {
    races::many_open_a_new_store_at_once(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_page_is_the_stream_as_it_is_stored() {
    retention::a_page_is_the_stream_as_it_is_stored(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_long_stream_is_read_in_pages() {
    retention::a_long_stream_is_read_in_pages(&Postgres::new().await).await;
}

#[tokio::test]
async fn keys_come_in_their_order_and_in_parts() {
    retention::keys_come_in_their_order_and_in_parts(&Postgres::new().await).await;
}

#[tokio::test]
async fn what_is_there_is_listed_and_what_is_removed_is_gone() {
    retention::every_project_that_has_a_stream_is_listed_once(&Postgres::new().await).await;
    retention::what_is_removed_is_gone_and_nothing_else(&Postgres::new().await).await;
}

#[tokio::test]
async fn an_open_project_goes_only_when_that_is_wanted() {
    retention::an_open_project_goes_only_when_that_is_wanted(&Postgres::new().await).await;
}

#[tokio::test]
async fn an_append_to_what_was_removed_is_a_conflict() {
    retention::an_append_to_what_was_removed_is_a_conflict(&Postgres::new().await).await;
}

#[tokio::test]
async fn the_next_page_begins_behind_a_project() {
    summaries::the_next_page_begins_behind_a_project(&Postgres::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_meanwhile_is_gone_or_there_as_a_whole() {
    races::what_is_removed_meanwhile_is_gone_or_there_as_a_whole(&Postgres::new().await).await;
}

#[tokio::test]
async fn a_large_phase_is_loaded_at_once() {
    takeover::a_large_phase_is_loaded_at_once(&Postgres::new().await).await;
}
