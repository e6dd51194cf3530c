//! What a consumer holds, what acks do, and what comes back.

use futures_util::future::FutureExt;
use trireme::runtime::port::TransportError;
use trireme::wire::address::{Exchange, Queue};

use crate::transport::broker::*;

pub async fn prefetch_bounds_what_is_held(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..10).map(command)).await;
    let mut three = consume(&transport, &skill("alpha"), 3).await;
    let held = take(three.as_mut(), 3).await;
    // Were there no bound, all ten would be on their way to the first, and these would not come.
    let mut rest = consume(&transport, &skill("alpha"), 100).await;
    assert_eq!(numbers(&take(rest.as_mut(), 7).await), [3, 4, 5, 6, 7, 8, 9]);
    // An ack makes room for one more.
    fill(&transport, (10..11).map(command)).await;
    take(rest.as_mut(), 1).await;
    drop(rest);
    within("an ack", three.acker().ack(held[0].tag, false)).await.expect("acked");
    take(three.as_mut(), 1).await;
}

pub async fn next_gives_what_is_ready_and_no_more_than_asked(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let mut consumer = consume(&transport, &skill("alpha"), 100).await;
    assert!(consumer.next(10).now_or_never().is_none(), "nothing is there yet: it waits");
    // The one that waited was dropped, and loses nothing.
    fill(&transport, (0..5).map(command)).await;
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let some = within("a delivery", consumer.next(2)).await.expect("open");
        assert!((1..=2).contains(&some.len()), "{}", some.len());
        seen.extend(numbers(&some));
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

pub async fn an_ack_is_for_one_and_multiple_for_all_before(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..10).map(command)).await;
    let mut consumer = consume(&transport, &skill("alpha"), 10).await;
    let held = take(consumer.as_mut(), 10).await;
    let acker = consumer.acker();
    within("a single ack", acker.ack(held[7].tag, false)).await.expect("acked");
    within("a multiple ack", acker.ack(held[3].tag, true)).await.expect("acked");
    // Said twice, or about what a multiple one took along: nothing happens, and the channel lives.
    within("a second ack", acker.ack(held[3].tag, true)).await.expect("nothing to do");
    within("a late ack", acker.ack(held[1].tag, false)).await.expect("nothing to do");
    drop(consumer);
    let mut again = consume(&transport, &skill("alpha"), 10).await;
    let back = take(again.as_mut(), 5).await;
    assert_eq!(sorted(&back), [4, 5, 6, 8, 9]);
    within("all of them", again.acker().ack(back[4].tag, true)).await.expect("acked");
    drop(again);
    fill(&transport, [command(99)]).await;
    assert_eq!(number(&take_one(consume(&transport, &skill("alpha"), 10).await.as_mut()).await), 99);
}

pub async fn a_closed_channel_gives_back_what_it_held(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..3).map(command)).await;
    let mut first = consume(&transport, &skill("alpha"), 2).await;
    assert!(take(first.as_mut(), 2).await.iter().all(|delivery| !delivery.redelivered && delivery.returns == 0));
    drop(first);
    let mut second = consume(&transport, &skill("alpha"), 10).await;
    let back = take(second.as_mut(), 3).await;
    assert_eq!(sorted(&back), [0, 1, 2]);
    for delivery in back {
        let held_before = number(&delivery) < 2;
        assert_eq!((delivery.redelivered, delivery.returns), (held_before, u32::from(held_before)));
    }
}

pub async fn a_channel_says_whether_it_still_holds_what_came(broker: &dyn Broker) {
    let connected = broker.connect().await;
    fill(&connected.transport, (0..3).map(command)).await;
    let mut consumer = consume(&connected.transport, &skill("alpha"), 2).await;
    let held = take(consumer.as_mut(), 2).await;
    let acker = consumer.acker();
    within("an answer", acker.still_holds()).await.expect("it does");
    // It was a question: what may be on its way is as before.
    within("an ack", acker.ack(held[1].tag, true)).await.expect("acked");
    take(consumer.as_mut(), 1).await;
    connected.cut.await;
    within("an answer", acker.still_holds()).await.expect_err("the connection is gone");
}

pub async fn a_lost_connection_gives_back_what_it_held(broker: &dyn Broker) {
    let (lost, kept) = (broker.connect().await, broker.connect().await.transport);
    fill(&kept, (0..4).map(command)).await;
    let mut first = consume(&lost.transport, &skill("alpha"), 4).await;
    let held = take(first.as_mut(), 4).await;
    let acker = first.acker();
    within("an ack", acker.ack(held[0].tag, false)).await.expect("acked");
    lost.cut.await;
    assert!(matches!(within("the end", first.next(1)).await, Err(TransportError::Closed(_))));
    assert!(matches!(within("the end", first.next(1)).await, Err(TransportError::Closed(_))), "for good");
    let mut second = consume(&kept, &skill("alpha"), 10).await;
    let back = take(second.as_mut(), 3).await;
    assert_eq!(sorted(&back), [1, 2, 3]);
    assert!(back.iter().all(|delivery| delivery.redelivered && delivery.returns == 1));
    // Whoever comes again after the loss gets a new channel.
    assert!(within("a new consumer", lost.transport.consume(&skill("beta"), 1)).await.is_ok());
}

pub async fn an_ack_after_the_channel_is_gone_has_no_effect(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..2).map(command)).await;
    let mut gone = consume(&transport, &skill("alpha"), 2).await;
    let tag = take(gone.as_mut(), 2).await[1].tag;
    let acker = gone.acker();
    drop(gone);
    let mut next = consume(&transport, &skill("alpha"), 2).await;
    assert_eq!(sorted(&take(next.as_mut(), 2).await), [0, 1]);
    // The new channel has deliveries of the same tags: they must not be meant.
    assert!(matches!(within("a late ack", acker.ack(tag, true)).await, Err(TransportError::Closed(_))));
    assert!(matches!(within("a late reject", acker.reject(tag)).await, Err(TransportError::Closed(_))));
    drop(next);
    let mut last = consume(&transport, &skill("alpha"), 2).await;
    assert_eq!(sorted(&take(last.as_mut(), 2).await), [0, 1]);
    expect_ready(&transport, &Queue::Dead, 0).await;
}

pub async fn channels_have_tags_of_their_own(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..2).map(command)).await;
    let mut one = consume(&transport, &skill("alpha"), 1).await;
    let first = take_one(one.as_mut()).await;
    let mut other = consume(&transport, &skill("alpha"), 1).await;
    let second = take_one(other.as_mut()).await;
    within("an ack", one.acker().ack(first.tag, true)).await.expect("acked");
    drop(other);
    let back = take_one(one.as_mut()).await;
    assert_eq!((number(&back), back.redelivered), (number(&second), true));
}

pub async fn after_stop_what_is_held_can_still_be_acked(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..5).map(command)).await;
    let mut stopping = consume(&transport, &skill("alpha"), 5).await;
    let mut held = take(stopping.as_mut(), 2).await;
    expect_ready(&transport, &skill("alpha"), 0).await;
    within("stopping", stopping.stop()).await.expect("stopped");
    fill(&transport, (5..7).map(command)).await;
    // Those that came already, then the end.
    held.extend(take(stopping.as_mut(), 3).await);
    assert_eq!(numbers(&held), [0, 1, 2, 3, 4]);
    assert!(matches!(within("the end", stopping.next(1)).await, Err(TransportError::Closed(_))));
    within("an ack", stopping.acker().ack(held[3].tag, true)).await.expect("acked");
    drop(stopping);
    let mut other = consume(&transport, &skill("alpha"), 5).await;
    assert_eq!(sorted(&take(other.as_mut(), 3).await), [4, 5, 6]);
}

pub async fn a_single_active_consumer_hands_over(broker: &dyn Broker) {
    let (lost, kept) = (broker.connect().await, broker.connect().await.transport);
    let queue = Queue::Coordination(0);
    let letter = |number| message(address(Exchange::Phases, "p.0"), number);
    let mut active = consume(&lost.transport, &queue, 2).await;
    let mut second = consume(&kept, &queue, 100).await;
    let mut third = consume(&kept, &queue, 100).await;
    fill(&kept, (0..5).map(letter)).await;
    // Were another one served, some of these would not come.
    for expected in [[0, 1], [2, 3]] {
        let pair = take(active.as_mut(), 2).await;
        assert_eq!(numbers(&pair), expected);
        within("an ack", active.acker().ack(pair[1].tag, true)).await.expect("acked");
    }
    assert_eq!(numbers(&take(active.as_mut(), 1).await), [4]);
    fill(&kept, (5..8).map(letter)).await;
    assert_eq!(numbers(&take(active.as_mut(), 1).await), [5]);
    // Its death hands over to the next in line: what it held, and what waited.
    lost.cut.await;
    let taken_over = take(second.as_mut(), 4).await;
    assert_eq!(sorted(&taken_over), [4, 5, 6, 7]);
    assert!(taken_over.iter().all(|delivery| delivery.redelivered == (number(delivery) < 6)));
    drop(second);
    assert_eq!(sorted(&take(third.as_mut(), 4).await), [4, 5, 6, 7]);
}

pub async fn a_queue_that_is_deleted_ends_its_consumer(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let mut consumer = consume(&transport, &skill("beta"), 1).await;
    within("deleting", transport.delete(broker.topology())).await.expect("deleted");
    assert!(matches!(within("the end", consumer.next(1)).await, Err(TransportError::Missing(_))));
}
