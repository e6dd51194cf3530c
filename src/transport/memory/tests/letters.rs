//! Letters that wait, expire, are given up, and go to the dead.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_alarm_reaches_its_owner_though_nobody_polls() -> Done {
    let (broker, operator) = broker(ReturnOrder::Head).await;
    publish(&operator, Address::phase_alarm(Tier::S1, 1), &["slow"]).await;
    publish(&operator, Address::project_alarm(Tier::Ms250), &["quick"]).await;
    tokio::time::sleep(Duration::from_millis(249)).await;
    assert!(places(&broker).iter().all(|(_, place)| matches!(place, Place::Waiting { .. })));
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(places(&broker)[0], (Queue::Management, Place::Ready));
    tokio::time::sleep(Duration::from_millis(750)).await;
    assert_eq!(places(&broker)[1], (Queue::Coordination(1), Place::Ready));

    let mut owner = operator.consume(&Queue::Coordination(1), 1).await?;
    let alarm = &take(&mut *owner, 1).await[0];
    let death = alarm.death.as_ref().expect("it died of age");
    assert_eq!((death.queue.as_str(), death.reason.as_str()), ("n.later.1s", "expired"));
    assert_eq!((alarm.exchange.as_str(), alarm.key.as_str()), ("n.alarms", "1s.p.1"));
    assert!(!alarm.redelivered);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_message_expires_at_the_head_only() -> Done {
    let broker = MemoryBroker::with_return_order(namespace(), ReturnOrder::Tail);
    let transport = broker.connect("a");
    let spec = QueueSpec { ttl: Some(Duration::from_millis(1_000)), ..plain(skill("x")) };
    transport.declare(&piece(Exchange::Skills, "x", spec)).await?;
    let consumer = transport.consume(&skill("x"), 1).await?;
    publish(&transport, Address::skill("x", 0), &["old"]).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    publish(&transport, Address::skill("x", 0), &["new"]).await;
    drop(consumer);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(places(&broker).len(), 2, "the old one is behind the new one");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(places(&broker).is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_poison_is_told_to_its_owner_and_kept() -> Done {
    let (broker, operator) = broker(ReturnOrder::Head).await;
    publish(&operator, Address::skill("draw", 1), &["poison"]).await;
    for returns in 0..2 {
        let mut victim = operator.consume(&skill("draw"), 9).await?;
        let delivery = &take(&mut *victim, 9).await[0];
        assert_eq!((delivery.returns, delivery.redelivered), (returns, returns > 0));
    }
    assert_eq!(places(&broker), [(Queue::Dead, Place::Ready), (Queue::Coordination(1), Place::Ready)]);
    let letter = &broker.inspect().messages[1];
    let death = letter.death.as_ref().expect("it died");
    assert_eq!((death.queue.as_str(), death.reason.as_str()), ("n.skill.draw", "delivery_limit"));
    assert_eq!((letter.exchange, letter.content.key.as_str(), letter.returns), (Exchange::Dead, "draw", 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_nobody_takes_waits_for_a_binding() -> Done {
    let broker = MemoryBroker::new(namespace());
    let transport = broker.connect("a");
    let spec = QueueSpec { dead_letters: Some(Exchange::Dead), ..plain(skill("x")) };
    transport.declare(&piece(Exchange::Skills, "x", spec)).await?;
    let mut consumer = transport.consume(&skill("x"), 9).await?;
    publish(&transport, Address::skill("x", 0), &["a", "b"]).await;
    for delivery in take(&mut *consumer, 9).await {
        consumer.acker().reject(delivery.tag).await?;
    }
    assert_eq!(places(&broker), [(skill("x"), Place::Undeliverable), (skill("x"), Place::Undeliverable)]);
    assert_eq!(
        transport.depth(&skill("x")).await.map(|depth| depth.map_or(0, |depth| depth.ready))?,
        0,
        "it looks empty"
    );

    transport.declare(&piece(Exchange::Dead, "told.0", plain(Queue::Dead))).await?;
    let mut letters = transport.consume(&Queue::Dead, 9).await?;
    let letters = take(&mut *letters, 9).await;
    assert_eq!(letters.iter().map(text).collect::<String>(), "ab");
    assert!(letters.iter().all(|letter| letter.death.as_ref().is_some_and(|death| death.reason == "rejected")));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn letters_for_a_full_queue_fill_their_own_until_there_is_room() -> Done {
    let broker = MemoryBroker::new(namespace());
    let transport = broker.connect("a");
    let dead = QueueSpec { max_length: Some(1), ..plain(Queue::Dead) };
    transport.declare(&piece(Exchange::Dead, "x", dead)).await?;
    let spec = QueueSpec { dead_letters: Some(Exchange::Dead), max_length: Some(2), ..plain(skill("x")) };
    transport.declare(&piece(Exchange::Skills, "x", spec)).await?;
    let mut consumer = transport.consume(&skill("x"), 9).await?;
    for _ in 0..5 {
        assert_eq!(publish(&transport, Address::skill("x", 0), &["poison"]).await, [Confirmed::Accepted]);
        let tag = take(&mut *consumer, 1).await[0].tag;
        consumer.acker().reject(tag).await?;
    }
    let refused = publish(&transport, Address::skill("x", 0), &["good"]).await;
    assert_eq!(refused, [Confirmed::Nacked], "although nothing is ready in it");

    let mut reader = transport.consume(&Queue::Dead, 1).await?;
    for _ in 0..5 {
        let tag = take(&mut *reader, 1).await[0].tag;
        reader.acker().ack(tag, false).await?;
    }
    assert_eq!(publish(&transport, Address::skill("x", 0), &["good"]).await, [Confirmed::Accepted]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_goes_in_circles_of_itself_is_dropped_and_what_is_rejected_is_not() -> Done {
    let broker = MemoryBroker::new(namespace());
    let transport = broker.connect("a");
    let spec = QueueSpec { dead_letters: Some(Exchange::Skills), ttl: Some(Duration::ZERO), ..plain(skill("x")) };
    transport.declare(&piece(Exchange::Skills, "x", spec)).await?;
    assert_eq!(publish(&transport, Address::skill("x", 0), &["circle"]).await, [Confirmed::Accepted]);
    assert!(places(&broker).is_empty());

    let spec = QueueSpec { dead_letters: Some(Exchange::Skills), ..plain(skill("y")) };
    transport.declare(&piece(Exchange::Skills, "y", spec)).await?;
    publish(&transport, Address::skill("y", 0), &["again"]).await;
    let mut consumer = transport.consume(&skill("y"), 1).await?;
    for _ in 0..3 {
        let delivery = &take(&mut *consumer, 1).await[0];
        consumer.acker().reject(delivery.tag).await?;
    }
    assert_eq!(places(&broker).len(), 1);
    Ok(())
}
