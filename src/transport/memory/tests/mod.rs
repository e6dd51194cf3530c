//! What the contract suite can not ask of every broker: cut connections, orders of return, the inspection, the
//! turns of the task.

mod connections;
mod letters;
mod queues;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{InspectedMessage, MemoryBroker, MemoryTransport, Place, ReturnOrder};
use crate::runtime::port::{
    Binding, Confirmed, Consumer, Delivery, ExchangeKind, Outgoing, Properties, QueueKind, QueueSpec, Topology,
    Transport, TransportError,
};
use crate::runtime::topology::{TopologyOptions, topology};
use crate::wire::address::{Address, Exchange, Namespace, Queue, Tier};

type Done = Result<(), TransportError>;

fn namespace() -> Namespace {
    Namespace::new("n").expect("a word")
}

/// A broker with the topology that the system declares: two partitions, the skill `draw`, three requests at most.
async fn broker(order: ReturnOrder) -> (MemoryBroker, MemoryTransport) {
    let broker = MemoryBroker::with_return_order(namespace(), order);
    let transport = broker.connect("operator");
    let options = TopologyOptions {
        namespace: namespace(),
        partitions: 2,
        skills: vec!["draw".into()],
        requests_max: 3,
        skill_delivery_limit: 1,
        queue_kind: QueueKind::Quorum,
    };
    transport.declare(&topology(&options)).await.expect("declared");
    (broker, transport)
}

/// A bare queue bound by `key` to an exchange.
fn piece(exchange: Exchange, key: &str, spec: QueueSpec) -> Topology {
    Topology {
        namespace: namespace(),
        exchanges: vec![(exchange, ExchangeKind::Direct)],
        bindings: vec![Binding { exchange, key: key.into(), queue: spec.queue.clone() }],
        queues: vec![spec],
    }
}

fn plain(queue: Queue) -> QueueSpec {
    QueueSpec {
        queue,
        kind: QueueKind::Quorum,
        delivery_limit: 9,
        max_length: None,
        ttl: None,
        dead_letters: None,
        single_active: false,
    }
}

fn skill(name: &str) -> Queue {
    Queue::Skill(name.into())
}

fn outgoing(address: Address, body: &str) -> Outgoing {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Outgoing { address, mandatory: true, properties: Properties::default(), body }
}

async fn publish(transport: &MemoryTransport, address: Address, bodies: &[&str]) -> Vec<Confirmed> {
    let publisher = transport.publisher().await.expect("a channel");
    let mut confirmed = Vec::new();
    for body in bodies {
        confirmed.push(publisher.publish(outgoing(address.clone(), body)).await.expect("sent").await);
    }
    confirmed
}

fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.body).expect("text")
}

/// What is there now, and within a second.
async fn take(consumer: &mut dyn Consumer, most: usize) -> Vec<Delivery> {
    match timeout(Duration::from_secs(1), consumer.next(most)).await {
        Ok(deliveries) => deliveries.expect("an open channel"),
        Err(_) => Vec::new(),
    }
}

async fn bodies(consumer: &mut dyn Consumer, most: usize) -> Vec<String> {
    take(consumer, most).await.iter().map(|delivery| text(delivery).to_owned()).collect()
}

fn places(broker: &MemoryBroker) -> Vec<(Queue, Place)> {
    broker.inspect().messages.into_iter().map(|InspectedMessage { queue, place, .. }| (queue, place)).collect()
}
