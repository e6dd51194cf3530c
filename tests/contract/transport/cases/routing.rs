//! Who gets a message: direct and topic bindings, several queues, the key in `CC`, queues of one's own.

use std::sync::Arc;

use trireme::runtime::port::{Confirmed, Consumer, Delivery, Outgoing, Properties, Transport};
use trireme::wire::address::{Address, Exchange, Queue};
use trireme::wire::{MessageId, ProjectId, Timestamp};
use uuid::Uuid;

use crate::transport::broker::*;

pub async fn a_direct_binding_takes_its_own_key_only(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let keys = ["alpha", "beta", "alpha"];
    let messages = keys.iter().zip(0..).map(|(key, number)| message(address(Exchange::Skills, key), number));
    fill(&transport, messages).await;

    let (mut alpha, mut beta) =
        (consume(&transport, &skill("alpha"), 9).await, consume(&transport, &skill("beta"), 9).await);
    let got = take(alpha.as_mut(), 2).await;
    assert_eq!(numbers(&got), [0, 2]);
    assert_eq!(got[0].exchange, Exchange::Skills.name(&broker.topology().namespace));
    assert_eq!((got[0].key.as_str(), got[0].redelivered, got[0].returns, &got[0].death), ("alpha", false, 0, &None));
    assert_eq!(numbers(&take(beta.as_mut(), 1).await), [1]);
}

pub async fn a_topic_binding_takes_words_by_star_and_hash(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let star = subscribe(&transport, "star", Exchange::Events, "executor.*.p1").await;
    let tail = subscribe(&transport, "tail", Exchange::Events, "executor.#").await;
    let head = subscribe(&transport, "head", Exchange::Events, "#.p1").await;
    let exact = subscribe(&transport, "exact", Exchange::Events, "manager.done.p1").await;

    let keys =
        ["executor.done.p1", "executor.p1", "executor.a.b.p1", "executor", "manager.done.p1", "executors.a.p1", "p1"];
    let messages = keys.iter().zip(0..).map(|(key, number)| message(address(Exchange::Events, key), number));
    fill(&transport, messages.chain([end(Exchange::Events)])).await;

    assert_eq!(numbers(&until_end(star).await), [0]);
    assert_eq!(numbers(&until_end(tail).await), [0, 1, 2, 3]);
    assert_eq!(numbers(&until_end(head).await), [0, 1, 2, 4, 5, 6]);
    assert_eq!(numbers(&until_end(exact).await), [4]);
}

pub async fn every_bound_queue_gets_its_copy_once(broker: &dyn Broker) {
    let (one, other) = (broker.connect().await.transport, broker.connect().await.transport);
    let first = subscribe(&one, "first", Exchange::Agents, "#").await;
    let second = subscribe(&other, "second", Exchange::Agents, "all").await;
    let layer = subscribe(&other, "layer", Exchange::Agents, "layer.*").await;
    let messages = [message(Address::everybody(), 0), message(address(Exchange::Agents, "layer.manager"), 1)];
    fill(&one, messages.into_iter().chain([end(Exchange::Agents)])).await;
    // `#` matches the end's own binding as well: one queue gets one copy, however many of its bindings match.
    assert_eq!(numbers(&until_end(first).await), [0, 1]);
    assert_eq!(numbers(&until_end(second).await), [0]);
    assert_eq!(numbers(&until_end(layer).await), [1]);
}

pub async fn the_key_in_cc_routes_too(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let both = Address { told: Some("p.1".into()), ..address(Exchange::Phases, "p.0") };
    let nobody_told = Address { told: Some("told.0".into()), ..address(Exchange::Phases, "p.0") };
    fill(&transport, [message(both, 0), message(nobody_told, 1)]).await;
    let mut zero = consume(&transport, &Queue::Coordination(0), 9).await;
    let mut one = consume(&transport, &Queue::Coordination(1), 9).await;
    let got = take(zero.as_mut(), 2).await;
    assert_eq!((numbers(&got), got[0].key.as_str()), (vec![0, 1], "p.0"));
    assert_eq!(numbers(&take(one.as_mut(), 1).await), [0]);
    expect_ready(&transport, &Queue::Coordination(1), 0).await;
    expect_ready(&transport, &Queue::Dead, 0).await;
}

pub async fn more_keys_route_too_and_nobody_sees_them(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let one = subscribe(&transport, "one", Exchange::Events, "*.p1").await;
    let two = subscribe(&transport, "two", Exchange::Events, "done.p2").await;
    let all = subscribe(&transport, "all", Exchange::Events, "#").await;
    let with = |keys: &[&str], number| {
        let mut message = message(address(Exchange::Events, "done.p0"), number);
        message.properties.also = keys.iter().map(|&key| key.to_owned()).collect();
        message
    };
    let messages = [with(&[], 0), with(&["done.p1"], 1), with(&["done.p1", "done.p2", "gone.p1"], 2)];
    fill(&transport, messages.into_iter().chain([end(Exchange::Events)])).await;
    let all = until_end(all).await;
    assert_eq!(numbers(&all), [0, 1, 2], "one copy each");
    assert!(all.iter().all(|delivery| delivery.key == "done.p0" && delivery.properties.also.is_empty()));
    assert_eq!(numbers(&until_end(one).await), [1, 2]);
    assert_eq!(numbers(&until_end(two).await), [2]);
}

pub async fn a_subscription_goes_with_its_consumer(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let publisher = publisher(&transport).await;
    let letter = |number| message(address(Exchange::Events, "a"), number);
    for round in 0..3 {
        let mut consumer = subscribe(&transport, "passing", Exchange::Events, "#").await;
        assert_eq!(publish(publisher.as_ref(), letter(round)).await, Confirmed::Accepted);
        assert_eq!(number(&take_one(consumer.as_mut()).await), round, "nothing is left of an earlier round");
        assert_eq!(publish(publisher.as_ref(), letter(99)).await, Confirmed::Accepted);
        drop(consumer);
        let returned = async || publish(publisher.as_ref(), letter(99)).await == Confirmed::Returned;
        until("the queue is gone", returned).await;
    }
}

pub async fn a_subscription_takes_more_than_any_prefetch_without_acks(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let mut consumer = subscribe(&transport, "many", Exchange::Events, "#").await;
    fill(&transport, (0..3000).map(|number| message(address(Exchange::Events, "a"), number))).await;
    assert_eq!(numbers(&take(consumer.as_mut(), 3000).await), (0..3000).collect::<Vec<_>>());
}

pub async fn properties_survive(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let full = Properties {
        message_id: Some(MessageId(Uuid::from_u128(7))),
        project: Some(ProjectId(Uuid::from_u128(8))),
        kind: Some("ExecuteSubtask".into()),
        sender: Some("coordinator-1".into()),
        reply_to: Some("p.1".into()),
        attempt: Some(u32::MAX),
        again: true,
        passed_on: true,
        reason: Some("mögliche Gründe: \u{1F6A3}\n".into()),
        origin: Some("suite.skills".into()),
        set_aside_at: Some(Timestamp(-1)),
        persistent: true,
        ..Properties::default()
    };
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut with_all = command(0);
    (with_all.properties, with_all.body) = (full.clone(), body.clone().into());
    let mut with_none = command(1);
    (with_none.properties, with_none.body) = (Properties::default(), Vec::new().into());
    fill(&transport, [with_all, with_none]).await;

    let mut consumer = consume(&transport, &skill("alpha"), 9).await;
    let got = take(consumer.as_mut(), 2).await;
    assert_eq!(got[0].properties, full);
    assert!(got[0].body == body, "a body of several frames is the same");
    assert_eq!((&got[1].properties, got[1].body.len()), (&Properties::default(), 0));
}

/// Closes a list for whoever subscribed with [`subscribe`].
fn end(exchange: Exchange) -> Outgoing {
    message(address(exchange, "the.end"), u32::MAX)
}

async fn subscribe(transport: &Arc<dyn Transport>, word: &str, exchange: Exchange, pattern: &str) -> Box<dyn Consumer> {
    let queue = Queue::Watcher(word.into());
    let bindings = [(exchange, pattern.to_owned()), (exchange, "the.end".to_owned())];
    within("subscribing", transport.subscribe(&queue, &bindings)).await.expect("a subscription")
}

/// What comes before the end.
async fn until_end(mut consumer: Box<dyn Consumer>) -> Vec<Delivery> {
    let mut all = Vec::new();
    loop {
        let delivery = take_one(consumer.as_mut()).await;
        if number(&delivery) == u32::MAX {
            return all;
        }
        all.push(delivery);
    }
}
