//! Dead letters: rejected, come back too often, too old.

use std::time::Instant;

use trireme::runtime::port::{Consumer, Death, Delivery};
use trireme::wire::address::{Address, Exchange, Queue, Tier};

use crate::transport::broker::*;

pub async fn a_rejected_message_is_a_dead_letter_with_its_keys(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, [message(Address::skill("alpha", 1), 0), command(1)]).await;
    let mut consumer = consume(&transport, &skill("alpha"), 9).await;
    let held = take(consumer.as_mut(), 2).await;
    for delivery in &held {
        within("a reject", consumer.acker().reject(delivery.tag)).await.expect("rejected");
    }
    let died = death(broker, skill("alpha"), "rejected");
    let letters = take(consume(&transport, &Queue::Dead, 9).await.as_mut(), 2).await;
    assert_eq!(sorted(&letters), [0, 1]);
    // Whether a letter counts as redelivered, and its returns, differ: RabbitMQ 3.10 counts anew for a letter,
    // 4.0 goes on with what its first queue counted.
    for letter in &letters {
        assert_eq!((&letter.death, letter.key.as_str()), (&died, "alpha"));
        assert_eq!(letter.exchange, Exchange::Dead.name(&broker.topology().namespace));
        assert_eq!(letter.properties.message_id, Some(id(number(letter))));
    }
    // The owner whom the sender named is told, and only about its own.
    let mut owner = consume(&transport, &Queue::Coordination(1), 9).await;
    let told = take_one(owner.as_mut()).await;
    assert_eq!((number(&told), &told.death), (0, &died));
    expect_ready(&transport, &Queue::Coordination(1), 0).await;
    expect_ready(&transport, &Queue::Coordination(0), 0).await;
}

pub async fn a_delivery_limit_allows_one_delivery_more(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, [message(Address::skill("alpha", 0), 0)]).await;
    for returns in 0..=SKILL_DELIVERY_LIMIT {
        let mut consumer = consume(&transport, &skill("alpha"), 1).await;
        let delivery = take_one(consumer.as_mut()).await;
        assert_eq!((delivery.returns, delivery.redelivered), (returns, returns > 0));
    }
    let died = death(broker, skill("alpha"), "delivery_limit");
    for queue in [Queue::Dead, Queue::Coordination(0)] {
        let letter = take_one(consume(&transport, &queue, 1).await.as_mut()).await;
        assert_eq!((number(&letter), letter.key.as_str(), &letter.death), (0, "alpha", &died));
    }
    expect_ready(&transport, &skill("alpha"), 0).await;
}

pub async fn a_message_dies_of_age_at_the_head(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let mut alarms = consume(&transport, &Queue::Coordination(0), 9).await;
    let started = Instant::now();
    fill(&transport, (0..3).map(|number| message(Address::phase_alarm(Tier::Ms250, 0), number))).await;
    let rung = take(alarms.as_mut(), 3).await;
    assert!(started.elapsed() >= Tier::Ms250.delay(), "a delay is never cut short");
    assert_eq!(numbers(&rung), [0, 1, 2]);
    for alarm in &rung {
        assert_eq!((alarm.key.as_str(), alarm.redelivered, alarm.returns), ("250ms.p.0", false, 0));
        assert_eq!(alarm.exchange, Exchange::Alarms.name(&broker.topology().namespace));
        assert_eq!(alarm.death, death(broker, Queue::Later(Tier::Ms250), "expired"));
    }
    expect_ready(&transport, &Queue::Management, 0).await;
}

/// What somebody holds is not at the head: it does not die before it comes back.
pub async fn what_is_held_does_not_die_of_age(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let mut alarms = consume(&transport, &Queue::Coordination(0), 9).await;
    let mut holder = consume(&transport, &Queue::Later(Tier::S1), 1).await;
    fill(&transport, (0..2).map(|number| message(Address::phase_alarm(Tier::S1, 0), number))).await;
    assert_eq!(number(&take_one(holder.as_mut()).await), 0);
    assert_eq!(number(&take_one(alarms.as_mut()).await), 1);
    drop(holder);
    let late = take_one(alarms.as_mut()).await;
    assert_eq!((number(&late), late.death), (0, death(broker, Queue::Later(Tier::S1), "expired")));
}

/// A letter that dies again tells of its newest death.
pub async fn the_newest_death_is_told(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, [message(Address::phase_alarm(Tier::Ms250, 0), 0)]).await;
    let mut alarms = consume(&transport, &Queue::Coordination(0), 9).await;
    reject_one(alarms.as_mut(), |alarm| assert_eq!(alarm.death, death(broker, Queue::Later(Tier::Ms250), "expired")))
        .await;
    let letter = take_one(consume(&transport, &Queue::Dead, 9).await.as_mut()).await;
    assert_eq!((letter.death, letter.key.as_str()), (death(broker, Queue::Coordination(0), "rejected"), "250ms.p.0"));
    // A phase's alarm is told to the managers when it dies.
    assert_eq!(number(&take_one(consume(&transport, &Queue::Management, 9).await.as_mut()).await), 0);
}

async fn reject_one(consumer: &mut dyn Consumer, check: impl Fn(Delivery)) {
    let delivery = take_one(consumer).await;
    let tag = delivery.tag;
    check(delivery);
    within("a reject", consumer.acker().reject(tag)).await.expect("rejected");
}

fn death(broker: &dyn Broker, queue: Queue, reason: &str) -> Option<Death> {
    Some(Death { queue: queue.name(&broker.topology().namespace), reason: reason.into() })
}
