//! What a benchmark says at its end.

use serde::Serialize;

use super::Queues;
use super::crew::Used;
use super::shape::Shape;
use super::trial::Taken;
use crate::output::Output;

/// What this program was built with: `dev`, `release` or `dist`.
pub const PROFILE: &str = env!("TRIREME_PROFILE");

#[derive(Serialize)]
pub struct Report {
    pub shape: Shape,
    pub queues: Queues,
    /// Of one run, and the subtasks of all of them.
    pub projects: u32,
    pub subtasks: u32,
    /// From the first request to the word that the last project ended.
    pub subtasks_per_s: f64,
    pub naive_per_s: f64,
    pub ratio: f64,
    /// All of it null for shapes that are no chain.
    #[serde(flatten)]
    pub latency: Latency,
    /// Of the workers and the database; without the broker.
    pub cpu_us_per_subtask: Option<f64>,
    /// Of the two processes of the naive way.
    pub naive_cpu_us: Option<f64>,
    pub processes: Vec<Used>,
    /// What the workers have published in the median run, several messages in one body as one.
    pub messages: Option<f64>,
    /// Transactions that wrote events in the median run.
    pub commits: Option<f64>,
    pub pairs: Vec<Pair>,
    pub profile: &'static str,
}

#[derive(Default, Serialize)]
pub struct Latency {
    /// From one completed subtask to the next one's, in milliseconds.
    pub hop_ms: Option<Hops>,
    /// A round trip of the naive way, one at a time, and a commit of one event; medians.
    pub naive_ms: Option<f64>,
    pub commit_ms: Option<f64>,
    /// The median hop by the sum of those two.
    pub hop_ratio: Option<f64>,
}

#[derive(Serialize)]
pub struct Hops {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    #[serde(skip)]
    pub projects: u32,
    #[serde(skip)]
    pub subtasks: u32,
    pub subtasks_per_s: f64,
    pub naive_per_s: f64,
    pub ratio: f64,
    pub cpu_us_per_subtask: Option<f64>,
    pub naive_cpu_us: Option<f64>,
    pub messages: Option<f64>,
    pub commits: Option<f64>,
    #[serde(skip)]
    pub hops_ms: Vec<f64>,
}

impl Pair {
    pub fn new(taken: Taken, naive_per_s: f64, naive_cpu_us: Option<f64>) -> Self {
        let subtasks_per_s = f64::from(taken.subtasks) / taken.seconds;
        let Taken { projects, subtasks, cpu_us_per_subtask, hops_ms, .. } = taken;
        let ratio = subtasks_per_s / naive_per_s;
        let (messages, commits) = (None, None);
        Self {
            projects,
            subtasks,
            subtasks_per_s,
            naive_per_s,
            ratio,
            cpu_us_per_subtask,
            naive_cpu_us,
            messages,
            commits,
            hops_ms,
        }
    }
}

/// Of values in any order; `at` is between 0 and 1. None of no values.
pub fn quantile(values: impl IntoIterator<Item = f64>, at: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "few")]
    let place = (values.len().saturating_sub(1) as f64 * at).round() as usize;
    values.get(place).copied()
}

/// Between the two in the middle where there is none. None of no values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle)?;
    Some(if values.len() % 2 == 1 { *upper } else { f64::midpoint(values[middle - 1], *upper) })
}

impl Hops {
    pub fn of(pairs: &[Pair]) -> Option<Self> {
        let at = |at: f64| quantile(pairs.iter().flat_map(|pair| pair.hops_ms.iter().copied()), at);
        Some(Self { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
    }
}

impl Report {
    pub fn say(&self, output: &Output) {
        let Self { shape, subtasks, profile, .. } = self;
        let shape = format!("{shape:?}").to_lowercase();
        let shape = if self.projects > 1 { format!("{} projects, {shape}", self.projects) } else { shape };
        let runs = match self.pairs.len() {
            1 => "one pair".to_owned(),
            pairs => format!("median of {pairs} pairs"),
        };
        output.line(&format!(
            "{shape} of {subtasks} subtasks: {:.0}/s, the naive way {:.0}/s, ratio {:.2} ({runs}, profile {profile})",
            self.subtasks_per_s, self.naive_per_s, self.ratio,
        ));
        if let Some(Hops { p50, p95, p99 }) = &self.latency.hop_ms {
            output.line(&format!("a hop: p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms"));
        }
        if let (Some(naive), Some(commit), Some(ratio)) =
            (self.latency.naive_ms, self.latency.commit_ms, self.latency.hop_ratio)
        {
            output.line(&format!(
                "a naive round trip {naive:.2} ms, a commit {commit:.2} ms: the median hop is {ratio:.2} times both"
            ));
        }
        if let (Some(ours), Some(naive)) = (self.cpu_us_per_subtask, self.naive_cpu_us) {
            output.line(&format!(
                "CPU a subtask: {ours:.0} us of workers and database, {naive:.0} us of the naive way's processes"
            ));
        }
        if let (Some(messages), Some(commits)) = (self.messages, self.commits) {
            output.line(&format!("{messages:.0} messages and {commits:.0} commits a run"));
        }
        for Used { layer, cpu_s, rss_idle, rss_peak } in &self.processes {
            if let (Some(cpu_s), Some(idle), Some(peak)) = (cpu_s, rss_idle, rss_peak) {
                let (idle, peak) = (idle >> 20, peak >> 20);
                output
                    .line(&format!("{layer}: {cpu_s:.1} s CPU, {idle} MiB resident when idle, {peak} MiB at the most"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        assert_eq!(quantile([], 0.5), None);
        assert_eq!(
            [&[][..], &[3.0], &[3.0, 1.0], &[3.0, 1.0, 2.0]].map(|values| median(values.to_vec())),
            [None, Some(3.0), Some(2.0), Some(2.0)]
        );
        assert_eq!(quantile([3.0, 1.0, 2.0], 0.5), Some(2.0));
        let hundred = || (1..=100).map(f64::from);
        assert_eq!((quantile(hundred(), 0.0), quantile(hundred(), 1.0)), (Some(1.0), Some(100.0)));
        assert_eq!(quantile(hundred(), 0.95), Some(95.0));
    }
}
