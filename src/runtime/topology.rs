//! The exchanges, queues and bindings of a namespace: the table in `queues.toml`, as data.

use super::port::{Binding, ExchangeKind, QueueKind, QueueSpec, Topology};
use crate::wire::address::{Exchange, Namespace, PROJECT_KEY, Queue, TOLD_MANAGERS, Tier, partition_key, told_key};

/// A message of a manager's or a coordinator's queue is never given up for having come back too often: those
/// around a poison would die with it. What makes a decision panic is set aside by us instead.
const OWNERS_DELIVERY_LIMIT: u32 = 1_000_000;

/// What the shape of a topology depends on. Immutable facts of the queues: changing one needs a new namespace,
/// or `trireme topology delete`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyOptions {
    pub namespace: Namespace,
    /// The shares into which phases are dealt.
    pub partitions: u32,
    /// The skills that have a queue.
    pub skills: Vec<String>,
    /// How many requests may wait for a manager.
    pub requests_max: u32,
    /// How often a command may come back before it is given up as a poison.
    pub skill_delivery_limit: u32,
    pub queue_kind: QueueKind,
}

/// Everything that is declared in a namespace.
pub fn topology(options: &TopologyOptions) -> Topology {
    let work = |queue, delivery_limit| QueueSpec {
        queue,
        kind: options.queue_kind,
        delivery_limit,
        max_length: None,
        ttl: None,
        dead_letters: Some(Exchange::Dead),
        single_active: false,
    };
    let mut queues = vec![
        QueueSpec { max_length: Some(options.requests_max), ..work(Queue::Requests, OWNERS_DELIVERY_LIMIT) },
        work(Queue::Management, OWNERS_DELIVERY_LIMIT),
        QueueSpec { dead_letters: None, ..work(Queue::Dead, OWNERS_DELIVERY_LIMIT) },
    ];
    let bind = |exchange, key: &str, queue: &Queue| Binding { exchange, key: key.into(), queue: queue.clone() };
    let mut bindings = vec![
        bind(Exchange::Requests, PROJECT_KEY, &Queue::Requests),
        bind(Exchange::Reports, PROJECT_KEY, &Queue::Management),
        bind(Exchange::Alarms, &format!("*.{PROJECT_KEY}"), &Queue::Management),
        bind(Exchange::Dead, "#", &Queue::Dead),
        bind(Exchange::Dead, TOLD_MANAGERS, &Queue::Management),
    ];
    for partition in 0..options.partitions {
        let queue = Queue::Coordination(partition);
        queues.push(QueueSpec { single_active: true, ..work(queue.clone(), OWNERS_DELIVERY_LIMIT) });
        bindings.push(bind(Exchange::Phases, &partition_key(partition), &queue));
        bindings.push(bind(Exchange::Results, &partition_key(partition), &queue));
        bindings.push(bind(Exchange::Alarms, &format!("*.{}", partition_key(partition)), &queue));
        bindings.push(bind(Exchange::Dead, &told_key(partition), &queue));
    }
    for skill in &options.skills {
        let queue = Queue::Skill(skill.clone());
        queues.push(work(queue.clone(), options.skill_delivery_limit));
        bindings.push(bind(Exchange::Skills, skill, &queue));
    }
    for tier in Tier::ALL {
        let queue = Queue::Later(tier);
        queues.push(QueueSpec {
            ttl: Some(tier.delay()),
            dead_letters: Some(Exchange::Alarms),
            ..work(queue.clone(), OWNERS_DELIVERY_LIMIT)
        });
        bindings.push(bind(Exchange::Later, &format!("{}.#", tier.as_str()), &queue));
    }
    Topology { namespace: options.namespace.clone(), exchanges: exchanges(), queues, bindings }
}

fn exchanges() -> Vec<(Exchange, ExchangeKind)> {
    let kind = |exchange| match exchange {
        Exchange::Requests | Exchange::Phases | Exchange::Skills | Exchange::Results | Exchange::Reports => {
            ExchangeKind::Direct
        }
        Exchange::Agents | Exchange::Events | Exchange::Later | Exchange::Alarms | Exchange::Dead => {
            ExchangeKind::Topic
        }
    };
    Exchange::ALL.into_iter().map(|exchange| (exchange, kind(exchange))).collect()
}
