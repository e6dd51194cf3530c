//! The step of the delivery protocol, on one channel.
//!
//! 1. Deliveries that are ready are opened into inputs,
//! 2. the machine decides each,
//! 3. all decisions of the batch are committed in one transaction, each against the version it was made at,
//! 4. what they cause is published, what goes to the same place in one body,
//! 5. and when that is confirmed, the deliveries are acked.
//!
//! The unacked delivery is the outbox. A crash before 3: it is delivered again, and decided again. A crash
//! between 3 and 5: it is delivered again, the machine sees that it was handled, and what it caused and what is
//! still current goes out again under the same ids.
//!
//! A lane never outlives its channel: whatever breaks ends it, and a new one starts with nothing in memory.

mod pack;

use std::collections::{BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use uuid::Uuid;

use pack::Pack;

use super::commit::{Desk, PANICKED, ToSend, UNREADABLE};
use super::herald::{Herald, turn};
use super::letter::{self, Aside, Letter, Opened, only_id};
use super::options::World;
use super::outage::Outages;
use super::port::{Acker, Confirmation, Confirmed, Consumer, Delivery, Outgoing, Properties, Publisher, Tag};
use super::port::{StoreError, TransportError};
use super::role::{Message, RenderError, Rendered, Role, Unfit};
use super::states::Kept;
use super::stop::Stop;
use crate::broken::{self, Broken};
use crate::domain::decision::{Effect, UNKNOWN_STREAM};
use crate::domain::phase::Why;
use crate::wire::address::{Address, PROJECT_KEY, TOLD_MANAGERS};
use crate::wire::content::Alarm;
use crate::wire::{Content, MessageId, StreamId};

/// So many deliveries are decided together: enough that a commit is shared, few enough that it is short.
const BATCH_MAX: usize = 256;
/// So many deliveries wait for confirms before no more are taken: a slow broker must not fill the memory.
const HELD_MAX: usize = 2_048;
/// How long a refused alarm waits before it is tried again in place.
const PUBLISH_AGAIN: Duration = Duration::from_secs(1);
/// Whatever a step waits for has a bound that is shorter than this.
const STEP_LONG: Duration = Duration::from_secs(60);
/// What it is called when it does not go round.
const LOOP: &str = "the loop";
/// The reason in the header of a refused message whose refusal could not be decided.
const REFUSAL_PANICKED: &str = "it was refused, and the decision about that panicked";

/// Why a lane ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a publish was not confirmed")]
    Unconfirmed,
    #[error("{0}")]
    WrongStore(String),
}

/// One channel's worth of the protocol.
pub(crate) struct Lane<R: Role> {
    desk: Desk<R>,
    store_id: Uuid,
    publisher: Arc<dyn Publisher>,
    acker: Arc<dyn Acker>,
    held: VecDeque<Held>,
    /// What this step sends and has not published yet: a body for each place.
    packs: Vec<Pack>,
    herald: Herald,
}

/// A delivery that is decided and not acked yet.
struct Held {
    tag: Tag,
    /// What was published for it, and is not to be published for it once more.
    sent: BTreeSet<(StreamId, Effect)>,
    waiting: Vec<Waiting>,
    refused: Vec<(Sent, Why)>,
}

impl Held {
    fn new(tag: Tag) -> Self {
        Self { tag, sent: BTreeSet::new(), waiting: Vec::new(), refused: Vec::new() }
    }
}

/// An effect on its way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    stream: StreamId,
    effect: Effect,
    /// The input that caused it.
    cause: MessageId,
    id: MessageId,
}

/// A publish that its delivery waits for.
struct Waiting {
    confirmation: Confirmation,
    /// What is in it; nothing for a letter that was set aside.
    effects: Vec<Sent>,
    /// What it was, for what is tried again in place.
    again: Option<Outgoing>,
}

impl<R: Role> Lane<R> {
    pub(crate) fn new(
        role: R,
        world: &World,
        outages: Arc<Outages>,
        publisher: Box<dyn Publisher>,
        consumer: &dyn Consumer,
    ) -> Self {
        Self {
            desk: Desk::new(role, world, outages, consumer.acker()),
            store_id: world.store_id,
            publisher: publisher.into(),
            acker: consumer.acker(),
            held: VecDeque::new(),
            packs: Vec::new(),
            herald: Herald::new(world.timing.progress),
        }
    }

    /// See [`Desk::swap`].
    pub(crate) fn swap(&mut self, kept: &Kept<R::State>) {
        self.desk.swap(kept);
    }

    /// Works until it is told to stop or something breaks. A stop finishes what is committed, and no more.
    pub(crate) async fn run(&mut self, consumer: &mut dyn Consumer, stop: &Stop) -> Result<(), LaneError> {
        loop {
            let room = self.held.len() < HELD_MAX;
            tokio::select! {
                biased;
                () = stop.draining() => break,
                done = front(&mut self.held, &self.publisher), if !self.held.is_empty() => {
                    done?;
                    self.ack().await?;
                }
                batch = consumer.next(BATCH_MAX), if room => self.step_in_time(batch?).await?,
                now = turn(self.herald.next()) => {
                    let due = self.herald.due(now);
                    self.tell_watchers(due).await?;
                }
            }
        }
        while !self.held.is_empty() {
            front(&mut self.held, &self.publisher).await?;
            self.ack().await?;
        }
        Ok(())
    }

    /// A step, and a word about it when it does not end: nothing else is done here meanwhile.
    async fn step_in_time(&mut self, batch: Vec<Delivery>) -> Result<(), LaneError> {
        let outages = self.desk.outages();
        let mut step = pin!(self.step(batch));
        if let Ok(done) = tokio::time::timeout(STEP_LONG, &mut step).await {
            return done;
        }
        outages.broke(LOOP, &format!("a step has taken longer than {} s", STEP_LONG.as_secs()));
        let done = step.await;
        outages.works(LOOP);
        done
    }

    /// Steps 1 to 4 for one batch.
    async fn step(&mut self, batch: Vec<Delivery>) -> Result<(), LaneError> {
        if let Some(last) = batch.last().filter(|_| broken::is(Broken::AcksBeforeConfirms)) {
            self.acker.ack(last.tag, true).await?;
        }
        let first = self.held.len();
        let mut work = Vec::with_capacity(batch.len());
        for (at, delivery) in (first..).zip(&batch) {
            self.held.push_back(Held::new(delivery.tag));
            let Opened { letters, unreadable, is_one } = letter::open(delivery);
            for part in unreadable {
                let beside = letter::beside(delivery, is_one);
                self.set_aside(at, delivery, beside, &part.header(), part.bytes).await?;
            }
            for letter in letters {
                match self.desk.read(&letter) {
                    Ok(mut message) => {
                        self.desk.prepare(&mut message).await?;
                        work.push((at, letter, message));
                    }
                    Err(Unfit::Handled) => {}
                    Err(Unfit::WrongStore(why)) => return Err(LaneError::WrongStore(why)),
                    Err(Unfit::Misdirected(reason)) => self.set_letter_aside(at, &letter, reason).await?,
                }
            }
        }
        // An alarm is a look at the clock: a stream that only waits does not make its owner busy.
        if work.iter().any(|(_, letter, _)| !matches!(letter.envelope.content, Content::Alarm(_))) {
            self.desk.role.at_work();
        }
        let verdicts = self.desk.commit(&work).await?;
        for (item, reason) in verdicts.refused {
            let (at, letter, _) = &work[item];
            if reason != UNKNOWN_STREAM || !is_alarm_of(self.store_id, letter) {
                self.set_letter_aside(*at, letter, reason).await?;
            }
        }
        for (item, why) in verdicts.undecided {
            let (at, letter, _) = &work[item];
            match self.desk.role.instead(letter, self.desk.now()) {
                Some(outgoing) => self.publish(*at, Vec::new(), outgoing).await?,
                None => self.set_letter_aside(*at, letter, why).await?,
            }
        }
        for ToSend { item, stream, effect, early } in verdicts.effects {
            let (at, _, message) = &work[item];
            self.send(*at, message.cause, stream, effect, early).await?;
        }
        self.flush().await?;
        // Best effort, and after what somebody waits for: nobody waits for these.
        for outgoing in verdicts.notices {
            drop(self.publisher.publish(outgoing).await?);
        }
        let now = Instant::now();
        let moved = verdicts.moved.into_iter().filter(|&stream| self.herald.moved(stream, now)).collect();
        self.tell_watchers(moved).await?;
        self.desk.append_late().await?;
        Ok(())
    }

    /// Says how these streams stand; best effort.
    async fn tell_watchers(&mut self, streams: Vec<StreamId>) -> Result<(), LaneError> {
        for stream in streams {
            if let Some(outgoing) = self.desk.standing(stream) {
                drop(self.publisher.publish(outgoing).await?);
            }
        }
        Ok(())
    }

    /// Puts one effect of `cause`, for the delivery at this place, with what goes to the same place.
    async fn send(
        &mut self,
        at: usize,
        cause: MessageId,
        stream: StreamId,
        effect: Effect,
        early: Option<Rendered>,
    ) -> Result<(), LaneError> {
        self.held[at].sent.insert((stream, effect));
        let rendered = match early {
            Some(rendered) => Ok(rendered),
            None => self.desk.render(stream, effect).await,
        };
        match rendered {
            Ok(Rendered { id, outgoing, pack_max }) => {
                self.pack(at, Sent { stream, effect, cause, id }, outgoing, pack_max).await
            }
            Err(RenderError::Unsendable { id, why }) => {
                self.held[at].refused.push((Sent { stream, effect, cause, id }, Why::Unsendable(why)));
                Ok(())
            }
            Err(RenderError::Store(error)) => Err(error.into()),
        }
    }

    /// Puts a message with what goes to the same place, `most` of them in one body.
    async fn pack(&mut self, at: usize, sent: Sent, outgoing: Outgoing, most: u32) -> Result<(), LaneError> {
        let open = self.packs.iter().position(|pack| pack.address() == &outgoing.address);
        match open {
            _ if most <= 1 => self.post(Pack::new(at, sent, outgoing)).await,
            Some(open) if self.packs[open].takes(&outgoing, most) => {
                self.packs[open].add(at, sent, outgoing);
                Ok(())
            }
            Some(full) => {
                let full = std::mem::replace(&mut self.packs[full], Pack::new(at, sent, outgoing));
                self.post(full).await
            }
            None => {
                self.packs.push(Pack::new(at, sent, outgoing));
                Ok(())
            }
        }
    }

    /// Publishes what this step sends.
    async fn flush(&mut self) -> Result<(), LaneError> {
        for pack in std::mem::take(&mut self.packs) {
            self.post(pack).await?;
        }
        Ok(())
    }

    async fn post(&mut self, pack: Pack) -> Result<(), LaneError> {
        let (at, effects, outgoing) = pack.close();
        self.publish(at, effects, outgoing).await
    }

    async fn publish(&mut self, at: usize, effects: Vec<Sent>, outgoing: Outgoing) -> Result<(), LaneError> {
        let is_alarm = |sent: &Sent| matches!(sent.effect, Effect::Alarm { .. });
        // An alarm's place takes nothing but alarms.
        let again = effects.iter().all(is_alarm).then(|| outgoing.clone());
        let confirmation = self.publisher.publish(outgoing).await?;
        self.held[at].waiting.push(Waiting { confirmation, effects, again });
        Ok(())
    }

    /// What came through the exchange of the dead lies among the dead letters already, whoever sent it: set aside once
    /// more, it might come straight back here.
    async fn set_letter_aside(&mut self, at: usize, letter: &Letter, reason: &str) -> Result<(), LaneError> {
        let id = letter.envelope.message_id;
        if letter.was_dead {
            tracing::warn!(message = %id, kind = letter.envelope.content.name(), reason, "a dead letter is left alone");
            return Ok(());
        }
        tracing::warn!(message = %id, kind = letter.envelope.content.name(), reason, "a message was set aside");
        let (exchange, key) = (&letter.exchange, &letter.key);
        let aside = Aside { exchange: Some(exchange), key, beside: only_id(id), reason, at: self.desk.now() };
        let outgoing = letter::dead(aside, told(letter, reason), letter.body());
        self.publish(at, Vec::new(), outgoing).await
    }

    async fn set_aside(
        &mut self,
        at: usize,
        delivery: &Delivery,
        beside: Properties,
        reason: &str,
        body: bytes::Bytes,
    ) -> Result<(), LaneError> {
        let (exchange, key) = (letter::exchange(delivery), delivery.key.as_str());
        if letter::came_through_the_dead(delivery) {
            tracing::warn!(reason, key, "a dead letter that can not be read is left alone");
            return Ok(());
        }
        tracing::warn!(reason, key, "a message that can not be read was set aside");
        let aside = Aside { exchange: Some(exchange), key, beside, reason, at: self.desk.now() };
        self.publish(at, Vec::new(), letter::dead(aside, None, body)).await
    }

    /// Step 5: acks the deliveries at the front that are done, with one ack for all.
    async fn ack(&mut self) -> Result<(), LaneError> {
        let mut last = None;
        while let Some(held) = self.held.front_mut() {
            if !held.waiting.is_empty() {
                match front(&mut self.held, &self.publisher).now_or_never() {
                    Some(done) => done?,
                    None => break,
                }
            }
            let again = std::mem::take(&mut self.held[0].refused);
            if !again.is_empty() {
                self.on_refused(again).await?;
                continue;
            }
            last = self.held.pop_front().map(|held| held.tag);
        }
        if let Some(tag) = last.filter(|_| !broken::is(Broken::AcksBeforeConfirms)) {
            self.acker.ack(tag, true).await?;
        }
        Ok(())
    }

    /// The broker refused what the front delivery caused. The machine is told, and what it makes of that is
    /// committed and confirmed before the delivery is acked. What follows from it has the same cause as what was
    /// refused: should this process die before all of it is confirmed, that cause is delivered again, and nothing
    /// else is. A letter to the dead, and an alarm, are the base case: there is nothing else to wait for, so they
    /// are tried again in place.
    async fn on_refused(&mut self, refused: Vec<(Sent, Why)>) -> Result<(), LaneError> {
        for (Sent { stream, effect, cause, id }, why) in refused {
            tracing::warn!(%stream, ?effect, message = %id, %why, "a publish was refused");
            let input = self.desk.role.refused(effect, id, why);
            let message = Message { stream, cause, input, result: None, log: None };
            let Some(effects) = self.desk.commit_own(message).await? else {
                self.give_up(Sent { stream, effect, cause, id }).await?;
                continue;
            };
            for (stream, effect) in effects {
                if !self.held.iter().any(|held| held.sent.contains(&(stream, effect))) {
                    self.send(0, cause, stream, effect, None).await?;
                }
            }
            self.flush().await?;
            self.desk.append_late().await?;
        }
        Ok(())
    }
}

/// A refused publish whose decision panicked goes the way of a message that nobody can handle: to the dead letters,
/// told to whoever the broker would have told of its death. So its stream goes on, or ends, by a decision of another
/// kind; and what came as a dead letter is told to nobody, so that this ends.
impl<R: Role> Lane<R> {
    async fn give_up(&mut self, sent: Sent) -> Result<(), LaneError> {
        let Sent { stream, effect, cause, id } = sent;
        if !self.desk.is_current(stream, cause, effect).await? {
            // The stream went on meanwhile, and nobody waits for it.
            return Ok(());
        }
        let letter = match self.desk.render(stream, effect).await {
            Ok(Rendered { outgoing: Outgoing { address, body, .. }, .. }) => {
                let told = address.told.unwrap_or_else(|| TOLD_MANAGERS.to_owned());
                self.given_up(&address.key, told, id, body)
            }
            Err(RenderError::Unsendable { .. }) => self.end_of_phase(sent)?,
            Err(RenderError::Store(error)) => return Err(error.into()),
        };
        self.publish(0, Vec::new(), letter).await
    }

    /// For what has no message of its own: the phase's alarm, dead. Managers end the phase with it.
    fn end_of_phase(&self, Sent { stream, effect, id, .. }: Sent) -> Result<Outgoing, LaneError> {
        let phase = match effect {
            Effect::StartPhase { phase } => StreamId::Phase(stream.project(), phase),
            _ => stream,
        };
        let now = self.desk.now();
        let alarm = Content::Alarm(Alarm { stream: phase, number: 0, not_before: now, store_id: None });
        let to = Address::dead(PROJECT_KEY);
        let sent = self.desk.role.pen().must_arrive(id, to, stream.project(), alarm, now);
        let body = sent.map_err(|error| StoreError::Unusable(format!("a letter can not be written: {error}")))?.body;
        Ok(self.given_up(PROJECT_KEY, TOLD_MANAGERS.to_owned(), id, body))
    }

    fn given_up(&self, key: &str, told: String, id: MessageId, body: bytes::Bytes) -> Outgoing {
        // It never was in an exchange: the broker refused it.
        let (beside, at) = (only_id(id), self.desk.now());
        let aside = Aside { exchange: None, key, beside, reason: REFUSAL_PANICKED, at };
        letter::dead(aside, Some(told), body)
    }
}

/// Waits until nothing is out for the front delivery. Loses nothing when it is dropped before it is done.
async fn front(held: &mut VecDeque<Held>, publisher: &Arc<dyn Publisher>) -> Result<(), LaneError> {
    let Some(held) = held.front_mut() else { return Ok(()) };
    while let Some(waiting) = held.waiting.last_mut() {
        let why = match (&mut waiting.confirmation).await {
            Confirmed::Accepted => {
                held.waiting.pop();
                continue;
            }
            Confirmed::Nacked => Why::Nacked,
            Confirmed::Returned => Why::Returned,
            Confirmed::Unknown => return Err(LaneError::Unconfirmed),
        };
        match &waiting.again {
            Some(outgoing) => {
                tracing::warn!(exchange = ?outgoing.address.exchange, key = outgoing.address.key, %why, "a publish was refused, it is tried again");
                waiting.confirmation = publish_later(publisher.clone(), outgoing.clone());
            }
            None => {
                held.refused.extend(waiting.effects.drain(..).map(|sent| (sent, why.clone())));
                held.waiting.pop();
            }
        }
    }
    Ok(())
}

fn publish_later(publisher: Arc<dyn Publisher>, outgoing: Outgoing) -> Confirmation {
    Box::pin(async move {
        tokio::time::sleep(PUBLISH_AGAIN).await;
        match publisher.publish(outgoing).await {
            Ok(confirmation) => confirmation.await,
            Err(_) => Confirmed::Unknown,
        }
    })
}

/// An alarm is sent when its stream is stored. So an unknown stream whose alarm came from this very store was forgotten
/// since, and nobody misses the alarm; of one from elsewhere it is not known who is wrong, and it is kept.
fn is_alarm_of(store: Uuid, letter: &Letter) -> bool {
    matches!(&letter.envelope.content, Content::Alarm(alarm) if alarm.store_id == Some(store))
}

/// Whom the owner's own dead letters are told to: managers hear of a phase that can not be opened or
/// read, or whose alarm panicked, which nothing else would wake.
fn told(letter: &Letter, reason: &str) -> Option<String> {
    let is_news = match &letter.envelope.content {
        Content::StartProjectPhase(_) => true,
        Content::Alarm(alarm) => {
            matches!(alarm.stream, StreamId::Phase(..)) && [PANICKED, UNREADABLE].contains(&reason)
        }
        _ => false,
    };
    is_news.then(|| TOLD_MANAGERS.to_owned())
}

#[cfg(test)]
mod tests;
