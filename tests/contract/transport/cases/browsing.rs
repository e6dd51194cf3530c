//! Looking through a queue that nobody consumes.

use std::sync::Arc;

use trireme::runtime::port::{Browser, Delivery, Origin, Transport, TransportError};
use trireme::wire::address::{Address, Exchange, Queue, Tier};

use crate::transport::broker::*;

async fn next(browser: &mut dyn Browser) -> Option<Delivery> {
    within("a look", browser.next()).await.expect("the channel is open")
}

async fn browse(transport: &Arc<dyn Transport>, queue: &Queue) -> Box<dyn Browser> {
    within("a browser", transport.browse(queue)).await.expect("a browser")
}

pub async fn a_look_takes_what_is_there_and_says_when_none_is_left(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    assert!(next(browse(&transport, &skill("alpha")).await.as_mut()).await.is_none());
    fill(&transport, (0..1_000).map(command)).await;
    let mut browser = browse(&transport, &skill("alpha")).await;
    for expected in 0..1_000 {
        let delivery = next(browser.as_mut()).await.expect("a message");
        assert_eq!((number(&delivery), browser.left(), delivery.redelivered), (expected, 999 - expected, false));
        if expected == 0 {
            // What comes meanwhile is for the next look.
            fill(&transport, [command(1_000)]).await;
        }
    }
    assert!(next(browser.as_mut()).await.is_none());
    drop(browser);
    expect_ready(&transport, &skill("alpha"), 1_001).await;
}

pub async fn what_was_looked_at_is_back_unless_it_was_acked(broker: &dyn Broker) {
    let (lost, kept) = (broker.connect().await, broker.connect().await.transport);
    fill(&kept, (0..600).map(command)).await;
    let mut browser = browse(&lost.transport, &skill("alpha")).await;
    let mut tags = Vec::new();
    while let Some(delivery) = next(browser.as_mut()).await {
        tags.push(delivery.tag);
    }
    // All but four, in any order, each for itself, and one of them twice.
    for tag in tags[2..598].iter().rev().chain(&tags[100..101]) {
        within("an ack", browser.ack(*tag)).await.expect("acked");
    }
    drop(browser);
    expect_ready(&kept, &skill("alpha"), 4).await;
    // The same when its process dies.
    let mut browser = browse(&lost.transport, &skill("alpha")).await;
    let first = next(browser.as_mut()).await.expect("a message");
    assert_eq!(first.returns, 1);
    lost.cut.await;
    assert!(matches!(within("the end", browser.next()).await, Err(TransportError::Closed(_))));
    assert!(matches!(within("a late ack", browser.ack(first.tag)).await, Err(TransportError::Closed(_))));
    let mut consumer = consume(&kept, &skill("alpha"), 9).await;
    assert_eq!(sorted(&take(consumer.as_mut(), 4).await), [0, 1, 598, 599]);
}

/// Somebody else takes what was there when it was first asked: it notices, and ends.
pub async fn a_look_ends_when_others_have_taken_the_rest(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..300).map(command)).await;
    let mut browser = browse(&transport, &skill("alpha")).await;
    next(browser.as_mut()).await.expect("a message");
    let mut other = consume(&transport, &skill("alpha"), 299).await;
    take(other.as_mut(), 299).await;
    assert_eq!(browser.left(), 299);
    assert!(next(browser.as_mut()).await.is_none());
    assert_eq!(browser.left(), 0);
}

pub async fn what_is_not_there_can_not_be_looked_through(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let answer = within("a browser", transport.browse(&skill("nobody"))).await.map(drop);
    assert!(matches!(answer, Err(TransportError::Missing(_))), "{answer:?}");
}

/// However often it died on its way, and where it came through as a letter.
pub async fn a_letter_tells_how_it_once_came_in(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let name = |exchange: Exchange| exchange.name(&broker.topology().namespace);
    let queue = |queue: Queue| queue.name(&broker.topology().namespace);
    let alarm = message(Address::phase_alarm(Tier::Ms250, 0), 0);
    fill(&transport, [alarm, message(Address::skill("alpha", 1), 1)]).await;
    for owner in [Queue::Coordination(0), skill("alpha")] {
        let mut consumer = consume(&transport, &owner, 1).await;
        let delivery = take_one(consumer.as_mut()).await;
        within("a reject", consumer.acker().reject(delivery.tag)).await.expect("rejected");
    }
    expect_ready(&transport, &Queue::Dead, 2).await;
    let mut browser = browse(&transport, &Queue::Dead).await;
    let mut origins = Vec::new();
    while let Some(letter) = next(browser.as_mut()).await {
        let origin = letter.origin.clone().expect("a dead letter");
        origins.push((number(&letter), Origin { died_at: None, ..origin }));
    }
    origins.sort_by_key(|(number, _)| *number);
    let origin = |exchange, key: &str, died_in| Origin {
        exchange: name(exchange),
        key: key.into(),
        queue: queue(died_in),
        died_at: None,
    };
    let alarm = origin(Exchange::Later, "250ms.p.0", Queue::Later(Tier::Ms250));
    assert_eq!(origins, [(0, alarm), (1, origin(Exchange::Skills, "alpha", skill("alpha")))]);
    // What never died has none.
    fill(&transport, [command(2)]).await;
    let mut consumer = consume(&transport, &skill("alpha"), 1).await;
    assert_eq!(take_one(consumer.as_mut()).await.origin, None);
}
