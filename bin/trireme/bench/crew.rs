//! The worker processes of a benchmark: separate processes of this binary, in a namespace and a store of their own.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::failure::Failure;

/// Whoever takes longer to leave is ended.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// Processes that end with the value.
pub struct Crew {
    environment: Vec<(String, String)>,
    children: Vec<Child>,
}

impl Crew {
    /// None yet; each is to have this environment beside our own.
    pub fn new(environment: Vec<(String, String)>) -> Self {
        Self { environment, children: Vec::new() }
    }

    /// Starts one. What it says goes where ours goes.
    pub fn start(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|error| Failure::bug(error.to_string()))?;
        let child = Command::new(program)
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::bug(format!("a worker can not be started: {error}")))?;
        self.children.push(child);
        Ok(())
    }

    /// Asks all to leave, and waits until they have.
    pub async fn leave(mut self) {
        for child in &self.children {
            let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        for child in &mut self.children {
            if tokio::time::timeout(LEAVE_WITHIN, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}
