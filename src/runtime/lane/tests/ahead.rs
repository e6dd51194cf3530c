//! One commit while the next batch is being decided.

use tokio::sync::mpsc::UnboundedSender;

use super::ports::{Fate, Fed, OneStream};
use super::*;
use crate::runtime::port::Store;

fn stream() -> StreamId {
    StreamId::Phase(ProjectId(Uuid::from_u128(1)), 1)
}

/// A lane whose commits wait for what the test makes of them.
struct Play {
    feed: UnboundedSender<Delivery>,
    decide: UnboundedSender<Fate>,
    store: Arc<OneStream>,
    recorder: Recorder,
    stop: Stop,
}

impl Play {
    /// Plays `story` beside a lane. What was acked, in the end.
    async fn run(story: impl AsyncFnOnce(&Self)) -> Vec<Tag> {
        let (mut consumer, (decide, store)) = (Fed::new(Vec::new(), Stop::new()), OneStream::fated());
        let recorder = Recorder { takes_commands: true, ..Recorder::default() };
        let play = Self { feed: consumer.feed.clone(), decide, store: store.clone(), recorder, stop: Stop::new() };
        let world = World { store, ..world() };
        let role = Panicking { pen: pen(), is_unsendable: false };
        let publisher = Recorder { sent: play.recorder.sent.clone(), takes_commands: true };
        let mut lane = Lane::new(role, &world, Arc::default(), Box::new(publisher), &consumer);
        let story = async {
            story(&play).await;
            play.stop.drain();
        };
        let (ended, ()) = tokio::join!(lane.run(&mut consumer, &play.stop), story);
        ended.expect("the lane goes on");
        consumer.acked()
    }

    /// Says a word to the stream.
    async fn word(&self, number: u64) {
        let word = Content::Pause(Control::about(stream().project()));
        self.give(addressed(number, word, stream())).await;
    }

    async fn poison(&self, number: u64) {
        self.give(poison(number, stream())).await;
    }

    async fn give(&self, delivery: Delivery) {
        self.feed.send(delivery).expect("the lane is there");
        self.settle().await;
    }

    /// The commit that is out is written, or not, and this is said of it.
    async fn commit(&self, is_written: bool, answer: Result<(), StoreError>) {
        self.decide.send((is_written, answer)).expect("the lane is there");
        self.settle().await;
    }

    /// The lane does what it can.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// The numbers of the commands that went out, by the place of their cause in the stream.
    fn sent(&self) -> Vec<u128> {
        let sent = self.recorder.sent.lock().expect("nobody panics while it is held");
        sent.iter().filter_map(|sent| Some(sent.properties.message_id?.0.as_u128() - 7)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_meanwhile_is_written_together_when_the_commit_before_is() {
    let acked = Play::run(async |play: &Play| {
        play.word(1).await;
        play.word(2).await;
        play.word(3).await;
        assert_eq!((play.store.appended(), play.sent()), (vec![(0, 1)], vec![]), "one commit at a time");
        play.commit(true, Ok(())).await;
        assert_eq!((play.store.appended(), play.sent()), (vec![(0, 1), (1, 2)], vec![0]));
        // The front one is acked with those that are confirmed, and not with those that are only decided.
        play.word(4).await;
        play.commit(true, Ok(())).await;
        play.commit(true, Ok(())).await;
        assert_eq!((play.store.appended(), play.sent()), (vec![(0, 1), (1, 2), (3, 1)], vec![0, 1, 2, 3]));
    })
    .await;
    assert_eq!(acked, [1, 3, 4].map(Tag));
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_upon_a_commit_that_failed_is_decided_again() {
    for answer in [StoreError::Conflict, StoreError::Unreachable("away".into())] {
        let acked = Play::run(async |play: &Play| {
            play.word(1).await;
            play.word(2).await;
            play.commit(false, Err(answer.clone())).await;
            assert_eq!((play.store.appended(), play.sent()), (vec![(0, 1), (0, 1)], vec![]), "{answer}");
            play.commit(true, Ok(())).await;
            assert_eq!((play.store.appended(), play.sent()), (vec![(0, 1), (0, 1), (1, 1)], vec![0]));
            play.commit(true, Ok(())).await;
            assert_eq!(play.sent(), [0, 1]);
        })
        .await;
        assert_eq!(acked, [1, 2].map(Tag));
    }
}

/// Whether it was written is seen from what is stored; what it caused goes out all the same.
#[tokio::test(start_paused = true)]
async fn what_was_decided_upon_a_commit_whose_answer_was_lost_is_decided_again() {
    Play::run(async |play: &Play| {
        play.word(1).await;
        play.word(2).await;
        play.commit(true, Err(StoreError::Unknown("away".into()))).await;
        // That there is nothing to do is asserted.
        assert_eq!((play.store.appended(), play.sent()), (vec![(0, 1), (1, 0)], vec![]));
        play.commit(true, Ok(())).await;
        assert_eq!((play.store.appended(), play.sent()), (vec![(0, 1), (1, 0), (1, 1)], vec![0]));
        play.commit(true, Ok(())).await;
        assert_eq!(play.sent(), [0, 1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_being_written_and_leaves_the_rest() {
    let acked = Play::run(async |play: &Play| {
        play.word(1).await;
        play.word(2).await;
        play.stop.drain();
        play.commit(true, Ok(())).await;
        assert_eq!((play.store.appended(), play.sent()), (vec![(0, 1)], vec![0]));
    })
    .await;
    assert_eq!(acked, [Tag(1)], "the other goes back");
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_panics_meanwhile_takes_no_other_with_it() {
    let acked = Play::run(async |play: &Play| {
        play.word(1).await;
        play.word(2).await;
        play.poison(3).await;
        play.word(4).await;
        play.commit(true, Ok(())).await;
        assert_eq!(play.store.appended(), [(0, 1), (1, 2)]);
        play.commit(true, Ok(())).await;
        let stored = play.store.load_from_start(stream()).await.expect("a store");
        assert_eq!(stored.version, 3);
        let sent = play.recorder.sent.lock().expect("nobody panics while it is held");
        let dead = sent.iter().filter(|sent| sent.address.exchange == Exchange::Dead).count();
        assert_eq!((dead, sent.len()), (1, 4));
    })
    .await;
    assert_eq!(acked, [1, 4].map(Tag));
}
