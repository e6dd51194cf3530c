//! The least of a world that one lane can be run in.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::runtime::options::{Timing, World};
use crate::runtime::port::{
    Acker, Append, Browser, Confirmation, Confirmed, Consumer, Delivery, Outgoing, Page, Payload, PayloadKind,
    Publisher, QueueDepth, QueueKind, Removal, Store, StoreError, StoreIdentity, Stored, Summary, SummaryQuery,
    SystemClock, Tag, Topology, Transport, TransportError,
};
use crate::runtime::stop::Stop;
use crate::runtime::topology::TopologyOptions;
use crate::wire::address::{Exchange, Namespace, Queue};
use crate::wire::{ProjectId, Raw, StreamId};

/// Takes everything, or everything but commands: there is no queue for their skill then.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) sent: Arc<Mutex<Vec<Outgoing>>>,
    pub(super) takes_commands: bool,
}

#[async_trait]
impl Publisher for Recorder {
    async fn publish(&self, message: Outgoing) -> Result<Confirmation, TransportError> {
        let confirmed = match message.address.exchange {
            Exchange::Skills if !self.takes_commands => Confirmed::Returned,
            _ => Confirmed::Accepted,
        };
        self.sent.lock().expect("nobody panics while it is held").push(message);
        Ok(Box::pin(std::future::ready(confirmed)))
    }
}

/// Gives deliveries as they are fed.
pub(super) struct Fed {
    pub(super) feed: mpsc::UnboundedSender<Delivery>,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    acks: Arc<Acks>,
}

struct Acks {
    acked: Mutex<Vec<Tag>>,
    /// Drained by the first ack.
    stop: Stop,
    is_lost: bool,
}

impl Fed {
    /// Has these at once, and drains when one of them is acked.
    pub(super) fn new(deliveries: Vec<Delivery>, stop: Stop) -> Self {
        Self::with(deliveries, stop, false)
    }

    /// Somebody else has them by now.
    pub(super) fn lost(deliveries: Vec<Delivery>, stop: Stop) -> Self {
        Self::with(deliveries, stop, true)
    }

    fn with(at_once: Vec<Delivery>, stop: Stop, is_lost: bool) -> Self {
        let (feed, deliveries) = mpsc::unbounded_channel();
        at_once.into_iter().for_each(|delivery| feed.send(delivery).expect("it is open"));
        Self { feed, deliveries, acks: Arc::new(Acks { acked: Mutex::default(), stop, is_lost }) }
    }

    pub(super) fn acked(&self) -> Vec<Tag> {
        self.acks.acked.lock().expect("nobody panics while it is held").clone()
    }
}

#[async_trait]
impl Consumer for Fed {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, TransportError> {
        let mut deliveries = Vec::new();
        self.deliveries.recv_many(&mut deliveries, most).await;
        Ok(deliveries)
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.acks.clone()
    }

    async fn stop(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

#[async_trait]
impl Acker for Acks {
    async fn ack(&self, tag: Tag, _: bool) -> Result<(), TransportError> {
        self.acked.lock().expect("nobody panics while it is held").push(tag);
        self.stop.drain();
        Ok(())
    }

    async fn still_holds(&self) -> Result<(), TransportError> {
        match self.is_lost {
            true => Err(TransportError::Closed("its deliveries are somebody else's now".into())),
            false => Ok(()),
        }
    }

    async fn reject(&self, tag: Tag) -> Result<(), TransportError> {
        panic!("{tag:?} is rejected")
    }
}

/// A world with a store of its own, and with a broker that only the ports above have to do with.
pub(super) fn world() -> World {
    let namespace = Namespace::new("lane").expect("a word");
    World {
        transport: Arc::new(Elsewhere),
        store: Arc::new(OneStream::default()),
        store_id: Uuid::nil(),
        clock: Arc::new(SystemClock),
        planners: Vec::new().into(),
        skills: Arc::default(),
        topology: Arc::new(TopologyOptions {
            namespace,
            partitions: 1,
            skills: Vec::new(),
            requests_max: 1,
            skill_delivery_limit: 1,
            queue_kind: QueueKind::Quorum,
        }),
        timing: Timing::default(),
    }
}

/// What becomes of an append: whether it is written, and what is said of it.
pub(super) type Fate = (bool, Result<(), StoreError>);

/// A store of one stream, which nobody else writes.
#[derive(Default)]
pub(super) struct OneStream {
    events: Mutex<Vec<Raw>>,
    /// The version that each append expected, and how many events it had.
    appended: Mutex<Vec<(u64, usize)>>,
    /// Appends wait for theirs; none: all go well.
    fates: Option<tokio::sync::Mutex<mpsc::UnboundedReceiver<Fate>>>,
}

impl OneStream {
    pub(super) fn fated() -> (mpsc::UnboundedSender<Fate>, Arc<Self>) {
        let (decide, fates) = mpsc::unbounded_channel();
        (decide, Arc::new(Self { fates: Some(tokio::sync::Mutex::new(fates)), ..Self::default() }))
    }

    pub(super) fn appended(&self) -> Vec<(u64, usize)> {
        self.appended.lock().expect("nobody panics while it is held").clone()
    }

    fn stored(&self) -> Stored {
        let events = self.events.lock().expect("nobody panics while it is held").clone();
        Stored { snapshot: None, version: events.len() as u64, events }
    }
}

#[async_trait]
impl Store for OneStream {
    async fn append(&self, parts: Vec<Append>) -> Result<(), StoreError> {
        let tried = parts.iter().map(|part| (part.expected, part.events.len()));
        self.appended.lock().expect("nobody panics while it is held").extend(tried);
        let (is_written, answer) = match &self.fates {
            Some(fates) => fates.lock().await.recv().await.expect("the test decides"),
            None => (true, Ok(())),
        };
        if is_written {
            let mut events = self.events.lock().expect("nobody panics while it is held");
            events.extend(parts.into_iter().flat_map(|part| part.events));
        }
        answer
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Stored>, StoreError> {
        Ok(streams.iter().map(|_| self.stored()).collect())
    }

    async fn load_from_start(&self, _: StreamId) -> Result<Stored, StoreError> {
        Ok(self.stored())
    }

    async fn payloads(&self, _: StreamId, _: PayloadKind, _: &[u32]) -> Result<Vec<Payload>, StoreError> {
        Ok(Vec::new())
    }

    async fn page(&self, _: StreamId, _: u64) -> Result<Page, StoreError> {
        Err(StoreError::Unusable("nobody asks".into()))
    }

    async fn payload_keys(
        &self,
        _: StreamId,
        _: PayloadKind,
        _: Option<(u32, u32)>,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        Ok(Vec::new())
    }

    async fn now(&self) -> Result<crate::wire::Timestamp, StoreError> {
        unreachable!("a lane has a clock")
    }

    async fn probe_write(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn remove(&self, _: ProjectId, _: Removal) -> Result<u64, StoreError> {
        Err(StoreError::Unusable("nobody asks".into()))
    }

    async fn projects(&self) -> Result<Vec<ProjectId>, StoreError> {
        unreachable!("a lane does not list")
    }

    async fn summaries(&self, _: &SummaryQuery) -> Result<Vec<Summary>, StoreError> {
        Ok(Vec::new())
    }

    async fn identity(&self, _: u32) -> Result<StoreIdentity, StoreError> {
        Err(StoreError::Unusable("nobody asks".into()))
    }
}

/// A broker that a lane has no business with: it has its consumer and its publisher.
struct Elsewhere;

impl Elsewhere {
    fn refuse<T>() -> Result<T, TransportError> {
        Err(TransportError::Refused("nobody asks".into()))
    }
}

#[async_trait]
impl Transport for Elsewhere {
    async fn declare(&self, _: &Topology) -> Result<(), TransportError> {
        Self::refuse()
    }

    async fn delete(&self, _: &Topology) -> Result<(), TransportError> {
        Self::refuse()
    }

    async fn consume(&self, _: &Queue, _: u16) -> Result<Box<dyn Consumer>, TransportError> {
        Self::refuse()
    }

    async fn subscribe(&self, _: &Queue, _: &[(Exchange, String)]) -> Result<Box<dyn Consumer>, TransportError> {
        Self::refuse()
    }

    async fn browse(&self, _: &Queue) -> Result<Box<dyn Browser>, TransportError> {
        Self::refuse()
    }

    async fn publisher(&self) -> Result<Box<dyn Publisher>, TransportError> {
        Self::refuse()
    }

    async fn depth(&self, _: &Queue) -> Result<Option<QueueDepth>, TransportError> {
        Self::refuse()
    }
}
