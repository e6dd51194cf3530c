//! What becomes of a publish: accepted, returned, refused, unknown; many at a time.

use trireme::runtime::port::{Confirmed, Outgoing, Publisher};
use trireme::wire::address::{Address, Exchange, Queue};

use crate::transport::broker::*;

pub async fn what_nobody_is_bound_to_is_returned_if_mandatory(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let publisher = publisher(&transport).await;
    let nowhere = message(address(Exchange::Skills, "nobody"), 0);
    let optional = Outgoing { mandatory: false, ..nowhere.clone() };
    assert_eq!(publish(publisher.as_ref(), nowhere).await, Confirmed::Returned);
    assert_eq!(publish(publisher.as_ref(), optional).await, Confirmed::Accepted);
    assert_eq!(publish(publisher.as_ref(), command(1)).await, Confirmed::Accepted);
}

pub async fn returns_among_many_in_flight_find_their_own(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let publisher = publisher(&transport).await;
    // Mandatory or not, with a queue, with a quick queue, or with none.
    let kinds = |number: u32| match number % 7 {
        0 | 3 => (command(number), Confirmed::Accepted),
        1 | 2 => (message(address(Exchange::Skills, "nobody"), number), Confirmed::Returned),
        4 => (message(address(Exchange::Events, "nobody"), number), Confirmed::Returned),
        5 => (Outgoing { mandatory: false, ..message(address(Exchange::Agents, "x"), number) }, Confirmed::Accepted),
        _ => (message(address(Exchange::Reports, "project"), number), Confirmed::Accepted),
    };
    let mut waiting = Vec::new();
    for number in 0..1400 {
        let (message, expected) = kinds(number);
        waiting.push((number, expected, hand_over(publisher.as_ref(), message).await));
    }
    for (number, expected, confirmation) in waiting {
        assert_eq!(within("a confirm", confirmation).await, expected, "message {number}");
    }
    expect_ready(&transport, &skill("alpha"), 400).await;
}

pub async fn a_full_queue_refuses_until_it_is_emptied(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let publisher = publisher(&transport).await;
    let request = |number| message(Address::requests(), number);
    let mut accepted = 0;
    while publish(publisher.as_ref(), request(accepted)).await == Confirmed::Accepted {
        accepted += 1;
        assert!(accepted < 3 * REQUESTS_MAX, "a full queue refuses");
    }
    assert!(accepted >= REQUESTS_MAX, "refused when only {accepted} were there");
    assert_eq!(publish(publisher.as_ref(), command(0)).await, Confirmed::Accepted, "others are not concerned");

    // What is held does not count, and nine of ten waiting is still more than four fifths.
    let mut some = consume(&transport, &Queue::Requests, u16::try_from(accepted - 9).expect("few")).await;
    take(some.as_mut(), accepted as usize - 9).await;
    assert_eq!(publish(publisher.as_ref(), request(100)).await, Confirmed::Nacked);
    let mut consumer = consume(&transport, &Queue::Requests, 100).await;
    take(consumer.as_mut(), 9).await;
    until("the queue takes requests again", async || {
        publish(publisher.as_ref(), request(200)).await == Confirmed::Accepted
    })
    .await;
    assert_eq!(number(&take_one(consumer.as_mut()).await), 200, "what was refused is nowhere");
}

pub async fn order_is_the_order_of_publishing(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..2000).map(command)).await;
    let mut consumer = consume(&transport, &skill("alpha"), 2000).await;
    assert_eq!(numbers(&take(consumer.as_mut(), 2000).await), (0..2000).collect::<Vec<_>>());
}

/// The future need not be awaited, nor the publisher be kept.
pub async fn a_publish_is_on_its_way_at_once(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let publisher = publisher(&transport).await;
    for number in 0..100 {
        drop(hand_over(publisher.as_ref(), command(number)).await);
    }
    drop(publisher);
    let mut consumer = consume(&transport, &skill("alpha"), 100).await;
    assert_eq!(numbers(&take(consumer.as_mut(), 100).await), (0..100).collect::<Vec<_>>());
}

pub async fn several_publish_on_one_channel(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let publisher: std::sync::Arc<dyn Publisher> = publisher(&transport).await.into();
    let senders = (0..8).map(|sender| {
        let publisher = publisher.clone();
        tokio::spawn(async move {
            for number in 0..50 {
                let (key, expected) = match number % 2 {
                    0 => ("alpha", Confirmed::Accepted),
                    _ => ("nobody", Confirmed::Returned),
                };
                let sent = message(address(Exchange::Skills, key), sender * 100 + number);
                assert_eq!(publish(publisher.as_ref(), sent).await, expected);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        within("a sender", sender).await.expect("a sender's confirms are its own");
    }
    expect_ready(&transport, &skill("alpha"), 200).await;
}

pub async fn what_is_in_flight_when_the_connection_goes_is_not_promised(broker: &dyn Broker) {
    let (lost, kept) = (broker.connect().await, broker.connect().await.transport);
    let publisher = publisher(&lost.transport).await;
    assert_eq!(publish(publisher.as_ref(), command(0)).await, Confirmed::Accepted);
    let mut waiting = Vec::new();
    for number in 1..200 {
        waiting.push((number, hand_over(publisher.as_ref(), command(number)).await));
    }
    lost.cut.await;
    let mut promised = vec![0];
    for (number, confirmation) in waiting {
        match within("an answer", confirmation).await {
            Confirmed::Accepted => promised.push(number),
            answer => assert_eq!(answer, Confirmed::Unknown),
        }
    }
    // The old one says so, a new one works.
    match within("an answer", publisher.publish(command(0))).await {
        Err(_) => {}
        Ok(confirmation) => assert_eq!(within("an answer", confirmation).await, Confirmed::Unknown),
    }
    drop(publisher);
    fill(&lost.transport, [command(1000)]).await;
    // What was promised is there.
    let mut consumer = consume(&kept, &skill("alpha"), 1000).await;
    let mut there = Vec::new();
    while there.last() != Some(&1000) {
        there.push(number(&take_one(consumer.as_mut()).await));
    }
    assert!(promised.iter().all(|number| there.contains(number)), "{promised:?} but there are {there:?}");
}
