//! A thread that owns a connection and does one job after the other, so that no file is waited for in the async
//! runtime. It ends when its handle is dropped and the last job is done.

use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::runtime::port::StoreError;

/// Jobs that wait for the thread. More would only wait longer: callers have one commit at a time per channel.
const JOBS_MAX: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

pub struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    pub fn start(name: &str, mut connection: Connection) -> Result<Self, StoreError> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(JOBS_MAX);
        let run = move || {
            while let Some(job) = waiting.blocking_recv() {
                job(&mut connection);
            }
        };
        match thread::Builder::new().name(name.to_owned()).spawn(run) {
            Ok(_) => Ok(Self { jobs }),
            Err(error) => Err(StoreError::Unreachable(format!("no thread for it: {error}"))),
        }
    }

    /// Does `job` on the thread. A job is done even when nobody waits for its answer any more.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits for it when the caller was cancelled.
            let _ = answer.send(job(connection));
        });
        let ended = |_| StoreError::Unusable("its thread has ended".into());
        self.jobs.send(job).await.map_err(|_| StoreError::Unusable("its thread has ended".into()))?;
        answered.await.map_err(ended)?
    }
}
