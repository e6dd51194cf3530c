//! The worker processes of a benchmark: separate processes of this binary, in a namespace and a store of their own.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::process::{Child, Command};
use trireme::runtime::client::Client;
use trireme::runtime::port::{SystemClock, Transport};
use trireme::wire::address::Address;

use super::usage;
use crate::failure::Failure;
use crate::worker::WITH_PARENT;

/// Until all workers answer, and one round of asking them.
const READY_WITHIN: Duration = Duration::from_secs(30);
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);
/// Whoever takes longer to leave is ended.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// Processes that end with the value, and with this process however it dies.
pub struct Crew {
    environment: Vec<(String, String)>,
    workers: Vec<Worker>,
}

struct Worker {
    layer: &'static str,
    child: Child,
    pid: u32,
    rss_idle: Option<u64>,
}

/// What one process has used.
#[derive(Debug, Clone, Serialize)]
pub struct Used {
    pub layer: &'static str,
    /// Seconds of a core, the start of the process among them.
    pub cpu_s: Option<f64>,
    /// Resident bytes before there was anything to do, and at the most.
    pub rss_idle: Option<u64>,
    pub rss_peak: Option<u64>,
}

impl Crew {
    /// None yet; each is to have this environment beside our own.
    pub fn new(environment: Vec<(String, String)>) -> Self {
        Self { environment, workers: Vec::new() }
    }

    /// Starts a `manager`, a `coordinator` or an `executor`. What it says goes where ours goes.
    pub fn start(&mut self, layer: &'static str, arguments: &[String]) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::bug(format!("a worker can not be started: {error}"));
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args([layer, "-q", WITH_PARENT])
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().ok_or_else(|| Failure::bug("a worker was gone at once"))?;
        self.workers.push(Worker { layer, child, pid, rss_idle: None });
        Ok(())
    }

    /// How many messages they have published since their starts, when all of them answer: then all are ready.
    pub async fn published(&mut self, transport: &dyn Transport) -> Result<u64, Failure> {
        let mut client = Client::connect(transport, Arc::new(SystemClock)).await?;
        let (all, began) = (self.workers.len(), Instant::now());
        loop {
            let answers = client.ping(Address::everybody(), ANSWERS_WITHIN, Some(all)).await?.answered;
            if answers.len() >= all {
                return Ok(answers.values().map(|presence| presence.published).sum());
            }
            for Worker { layer, child, .. } in &mut self.workers {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(Failure::bug(format!("the {layer} of the benchmark has ended: {status}")));
                }
            }
            if began.elapsed() > READY_WITHIN {
                return Err(Failure::bug(format!("{} of {all} workers answer", answers.len())));
            }
        }
    }

    pub fn has(&self, pid: u32) -> bool {
        self.workers.iter().any(|worker| worker.pid == pid)
    }

    pub fn size(&self) -> usize {
        self.workers.len()
    }

    /// Ends a worker without a chance to say anything.
    pub fn kill(&mut self, pid: u32) {
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.pid == pid) {
            // One that has ended already is as good.
            let _ = worker.child.start_kill();
        }
    }

    /// Nobody has anything to do just now.
    pub fn is_idle(&mut self) {
        for worker in &mut self.workers {
            worker.rss_idle = usage::resident(worker.pid).map(|(now, _)| now);
        }
    }

    /// Seconds of a core that all have used so far.
    pub fn cpu_s(&self) -> Option<f64> {
        self.workers.iter().map(|worker| usage::cpu_s(worker.pid)).sum()
    }

    pub fn used(&self) -> Vec<Used> {
        let used = |worker: &Worker| Used {
            layer: worker.layer,
            cpu_s: usage::cpu_s(worker.pid),
            rss_idle: worker.rss_idle,
            rss_peak: usage::resident(worker.pid).map(|(_, most)| most),
        };
        self.workers.iter().map(used).collect()
    }

    /// Asks all to leave, and waits until they have.
    pub async fn leave(mut self) {
        for worker in &self.workers {
            let pid = i32::try_from(worker.pid).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        for Worker { child, .. } in &mut self.workers {
            // Its pipe is held until then: waiting would close it.
            let pipe = child.stdin.take();
            if tokio::time::timeout(LEAVE_WITHIN, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
            drop(pipe);
        }
    }
}
