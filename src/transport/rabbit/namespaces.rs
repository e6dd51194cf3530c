//! Throwaway namespaces, for tests and benchmarks. A broker never frees the name of a quorum queue, so they
//! come from a fixed pool, `<prefix>_00` to `<prefix>_31`, and are emptied before use instead of made anew.
//! Each is guarded by an exclusive queue, which goes with the connection of whoever has it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::RabbitOptions;
use super::admin::{Admin, within};
use super::connection::{Connections, Purpose};
use crate::runtime::port::{QueueSpec, Topology, TransportError};
use crate::wire::address::{Exchange, Namespace, Queue, Tier};

/// How many there are under a prefix.
pub const NAMESPACES: usize = 32;

/// How long to wait for one to become free: longer than most tests take, of which some may run at once.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two rounds: short beside a test, long beside a round.
const CLAIM_PAUSE: Duration = Duration::from_millis(250);
/// Emptying is a declaration and a purge of each queue.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(120);

/// A namespace that nobody else has as long as this lives, with its topology declared and empty.
pub struct Claim {
    pub options: RabbitOptions,
    pub topology: Topology,
    guard: Connections,
}

impl Claim {
    pub fn namespace(&self) -> &Namespace {
        &self.options.namespace
    }

    /// Lets others have it, at once. (Dropping it does so too, a little later.)
    pub async fn release(self) {
        self.guard.close().await;
    }
}

/// Takes a free namespace of `prefix` at the broker of `url`, and declares what `topology` makes of it.
pub async fn claim(
    url: &str,
    prefix: &str,
    topology: impl Fn(&Namespace) -> Topology,
) -> Result<Claim, TransportError> {
    let guard = Connections::new(url, format!("{prefix} guard"))?;
    let namespace = take(&guard, prefix).await?;
    let topology = topology(&namespace);
    within(EMPTY_TIMEOUT, "emptying a namespace", empty(&guard, &topology)).await?;
    let options = RabbitOptions { url: url.into(), connection_name: namespace.to_string(), namespace };
    Ok(Claim { options, topology, guard })
}

async fn take(guard: &Connections, prefix: &str) -> Result<Namespace, TransportError> {
    let started = Instant::now();
    loop {
        for number in 0..NAMESPACES {
            let namespace = Namespace::new(format!("{prefix}_{number:02}")).map_err(TransportError::Refused)?;
            match admin(guard).await?.guard(&format!("{namespace}.guard")).await {
                Ok(()) => return Ok(namespace),
                Err(TransportError::Closed(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if started.elapsed() > CLAIM_TIMEOUT {
            return Err(TransportError::Refused(format!(
                "all {NAMESPACES} namespaces `{prefix}_*` are taken\nhint: `rabbitmqctl list_queues name owner_pid`"
            )));
        }
        sleep(CLAIM_PAUSE).await;
    }
}

/// Exchanges are deleted and made again, which takes all bindings with it; queues are purged.
async fn empty(guard: &Connections, topology: &Topology) -> Result<(), TransportError> {
    let namespace = &topology.namespace;
    let working = admin(guard).await?;
    for exchange in Exchange::ALL {
        working.delete_exchange(exchange, namespace).await?;
    }
    // The delays of another topology would go on to deliver into this one.
    let declared = |queue: &Queue| topology.queues.iter().any(|spec| spec.queue == *queue);
    for queue in Tier::ALL.map(Queue::Later).iter().filter(|queue| !declared(queue)) {
        working.delete_queue(queue.name(namespace)).await?;
    }
    for spec in &topology.queues {
        empty_queue(guard, spec, namespace).await?;
    }
    admin(guard).await?.declare(topology).await
}

/// A queue with other arguments, or with a consumer that somebody left, is deleted and made again.
async fn empty_queue(guard: &Connections, spec: &QueueSpec, namespace: &Namespace) -> Result<(), TransportError> {
    let name = spec.queue.name(namespace);
    let asking = admin(guard).await?;
    match asking.queue(spec, namespace).await {
        Ok(depth) if depth.consumers == 0 => asking.purge(&name).await,
        Ok(_) | Err(TransportError::Mismatch(_)) => {
            let working = admin(guard).await?;
            working.delete_queue(name).await?;
            working.queue(spec, namespace).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

async fn admin(guard: &Connections) -> Result<Admin, TransportError> {
    Ok(Admin::new(guard.channel(Purpose::Admin).await?))
}
