//! What a coordinator says that may get lost: progress for watchers, and to executors what is not wanted any more.

use super::role::{CoordinatorRole, status_update};
use crate::domain::phase::{Event, Outcome, Phase};
use crate::runtime::port::Outgoing;
use crate::wire::address::Address;
use crate::wire::content::{Control, Layer, RunningCommand};
use crate::wire::{Content, MessageId, StreamId, Timestamp};

/// So many commands are named in one message: it has to fit.
const COMMANDS_MAX: usize = 1_000;

pub(super) fn notices(
    role: &CoordinatorRole,
    stream: StreamId,
    state: &Phase,
    events: &[Event],
    now: Timestamp,
) -> Vec<Outgoing> {
    let mut notices = Vec::new();
    let Some(opened) = state.opened() else { return notices };
    let send = |to: Address, content: Content| {
        let id = MessageId(role.world.clock.fresh_id());
        role.pen.best_effort(id, to, stream.project(), content, now)
    };
    if let Some(what) = news(state, events) {
        let content = Content::ProjectStatusUpdate(status_update(opened, state));
        notices.extend(send(Address::event(Layer::Coordination, what, stream.project()), content));
    }
    if events.iter().any(tells_executors) {
        for cancel in cancels(stream, state) {
            notices.extend(send(Address::layer(Layer::Execution), Content::Cancel(cancel)));
        }
    }
    if events.iter().any(|event| matches!(event, Event::AlarmSet { .. })) {
        // An executor that came back late, or did not hear that it was to stop.
        let is_current = |of: &RunningCommand| state.command_id(of.subtask_id.ordinal) == Some(of.command);
        for (agent, strays) in role.window.strays(stream, is_current) {
            for commands in strays.chunks(COMMANDS_MAX) {
                notices.extend(send(Address::agent(&agent), Content::Cancel(cancel(stream, commands))));
            }
        }
    }
    notices
}

/// How an open phase stands, for whoever watches.
pub(super) fn standing(role: &CoordinatorRole, stream: StreamId, state: &Phase, now: Timestamp) -> Option<Outgoing> {
    let opened = state.opened().filter(|_| state.ended().is_none())?;
    let to = Address::event(Layer::Coordination, "progress", stream.project());
    let (id, content) = (role.world.clock.fresh_id(), Content::ProjectStatusUpdate(status_update(opened, state)));
    role.pen.best_effort(MessageId(id), to, stream.project(), content, now)
}

/// Whether a phase stands otherwise after these events, and watchers are not told of them at once.
pub(super) fn has_moved(state: &Phase, events: &[Event]) -> bool {
    let is_still = |event: &Event| {
        matches!(
            event,
            Event::AlarmSet { .. }
                | Event::ReportAgain { .. }
                | Event::SentAgain { .. }
                | Event::HandedOverAgain { .. }
                | Event::CancelRepeated { .. }
                | Event::Hushed { .. }
                | Event::LeasesRenewed { .. }
        )
    };
    state.ended().is_none() && news(state, events).is_none() && !events.iter().all(is_still)
}

/// What watchers are told at once, by the word under which they hear of it.
fn news(state: &Phase, events: &[Event]) -> Option<&'static str> {
    let gave_up = |event: &Event| match event {
        Event::Failed { outcome, .. } => {
            matches!(outcome, Outcome::Exhausted { .. } | Outcome::PassOver { .. } | Outcome::Ask { .. })
        }
        _ => false,
    };
    if state.ended().is_some() && events.iter().any(|event| matches!(event, Event::Ended { .. })) {
        return Some("ended");
    }
    events.iter().any(gave_up).then_some("alert")
}

/// An operator's words are passed on at once; what timed out is told at the next alarm.
fn tells_executors(event: &Event) -> bool {
    matches!(
        event,
        Event::Cancelled { .. }
            | Event::SubtaskCancelled { .. }
            | Event::RunningCancelled { .. }
            | Event::CancelRepeated { .. }
    )
}

/// What all executors are told: the commands that nobody wants any more.
fn cancels(stream: StreamId, state: &Phase) -> Vec<Control> {
    let unwanted: Vec<MessageId> = state.unwanted().keys().copied().collect();
    unwanted.chunks(COMMANDS_MAX).map(|commands| cancel(stream, commands)).collect()
}

fn cancel(stream: StreamId, commands: &[MessageId]) -> Control {
    Control { stream: None, commands: commands.to_vec(), ..Control::about(stream.project()) }
}
