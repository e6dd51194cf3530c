//! Making and taking apart what messages go through.

use trireme::runtime::port::{Confirmed, QueueDepth, TransportError};
use trireme::wire::address::{Address, Queue};

use crate::transport::broker::*;

pub async fn declaring_again_changes_nothing(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..3).map(command)).await;
    within("declaring", transport.declare(broker.topology())).await.expect("declared again");
    assert_eq!(numbers(&take(consume(&transport, &skill("alpha"), 9).await.as_mut(), 3).await), [0, 1, 2]);
}

pub async fn a_queue_of_another_shape_is_named(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let mut other = broker.topology().clone();
    let spec = other.queues.iter_mut().find(|spec| spec.queue == skill("beta")).expect("in the topology");
    spec.delivery_limit += 1;
    let name = spec.queue.name(&other.namespace);
    match within("declaring", transport.declare(&other)).await {
        Err(TransportError::Mismatch(text)) => {
            assert!(text.contains(&name), "{text}");
            assert!(text.contains("delivery-limit") || text.contains("delivery_limit"), "{text}");
        }
        answer => panic!("{answer:?}"),
    }
    // Asking did no harm, to the queue or to whoever asks next.
    within("declaring", transport.declare(broker.topology())).await.expect("as it was");
}

pub async fn what_is_not_there_can_not_be_consumed(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let queue = skill("nobody");
    let answer = within("consuming", transport.consume(&queue, 1)).await.map(drop);
    assert!(matches!(answer, Err(TransportError::Missing(_))), "{answer:?}");
    assert_eq!(within("a depth", transport.depth(&queue)).await, Ok(None));
}

pub async fn depth_counts_what_waits(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    let queue = skill("alpha");
    assert_eq!(within("a depth", transport.depth(&queue)).await, Ok(Some(QueueDepth { ready: 0, consumers: 0 })));
    fill(&transport, (0..7).map(command)).await;
    expect_ready(&transport, &queue, 7).await;
    let mut consumer = consume(&transport, &queue, 2).await;
    take(consumer.as_mut(), 2).await;
    expect_ready(&transport, &queue, 5).await;
    drop(consumer);
    expect_ready(&transport, &queue, 7).await;
}

pub async fn what_is_deleted_is_gone_and_can_be_made_again(broker: &dyn Broker) {
    let transport = broker.connect().await.transport;
    fill(&transport, (0..3).map(command)).await;
    within("deleting", transport.delete(broker.topology())).await.expect("deleted");
    for queue in [skill("alpha"), Queue::Requests, Queue::Dead] {
        assert_eq!(within("a depth", transport.depth(&queue)).await, Ok(None), "{queue:?}");
    }
    within("deleting", transport.delete(broker.topology())).await.expect("nothing to delete is fine");
    within("declaring", transport.declare(broker.topology())).await.expect("made again");
    expect_ready(&transport, &skill("alpha"), 0).await;
    let publisher = publisher(&transport).await;
    assert_eq!(publish(publisher.as_ref(), message(Address::requests(), 1)).await, Confirmed::Accepted);
}
