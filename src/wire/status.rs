//! Statuses, and how many subtasks are in which.

use serde::{Deserialize, Serialize};

/// An agent's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AgentStatus {
    Idle,
    Busy,
    Waiting,
    Error,
    Completed,
}

/// The status of a project, a phase or a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    #[default]
    Idle,
    Busy,
    Waiting,
    Paused,
    Completed,
    Error,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 7] =
        [Self::Idle, Self::Busy, Self::Waiting, Self::Paused, Self::Completed, Self::Error, Self::Cancelled];

    /// Nothing more will happen to it by itself.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Error | Self::Cancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Busy => "BUSY",
            Self::Waiting => "WAITING",
            Self::Paused => "PAUSED",
            Self::Completed => "COMPLETED",
            Self::Error => "ERROR",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|status| status.as_str()).collect();
            format!("status `{}` is none of {}", text.escape_default(), all.join(", "))
        })
    }
}

/// A subtask's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SubtaskStatus {
    /// Its dependencies are open.
    Idle,
    /// It may run; the dispatch window has not let it out yet.
    Ready,
    /// Handed to its skill's queue.
    Busy,
    /// Waiting for its next attempt.
    Waiting,
    Completed,
    Error,
    Skipped,
    Cancelled,
}

impl SubtaskStatus {
    /// Nothing more will happen to it.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Error | Self::Skipped | Self::Cancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Ready => "READY",
            Self::Busy => "BUSY",
            Self::Waiting => "WAITING",
            Self::Completed => "COMPLETED",
            Self::Error => "ERROR",
            Self::Skipped => "SKIPPED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl std::fmt::Display for SubtaskStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many subtasks are in which status. All but `total` add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    pub total: u32,
    pub idle: u32,
    pub ready: u32,
    /// Dispatched and not answered: it waits in its skill's queue, or an executor runs it. Which of the two only executors
    /// know. Versions before called it `running`.
    #[serde(alias = "running")]
    pub handed_out: u32,
    pub waiting: u32,
    pub completed: u32,
    pub failed: u32,
    pub skipped: u32,
    pub cancelled: u32,
}

impl Counts {
    /// The counter of one status.
    pub fn of(&mut self, status: SubtaskStatus) -> &mut u32 {
        match status {
            SubtaskStatus::Idle => &mut self.idle,
            SubtaskStatus::Ready => &mut self.ready,
            SubtaskStatus::Busy => &mut self.handed_out,
            SubtaskStatus::Waiting => &mut self.waiting,
            SubtaskStatus::Completed => &mut self.completed,
            SubtaskStatus::Error => &mut self.failed,
            SubtaskStatus::Skipped => &mut self.skipped,
            SubtaskStatus::Cancelled => &mut self.cancelled,
        }
    }

    /// One more subtask, in `status`.
    pub fn add(&mut self, status: SubtaskStatus) {
        self.total += 1;
        *self.of(status) += 1;
    }

    /// Those that will not change any more.
    pub fn ended(&self) -> u32 {
        self.completed + self.failed + self.skipped + self.cancelled
    }

    pub fn plus(&self, other: &Self) -> Self {
        Self {
            total: self.total + other.total,
            idle: self.idle + other.idle,
            ready: self.ready + other.ready,
            handed_out: self.handed_out + other.handed_out,
            waiting: self.waiting + other.waiting,
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
            cancelled: self.cancelled + other.cancelled,
        }
    }

    /// The same when nothing is started any more: what was ready, or waited, is idle.
    pub fn laid_down(&self) -> Self {
        Self { idle: self.idle + self.ready + self.waiting, ready: 0, waiting: 0, ..*self }
    }

    /// The same when somebody has passed over what is left: what has not ended is skipped.
    pub fn passed_over(&self) -> Self {
        let skipped = self.total - self.completed - self.failed - self.cancelled;
        Self { skipped, idle: 0, ready: 0, handed_out: 0, waiting: 0, ..*self }
    }

    /// The invariant: all but `total` add up to it.
    pub fn add_up(&self) -> bool {
        let others = [
            self.idle,
            self.ready,
            self.handed_out,
            self.waiting,
            self.completed,
            self.failed,
            self.skipped,
            self.cancelled,
        ];
        u64::from(self.total) == others.into_iter().map(u64::from).sum::<u64>()
    }
}
