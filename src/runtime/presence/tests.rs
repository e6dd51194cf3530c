//! What an agent remembers of others, and for how long.

use super::*;
use crate::runtime::port::{QueueKind, SystemClock};
use crate::runtime::topology::TopologyOptions;
use crate::transport::memory::MemoryBroker;
use crate::wire::address::Namespace;

/// Executors hear no heartbeats, so that nothing else makes them forget.
#[tokio::test]
async fn who_was_not_heard_of_for_a_minute_is_not_told_of() {
    let topology = TopologyOptions {
        namespace: Namespace::new("t").expect("a word"),
        partitions: 0,
        skills: Vec::new(),
        requests_max: 1,
        skill_delivery_limit: 1,
        queue_kind: QueueKind::Quorum,
    };
    let identity = Identity {
        agent_id: AgentId::new("e1").expect("a word"),
        name: "e1".into(),
        layer: Layer::Execution,
        host: String::new(),
        pid: 1,
    };
    let ground = Ground {
        transport: Arc::new(MemoryBroker::new(topology.namespace.clone()).connect("e1")),
        clock: Arc::new(SystemClock),
        topology: Arc::new(topology),
        timing: super::super::Timing::default(),
    };
    let now = ground.clock.now();
    let post = Post::new(identity, ground, None, Facts::default(), 0, Stop::new());
    let other = post.presence(Vec::new());
    post.hear(other.clone(), now.minus_ms(REMEMBERED_MS + 1));
    assert_eq!(post.remembered(), []);
    post.hear(other, now);
    assert_eq!(post.remembered().len(), 1);
}
