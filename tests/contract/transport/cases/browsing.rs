//! Looking through a queue that nobody consumes.

use trireme::runtime::port::{Browser, Delivery, Origin, TransportError};
use trireme::wire::address::{Address, Exchange, Queue, Tier};

use crate::transport::broker::*;

async fn next(browser: &mut dyn Browser) -> Option<(Delivery, u32)> {
    within("a look", browser.next()).await.expect("the channel is open")
}

pub async fn a_look_takes_one_after_the_other_and_says_when_none_is_left(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let mut browser = within("a browser", transport.browse(&skill("alpha"))).await.expect("a browser");
    assert!(next(browser.as_mut()).await.is_none());
    fill(&transport, (0..300).map(command)).await;
    for expected in 0..300 {
        let (delivery, left) = next(browser.as_mut()).await.expect("a message");
        assert_eq!((number(&delivery), left, delivery.redelivered), (expected, 299 - expected, false));
    }
    assert!(next(browser.as_mut()).await.is_none());
    // It is asked when it wants one, and is no consumer that the queue would hand anything.
    fill(&transport, [command(300)]).await;
    let mut consumer = consume(&transport, &skill("alpha"), 9).await;
    assert_eq!(number(&take_one(consumer.as_mut()).await), 300);
}

pub async fn what_was_looked_at_is_back_unless_it_was_acked(broker: &dyn Broker) {
    let (lost, kept) = (broker.connect().await, broker.connect().await.transport);
    fill(&kept, (0..4).map(command)).await;
    let mut browser = within("a browser", lost.transport.browse(&skill("alpha"))).await.expect("a browser");
    let mut tags = Vec::new();
    while let Some((delivery, _)) = next(browser.as_mut()).await {
        tags.push(delivery.tag);
    }
    let acker = browser.acker();
    within("an ack", acker.ack(tags[1], false)).await.expect("acked");
    drop(browser);
    let late = within("a late ack", acker.ack(tags[0], false)).await;
    assert!(matches!(late, Err(TransportError::Closed(_))), "{late:?}");
    expect_ready(&kept, &skill("alpha"), 3).await;
    // The same when its process dies.
    let mut browser = within("a browser", lost.transport.browse(&skill("alpha"))).await.expect("a browser");
    assert!(next(browser.as_mut()).await.is_some_and(|(delivery, _)| delivery.returns == 1));
    lost.cut.await;
    assert!(matches!(within("the end", browser.next()).await, Err(TransportError::Closed(_))));
    let mut consumer = consume(&kept, &skill("alpha"), 9).await;
    assert_eq!(sorted(&take(consumer.as_mut(), 3).await), [0, 2, 3]);
}

pub async fn what_is_not_there_can_not_be_looked_through(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let answer = within("a browser", transport.browse(&skill("nobody"))).await.map(drop);
    assert!(matches!(answer, Err(TransportError::Mismatch(_))), "{answer:?}");
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
    let mut browser = within("a browser", transport.browse(&Queue::Dead)).await.expect("a browser");
    let mut origins = Vec::new();
    while let Some((letter, _)) = next(browser.as_mut()).await {
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
