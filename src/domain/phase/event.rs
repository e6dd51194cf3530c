//! What happened in a phase, stored for ever. A field may be added with a default; none may change its meaning.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::alarm::CurrentAlarm;
use crate::domain::decision::cut;
use crate::domain::expand::Spec;
use crate::wire::content::{Former, PlaybookRef};
use crate::wire::{AgentId, FailureKind, MessageId, ProjectId, Raw, Status, SubtaskId, Timestamp};

/// One event of the stream `phase/<project>/<n>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A manager handed the phase over.
    Opened(Opened),
    /// At most 1,000 specs of the plan, in the order of their ordinals.
    SubtasksAdded {
        specs: Vec<Spec>,
    },
    /// The plan is complete: what has no dependencies is ready.
    Planned {},
    /// These attempts were handed to their skills' queues: pairs of ordinal and attempt.
    Dispatched {
        at: Timestamp,
        cause: MessageId,
        not_after: Timestamp,
        commands: Vec<(u32, u32)>,
        /// How much later than its last moment an answer may arrive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer_within_ms: Option<u64>,
    },
    /// A command could not be handed over: its queue refused it, or there is none.
    DispatchRefused {
        at: Timestamp,
        ordinal: u32,
        attempt: u32,
        again_at: Timestamp,
        error: String,
    },
    /// An attempt's result was taken; the result itself is beside the stream.
    Completed {
        at: Timestamp,
        ordinal: u32,
        attempt: u32,
        agent: String,
        started_at: Timestamp,
        finished_at: Timestamp,
        bytes: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Raw>,
    },
    /// An attempt failed.
    Failed {
        at: Timestamp,
        ordinal: u32,
        attempt: u32,
        /// Null when no executor said so itself.
        agent: Option<String>,
        kind: FailureKind,
        error: String,
        /// The agent was at fault and not the work.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        avoid: bool,
        started_at: Option<Timestamp>,
        finished_at: Option<Timestamp>,
        outcome: Outcome,
    },
    /// A wait is over.
    WaitEnded {
        at: Timestamp,
        ordinal: u32,
    },
    /// What another phase of this project has done is kept here.
    Kept {
        at: Timestamp,
        subtasks: Vec<Kept>,
    },
    /// An executor took on a leased attempt; the last one that did has it.
    Accepted {
        at: Timestamp,
        ordinal: u32,
        attempt: u32,
        agent: String,
        until: Timestamp,
    },
    /// Executors were heard of: the leases of their attempts hold until then. Pairs of ordinal and end.
    LeasesRenewed {
        at: Timestamp,
        leases: Vec<(u32, Timestamp)>,
    },
    /// An attempt that has a bound on its wait was seen to run.
    Begun {
        at: Timestamp,
        ordinal: u32,
    },
    /// An attempt is given up by its owner, and the subtask is ready again.
    Withdrawn {
        at: Timestamp,
        ordinal: u32,
    },
    /// The question could not be handed over, or may not have arrived: it is asked anew.
    AskRefused {
        at: Timestamp,
        ordinal: u32,
        again_at: Timestamp,
        error: String,
    },
    AskedAgain {
        at: Timestamp,
        cause: MessageId,
        ordinal: u32,
    },
    /// The question about a subtask was answered.
    Decided {
        at: Timestamp,
        ordinal: u32,
        answer: Answered,
    },
    /// A person no longer wants this subtask.
    SubtaskCancelled {
        at: Timestamp,
        cause: MessageId,
        ordinal: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        then: Then,
    },
    /// A person does not want this subtask of a phase that has not opened: it is cancelled as soon as it has.
    SubtaskUnwanted {
        at: Timestamp,
        cause: MessageId,
        ordinal: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nobody wants this phase any more: all that has not ended is cancelled.
    Cancelled {
        at: Timestamp,
        project_version: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The phase has failed, and what still ran is cancelled with it.
    RunningCancelled {
        at: Timestamp,
    },
    /// Nothing is handed out, and waits stand still.
    Paused {
        at: Timestamp,
        project_version: u64,
    },
    Resumed {
        at: Timestamp,
        project_version: u64,
    },
    /// Executors were told again of what is not wanted any more.
    CancelRepeated {
        at: Timestamp,
    },
    /// An executor is done with a command that was not wanted any more.
    Hushed {
        at: Timestamp,
        command: MessageId,
    },
    /// The stream's alarm from now on.
    AlarmSet {
        at: Timestamp,
        alarm: CurrentAlarm,
    },
    /// Nothing more will happen here by itself.
    Ended {
        at: Timestamp,
        cause: MessageId,
        status: Status,
        error: Option<String>,
        /// What was ready, or waited, is idle from now on. In streams of before it stayed as it was.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        laid_down: bool,
    },
    /// The report could not be sent.
    ReportRefused {
        at: Timestamp,
    },
    /// The report is to be sent anew.
    ReportAgain {
        at: Timestamp,
        cause: MessageId,
    },
    /// A message came once more: what it had sent, and still counts, is sent once more too.
    SentAgain {
        at: Timestamp,
        cause: MessageId,
    },
    /// Everything was to be sent anew, and is.
    Recovered {
        at: Timestamp,
        cause: MessageId,
    },
    /// The phase was handed over again, by a newer version of its project.
    HandedOverAgain {
        at: Timestamp,
        project_version: u64,
    },
}

/// What a phase knows of its project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    pub at: Timestamp,
    pub cause: MessageId,
    pub project_id: ProjectId,
    pub project_name: String,
    pub project_version: u64,
    pub run: u32,
    pub phase: u32,
    pub priority: u32,
    pub partition: u32,
    /// The names of its goals, in the order that specs point into.
    pub goals: Vec<String>,
    pub parameters: Raw,
    pub policy: Raw,
    pub id_namespace: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookRef>,
    /// The phase whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
}

/// What a failed attempt means for its subtask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum Outcome {
    /// Charged; another attempt at once.
    Again { budget: Budget },
    /// Not charged; another attempt when it is due.
    Wait { until: Timestamp },
    /// Charged; another attempt when it is due.
    Retry { budget: Budget, until: Timestamp },
    /// Charged; the next attempt, when it is due, is its fallback's first.
    FallBack { budget: Budget, until: Timestamp },
    /// Charged, and it was the last: the phase fails.
    Exhausted { budget: Budget },
    /// Charged, and it was the last: the phase goes on without it.
    PassOver { budget: Budget, dependants: Dependants },
    /// Charged, and it was the last: `cause` had the question asked what is to become of it.
    Ask { budget: Budget, cause: MessageId },
}

/// What depends on a subtask without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependants {
    /// It is skipped too.
    Skip,
    /// It runs, with `null` in the place of the result.
    Run,
}

/// What a cancelled subtask means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Fail,
    Skip,
    Run,
    Ask,
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    Retry,
    Skip,
    Fail,
}

/// A subtask whose result was made in another phase of this project: there it is still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub ordinal: u32,
    pub from: SubtaskId,
    pub bytes: u32,
}

/// What a failure is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// `max_attempts` of the subtask.
    Failures,
    /// The small one for commands that died with their executors, which may be poison or its neighbours.
    Crashes,
}

/// The agent's own id, as an event keeps it.
pub fn agent_name(agent: &str) -> String {
    AgentId::new(agent).map(|agent| agent.to_string()).unwrap_or_else(|_| cut(agent))
}
