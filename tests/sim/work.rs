//! What executors do: what the subtask's input says, and the result is the subtask's own name.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use trireme::runtime::port::{Assignment, Report, Runner};
use trireme::wire::{Failure, FailureKind, Raw, StreamId};

use crate::agent::Agent;
use crate::faults::{Act, Point};

pub struct Work {
    pub agent: Arc<Agent>,
    pub is_instant: bool,
}

#[derive(Deserialize)]
struct Task {
    /// How long it takes, where time is taken at all.
    ms: u64,
    /// So many of the first attempts fail.
    fails: u32,
    how: String,
}

/// Longer than any subtask may take.
const TOO_LONG: Duration = Duration::from_secs(60);

/// Longer than an executor waits for an attempt that was told to end.
const DEAF: Duration = Duration::from_secs(600);

impl Work {
    /// What goes wrong with an attempt that is not over at once.
    fn trouble(&self, stream: StreamId) -> Option<Act> {
        let Agent { name, sim, .. } = &*self.agent;
        if self.is_instant {
            return None;
        }
        let fault = sim.chaos(|chaos, random| chaos.strike(random, Point::Run, None))?;
        sim.note(name, format!("FAULT {}", fault.name));
        if fault.act == Act::Hang {
            sim.excuse(stream.project());
        }
        Some(fault.act)
    }

    /// Whoever has a leased command has acked it, or is about to. Some are gone soon after.
    async fn vanish_perhaps(&self) {
        let Agent { name, sim, .. } = &*self.agent;
        let Some(fault) = sim.chaos(|chaos, random| chaos.strike(random, Point::RunLeased, None)) else { return };
        sleep(sim.draw(|random| random.ms(0, 10_000))).await;
        if !self.agent.is_gone() {
            self.agent.crash();
            sim.step(name, format!("FAULT {}", fault.name));
        }
        std::future::pending().await
    }
}

#[async_trait]
impl Runner for Work {
    async fn run(&self, assignment: &Assignment, stop: CancellationToken) -> Report {
        let command = &assignment.command;
        let stream = StreamId::Phase(command.project_id, command.phase);
        self.agent.sim.ran(&self.agent.name, stream, command);
        if command.lease_ms.is_some() {
            self.vanish_perhaps().await;
        }
        let trouble = self.trouble(stream);
        let task: Task = command.input.read().expect("the input of the plan");
        let fails = command.attempt <= task.fails;
        let time = match (self.is_instant, fails && task.how == "late") {
            (true, _) => Duration::ZERO,
            (false, true) => TOO_LONG,
            (false, false) if command.lease_ms.is_some() => Duration::from_millis(task.ms * 10),
            (false, false) => Duration::from_millis(task.ms),
        };
        match trouble {
            Some(Act::Hang) => sleep(DEAF).await,
            Some(_) => sleep(self.agent.sim.draw(|random| random.ms(100, 10_000))).await,
            None => {}
        }
        if time > Duration::ZERO {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = sleep(time) => {}
            }
        }
        match (fails, task.how.as_str()) {
            (false, _) => Report::completed(Raw::from_serialize(&command.task_name).expect("a text is JSON")),
            // Not a panic of a test: no hook is called, nothing is printed.
            (true, "panic") => resume_unwind(Box::new("as planned")),
            (true, "permanent") => Report::failed(Failure::permanent("as planned")),
            (true, _) => Report::failed(Failure::new(FailureKind::Transient, "as planned")),
        }
    }

    fn is_instant(&self) -> bool {
        self.is_instant
    }
}
