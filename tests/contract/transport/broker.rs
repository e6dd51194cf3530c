//! What a case is given, and the few words that all cases are written in. Every wait is bounded.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use trireme::runtime::port::{
    Confirmation, Confirmed, Consumer, Delivery, Outgoing, Properties, Publisher, QueueKind, Topology, Transport,
};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::wire::MessageId;
use trireme::wire::address::{Address, Exchange, Namespace, Queue};
use uuid::Uuid;

/// How long a case waits for anything at all: far above what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The entrance's bound in the suite's topology.
pub const REQUESTS_MAX: u32 = 10;
/// How often a command may come back in the suite's topology.
pub const SKILL_DELIVERY_LIMIT: u32 = 2;

/// An empty namespace in which [`suite_topology`] is declared.
#[async_trait]
pub trait Broker: Send + Sync {
    fn topology(&self) -> &Topology;

    /// A connection of its own to the namespace, as another process would have.
    async fn connect(&self) -> Connected;
}

pub struct Connected {
    pub transport: Arc<dyn Transport>,
    /// Awaited, it cuts off all that `transport` opened, as if its process had died. Dropped, it does nothing.
    pub cut: BoxFuture<'static, ()>,
}

/// The product's own topology, small.
pub fn suite_topology(namespace: &Namespace) -> Topology {
    topology(&TopologyOptions {
        namespace: namespace.clone(),
        partitions: 2,
        skills: vec!["alpha".into(), "beta".into()],
        requests_max: REQUESTS_MAX,
        skill_delivery_limit: SKILL_DELIVERY_LIMIT,
        queue_kind: QueueKind::Quorum,
    })
}

pub fn skill(name: &str) -> Queue {
    Queue::Skill(name.into())
}

/// A key of any kind, told to nobody.
pub fn address(exchange: Exchange, key: &str) -> Address {
    Address { exchange, key: key.into(), told: None }
}

/// A command for skill `alpha`, told to nobody.
pub fn command(number: u32) -> Outgoing {
    message(address(Exchange::Skills, "alpha"), number)
}

/// A message whose body and id are its number: mandatory and persistent.
pub fn message(address: Address, number: u32) -> Outgoing {
    Outgoing {
        address,
        mandatory: true,
        properties: Properties { message_id: Some(id(number)), persistent: true, ..Properties::default() },
        body: Bytes::from(number.to_string()),
    }
}

pub fn id(number: u32) -> MessageId {
    MessageId(Uuid::from_u128(u128::from(number) + 1))
}

pub fn number(delivery: &Delivery) -> u32 {
    let text = std::str::from_utf8(&delivery.body).expect("a body of the suite is text");
    text.parse().expect("a body of the suite is a number")
}

pub fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}

/// For where the order is the broker's own affair.
pub fn sorted(deliveries: &[Delivery]) -> Vec<u32> {
    let mut numbers = numbers(deliveries);
    numbers.sort_unstable();
    numbers
}

/// The result of `future`, or the end of the test with a word on what did not happen.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, pin!(future)).await {
        Ok(value) => value,
        Err(_) => panic!("waited {} s in vain: {what}", PATIENCE.as_secs()),
    }
}

/// Asks again and again until the answer is yes.
pub async fn until(what: &str, mut asked: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !within(what, asked()).await {
        assert!(started.elapsed() < PATIENCE, "waited {} s in vain: {what}", PATIENCE.as_secs());
        tokio::task::yield_now().await;
    }
}

pub async fn consume(transport: &Arc<dyn Transport>, queue: &Queue, prefetch: u16) -> Box<dyn Consumer> {
    let consumer = within("opening a consumer", transport.consume(queue, prefetch)).await;
    consumer.unwrap_or_else(|error| panic!("consuming {queue:?}: {error}"))
}

pub async fn publisher(transport: &Arc<dyn Transport>) -> Box<dyn Publisher> {
    within("opening a publisher", transport.publisher()).await.expect("a publisher")
}

/// The next `count` deliveries, in the order in which they come.
pub async fn take(consumer: &mut dyn Consumer, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    within(&format!("{count} deliveries"), async {
        while taken.len() < count {
            let more = consumer.next(count - taken.len()).await.expect("the channel is open");
            assert!(!more.is_empty(), "`next` waits for a delivery");
            taken.extend(more);
        }
    })
    .await;
    assert_eq!(taken.len(), count, "`next` gives at most what it is asked for");
    taken
}

pub async fn take_one(consumer: &mut dyn Consumer) -> Delivery {
    take(consumer, 1).await.remove(0)
}

/// Hands `message` over, and leaves the confirm for later.
pub async fn hand_over(publisher: &dyn Publisher, message: Outgoing) -> Confirmation {
    within("room for a publish", publisher.publish(message)).await.expect("the channel is open")
}

/// Publishes `message` and waits for what becomes of it.
pub async fn publish(publisher: &dyn Publisher, message: Outgoing) -> Confirmed {
    within("a confirm", hand_over(publisher, message).await).await
}

/// Publishes all of `messages`, with many in flight, and expects each to be accepted.
pub async fn fill(transport: &Arc<dyn Transport>, messages: impl IntoIterator<Item = Outgoing>) {
    let publisher = publisher(transport).await;
    let mut confirmations = Vec::new();
    for message in messages {
        confirmations.push(hand_over(publisher.as_ref(), message).await);
    }
    for confirmation in confirmations {
        assert_eq!(within("a confirm", confirmation).await, Confirmed::Accepted);
    }
}

/// What waits in `queue`; waits itself until it is `expected`.
pub async fn expect_ready(transport: &Arc<dyn Transport>, queue: &Queue, expected: u32) {
    until(&format!("{queue:?} has {expected} ready"), async || {
        let depth = transport.depth(queue).await.expect("depth").expect("the queue is declared");
        depth.ready == expected
    })
    .await;
}
