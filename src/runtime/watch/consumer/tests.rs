//! The watchdog against a broker that says what it is told to say: frozen time, and a consumer that gets nothing.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::*;
use crate::runtime::port::{Browser, Properties, Publisher, Topology};
use crate::wire::address::Exchange;

type Answer = Result<Option<QueueDepth>, TransportError>;

/// Gives what is put in, and waits for it.
struct Quiet {
    given: mpsc::UnboundedReceiver<Vec<Delivery>>,
    acks: Acks,
}

#[async_trait]
impl Consumer for Quiet {
    async fn next(&mut self, _: usize) -> Result<Vec<Delivery>, TransportError> {
        self.given.recv().await.ok_or_else(|| TransportError::Closed("the test is over".into()))
    }

    fn acker(&self) -> Arc<dyn Acker> {
        Arc::new(self.acks.clone())
    }

    async fn stop(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

/// The acks that came, in their order: a tag, and whether all before it are meant too.
#[derive(Clone, Default)]
struct Acks(Arc<Mutex<Vec<(u64, bool)>>>);

#[async_trait]
impl Acker for Acks {
    async fn ack(&self, tag: Tag, multiple: bool) -> Result<(), TransportError> {
        self.0.lock().expect("no test panics while it holds this").push((tag.0, multiple));
        Ok(())
    }

    async fn still_holds(&self) -> Result<(), TransportError> {
        Ok(())
    }

    async fn reject(&self, _: Tag) -> Result<(), TransportError> {
        Ok(())
    }
}

/// Answers how full the queue is, each in its turn; the last one for ever.
struct Told(Mutex<(VecDeque<Answer>, u32)>);

#[async_trait]
impl Transport for Told {
    async fn declare(&self, _: &Topology) -> Result<(), TransportError> {
        Ok(())
    }

    async fn delete(&self, _: &Topology) -> Result<(), TransportError> {
        Ok(())
    }

    async fn consume(&self, _: &Queue, _: u16) -> Result<Box<dyn Consumer>, TransportError> {
        Err(TransportError::Refused("nobody asks for it".into()))
    }

    async fn subscribe(&self, _: &Queue, _: &[(Exchange, String)]) -> Result<Box<dyn Consumer>, TransportError> {
        Err(TransportError::Refused("nobody asks for it".into()))
    }

    async fn browse(&self, _: &Queue) -> Result<Box<dyn Browser>, TransportError> {
        Err(TransportError::Refused("nobody asks for it".into()))
    }

    async fn publisher(&self) -> Result<Box<dyn Publisher>, TransportError> {
        Err(TransportError::Refused("nobody asks for it".into()))
    }

    async fn depth(&self, _: &Queue) -> Answer {
        let mut told = self.0.lock().expect("no test panics while it holds this");
        told.1 += 1;
        if told.0.len() > 1 { told.0.pop_front().expect("more than one") } else { told.0[0].clone() }
    }
}

struct Bench {
    consumer: WatchedConsumer,
    put: mpsc::UnboundedSender<Vec<Delivery>>,
    broker: Arc<Told>,
    watch: Arc<Watch>,
    acks: Acks,
}

fn bench(queue: Queue, prefetch: u16, answers: impl IntoIterator<Item = Answer>) -> Bench {
    let (put, given) = mpsc::unbounded_channel();
    let broker = Arc::new(Told(Mutex::new((answers.into_iter().collect(), 0))));
    let watch = Arc::new(Watch::default());
    let acks = Acks::default();
    let quiet = Quiet { given, acks: acks.clone() };
    let consumer = WatchedConsumer::new(Box::new(quiet), broker.clone(), queue, prefetch, watch.clone());
    Bench { consumer, put, broker, watch, acks }
}

impl Bench {
    /// What is heard within `seconds`.
    async fn listen(&mut self, seconds: u64) -> Option<Result<Vec<Delivery>, TransportError>> {
        tokio::time::timeout(Duration::from_secs(seconds), self.consumer.next(10)).await.ok()
    }

    fn questions(&self) -> u32 {
        self.broker.0.lock().expect("no test panics while it holds this").1
    }

    fn give(&self, tag: u64) {
        let delivery = Delivery {
            tag: Tag(tag),
            exchange: String::new(),
            key: String::new(),
            redelivered: false,
            returns: 0,
            properties: Properties::default(),
            death: None,
            origin: None,
            body: Bytes::new(),
        };
        self.put.send(vec![delivery]).expect("it listens");
    }
}

fn ready(ready: u32) -> Answer {
    Ok(Some(QueueDepth { ready, consumers: 0 }))
}

fn skill() -> Queue {
    Queue::Skill("noop".into())
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_minute_and_does_not_come_ends_it() {
    let mut bench = bench(skill(), 4, [ready(3)]);
    assert!(bench.listen(59).await.is_none(), "it is not known yet");
    let ended = bench.listen(2).await.expect("an end").expect_err("an error").to_string();
    assert!(ended.contains("3 messages wait"), "{ended}");
    assert_eq!(bench.questions(), LOOKS);
    let trouble = bench.watch.outages.describe().expect("trouble");
    assert!(trouble.starts_with("queue Skill(\"noop\"): 3 messages wait"), "{trouble}");
}

#[tokio::test(start_paused = true)]
async fn looks_count_only_in_a_row_and_only_while_nothing_comes() {
    let mut bench = bench(skill(), 4, [ready(1), ready(1), ready(0), ready(1), ready(1), ready(0)]);
    assert!(bench.listen(170).await.is_none(), "an empty queue in between");
    let mut bench = self::bench(skill(), 4, [ready(1)]);
    for tag in 1..5 {
        assert!(bench.listen(50).await.is_none());
        bench.give(tag);
        assert!(bench.listen(1).await.expect("it comes").is_ok());
        bench.consumer.acker().ack(Tag(tag), true).await.expect("acked");
    }
    // Nobody knows how full it is: that is no evidence.
    let mut bench = self::bench(skill(), 4, [Err(TransportError::Unreachable("away".into()))]);
    assert!(bench.listen(600).await.is_none());
    assert!(bench.questions() > LOOKS);
}

#[tokio::test(start_paused = true)]
async fn who_is_full_is_not_expected_to_get_anything() {
    let mut bench = bench(skill(), 2, [ready(9)]);
    for tag in [1, 2] {
        bench.give(tag);
        assert!(bench.listen(1).await.expect("it comes").is_ok());
    }
    assert!(bench.listen(600).await.is_none());
    assert_eq!(bench.questions(), 0);
    bench.consumer.acker().ack(Tag(1), false).await.expect("acked");
    assert!(bench.listen(600).await.expect("an end").is_err());
}

#[tokio::test(start_paused = true)]
async fn who_stands_in_line_gets_nothing_by_right() {
    let mut standby = bench(Queue::Coordination(3), 10, [ready(9)]);
    standby.watch.set_held([3].into());
    assert!(standby.listen(600).await.is_none());
    // Nobody says any more that he holds it.
    standby.watch.set_held([2].into());
    assert!(standby.listen(600).await.expect("an end").is_err());
    // Whoever had something holds it himself.
    let mut holder = bench(Queue::Coordination(3), 10, [ready(9)]);
    holder.watch.set_held([3].into());
    holder.give(1);
    assert!(holder.listen(1).await.expect("it comes").is_ok());
    assert!(holder.listen(600).await.expect("an end").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_not_there_ends_it_at_once() {
    let mut bench = bench(skill(), 4, [Ok(None)]);
    let ended = bench.listen(21).await.expect("an end").expect_err("an error").to_string();
    assert!(ended.contains("not there any more"), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_listen_misses_nothing_and_a_dropped_call_loses_nothing() {
    let mut bench = bench(skill(), 4, [ready(9)]);
    // Ten minutes of other work.
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(bench.listen(19).await.is_none());
    assert_eq!(bench.questions(), 0);
    // Calls that are dropped at their first breath, with something in the middle of them.
    let mut got = Vec::new();
    for call in 0..10 {
        if call == 5 {
            bench.give(1);
        }
        got.extend(bench.consumer.next(10).now_or_never());
    }
    let got: Vec<usize> = got.into_iter().map(|deliveries| deliveries.expect("it listens").len()).collect();
    assert_eq!(got, [1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_up_to_somewhere_is_acked_in_one_word() {
    let mut bench = bench(skill(), 10, [ready(0)]);
    let acker = bench.consumer.acker();
    for tag in 1..=6 {
        bench.give(tag);
        assert!(bench.listen(1).await.expect("it comes").is_ok());
    }
    for tags in [&[4][..], &[1, 2], &[3, 6], &[5]] {
        acker.ack_all(&tags.iter().copied().map(Tag).collect()).await.expect("acked");
    }
    let acks = bench.acks.0.lock().expect("no test panics while it holds this").clone();
    // The fourth was acked before all up to it were done: the fifth goes with those.
    assert_eq!(acks, [(4, false), (2, true), (3, true), (6, false), (5, true)]);
}
