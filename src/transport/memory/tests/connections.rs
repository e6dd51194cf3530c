//! Connections: what is cut with one, what stays, and how confirms come.

use futures_util::FutureExt;

use super::super::publisher::UNCONFIRMED_MAX;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_cut_connection_loses_its_channels_and_nothing_else() -> Done {
    let (broker, operator) = broker(ReturnOrder::Head).await;
    let dying = broker.connect("e1");
    let mut held = dying.consume(&skill("draw"), 2).await?;
    let publisher = dying.publisher().await?;
    publish(&operator, Address::skill("draw", 0), &["a", "b", "c"]).await;
    let first = take(&mut *held, 1).await;
    let acker = held.acker();
    let confirmation = publisher.publish(outgoing(Address::results("p.1"), "result")).await?;

    broker.disconnect("e1");

    assert_eq!(confirmation.await, Confirmed::Unknown, "the confirm did not come in time");
    assert!(matches!(held.next(1).await, Err(TransportError::Closed(_))), "what was not taken yet is gone too");
    assert!(matches!(acker.ack(first[0].tag, true).await, Err(TransportError::Closed(_))));
    assert!(matches!(acker.reject(first[0].tag).await, Err(TransportError::Closed(_))));
    let sent = publisher.publish(outgoing(Address::results("p.1"), "late")).await;
    assert!(matches!(sent, Err(TransportError::Closed(_))));
    drop(held);

    let mut next = dying.consume(&skill("draw"), 9).await?;
    let seen: Vec<_> =
        take(&mut *next, 9).await.iter().map(|one| (text(one).to_owned(), one.redelivered, one.returns)).collect();
    assert_eq!(seen, [("a".into(), true, 1), ("b".into(), true, 1), ("c".into(), false, 0)]);
    let mut results = operator.consume(&Queue::Coordination(1), 9).await?;
    assert_eq!(bodies(&mut *results, 9).await, ["result"], "unknown to the sender, and there all the same");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_isolated_reaches_nothing_until_it_rejoins() -> Done {
    let (broker, _operator) = broker(ReturnOrder::Head).await;
    let agent = broker.connect("m1");
    let publisher = agent.publisher().await?;
    broker.isolate("m1");
    for agent in [&agent, &broker.connect("m1")] {
        assert!(matches!(agent.depth(&Queue::Management).await, Err(TransportError::Unreachable(_))));
        assert!(matches!(agent.consume(&Queue::Management, 1).await, Err(TransportError::Unreachable(_))));
        assert!(matches!(agent.publisher().await, Err(TransportError::Unreachable(_))));
    }
    broker.rejoin("m1");
    assert_eq!(publish(&agent, Address::reports(), &["x"]).await, [Confirmed::Accepted]);
    let sent = publisher.publish(outgoing(Address::reports(), "y")).await;
    assert!(matches!(sent, Err(TransportError::Closed(_))), "what was open before stays lost");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_a_wait() -> Done {
    let (broker, _operator) = broker(ReturnOrder::Head).await;
    let agent = broker.connect("m1");
    let mut consumer = agent.consume(&Queue::Management, 1).await?;
    let waiting = tokio::spawn(async move { consumer.next(1).await.map(|_| ()) });
    tokio::task::yield_now().await;
    broker.disconnect("m1");
    assert!(matches!(waiting.await.expect("no panic"), Err(TransportError::Closed(_))));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cut_gives_nothing_to_others_of_the_same_agent() -> Done {
    let (broker, operator) = broker(ReturnOrder::Head).await;
    let agent = broker.connect("e1");
    let _one = agent.consume(&skill("draw"), 1).await?;
    let _other = agent.consume(&skill("draw"), 1).await?;
    publish(&operator, Address::skill("draw", 0), &["a", "b"]).await;
    broker.disconnect("e1");
    let returns: Vec<_> = broker.inspect().messages.iter().map(|message| message.returns).collect();
    assert_eq!(returns, [1, 1], "each came back once");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_confirm_comes_with_a_later_turn() -> Done {
    let (_broker, operator) = broker(ReturnOrder::Head).await;
    let publisher = operator.publisher().await?;
    let mut confirmation = publisher.publish(outgoing(Address::reports(), "x")).await?;
    assert_eq!((&mut confirmation).now_or_never(), None);
    assert_eq!(confirmation.await, Confirmed::Accepted);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn unconfirmed_publishes_are_bounded_and_nobody_needs_to_look_at_the_confirms() -> Done {
    let (_broker, operator) = broker(ReturnOrder::Head).await;
    let publisher = operator.publisher().await?;
    let send = || tokio::task::unconstrained(publisher.publish(outgoing(Address::reports(), "x")));
    let mut kept = Vec::new();
    for _ in 0..UNCONFIRMED_MAX {
        kept.push(send().now_or_never().expect("there is room")?);
    }
    let one_more = send();
    tokio::pin!(one_more);
    assert!((&mut one_more).now_or_never().is_none(), "no room");
    kept.push(one_more.await?);
    for confirmation in kept {
        assert_eq!(confirmation.await, Confirmed::Accepted);
    }
    let ready = operator.depth(&Queue::Management).await.map(|depth| depth.map_or(0, |depth| depth.ready))?;
    assert_eq!(ready as usize, UNCONFIRMED_MAX + 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_publish_without_an_exchange_ends_its_channel() -> Done {
    let broker = MemoryBroker::new(namespace());
    let transport = broker.connect("a");
    let publisher = transport.publisher().await?;
    let confirmation = publisher.publish(outgoing(Address::reports(), "x")).await?;
    assert_eq!(confirmation.await, Confirmed::Unknown);
    let sent = publisher.publish(outgoing(Address::reports(), "y")).await;
    assert!(matches!(sent, Err(TransportError::Closed(reason)) if reason == "no exchange `n.reports`"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_broker_goes_with_its_last_handle() -> Done {
    let (broker, operator) = broker(ReturnOrder::Head).await;
    let publisher = operator.publisher().await?;
    drop((broker, operator));
    let answered = publisher.publish(outgoing(Address::reports(), "x")).await?;
    assert_eq!(answered.await, Confirmed::Accepted, "its task lives as long as anything of it");
    let unanswered = publisher.publish(outgoing(Address::reports(), "x")).await?;
    drop(publisher);
    assert_eq!(unanswered.await, Confirmed::Unknown, "nobody is left to answer");
    tokio::task::yield_now().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    Ok(())
}

/// Threads, and an agent that is cut off again and again: what is accepted is delivered, and nothing hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_between_threads() -> Done {
    const MESSAGES: usize = 5_000;
    let (broker, operator) = broker(ReturnOrder::Head).await;
    let spec = QueueSpec { delivery_limit: 1_000_000, ..plain(skill("x")) };
    operator.declare(&piece(Exchange::Skills, "x", spec)).await?;
    let (done, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let executors = ["e1", "e2", "e3"].map(|name| {
        let (agent, done) = (broker.connect(name), done.clone());
        tokio::spawn(async move {
            loop {
                let mut consumer = agent.consume(&skill("x"), 64).await.expect("a channel");
                while let Ok(deliveries) = consumer.next(16).await {
                    for delivery in deliveries {
                        if consumer.acker().ack(delivery.tag, false).await.is_ok() {
                            done.send(text(&delivery).to_owned()).expect("somebody counts");
                        }
                    }
                }
            }
        })
    });
    let publisher = operator.publisher().await?;
    let sender = tokio::spawn(async move {
        for number in 0..MESSAGES {
            let sent = publisher.publish(outgoing(Address::skill("x", 0), &number.to_string())).await.expect("open");
            if number % 100 == 0 {
                assert_eq!(sent.await, Confirmed::Accepted);
                broker.disconnect("e1");
            }
        }
        broker
    });
    let mut numbers = std::collections::BTreeSet::new();
    let all = async {
        while numbers.len() < MESSAGES {
            let number = seen.recv().await.expect("executors work");
            assert!(numbers.insert(number.clone()), "{number} was acked twice");
        }
    };
    timeout(Duration::from_secs(30), all).await.expect("all of them in time");
    let broker = sender.await.expect("no panic");
    assert!(broker.inspect().messages.is_empty());
    executors.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}
