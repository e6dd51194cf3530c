//! The broker of one agent: the one in memory, with what goes wrong on the way there and back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use trireme::runtime::port::{
    Acker, Browser, Clock, Confirmation, Confirmed, Consumer, Delivery, Outgoing, Properties, Publisher, QueueDepth,
    Tag, Topology, Transport, TransportError,
};
use trireme::transport::memory::MemoryTransport;
use trireme::wire::address::{Address, Exchange, Queue};
use trireme::wire::content::SubtaskCompletion;
use trireme::wire::{Content, Envelope, MessageId, Raw, codec};

use crate::agent::Agent;
use crate::faults::{Act, Point};
use crate::sights::Sight;
use crate::sim::{Place, Sim};

/// What is to be overtaken goes on after this time, if nothing came.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(20);

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
        let deliveries = self.inner.next(most.min(sim.batch)).await?;
        if self.agent.is_gone() {
            std::future::pending::<()>().await;
        }
        for delivery in &deliveries {
            if delivery.redelivered {
                sim.see(Sight::Redelivery);
            }
        }
        let flags = deliveries.iter().filter(|delivery| delivery.redelivered).count();
        sim.step(name, format!("takes {} from {:?}, {flags} of them again", deliveries.len(), self.queue));
        if let Queue::Skill(_) = self.queue {
            on_commands(&self.agent, self.inner.acker(), &deliveries).await?;
        }
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

/// An executor was given commands. One that vanishes has acked them.
async fn on_commands(agent: &Agent, acker: Arc<dyn Acker>, deliveries: &[Delivery]) -> Result<(), TransportError> {
    let Agent { name, sim, .. } = agent;
    let Some(fault) = sim.chaos(|chaos, random| chaos.strike(random, Point::TakeCommands, None)) else {
        return Ok(());
    };
    for delivery in deliveries {
        acker.ack(delivery.tag, false).await?;
        let commands = codec::decode(&delivery.body).into_iter().flatten();
        commands.for_each(|command| sim.vanish(command.message_id));
    }
    agent.crash();
    sim.step(name, format!("FAULT {}", fault.name));
    std::future::pending().await
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

    async fn still_holds(&self) -> Result<(), TransportError> {
        self.agent.pass().await;
        self.inner.still_holds().await
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

/// The message is on its way until then, whatever becomes of its sender; its confirm comes when it is in its queue.
fn held_back(
    sim: &Arc<Sim>,
    message: Outgoing,
    what: String,
    until: impl Future<Output = ()> + Send + 'static,
) -> Confirmation {
    let (sim, (tell, told)) = (sim.clone(), oneshot::channel());
    tokio::spawn(async move {
        until.await;
        let publisher = sim.broker.connect("the wire").publisher().await.expect("the broker is there");
        let confirmation = publisher.publish(message).await.expect("the broker is there");
        sim.step("the wire", format!("publishes {what}, which was held back"));
        // Its sender may be gone.
        let _ = tell.send(confirmation.await);
    });
    Box::pin(async move { told.await.unwrap_or(Confirmed::Unknown) })
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
            if sim.is_terse && self.agent.is_too_talkative(&message) {
                return told(Confirmed::Accepted);
            }
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
        let place = Place::of(&message);
        let refusal = match self.agent.at(Point::BeforePublish, Some(exchange)).await {
            None => None,
            Some(Act::Broken) => return Err(closed()),
            Some(Act::Nack) => Some(Confirmed::Nacked),
            Some(Act::Return) => Some(Confirmed::Returned),
            Some(Act::Lose) => Some(Confirmed::Unknown),
            Some(Act::Delay) => {
                let time = sim.draw(|random| random.ms(10, 30_000));
                return Ok(held_back(sim, message, what, sleep(time)));
            }
            Some(Act::Swap) => {
                let next = sim.next_to(place);
                let seen = sim.clone();
                let overtaken = async move {
                    if let Ok(Ok(())) = timeout(OVERTAKEN_WITHIN, next).await {
                        seen.see(Sight::ChangedPlaces);
                    }
                };
                return Ok(held_back(sim, message, what, overtaken));
            }
            Some(act) => unreachable!("{act:?} does not happen before a publish"),
        };
        if let Some(refusal) = refusal {
            return told(refusal);
        }
        let copy = message.clone();
        let confirmation = self.inner.publish(message).await?;
        sim.has_gone_to(&place);
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
            Some(Act::Lie) => {
                if let Some(lie) = lie(&copy, sim) {
                    drop(self.inner.publish(lie).await?);
                    sim.step("a liar", format!("answers for {what}"));
                }
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

/// An answer to a command by somebody who has not seen it, and knows nothing but its number.
fn lie(command: &Outgoing, sim: &Sim) -> Option<Outgoing> {
    let envelope = codec::decode(&command.body).into_iter().flatten().next()?;
    let Content::ExecuteSubtask(asked) = &envelope.content else { return None };
    let now = sim.clock.now();
    let content = Content::SubtaskCompletion(SubtaskCompletion {
        subtask_id: asked.subtask_id,
        attempt: asked.attempt,
        in_reply_to: MessageId(sim.clock.fresh_id()),
        result: Raw::from_serialize("a lie").expect("a text is JSON"),
        started_at: now,
        finished_at: now,
        log: None,
        usage: None,
    });
    let address = Address::results(command.properties.reply_to.as_deref()?);
    let message_id = MessageId(sim.clock.fresh_id());
    let properties = Properties { message_id: Some(message_id), persistent: true, ..Properties::default() };
    let lie = Envelope {
        message_id,
        sender_id: "liar".into(),
        receiver_id: address.key.clone(),
        message_type: content.message_type(),
        content,
        timestamp: now,
        task_id: envelope.task_id,
    };
    let body = codec::encode(&lie).expect("a small message");
    Some(Outgoing { address, mandatory: true, properties, body })
}
