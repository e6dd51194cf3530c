//! SQLite passes the contract, and what only a file promises.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tempfile::TempDir;
use trireme::runtime::port::{Append, Store, StoreError, SummaryQuery};
use trireme::store;
use trireme::store::sqlite::{SqliteOptions, SqliteStore, Synchronous};
use trireme::wire::Status;

use super::{
    Bed, append, cases, events, load, project, races, refusal, result, retention, summaries, summary, takeover,
};

struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }
}

#[async_trait]
impl Bed for Sqlite {
    async fn open(&self) -> Arc<dyn Store> {
        store::open(&url(&self.path())).await.expect("a store")
    }
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[tokio::test]
async fn bad_urls_and_paths_are_refused() {
    let bed = Sqlite::new();
    let folder = bed.folder.path();
    std::fs::write(folder.join("text"), "no database, but long enough to be taken for one\n".repeat(99))
        .expect("a file");
    let other = Connection::open(folder.join("other.db")).expect("a database");
    other.execute_batch("create table streams (mine text)").expect("a table");
    let path = |name: &str| url(&folder.join(name));
    let refused = [
        ("mysql://me:s3cret@db/x".to_owned(), "no store has the scheme `mysql`"),
        ("trireme.db".to_owned(), "`trireme.db` is no store URL"),
        ("sqlite:".to_owned(), "names no file"),
        ("sqlite::memory:".to_owned(), "names no file"),
        ("sqlite://x.db".to_owned(), "names no file"),
        (url(folder), "is a directory"),
        (path("not/there.db"), "there is no directory"),
        (path("text"), "is no SQLite database"),
        (path("other.db"), "is the database of another program"),
    ];
    for (url, why) in refused {
        let text = refusal(store::open(&url).await);
        assert!(text.contains(why) && text.contains("\nhint: ") && !text.contains("s3cret"), "{url}: {text}");
    }
    let tables: i64 = other.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).expect("a count");
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_store_newer_than_the_program_is_refused() {
    let bed = Sqlite::new();
    drop(bed.open().await);
    let raw = Connection::open(bed.path()).expect("the file");
    let newer = "insert into refinery_schema_history values (99, 'later', '2030-01-01T00:00:00Z', '1')";
    raw.execute(newer, []).expect("a migration");
    for opened in [store::open(&url(&bed.path())).await, store::open_to_read(&url(&bed.path())).await] {
        let text = refusal(opened);
        assert!(text.contains("made by a newer trireme (schema 99"), "{text}");
    }
}

#[tokio::test]
async fn a_reader_changes_nothing() {
    let bed = Sqlite::new();
    assert!(refusal(store::open_to_read(&url(&bed.path())).await).contains("there is no `"));
    assert!(!bed.path().exists());
    std::fs::write(bed.path(), "").expect("an empty file");
    assert!(refusal(store::open_to_read(&url(&bed.path())).await).contains("older trireme"));
    assert_eq!(std::fs::metadata(bed.path()).expect("the file").len(), 0);

    let writer = bed.open().await;
    let row = summary(project(1), Status::Busy, 1);
    writer
        .append(vec![Append { summary: Some(row.clone()), ..append(project(1), 0, events(1..=1)) }])
        .await
        .expect("append");
    let reader = store::open_to_read(&url(&bed.path())).await.expect("a reader");
    assert_eq!(load(&*reader, project(1)).await.events, events(1..=1));
    assert_eq!(reader.summaries(&SummaryQuery::default()).await, Ok(vec![row]));
    let refused = Err(StoreError::Unusable("it was opened for reading only".into()));
    assert_eq!(reader.append(vec![append(project(1), 1, events(2..=2))]).await, refused);
    assert!(matches!(reader.identity(8).await, Err(StoreError::Unusable(_))));
    let identity = writer.identity(8).await;
    assert_eq!(reader.identity(3).await, identity);
}

#[tokio::test]
async fn a_writer_that_holds_the_file_is_waited_for_and_no_longer_than_allowed() {
    let bed = Sqlite::new();
    drop(bed.open().await);
    let options = SqliteOptions { busy_timeout: Duration::from_millis(50), ..Default::default() };
    let store = SqliteStore::open(bed.path(), options).await.expect("a store");
    let other = Connection::open(bed.path()).expect("the file");
    other.execute_batch("begin immediate").expect("a lock");
    let blocked = store.append(vec![append(project(1), 0, events(1..=1))]).await;
    assert!(matches!(blocked, Err(StoreError::Unreachable(_))), "{blocked:?}");
    // Who only reads is not in the way of anybody, nor is anybody in its.
    assert_eq!(load(&store, project(1)).await.version, 0);
    drop(SqliteStore::open(bed.path(), options).await.expect("opening needs no lock"));
    other.execute_batch("rollback").expect("no lock");
    assert_eq!(store.append(vec![append(project(1), 0, events(1..=1))]).await, Ok(()));
}

#[tokio::test]
async fn a_batch_is_few_rows_that_people_can_read() {
    let bed = Sqlite::new();
    let options = SqliteOptions { synchronous: Synchronous::Normal, ..Default::default() };
    let store = SqliteStore::open(bed.path(), options).await.expect("a store");
    let row = summary(project(1), Status::Completed, 1_763_800_000_120);
    let part = append(project(1), 0, events(1..=500));
    store.append(vec![Append { payloads: vec![result(0, 1, "7")], summary: Some(row), ..part }]).await.expect("append");
    let raw = Connection::open(bed.path()).expect("the file");
    let text = |sql: &str| raw.query_row(sql, [], |row| row.get::<_, String>(0)).expect("a row");
    assert_eq!(text("select count(*) || ' ' || first_version || ' ' || last_version from events"), "1 1 500");
    assert_eq!(text("select json_extract(events, '$[499].n') || '' from events"), "500");
    assert_eq!(
        text("select json_extract(counts, '$.completed') || ' ' || submitted_at from overview"),
        "2 2025-11-22T08:26:40.120Z"
    );
    assert_eq!(
        text("select stream || kind || ordinal || attempt || data from payloads"),
        format!("{}result017", project(1))
    );
    assert_eq!(text("pragma journal_mode"), "wal");
}

#[tokio::test]
async fn rows_that_do_not_fit_together_are_not_mended() {
    let bed = Sqlite::new();
    let store = bed.open().await;
    for (stream, damage) in [
        (project(1), "delete from events where stream = ?1 and first_version = 3"),
        (project(2), "update events set events = '[{}]' where stream = ?1 and first_version = 3"),
        (project(3), "update events set events = 'no' where stream = ?1 and first_version = 3"),
        (project(4), "update streams set version = 9 where name = ?1"),
    ] {
        for (expected, last) in [(0, 2), (2, 4), (4, 6)] {
            store.append(vec![append(stream, expected, events(expected + 1..=last))]).await.expect("append");
        }
        let raw = Connection::open(bed.path()).expect("the file");
        assert_eq!(raw.execute(damage, [stream.to_string()]), Ok(1));
        match store.load(&[stream]).await {
            Err(StoreError::Unusable(text)) => assert!(text.contains(&format!("`{stream}` is damaged")), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_appended_is_loaded() {
    cases::what_was_appended_is_loaded(&Sqlite::new()).await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_questions() {
    cases::answers_come_in_the_order_of_the_questions(&Sqlite::new()).await;
}

#[tokio::test]
async fn a_version_other_than_the_streams_is_a_conflict() {
    cases::a_version_other_than_the_streams_is_a_conflict(&Sqlite::new()).await;
}

#[tokio::test]
async fn a_conflict_leaves_nothing_behind() {
    cases::a_conflict_leaves_nothing_behind(&Sqlite::new()).await;
}

#[tokio::test]
async fn a_stale_assertion_stops_the_batch() {
    cases::a_stale_assertion_stops_the_batch(&Sqlite::new()).await;
}

#[tokio::test]
async fn large_batches_come_back_whole() {
    cases::large_batches_come_back_whole(&Sqlite::new()).await;
}

#[tokio::test]
async fn a_newer_snapshot_replaces_an_older_one_and_never_the_other_way() {
    cases::a_newer_snapshot_replaces_an_older_one_and_never_the_other_way(&Sqlite::new()).await;
}

#[tokio::test]
async fn a_load_is_the_snapshot_and_what_came_after_it() {
    cases::a_load_is_the_snapshot_and_what_came_after_it(&Sqlite::new()).await;
}

#[tokio::test]
async fn of_payloads_the_newest_attempt_is_read() {
    cases::of_payloads_the_newest_attempt_is_read(&Sqlite::new()).await;
}

#[tokio::test]
async fn text_comes_back_byte_by_byte() {
    cases::text_comes_back_byte_by_byte(&Sqlite::new()).await;
}

#[tokio::test]
async fn what_can_not_be_written_is_refused() {
    cases::what_can_not_be_written_is_refused(&Sqlite::new()).await;
}

#[tokio::test]
async fn opening_it_again_keeps_everything() {
    cases::opening_it_again_keeps_everything(&Sqlite::new()).await;
}

#[tokio::test]
async fn the_first_decides_on_the_partitions() {
    cases::the_first_decides_on_the_partitions(&Sqlite::new()).await;
}

#[tokio::test]
async fn newest_first_and_a_project_before_its_phases() {
    summaries::newest_first_and_a_project_before_its_phases(&Sqlite::new()).await;
}

#[tokio::test]
async fn the_limit_counts_projects() {
    summaries::the_limit_counts_projects(&Sqlite::new()).await;
}

#[tokio::test]
async fn the_status_is_the_projects_own() {
    summaries::the_status_is_the_projects_own(&Sqlite::new()).await;
}

#[tokio::test]
async fn open_are_the_streams_that_have_not_ended() {
    summaries::open_are_the_streams_that_have_not_ended(&Sqlite::new()).await;
}

#[tokio::test]
async fn one_project_can_be_asked_for() {
    summaries::one_project_can_be_asked_for(&Sqlite::new()).await;
}

#[tokio::test]
async fn a_row_is_replaced_by_the_next() {
    summaries::a_row_is_replaced_by_the_next(&Sqlite::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_creators_one_gets_a_conflict() {
    races::of_two_creators_one_gets_a_conflict(&Sqlite::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_and_double_nothing() {
    races::two_writers_lose_and_double_nothing(&Sqlite::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_orders_of_the_same_streams_are_no_deadlock() {
    races::two_orders_of_the_same_streams_are_no_deadlock(&Sqlite::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_slips_past_an_assertion() {
    races::nothing_slips_past_an_assertion(&Sqlite::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_new_store_at_once() {
    // Which step of one meets which of another is chance.
    for _ in 0..20 {
        races::many_open_a_new_store_at_once(&Sqlite::new()).await;
    }
}

#[tokio::test]
async fn a_page_is_the_stream_as_it_is_stored() {
    retention::a_page_is_the_stream_as_it_is_stored(&Sqlite::new()).await;
}

#[tokio::test]
async fn a_long_stream_is_read_in_pages() {
    retention::a_long_stream_is_read_in_pages(&Sqlite::new()).await;
}

#[tokio::test]
async fn keys_come_in_their_order_and_in_parts() {
    retention::keys_come_in_their_order_and_in_parts(&Sqlite::new()).await;
}

#[tokio::test]
async fn what_is_removed_is_gone_and_nothing_else() {
    retention::what_is_removed_is_gone_and_nothing_else(&Sqlite::new()).await;
}

#[tokio::test]
async fn an_open_project_goes_only_when_that_is_wanted() {
    retention::an_open_project_goes_only_when_that_is_wanted(&Sqlite::new()).await;
}

#[tokio::test]
async fn every_project_that_has_a_stream_is_listed_once() {
    retention::every_project_that_has_a_stream_is_listed_once(&Sqlite::new()).await;
}

#[tokio::test]
async fn an_append_to_what_was_removed_is_a_conflict() {
    retention::an_append_to_what_was_removed_is_a_conflict(&Sqlite::new()).await;
}

#[tokio::test]
async fn the_next_page_begins_behind_a_project() {
    summaries::the_next_page_begins_behind_a_project(&Sqlite::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_meanwhile_is_gone_or_there_as_a_whole() {
    races::what_is_removed_meanwhile_is_gone_or_there_as_a_whole(&Sqlite::new()).await;
}

#[tokio::test]
async fn a_large_phase_is_loaded_at_once() {
    takeover::a_large_phase_is_loaded_at_once(&Sqlite::new()).await;
}
