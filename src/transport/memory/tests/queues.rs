//! Queues: order, turns, inspection, and subscriptions.

use super::*;

#[derive(Clone, Copy)]
enum Went {
    Dropped,
    StoppedFirst,
    Cut,
}

/// What Q gets, three at a time, of eight messages of which P held the first three when it went.
async fn order_after(order: ReturnOrder, went: Went) -> Result<String, TransportError> {
    let (broker, operator) = broker(order).await;
    let p = broker.connect("p");
    let mut first = p.consume(&Queue::Coordination(0), 3).await?;
    let mut second = operator.consume(&Queue::Coordination(0), 3).await?;
    publish(&operator, Address::results("p.0"), &["1", "2", "3", "4", "5", "6", "7", "8"]).await;
    assert_eq!(bodies(&mut *first, 9).await, ["1", "2", "3"]);
    assert!(take(&mut *second, 9).await.is_empty(), "only one is active");
    match went {
        Went::Dropped => {}
        Went::StoppedFirst => first.stop().await?,
        Went::Cut => broker.disconnect("p"),
    }
    drop(first);
    let mut seen = String::new();
    loop {
        let deliveries = take(&mut *second, 9).await;
        let Some(last) = deliveries.last() else { return Ok(seen) };
        seen.extend(deliveries.iter().map(text));
        second.acker().ack(last.tag, true).await?;
    }
}

#[tokio::test(start_paused = true)]
async fn returned_messages_come_in_the_order_that_was_asked_for() -> Done {
    for went in [Went::Dropped, Went::Cut] {
        assert_eq!(order_after(ReturnOrder::Head, went).await?, "12345678");
        assert_eq!(order_after(ReturnOrder::AfterHandover, went).await?, "45612378");
        assert_eq!(order_after(ReturnOrder::Tail, went).await?, "45678123");
    }
    for order in [ReturnOrder::Head, ReturnOrder::AfterHandover] {
        assert_eq!(order_after(order, Went::StoppedFirst).await?, "45612378");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn consumers_with_room_take_turns() -> Done {
    let (_broker, operator) = broker(ReturnOrder::Head).await;
    let mut narrow = operator.consume(&skill("draw"), 1).await?;
    let mut wide = operator.consume(&skill("draw"), 9).await?;
    let mut other = operator.consume(&skill("draw"), 9).await?;
    publish(&operator, Address::skill("draw", 0), &["1", "2", "3", "4", "5", "6", "7"]).await;
    assert_eq!(bodies(&mut *wide, 9).await.concat(), "246");
    assert_eq!(bodies(&mut *other, 9).await.concat(), "357");
    let first = take(&mut *narrow, 9).await;
    assert_eq!(first.iter().map(text).collect::<String>(), "1");
    narrow.acker().ack(first[0].tag, false).await?;
    publish(&operator, Address::skill("draw", 0), &["8", "9"]).await;
    assert_eq!(bodies(&mut *narrow, 9).await.concat(), "8");
    assert_eq!(bodies(&mut *wide, 9).await.concat(), "9");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_inspection_sees_every_message_where_it_is() -> Done {
    let (broker, operator) = broker(ReturnOrder::Head).await;
    let executor = broker.connect("e1");
    let _held = executor.consume(&skill("draw"), 1).await?;
    let before = broker.changes();
    publish(&operator, Address::skill("draw", 1), &["a", "b"]).await;
    publish(&operator, Address::phase_alarm(Tier::S5, 1), &["alarm"]).await;
    assert!(broker.changes() > before);

    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    let expected = [
        (skill("draw"), Place::Ready),
        (skill("draw"), Place::Unacked { by: "e1".into() }),
        (Queue::Later(Tier::S5), Place::Waiting { until }),
    ];
    assert_eq!(places(&broker), expected);
    let inspection = broker.inspect();
    assert_eq!(inspection.changes, broker.changes(), "looking changes nothing");
    let content = &inspection.messages[1].content;
    assert_eq!((content.key.as_str(), content.told.as_deref(), &*content.body), ("draw", Some("told.1"), &b"a"[..]));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_subscription_loses_its_oldest_and_leaves_nothing_behind() -> Done {
    let (broker, operator) = broker(ReturnOrder::Head).await;
    let watcher = Queue::Watcher("w".into());
    let bindings = [(Exchange::Events, "executor.#".to_owned()), (Exchange::Events, "#".to_owned())];
    let mut slow = operator.subscribe(&watcher, &bindings).await?;
    assert!(matches!(operator.subscribe(&watcher, &[]).await, Err(TransportError::Closed(_))), "it is taken");
    let publisher = operator.publisher().await?;
    for number in 0..10_001 {
        let address = Address { exchange: Exchange::Events, key: "executor.done.x".into(), told: None };
        drop(publisher.publish(outgoing(address, &number.to_string())).await?);
    }
    let seen = take(&mut *slow, 20_000).await;
    assert_eq!((seen.len(), text(&seen[0])), (10_000, "1"), "each once, though two bindings match");
    slow.stop().await?;
    drop(slow);
    assert_eq!(operator.depth(&watcher).await?, None);
    assert!(broker.inspect().messages.is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stopped_subscription_keeps_what_came_before() -> Done {
    let (_broker, operator) = broker(ReturnOrder::Head).await;
    let own = Queue::Watcher("w".into());
    let mut consumer = operator.subscribe(&own, &[(Exchange::Agents, "all".into())]).await?;
    publish(&operator, Address::everybody(), &["before"]).await;
    consumer.stop().await?;
    assert_eq!(publish(&operator, Address::everybody(), &["after"]).await, [Confirmed::Returned]);
    assert_eq!(bodies(&mut *consumer, 9).await, ["before"]);
    assert!(matches!(consumer.next(1).await, Err(TransportError::Closed(_))));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn another_namespace_is_another_broker() -> Done {
    let (_broker, operator) = broker(ReturnOrder::Head).await;
    let namespace = Namespace::new("other").expect("a word");
    let elsewhere = Topology { namespace, ..piece(Exchange::Skills, "x", plain(skill("x"))) };
    assert!(matches!(operator.declare(&elsewhere).await, Err(TransportError::Refused(_))));
    assert!(matches!(operator.delete(&elsewhere).await, Err(TransportError::Refused(_))));
    Ok(())
}

/// Agents that race for one queue, crash and come back: all that they see, in order.
async fn transcript() -> Result<Vec<String>, TransportError> {
    let (broker, operator) = broker(ReturnOrder::Head).await;
    let (seen, mut transcript) = tokio::sync::mpsc::unbounded_channel();
    for name in ["e1", "e2", "e3"] {
        let (agent, seen) = (broker.connect(name), seen.clone());
        tokio::spawn(async move {
            let mut consumer = agent.consume(&skill("draw"), 4).await.expect("a channel");
            while let Ok(deliveries) = consumer.next(3).await {
                for delivery in deliveries {
                    let line = format!("{name} {} {} {:?}", text(&delivery), delivery.returns, delivery.tag);
                    seen.send(line).expect("somebody listens");
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    let _ = consumer.acker().ack(delivery.tag, false).await;
                }
            }
        });
    }
    let publisher = operator.publisher().await?;
    for number in 0..100 {
        drop(publisher.publish(outgoing(Address::skill("draw", 0), &number.to_string())).await?);
        tokio::time::sleep(Duration::from_millis(1)).await;
        match number {
            30 => broker.disconnect("e2"),
            60 => broker.disconnect("e1"),
            _ => {}
        }
    }
    drop(seen);
    tokio::time::sleep(Duration::from_secs(1)).await;
    broker.disconnect("e3");
    let mut lines = Vec::new();
    while let Some(line) = transcript.recv().await {
        lines.push(line);
    }
    Ok(lines)
}

#[test]
fn the_same_calls_give_the_same_deliveries() {
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().expect("a runtime").block_on(transcript()).expect("no error")
    };
    let lines = run();
    assert!(lines.len() > 100, "something was delivered again");
    assert_eq!(run(), lines);
}
