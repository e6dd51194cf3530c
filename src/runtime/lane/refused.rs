//! What becomes of a publish that the broker refused.

use super::{Lane, LaneError, Sent};
use crate::domain::decision::Effect;
use crate::domain::phase::Why;
use crate::runtime::letter::{self, Aside, only_id};
use crate::runtime::port::{Outgoing, StoreError};
use crate::runtime::role::{Message, RenderError, Rendered, Role};
use crate::wire::address::{Address, PROJECT_KEY, TOLD_MANAGERS};
use crate::wire::content::Alarm;
use crate::wire::{Content, MessageId, StreamId};

/// The reason in the header of a refused message whose refusal could not be decided.
pub(super) const REFUSAL_PANICKED: &str = "it was refused, and the decision about that panicked";

impl<R: Role> Lane<R> {
    /// The broker refused what the front delivery caused. The machine is told, and what it makes of that is
    /// committed and confirmed before the delivery is acked. What follows from it has the same cause as what was
    /// refused: should this process die before all of it is confirmed, that cause is delivered again, and nothing
    /// else is. A letter to the dead, and an alarm, are the base case: there is nothing else to wait for, so they
    /// are tried again in place.
    pub(super) async fn on_refused(&mut self, refused: Vec<(Sent, Why)>) -> Result<(), LaneError> {
        for (Sent { stream, effect, cause, id }, why) in refused {
            tracing::warn!(%stream, ?effect, message = %id, %why, "a publish was refused");
            let input = self.desk.role.refused(effect, id, why);
            let message = Message { stream, cause, input, result: None, log: None };
            let Some(effects) = self.desk.commit_own(message).await? else {
                self.give_up(Sent { stream, effect, cause, id }).await?;
                continue;
            };
            for (stream, effect) in effects {
                if !self.line.has_sent(stream, effect) {
                    self.send(self.line.first(), cause, stream, effect, None).await?;
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
        self.publish(self.line.first(), Vec::new(), letter).await
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
