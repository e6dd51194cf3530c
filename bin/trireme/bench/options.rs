//! What a benchmark can be asked for.

use serde::Serialize;
use trireme::config::BATCH_MAX;
use trireme::runtime::port::QueueKind;

use super::shape::{Shape, Work};

#[derive(clap::Args)]
pub struct Options {
    /// The shape of the work
    #[arg(long, value_enum, default_value_t = Shape::Fanout)]
    pub shape: Shape,
    /// How many subtasks; default: 20000 (fanout, many), 2000 (tree, random), 500 (chain)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub subtasks: Option<u32>,
    /// How many projects; default: 1, of `many` a tenth of the subtasks
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub projects: Option<u32>,
    /// So many bytes more in every command, of both ways
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=65_536))]
    pub payload: u32,
    /// What a subtask does
    #[arg(long, value_enum, default_value_t = Work::Noop)]
    pub work: Work,
    /// How long a sleep is, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub ms: u32,
    /// Coordinator processes
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub coordinators: u32,
    /// Executor processes
    #[arg(long, value_name = "E", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub executors: u32,
    /// How many subtasks an executor runs at once; default: as configured
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub slots: Option<u32>,
    /// How many commands an executor holds, of each skill; default: as configured
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub prefetch: Option<u32>,
    /// How many commands may share a message: `auto`, or 1 to 256; default: as configured
    #[arg(long, value_name = "auto|N", value_parser = batch)]
    pub batch: Option<String>,
    /// How often both ways are measured, in turns; medians are printed
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub pairs: u32,
    /// How the broker keeps the queues of both ways
    #[arg(long, value_enum, default_value_t = Queues::Quorum)]
    pub queue: Queues,
    /// The PostgreSQL server; without it that of `store.url`. `none`: nothing is journaled, to see what that costs
    #[arg(long, value_name = "URL|none")]
    pub store: Option<String>,
    /// Measure `trireme run`: the whole team in one process, on a SQLite file
    #[arg(long, conflicts_with_all = ["store", "growth", "coordinators", "executors", "projects"])]
    pub embedded: bool,
    /// Run 1000, 10000, 100000 and 1000000 subtasks, and tell what each costs
    #[arg(long, conflicts_with_all = ["subtasks", "projects", "pairs"])]
    pub growth: bool,
    /// Run ten subtasks alone, and behind a project of `--subtasks`, as often as `--pairs` says
    #[arg(long, conflicts_with_all = ["projects", "growth", "embedded"])]
    pub behind: bool,
    /// Kill the coordinator of a project in mid-run, as often as `--pairs` says, and tell when another goes on
    #[arg(long, conflicts_with_all = ["projects", "growth", "behind", "embedded", "idle"])]
    pub takeover: bool,
    /// Start a worker of each layer as often as `--pairs` says, and tell when it is ready and what it uses with nothing to do
    #[arg(long, conflicts_with_all = ["subtasks", "projects", "growth", "behind", "embedded"])]
    pub idle: bool,
}

fn batch(text: &str) -> Result<String, String> {
    let is_number = text.parse().is_ok_and(|number: u32| (1..=BATCH_MAX).contains(&number));
    if is_number || text == "auto" { Ok(text.to_owned()) } else { Err(format!("not `auto`, and not 1 to {BATCH_MAX}")) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Queues {
    /// Replicated, as they are by default
    Quorum,
    /// On one node, with less promised
    Classic,
}

impl Queues {
    pub fn kind(self) -> QueueKind {
        match self {
            Self::Quorum => QueueKind::Quorum,
            Self::Classic => QueueKind::Classic,
        }
    }

    /// The namespaces of benchmarks, and the database of each: the name of a quorum queue is never another queue's.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Quorum => "trireme_bench",
            Self::Classic => "trireme_bench_classic",
        }
    }
}

impl Options {
    pub fn subtasks(&self) -> u32 {
        self.subtasks.unwrap_or(self.shape.subtasks())
    }

    /// Coordinator processes: where one is killed there is another.
    pub fn coordinators(&self) -> u32 {
        self.coordinators.max(1 + u32::from(self.takeover))
    }

    /// What tells a worker otherwise than its settings how to treat the skills.
    pub fn skill_variables(&self) -> Vec<(String, String)> {
        let prefetch = self.prefetch.map(|prefetch| ("PREFETCH", prefetch.to_string()));
        let batch = self.batch.clone().map(|batch| ("BATCH", batch));
        let of_skill = |work: Work| {
            let name = move |key: &str| format!("TRIREME_SKILLS__{}__{key}", work.skill().to_uppercase());
            let set = prefetch.iter().chain(&batch);
            set.map(move |(key, value)| (name(key), value.clone())).collect::<Vec<_>>()
        };
        [Work::Noop, Work::Sleep].into_iter().flat_map(of_skill).collect()
    }
}
