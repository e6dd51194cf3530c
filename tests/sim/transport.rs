//! The broker of one agent: the one in memory, with what goes wrong on the way there and back.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::sleep;
use trireme::runtime::port::{
    Acker, Browser, Confirmation, Confirmed, Consumer, Delivery, Outgoing, Publisher, QueueDepth, Tag, Topology,
    Transport, TransportError,
};
use trireme::transport::memory::MemoryTransport;
use trireme::wire::address::{Exchange, Queue};

use crate::agent::Agent;
use crate::faults::{Act, Point};
use crate::sim::Sight;
use crate::variants::Variant;

pub struct FaultyTransport {
    pub agent: Arc<Agent>,
    pub inner: MemoryTransport,
}

fn closed() -> TransportError {
    TransportError::Closed("the simulator says so".into())
}

impl FaultyTransport {
    async fn open(&self) -> Result<(), TransportError> {
        match self.agent.at(Point::Open, None).await {
            None => Ok(()),
            Some(Act::Broken) => Err(TransportError::Unreachable("the simulator says so".into())),
            Some(act) => unreachable!("{act:?} does not happen to an opening"),
        }
    }
}

#[async_trait]
impl Transport for FaultyTransport {
    async fn declare(&self, topology: &Topology) -> Result<(), TransportError> {
        self.inner.declare(topology).await
    }

    async fn delete(&self, topology: &Topology) -> Result<(), TransportError> {
        self.inner.delete(topology).await
    }

    async fn consume(&self, queue: &Queue, prefetch: u16) -> Result<Box<dyn Consumer>, TransportError> {
        self.open().await?;
        let inner = self.inner.consume(queue, prefetch).await?;
        self.agent.sim.step(&self.agent.name, format!("consumes {queue:?}"));
        Ok(Box::new(FaultyConsumer { agent: self.agent.clone(), inner, queue: queue.clone() }))
    }

    async fn subscribe(
        &self,
        queue: &Queue,
        bindings: &[(Exchange, String)],
    ) -> Result<Box<dyn Consumer>, TransportError> {
        self.open().await?;
        let inner = self.inner.subscribe(queue, bindings).await?;
        Ok(Box::new(FaultyConsumer { agent: self.agent.clone(), inner, queue: queue.clone() }))
    }

    async fn browse(&self, queue: &Queue) -> Result<Box<dyn Browser>, TransportError> {
        self.agent.pass().await;
        self.inner.browse(queue).await
    }

    async fn publisher(&self) -> Result<Box<dyn Publisher>, TransportError> {
        self.open().await?;
        let inner = self.inner.publisher().await?;
        Ok(Box::new(FaultyPublisher { agent: self.agent.clone(), inner }))
    }

    async fn depth(&self, queue: &Queue) -> Result<Option<QueueDepth>, TransportError> {
        self.agent.pass().await;
        self.inner.depth(queue).await
    }
}

struct FaultyConsumer {
    agent: Arc<Agent>,
    inner: Box<dyn Consumer>,
    queue: Queue,
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, TransportError> {
        let Agent { name, sim, .. } = &*self.agent;
        if let Queue::Agent(_) = self.queue {
            self.agent.pass().await;
            let deliveries = self.inner.next(most).await?;
            self.agent.pass().await;
            return Ok(deliveries);
        }
        // Everything that waits is done before deliveries are taken: who drops this call loses none of them.
        match self.agent.at(Point::Take, None).await {
            None => {}
            Some(Act::Broken) => return Err(closed()),
            Some(act) => unreachable!("{act:?} does not happen to a take"),
        }
        let mut deliveries = self.inner.next(most.min(sim.batch)).await?;
        if self.agent.is_gone() {
            std::future::pending::<()>().await;
        }
        for delivery in &mut deliveries {
            if delivery.redelivered {
                sim.see(Sight::Redelivery);
            }
            delivery.redelivered &= sim.variant != Variant::NeverAgain;
        }
        if sim.variant == Variant::AckOnDelivery {
            let acker = self.inner.acker();
            for delivery in &deliveries {
                acker.ack(delivery.tag, false).await?;
            }
        }
        let flags = deliveries.iter().filter(|delivery| delivery.redelivered).count();
        sim.step(name, format!("takes {} from {:?}, {flags} of them again", deliveries.len(), self.queue));
        Ok(deliveries)
    }

    fn acker(&self) -> Arc<dyn Acker> {
        let (agent, inner) = (self.agent.clone(), self.inner.acker());
        Arc::new(FaultyAcker { agent, inner, queue: self.queue.clone() })
    }

    async fn stop(&mut self) -> Result<(), TransportError> {
        self.agent.pass().await;
        self.inner.stop().await
    }
}

struct FaultyAcker {
    agent: Arc<Agent>,
    inner: Arc<dyn Acker>,
    queue: Queue,
}

impl FaultyAcker {
    async fn at(&self, point: Point) {
        if let Some(act) = self.agent.at(point, None).await {
            unreachable!("{act:?} does not happen to an ack");
        }
    }
}

#[async_trait]
impl Acker for FaultyAcker {
    async fn ack(&self, tag: Tag, multiple: bool) -> Result<(), TransportError> {
        self.at(Point::BeforeAck).await;
        let acked = self.inner.ack(tag, multiple).await;
        let many = if multiple { "all up to " } else { "" };
        let late = if acked.is_ok() { "" } else { ", too late" };
        self.agent.sim.step(&self.agent.name, format!("acks {many}{} of {:?}{late}", tag.0, self.queue));
        self.at(Point::AfterAck).await;
        acked
    }

    async fn reject(&self, tag: Tag) -> Result<(), TransportError> {
        self.agent.pass().await;
        self.inner.reject(tag).await
    }
}

struct FaultyPublisher {
    agent: Arc<Agent>,
    inner: Box<dyn Publisher>,
}

fn told(confirmed: Confirmed) -> Result<Confirmation, TransportError> {
    Ok(Box::pin(std::future::ready(confirmed)))
}

#[async_trait]
impl Publisher for FaultyPublisher {
    async fn publish(&self, message: Outgoing) -> Result<Confirmation, TransportError> {
        let Agent { name, sim, .. } = &*self.agent;
        let exchange = message.address.exchange;
        if !message.mandatory {
            return match self.agent.at(Point::BestEffort, Some(exchange)).await {
                None => self.inner.publish(message).await,
                Some(Act::Lose) => told(Confirmed::Accepted),
                Some(act) => unreachable!("{act:?} does not happen to what may get lost"),
            };
        }
        let what = format!(
            "{} to {exchange:?} {}",
            message.properties.kind.as_deref().unwrap_or("a dead letter"),
            message.address.key
        );
        if sim.variant == Variant::AlarmForgotten && message.properties.kind.as_deref() == Some("Alarm") {
            return told(Confirmed::Accepted);
        }
        let refusal = match self.agent.at(Point::BeforePublish, Some(exchange)).await {
            None => None,
            Some(Act::Broken) => return Err(closed()),
            Some(Act::Nack) => Some(Confirmed::Nacked),
            Some(Act::Return) => Some(Confirmed::Returned),
            Some(Act::Lose) => Some(Confirmed::Unknown),
            Some(act) => unreachable!("{act:?} does not happen before a publish"),
        };
        if let Some(refusal) = refusal {
            return told(refusal);
        }
        let copy = message.clone();
        let confirmation = self.inner.publish(message).await?;
        sim.step(name, format!("publishes {what}"));
        match self.agent.at(Point::AfterPublish, Some(exchange)).await {
            None => {}
            Some(Act::Unconfirmed) => return told(Confirmed::Unknown),
            Some(Act::Slow) => {
                let time = sim.draw(|random| random.ms(1, 5_000));
                return Ok(Box::pin(async move {
                    sleep(time).await;
                    confirmation.await
                }));
            }
            Some(Act::Twice) => drop(self.inner.publish(copy).await?),
            Some(Act::Late) => {
                let (sim, time) = (sim.clone(), sim.draw(|random| random.ms(10, 60_000)));
                tokio::spawn(async move {
                    sleep(time).await;
                    let publisher = sim.broker.connect("echo").publisher().await.expect("the broker is there");
                    drop(publisher.publish(copy).await.expect("the broker is there"));
                    sim.step("echo", format!("publishes {what} again"));
                });
            }
            Some(act) => unreachable!("{act:?} does not happen after a publish"),
        }
        Ok(confirmation)
    }
}
