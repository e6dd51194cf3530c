//! What the events of a phase say of its attempts.

use super::AttemptView;
use crate::domain::phase;
use crate::wire::{FailureKind, Timestamp};

/// Writes down what an event says of attempts. `state` is that of after it.
pub(super) fn log(logs: &mut [Vec<AttemptView>], event: &phase::Event, state: &phase::Phase) {
    let mut ended = |ordinal: u32, view: AttemptView| {
        if let Some(log) = logs.get_mut(ordinal as usize) {
            // Its skill is known since it was dispatched, and who has it, where it is leased, since it was accepted.
            let known = log.iter().position(|attempt| attempt.attempt == view.attempt).map(|at| log.remove(at));
            let (skill, agent_id, started_at) =
                known.map(|known| (known.skill, known.agent_id, known.started_at)).unwrap_or_default();
            log.push(AttemptView {
                skill: skill.or(view.skill),
                agent_id: view.agent_id.or(agent_id),
                started_at: view.started_at.or(started_at),
                ..view
            });
        }
    };
    match event {
        phase::Event::Dispatched { at, commands, .. } => {
            for &(ordinal, attempt) in commands {
                ended(
                    ordinal,
                    AttemptView {
                        attempt,
                        skill: state.other_skill(ordinal).map(Into::into),
                        handed_over_at: Some(*at),
                        agent_id: None,
                        kind: None,
                        error: None,
                        started_at: None,
                        finished_at: None,
                    },
                );
            }
        }
        phase::Event::Completed { ordinal, attempt, agent, started_at, finished_at, .. } => {
            ended(
                *ordinal,
                AttemptView {
                    attempt: *attempt,
                    skill: None,
                    handed_over_at: None,
                    agent_id: Some(agent.clone()),
                    kind: None,
                    error: None,
                    started_at: Some(*started_at),
                    finished_at: Some(*finished_at),
                },
            );
        }
        phase::Event::Failed { ordinal, attempt, agent, kind, error, started_at, finished_at, .. } => {
            ended(
                *ordinal,
                AttemptView {
                    attempt: *attempt,
                    skill: None,
                    handed_over_at: None,
                    agent_id: agent.clone(),
                    kind: Some(*kind),
                    error: Some(error.clone()),
                    started_at: *started_at,
                    finished_at: *finished_at,
                },
            );
        }
        phase::Event::DispatchRefused { ordinal, attempt, error, .. } => {
            ended(
                *ordinal,
                AttemptView {
                    attempt: *attempt,
                    skill: None,
                    handed_over_at: None,
                    agent_id: None,
                    kind: None,
                    error: Some(format!("could not be handed over: {error}")),
                    started_at: None,
                    finished_at: None,
                },
            );
        }
        phase::Event::Accepted { at, ordinal, attempt, agent, .. } => {
            ended(
                *ordinal,
                AttemptView {
                    attempt: *attempt,
                    skill: None,
                    handed_over_at: Some(*at),
                    agent_id: Some(agent.clone()),
                    kind: None,
                    error: None,
                    started_at: Some(*at),
                    finished_at: None,
                },
            );
        }
        phase::Event::SubtaskCancelled { at, ordinal, reason, .. } => {
            let reason = reason.as_deref().unwrap_or("cancelled");
            close(&mut logs[*ordinal as usize..=*ordinal as usize], *at, reason);
        }
        phase::Event::Cancelled { at, reason, .. } => close(logs, *at, reason.as_deref().unwrap_or("cancelled")),
        phase::Event::RunningCancelled { at } => close(logs, *at, "cancelled: the phase has failed"),
        phase::Event::Withdrawn { at, ordinal } => {
            close(&mut logs[*ordinal as usize..=*ordinal as usize], *at, "given up by `retry --stuck`");
        }
        phase::Event::Opened(_)
        | phase::Event::SubtasksAdded { .. }
        | phase::Event::Planned {}
        | phase::Event::Kept { .. }
        | phase::Event::SubtaskUnwanted { .. }
        | phase::Event::LeasesRenewed { .. }
        | phase::Event::Begun { .. }
        | phase::Event::WaitEnded { .. }
        | phase::Event::AskRefused { .. }
        | phase::Event::AskedAgain { .. }
        | phase::Event::Decided { .. }
        | phase::Event::Paused { .. }
        | phase::Event::Resumed { .. }
        | phase::Event::CancelRepeated { .. }
        | phase::Event::Hushed { .. }
        | phase::Event::AlarmSet { .. }
        | phase::Event::Ended { .. }
        | phase::Event::ReportRefused { .. }
        | phase::Event::ReportAgain { .. }
        | phase::Event::SentAgain { .. }
        | phase::Event::Recovered { .. }
        | phase::Event::HandedOverAgain { .. } => {}
    }
}

/// Attempts that were under way are over for their owner.
fn close(logs: &mut [Vec<AttemptView>], at: Timestamp, why: &str) {
    for attempt in logs.iter_mut().filter_map(|log| log.last_mut()) {
        if attempt.handed_over_at.take().is_some() {
            attempt.kind = Some(FailureKind::Cancelled);
            attempt.error = Some(why.to_owned());
            attempt.finished_at = Some(at);
        }
    }
}
