//! The whole team in one process, on a SQLite file: `trireme run` as anybody starts it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;
use trireme::wire::Timestamp;

use super::report::{Pair, Report};
use super::trial::Taken;
use super::{Bench, shape, summary};
use crate::failure::Failure;

/// What `run --json` says, as far as it matters here.
#[derive(Deserialize)]
struct Ran {
    status: String,
    submitted_at: Timestamp,
    finished_at: Timestamp,
}

pub async fn measure(bench: &Bench<'_>) -> Result<Report, Failure> {
    let options = bench.options;
    let mut pairs = Vec::new();
    for number in 1..=options.pairs {
        let folder = tempfile::tempdir().map_err(|error| Failure::bug(error.to_string()))?;
        let taken = once(bench, folder.path()).await?;
        let (per_s, cpu_us) = bench.naive_way(taken.subtasks).await?;
        let pair = Pair::new(taken, per_s, cpu_us);
        bench.say_pair(number, &pair);
        pairs.push(pair);
    }
    Ok(summary(options, pairs))
}

async fn once(bench: &Bench<'_>, folder: &Path) -> Result<Taken, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::bug(format!("`trireme run` failed: {error}"));
    let request = bench.options.shape.requests(bench.options.subtasks(), Some(1), bench.task()).remove(0);
    let count = shape::count(&request);
    let file = folder.join("project.json");
    let goals = request.plan.into_iter().flatten().map(|goal| {
        let subtasks = goal.subtasks.unwrap_or_default();
        serde_json::json!({ "name": goal.goal_name, "priority": goal.priority, "subtasks": subtasks })
    });
    let project = serde_json::json!({
        "name": "bench",
        "description": "bench",
        "goals": goals.collect::<Vec<_>>(),
    });
    std::fs::write(&file, project.to_string()).map_err(|error| failed(&error))?;
    let mut command = Command::new(std::env::current_exe().map_err(|error| failed(&error))?);
    command.args(bench.config.iter().flat_map(|file| [OsStr::new("--config"), file.as_os_str()]));
    command.arg("run").arg(&file).args(["--json", "-q", "--store"]);
    command.arg(format!("sqlite:{}", folder.join("bench.db").display()));
    command.envs(bench.options.skill_variables());
    if let Some(slots) = bench.options.slots {
        command.args(["--slots", &slots.to_string()]);
    }
    let ran = command.stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(|error| failed(&error))?;
    let told: Ran = serde_json::from_slice(&ran.stdout)
        .map_err(|error| failed(&format!("{error}: {}", String::from_utf8_lossy(&ran.stderr))))?;
    if told.status != "COMPLETED" {
        return Err(failed(&told.status));
    }
    let ms = u32::try_from(told.finished_at.ms_since(told.submitted_at)).unwrap_or(u32::MAX).max(1);
    let seconds = f64::from(ms) / 1_000.0;
    Ok(Taken { projects: 1, subtasks: count, seconds, hops_ms: Vec::new(), cpu_us_per_subtask: None })
}
