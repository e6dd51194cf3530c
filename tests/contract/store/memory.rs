//! The store in memory passes the contract.

use std::sync::Arc;

use async_trait::async_trait;
use trireme::runtime::port::Store;
use trireme::store::memory::MemoryStore;
use uuid::Uuid;

use super::{Bed, cases, races, retention, summaries};

struct Memory(Arc<MemoryStore>);

impl Memory {
    fn new() -> Self {
        Self(Arc::new(MemoryStore::new(Uuid::from_u128(1))))
    }
}

#[async_trait]
impl Bed for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

#[tokio::test]
async fn what_was_appended_is_loaded() {
    cases::what_was_appended_is_loaded(&Memory::new()).await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_questions() {
    cases::answers_come_in_the_order_of_the_questions(&Memory::new()).await;
}

#[tokio::test]
async fn a_version_other_than_the_streams_is_a_conflict() {
    cases::a_version_other_than_the_streams_is_a_conflict(&Memory::new()).await;
}

#[tokio::test]
async fn a_conflict_leaves_nothing_behind() {
    cases::a_conflict_leaves_nothing_behind(&Memory::new()).await;
}

#[tokio::test]
async fn a_stale_assertion_stops_the_batch() {
    cases::a_stale_assertion_stops_the_batch(&Memory::new()).await;
}

#[tokio::test]
async fn large_batches_come_back_whole() {
    cases::large_batches_come_back_whole(&Memory::new()).await;
}

#[tokio::test]
async fn a_newer_snapshot_replaces_an_older_one_and_never_the_other_way() {
    cases::a_newer_snapshot_replaces_an_older_one_and_never_the_other_way(&Memory::new()).await;
}

#[tokio::test]
async fn a_load_is_the_snapshot_and_what_came_after_it() {
    cases::a_load_is_the_snapshot_and_what_came_after_it(&Memory::new()).await;
}

#[tokio::test]
async fn of_payloads_the_newest_attempt_is_read() {
    cases::of_payloads_the_newest_attempt_is_read(&Memory::new()).await;
}

#[tokio::test]
async fn text_comes_back_byte_by_byte() {
    cases::text_comes_back_byte_by_byte(&Memory::new()).await;
}

#[tokio::test]
async fn what_can_not_be_written_is_refused() {
    cases::what_can_not_be_written_is_refused(&Memory::new()).await;
}

#[tokio::test]
async fn opening_it_again_keeps_everything() {
    cases::opening_it_again_keeps_everything(&Memory::new()).await;
}

#[tokio::test]
async fn the_first_decides_on_the_partitions() {
    cases::the_first_decides_on_the_partitions(&Memory::new()).await;
}

#[tokio::test]
async fn newest_first_and_a_project_before_its_phases() {
    summaries::newest_first_and_a_project_before_its_phases(&Memory::new()).await;
}

#[tokio::test]
async fn the_limit_counts_projects() {
    summaries::the_limit_counts_projects(&Memory::new()).await;
}

#[tokio::test]
async fn the_status_is_the_projects_own() {
    summaries::the_status_is_the_projects_own(&Memory::new()).await;
}

#[tokio::test]
async fn open_are_the_streams_that_have_not_ended() {
    summaries::open_are_the_streams_that_have_not_ended(&Memory::new()).await;
}

#[tokio::test]
async fn one_project_can_be_asked_for() {
    summaries::one_project_can_be_asked_for(&Memory::new()).await;
}

#[tokio::test]
async fn a_row_is_replaced_by_the_next() {
    summaries::a_row_is_replaced_by_the_next(&Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_creators_one_gets_a_conflict() {
    races::of_two_creators_one_gets_a_conflict(&Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_and_double_nothing() {
    races::two_writers_lose_and_double_nothing(&Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_orders_of_the_same_streams_are_no_deadlock() {
    races::two_orders_of_the_same_streams_are_no_deadlock(&Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_slips_past_an_assertion() {
    races::nothing_slips_past_an_assertion(&Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_new_store_at_once() {
    races::many_open_a_new_store_at_once(&Memory::new()).await;
}

#[tokio::test]
async fn a_page_is_the_stream_as_it_is_stored() {
    retention::a_page_is_the_stream_as_it_is_stored(&Memory::new()).await;
}

#[tokio::test]
async fn a_long_stream_is_read_in_pages() {
    retention::a_long_stream_is_read_in_pages(&Memory::new()).await;
}

#[tokio::test]
async fn keys_come_in_their_order_and_in_parts() {
    retention::keys_come_in_their_order_and_in_parts(&Memory::new()).await;
}

#[tokio::test]
async fn what_is_removed_is_gone_and_nothing_else() {
    retention::what_is_removed_is_gone_and_nothing_else(&Memory::new()).await;
}

#[tokio::test]
async fn an_open_project_goes_only_when_that_is_wanted() {
    retention::an_open_project_goes_only_when_that_is_wanted(&Memory::new()).await;
}

#[tokio::test]
async fn every_project_that_has_a_stream_is_listed_once() {
    retention::every_project_that_has_a_stream_is_listed_once(&Memory::new()).await;
}

#[tokio::test]
async fn an_append_to_what_was_removed_is_a_conflict() {
    retention::an_append_to_what_was_removed_is_a_conflict(&Memory::new()).await;
}

#[tokio::test]
async fn the_next_page_begins_behind_a_project() {
    summaries::the_next_page_begins_behind_a_project(&Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_meanwhile_is_gone_or_there_as_a_whole() {
    races::what_is_removed_meanwhile_is_gone_or_there_as_a_whole(&Memory::new()).await;
}
