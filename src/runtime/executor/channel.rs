//! One channel that brings commands of one skill: what of a delivery is a task, and what is set aside.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attempt::{Task, refuse, refuse_unable};
use super::capability::Service;
use super::intake::part;
use super::running::{Begun, Receipt, settle};
use super::{OfferedSkill, Shop};
use crate::broken::{self, Broken};
use crate::runtime::letter::{self, Aside, Letter, Opened};
use crate::runtime::port::{Assignment, Confirmed, Consumer, Delivery, Outgoing, Properties, Publisher};
use crate::runtime::supervise::Ended;
use crate::wire::address::{Address, Queue, partition_with};
use crate::wire::content::{ExecuteSubtask, RunningCommand};
use crate::wire::{Content, Failure, FailureKind};

/// How soon a leased command is acked at the most, when its owner can be told.
const ACKED_WITHIN: Duration = Duration::from_secs(2);

/// Why a letter is set aside that is no command.
const NOT_A_COMMAND: &str = "not_for_an_executor";

/// A consumer with what goes with it.
pub(super) struct Channel<'a> {
    shop: &'a Arc<Shop>,
    skill: &'a str,
    pub(super) offered: &'a OfferedSkill,
    consumer: Box<dyn Consumer>,
    pub(super) publisher: Arc<dyn Publisher>,
    /// What is done with what it brings, and until when.
    service: Service,
    /// Fires when an ack did not go through.
    broken: CancellationToken,
    /// Counts the deliveries that are not acked yet.
    open: TaskTracker,
}

impl<'a> Channel<'a> {
    pub(super) async fn open(
        shop: &'a Arc<Shop>,
        skill: &'a str,
        offered: &'a OfferedSkill,
        prefetch: u16,
        service: Service,
    ) -> Result<Self, Ended> {
        let transport = &shop.ground.transport;
        let consumer = transport.consume(&Queue::Skill(skill.to_owned()), prefetch).await?;
        let publisher = Arc::from(transport.publisher().await?);
        shop.post.consumes(&part(skill));
        let (broken, open) = (CancellationToken::new(), TaskTracker::new());
        Ok(Self { shop, skill, offered, consumer, publisher, service, broken, open })
    }

    /// The next deliveries; none when this process is to stop, or the skill is not to be served like this any more.
    pub(super) async fn next(&mut self, most: usize) -> Result<Option<Vec<Delivery>>, Ended> {
        tokio::select! {
            biased;
            () = self.shop.stop.draining() => Ok(None),
            () = self.service.over(self.shop, self.skill) => Ok(None),
            () = self.broken.cancelled() => Err(Ended::Broken("an ack, or a dead letter, did not go through".into())),
            deliveries = self.consumer.next(most) => Ok(Some(deliveries?)),
        }
    }

    /// No more deliveries from here on but those that came already.
    pub(super) async fn stop(&mut self) -> Result<(), Ended> {
        Ok(self.consumer.stop().await?)
    }

    /// What came before it was stopped.
    pub(super) async fn rest(&mut self, most: usize) -> Option<Vec<Delivery>> {
        self.consumer.next(most).await.ok()
    }

    /// Waits for long enough while something is not acked that should be by now.
    pub(super) fn held_up(&self) -> impl Future<Output = ()> + Send + 'static {
        let open = self.open.clone();
        async move {
            tokio::time::sleep(ACKED_WITHIN).await;
            while open.is_empty() {
                tokio::time::sleep(ACKED_WITHIN).await;
            }
        }
    }

    /// Waits until all that came is acked, and closes.
    pub(super) fn settled(self) -> impl Future<Output = ()> + Send + 'static {
        let Self { consumer, open, .. } = self;
        async move {
            open.close();
            open.wait().await;
            drop(consumer);
        }
    }

    /// The tasks that a delivery brings. Each of them is to be performed, or refused: it counts as running from here on,
    /// and a second delivery of its command would wait for its answer.
    pub(super) async fn take(&mut self, delivery: &Delivery) -> Result<Vec<Task>, Ended> {
        if broken::is(Broken::AcksBeforeConfirms) {
            self.consumer.acker().ack(delivery.tag, false).await?;
        }
        let Opened { letters, unreadable, is_one } = letter::open(delivery);
        let beside = || letter::beside(delivery, is_one);
        let (acker, broken, open) = (self.consumer.acker(), self.broken.clone(), self.open.token());
        let receipt = Receipt::new(acker, delivery.tag, letters.len() + unreadable.len(), broken, open);
        for part in unreadable {
            self.set_aside(delivery, beside(), &part.header(), part.bytes, receipt.clone()).await;
        }
        let mut tasks = Vec::with_capacity(letters.len());
        for letter in letters {
            match self.task_of(letter, delivery, &receipt) {
                Ok((Begun::New(_), task)) => tasks.extend(self.checked(task).await),
                Ok((Begun::Known, _)) => {}
                Ok((Begun::Accepted(receipts), _)) => settle(receipts).await,
                Err((reason, body)) => {
                    self.set_aside(delivery, beside(), &reason, body, receipt.clone()).await;
                }
            }
        }
        Ok(tasks)
    }

    /// The task that a letter brings, and what it is here.
    fn task_of(
        &self,
        letter: Letter,
        delivery: &Delivery,
        receipt: &Receipt,
    ) -> Result<(Begun, Task), (String, Bytes)> {
        let reply_to = match reply_to(&letter, delivery) {
            Ok(reply_to) => reply_to.to_owned(),
            Err(reason) => return Err((reason, letter.body())),
        };
        let (owner, sent_at) = (letter.envelope.sender_id.clone(), letter.envelope.timestamp);
        let (id, elsewhere) = (letter.envelope.message_id, self.elsewhere(&letter, delivery).map(Box::new));
        let Content::ExecuteSubtask(command) = letter.envelope.content else {
            return Err((NOT_A_COMMAND.into(), letter.body()));
        };
        let ExecuteSubtask { project_id, subtask_id, .. } = command;
        let begun = self
            .shop
            .running
            .begin(RunningCommand { command: id, project_id, subtask_id, progress: None }, receipt.clone());
        let halt = if let Begun::New(halt) = &begun { halt.clone() } else { Default::default() };
        let shop = Arc::clone(self.shop);
        let assignment = Assignment::new(command, move |progress| shop.running.progress(id, progress));
        Ok((begun, Task { id, reply_to, owner, sent_at, assignment, halt, returns: delivery.returns, elsewhere }))
    }

    /// The command anew, when it is for another executor.
    fn elsewhere(&self, letter: &Letter, delivery: &Delivery) -> Option<Outgoing> {
        let Content::ExecuteSubtask(command) = &letter.envelope.content else { return None };
        let own = &self.shop.post.identity().agent_id;
        if !command.avoid.contains(own) || delivery.properties.passed_on {
            return None;
        }
        Some(Outgoing {
            address: Address::passed_on(&delivery.key, delivery.properties.reply_to.as_deref()?),
            mandatory: true,
            properties: Properties {
                message_id: Some(letter.envelope.message_id),
                kind: Some(letter.envelope.content.name().into()),
                passed_on: true,
                again: false,
                reason: None,
                ..delivery.properties.clone()
            },
            body: letter.body(),
        })
    }

    /// The task, unless it is answered already: nobody wants it, or it is in the wrong queue.
    async fn checked(&mut self, task: Task) -> Option<Task> {
        if self.shop.drop_if_cancelled(&task) {
            let failure = task.halt.fired().await.failure();
            refuse(self.shop, task, failure).await;
            return None;
        }
        if task.assignment.command.skill != self.skill {
            let message =
                format!("this executor took `{}` from the queue of `{}`", task.assignment.command.skill, self.skill);
            refuse(self.shop, task, Failure::new(FailureKind::Unsupported, message)).await;
            return None;
        }
        if let Some(fault) = self.shop.capability.refusal(self.skill) {
            refuse_unable(self.shop, task, fault).await;
            return None;
        }
        Some(task)
    }

    /// A command that can not be read or answered goes to the dead letters. When they do not take it the channel is of no
    /// use any more: it gives the delivery back.
    async fn set_aside(
        &mut self,
        delivery: &Delivery,
        beside: Properties,
        reason: &str,
        body: Bytes,
        receipt: Receipt,
    ) {
        tracing::warn!(reason, key = delivery.key, "a message was set aside");
        let (exchange, at) = (letter::exchange(delivery), self.shop.ground.clock.now());
        let aside = Aside { exchange: Some(exchange), key: &delivery.key, beside, reason, at };
        let outgoing = letter::dead(aside, None, body);
        let confirmed = match self.publisher.publish(outgoing).await {
            Ok(confirmation) => confirmation.await,
            Err(_) => Confirmed::Unknown,
        };
        match confirmed {
            Confirmed::Accepted => settle([receipt]).await,
            Confirmed::Nacked | Confirmed::Returned | Confirmed::Unknown => {
                tracing::warn!(?confirmed, "a dead letter was not taken");
                self.broken.cancel();
            }
        }
    }
}

/// Where a command is to be answered, or why it can not be.
fn reply_to<'a>(letter: &Letter, delivery: &'a Delivery) -> Result<&'a str, String> {
    match (&letter.envelope.content, &delivery.properties.reply_to) {
        (Content::ExecuteSubtask(_), Some(key)) => match partition_with(key) {
            Some(_) => Ok(key),
            None => Err(format!("bad_reply_to: `{}` is no partition's key", key.escape_default())),
        },
        (Content::ExecuteSubtask(_), None) => Err("no_reply_to".into()),
        _ => Err(NOT_A_COMMAND.into()),
    }
}
