//! The cases in memory: a broker of its own for every case.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use trireme::runtime::port::{Topology, Transport};
use trireme::transport::memory::MemoryBroker;
use trireme::wire::address::Namespace;

use super::broker::{Broker, Connected, suite_topology};
use super::cases::{acking, browsing, dying, publishing, routing, topology};

struct Memory {
    broker: MemoryBroker,
    topology: Topology,
    connections: AtomicU32,
}

#[async_trait]
impl Broker for Memory {
    fn topology(&self) -> &Topology {
        &self.topology
    }

    async fn connect(&self) -> Connected {
        let agent = format!("agent-{}", self.connections.fetch_add(1, Ordering::Relaxed));
        let transport = Arc::new(self.broker.connect(&agent));
        let broker = self.broker.clone();
        Connected { transport, cut: Box::pin(async move { broker.disconnect(&agent) }) }
    }
}

async fn run(case: impl AsyncFn(&dyn Broker)) {
    let namespace = Namespace::new("suite").expect("a word");
    let (broker, topology) = (MemoryBroker::new(namespace.clone()), suite_topology(&namespace));
    broker.connect("operator").declare(&topology).await.expect("declared");
    case(&Memory { broker, topology, connections: AtomicU32::new(0) }).await;
}

#[tokio::test]
async fn a_direct_binding_takes_its_own_key_only() {
    run(routing::a_direct_binding_takes_its_own_key_only).await;
}

#[tokio::test]
async fn a_topic_binding_takes_words_by_star_and_hash() {
    run(routing::a_topic_binding_takes_words_by_star_and_hash).await;
}

#[tokio::test]
async fn every_bound_queue_gets_its_copy_once() {
    run(routing::every_bound_queue_gets_its_copy_once).await;
}

#[tokio::test]
async fn the_key_in_cc_routes_too() {
    run(routing::the_key_in_cc_routes_too).await;
}

#[tokio::test]
async fn more_keys_route_too_and_nobody_sees_them() {
    run(routing::more_keys_route_too_and_nobody_sees_them).await;
}

#[tokio::test]
async fn a_subscription_goes_with_its_consumer() {
    run(routing::a_subscription_goes_with_its_consumer).await;
}

#[tokio::test]
async fn a_subscription_takes_more_than_any_prefetch_without_acks() {
    run(routing::a_subscription_takes_more_than_any_prefetch_without_acks).await;
}

#[tokio::test]
async fn properties_survive() {
    run(routing::properties_survive).await;
}

#[tokio::test]
async fn prefetch_bounds_what_is_held() {
    run(acking::prefetch_bounds_what_is_held).await;
}

#[tokio::test]
async fn next_gives_what_is_ready_and_no_more_than_asked() {
    run(acking::next_gives_what_is_ready_and_no_more_than_asked).await;
}

#[tokio::test]
async fn an_ack_is_for_one_and_multiple_for_all_before() {
    run(acking::an_ack_is_for_one_and_multiple_for_all_before).await;
}

#[tokio::test]
async fn a_closed_channel_gives_back_what_it_held() {
    run(acking::a_closed_channel_gives_back_what_it_held).await;
}

#[tokio::test]
async fn a_channel_says_whether_it_still_holds_what_came() {
    run(acking::a_channel_says_whether_it_still_holds_what_came).await;
}

#[tokio::test]
async fn a_lost_connection_gives_back_what_it_held() {
    run(acking::a_lost_connection_gives_back_what_it_held).await;
}

#[tokio::test]
async fn an_ack_after_the_channel_is_gone_has_no_effect() {
    run(acking::an_ack_after_the_channel_is_gone_has_no_effect).await;
}

#[tokio::test]
async fn channels_have_tags_of_their_own() {
    run(acking::channels_have_tags_of_their_own).await;
}

#[tokio::test]
async fn after_stop_what_is_held_can_still_be_acked() {
    run(acking::after_stop_what_is_held_can_still_be_acked).await;
}

#[tokio::test]
async fn a_single_active_consumer_hands_over() {
    run(acking::a_single_active_consumer_hands_over).await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_ends_its_consumer() {
    run(acking::a_queue_that_is_deleted_ends_its_consumer).await;
}

#[tokio::test]
async fn a_look_takes_what_is_there_and_says_when_none_is_left() {
    run(browsing::a_look_takes_what_is_there_and_says_when_none_is_left).await;
}

#[tokio::test]
async fn what_was_looked_at_is_back_unless_it_was_acked() {
    run(browsing::what_was_looked_at_is_back_unless_it_was_acked).await;
}

#[tokio::test]
async fn a_look_ends_when_others_have_taken_the_rest() {
    run(browsing::a_look_ends_when_others_have_taken_the_rest).await;
}

#[tokio::test]
async fn what_is_not_there_can_not_be_looked_through() {
    run(browsing::what_is_not_there_can_not_be_looked_through).await;
}

#[tokio::test]
async fn a_letter_tells_how_it_once_came_in() {
    run(browsing::a_letter_tells_how_it_once_came_in).await;
}

#[tokio::test]
async fn a_rejected_message_is_a_dead_letter_with_its_keys() {
    run(dying::a_rejected_message_is_a_dead_letter_with_its_keys).await;
}

#[tokio::test]
async fn a_delivery_limit_allows_one_delivery_more() {
    run(dying::a_delivery_limit_allows_one_delivery_more).await;
}

#[tokio::test]
async fn a_message_dies_of_age_at_the_head() {
    run(dying::a_message_dies_of_age_at_the_head).await;
}

#[tokio::test]
async fn what_is_held_does_not_die_of_age() {
    run(dying::what_is_held_does_not_die_of_age).await;
}

#[tokio::test]
async fn the_newest_death_is_told() {
    run(dying::the_newest_death_is_told).await;
}

#[tokio::test]
async fn what_nobody_is_bound_to_is_returned_if_mandatory() {
    run(publishing::what_nobody_is_bound_to_is_returned_if_mandatory).await;
}

#[tokio::test]
async fn returns_among_many_in_flight_find_their_own() {
    run(publishing::returns_among_many_in_flight_find_their_own).await;
}

#[tokio::test]
async fn a_full_queue_refuses_until_it_is_emptied() {
    run(publishing::a_full_queue_refuses_until_it_is_emptied).await;
}

#[tokio::test]
async fn order_is_the_order_of_publishing() {
    run(publishing::order_is_the_order_of_publishing).await;
}

#[tokio::test]
async fn a_publish_is_on_its_way_at_once() {
    run(publishing::a_publish_is_on_its_way_at_once).await;
}

#[tokio::test]
async fn several_publish_on_one_channel() {
    run(publishing::several_publish_on_one_channel).await;
}

#[tokio::test]
async fn what_is_in_flight_when_the_connection_goes_is_not_promised() {
    run(publishing::what_is_in_flight_when_the_connection_goes_is_not_promised).await;
}

#[tokio::test]
async fn declaring_again_changes_nothing() {
    run(topology::declaring_again_changes_nothing).await;
}

#[tokio::test]
async fn a_queue_of_another_shape_is_named() {
    run(topology::a_queue_of_another_shape_is_named).await;
}

#[tokio::test]
async fn what_is_not_there_can_not_be_consumed() {
    run(topology::what_is_not_there_can_not_be_consumed).await;
}

#[tokio::test]
async fn depth_counts_what_waits() {
    run(topology::depth_counts_what_waits).await;
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_can_be_made_again() {
    run(topology::what_is_deleted_is_gone_and_can_be_made_again).await;
}
