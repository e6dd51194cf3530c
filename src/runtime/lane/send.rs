//! Step 4 of the delivery protocol: what a batch causes is published, for the delivery that it is for. And what nobody can
//! decide on is set aside, among the dead letters.

use uuid::Uuid;

use super::line::Waiting;
use super::pack::{Pack, words_together};
use super::{Lane, LaneError, Place, Sent};
use crate::domain::decision::{Effect, UNKNOWN_STREAM};
use crate::domain::phase::Why;
use crate::runtime::commit::{PANICKED, ToSend, UNREADABLE, Verdicts, Work};
use crate::runtime::letter::{self, Aside, Letter, only_id};
use crate::runtime::port::{Delivery, Outgoing, Properties};
use crate::runtime::role::{RenderError, Rendered, Role};
use crate::wire::address::TOLD_MANAGERS;
use crate::wire::{Content, MessageId, StreamId};

impl<R: Role> Lane<R> {
    /// Publishes what came of work that is written.
    pub(super) async fn send_out(&mut self, work: &[Work<R::Input>], verdicts: Verdicts) -> Result<(), LaneError> {
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
        // After what somebody waits for.
        self.say(verdicts.notices).await?;
        self.desk.append_late().await?;
        Ok(())
    }

    /// Says what may get lost; nobody waits for it.
    pub(super) async fn say(&mut self, words: Vec<Outgoing>) -> Result<(), LaneError> {
        for outgoing in words_together(words) {
            drop(self.publisher.publish(outgoing).await?);
        }
        Ok(())
    }

    /// Puts one effect of `cause`, for the delivery at this place, with what goes to the same place.
    pub(super) async fn send(
        &mut self,
        at: Place,
        cause: MessageId,
        stream: StreamId,
        effect: Effect,
        early: Option<Rendered>,
    ) -> Result<(), LaneError> {
        self.line.at(at).sent.insert((stream, effect));
        let rendered = match early {
            Some(rendered) => Ok(rendered),
            None => self.desk.render(stream, effect).await,
        };
        match rendered {
            Ok(Rendered { id, outgoing, pack_max }) => {
                self.pack(at, Sent { stream, effect, cause, id }, outgoing, pack_max).await
            }
            Err(RenderError::Unsendable { id, why }) => {
                self.line.at(at).refused.push((Sent { stream, effect, cause, id }, Why::Unsendable(why)));
                Ok(())
            }
            Err(RenderError::Store(error)) => Err(error.into()),
        }
    }

    /// Puts a message with what goes to the same place, `most` of them in one body.
    pub(super) async fn pack(&mut self, at: Place, sent: Sent, outgoing: Outgoing, most: u32) -> Result<(), LaneError> {
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
    pub(super) async fn flush(&mut self) -> Result<(), LaneError> {
        for pack in std::mem::take(&mut self.packs) {
            self.post(pack).await?;
        }
        Ok(())
    }

    pub(super) async fn post(&mut self, pack: Pack) -> Result<(), LaneError> {
        let (at, effects, outgoing) = pack.close();
        self.publish(at, effects, outgoing).await
    }

    pub(super) async fn publish(&mut self, at: Place, effects: Vec<Sent>, outgoing: Outgoing) -> Result<(), LaneError> {
        let is_alarm = |sent: &Sent| matches!(sent.effect, Effect::Alarm { .. });
        // An alarm's place takes nothing but alarms.
        let again = effects.iter().all(is_alarm).then(|| outgoing.clone());
        let confirmation = self.publisher.publish(outgoing).await?;
        self.line.at(at).waiting.push(Waiting { confirmation, effects, again });
        Ok(())
    }

    /// What came through the exchange of the dead lies among the dead letters already, whoever sent it: set aside once
    /// more, it might come straight back here.
    pub(super) async fn set_letter_aside(&mut self, at: Place, letter: &Letter, reason: &str) -> Result<(), LaneError> {
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

    pub(super) async fn set_aside(
        &mut self,
        at: Place,
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
