//! The broker: a handle to share, and its one task.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::connection::MemoryTransport;
use super::core::{Answer, Core, Turn};
use super::inspection::Inspection;
use super::queue::ReturnOrder;
use crate::wire::address::Namespace;

/// A broker of one namespace. Cloning gives another handle; it goes, with all that is in it, when the last
/// handle, transport, consumer and publisher is dropped.
#[derive(Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

impl MemoryBroker {
    /// Starts a broker. Its task is spawned here, so it needs a tokio runtime.
    pub fn new(namespace: Namespace) -> Self {
        Self::with_return_order(namespace, ReturnOrder::default())
    }

    pub fn with_return_order(namespace: Namespace, return_order: ReturnOrder) -> Self {
        let wake = Arc::new(Notify::new());
        let shared = Arc::new(Shared { core: Mutex::new(Core::new(namespace, return_order)), wake: wake.clone() });
        tokio::spawn(run(Arc::downgrade(&shared), wake));
        Self { shared }
    }

    /// The broker as the agent `name` sees it. An agent may have several of these.
    pub fn connect(&self, name: &str) -> MemoryTransport {
        MemoryTransport::new(self.shared.clone(), name)
    }

    /// Cuts the connections of `name`, as its death or a lost network does: its consumers and publishers end with
    /// an error, what was not confirmed yet is unknown, and what it held is given to others. What it opens from
    /// here on works.
    pub fn disconnect(&self, name: &str) {
        self.shared.act(|core, now| core.disconnect(name, now));
    }

    /// Cuts the connections of `name`, and lets it open nothing until [`rejoin`](Self::rejoin).
    pub fn isolate(&self, name: &str) {
        self.shared.act(|core, now| {
            core.isolated.insert(name.into());
            core.disconnect(name, now);
        });
    }

    /// Ends what [`isolate`](Self::isolate) began.
    pub fn rejoin(&self, name: &str) {
        self.shared.act(|core, _| core.isolated.remove(name));
    }

    pub fn inspect(&self) -> Inspection {
        self.shared.act(|core, _| core.inspect())
    }

    /// Grows with every change of what is in the broker. The same number means that nothing moved.
    pub fn changes(&self) -> u64 {
        self.shared.act(|core, _| core.changes())
    }
}

pub(super) struct Shared {
    core: Mutex<Core>,
    wake: Arc<Notify>,
}

impl Shared {
    /// The only way to the broker's state. `action` gets the time of the call and can not wait.
    pub(super) fn act<T>(&self, action: impl FnOnce(&mut Core, Instant) -> T) -> T {
        // A panic in an action is a bug of ours that its caller already reports; the others need not hang on it.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = action(&mut core, Instant::now());
        let wake = core.take_wake();
        drop(core);
        if wake {
            self.wake.notify_one();
        }
        result
    }
}

impl Drop for Shared {
    /// The task finds that there is no broker any more, and ends.
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// The broker's task. It holds no broker while it waits.
async fn run(broker: Weak<Shared>, wake: Arc<Notify>) {
    while let Some(shared) = broker.upgrade() {
        let Turn { answers, due } = shared.act(Core::turn);
        drop(shared);
        answers.into_iter().for_each(Answer::tell);
        let timer = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = wake.notified() => {}
            () = timer => {}
        }
    }
}
