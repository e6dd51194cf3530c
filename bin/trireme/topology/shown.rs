//! A topology as `trireme topology show` prints it.

use serde::Serialize;
use trireme::runtime::port::{Binding, ExchangeKind, QueueDepth, QueueSpec, Topology};
use trireme::wire::address::{Exchange, Namespace};

use crate::output::Output;
use crate::table::{Column, Table};

/// With how full it is.
#[derive(Serialize)]
pub struct Shown {
    namespace: String,
    exchanges: Vec<ShownExchange>,
    queues: Vec<ShownQueue>,
    bindings: Vec<ShownBinding>,
}

#[derive(Serialize)]
struct ShownExchange {
    name: String,
    kind: &'static str,
}

#[derive(Serialize)]
struct ShownQueue {
    name: String,
    delivery_limit: u32,
    max_length: Option<u32>,
    message_ttl_ms: Option<u64>,
    dead_letter_exchange: Option<String>,
    single_active_consumer: bool,
    /// Null when the broker did not say.
    declared: Option<bool>,
    ready: Option<u32>,
    consumers: Option<u32>,
}

#[derive(Serialize)]
struct ShownBinding {
    exchange: String,
    routing_key: String,
    queue: String,
}

impl Shown {
    pub fn new(shape: &Topology, depths: Option<&[Option<QueueDepth>]>) -> Self {
        let namespace = &shape.namespace;
        let depth = |at: usize| depths.and_then(|depths| depths.get(at).copied());
        let exchange = |&(exchange, kind): &(Exchange, ExchangeKind)| ShownExchange {
            name: exchange.name(namespace),
            kind: match kind {
                ExchangeKind::Direct => "direct",
                ExchangeKind::Topic => "topic",
            },
        };
        let queues = shape.queues.iter().enumerate();
        Self {
            namespace: namespace.to_string(),
            exchanges: shape.exchanges.iter().map(exchange).collect(),
            queues: queues.map(|(at, spec)| ShownQueue::new(spec, namespace, depth(at))).collect(),
            bindings: shape.bindings.iter().map(|binding| ShownBinding::new(binding, namespace)).collect(),
        }
    }

    pub fn print(&self, output: &Output) {
        let mut exchanges = Table::new([Column::new("EXCHANGE"), Column::new("KIND")]);
        for exchange in &self.exchanges {
            exchanges.row([exchange.name.clone(), exchange.kind.to_owned()]);
        }
        let mut queues = Table::new([
            Column::new("QUEUE"),
            Column::new("READY"),
            Column::new("CONSUMERS").left_out(2),
            Column::text("ARGUMENTS").left_out(1),
        ]);
        for queue in &self.queues {
            let number = |number: Option<u32>| match (queue.declared, number) {
                (Some(false), _) => "missing".to_owned(),
                (_, Some(number)) => number.to_string(),
                (_, None) => "?".to_owned(),
            };
            queues.row([queue.name.clone(), number(queue.ready), number(queue.consumers), queue.arguments()]);
        }
        let mut bindings = Table::new([Column::text("EXCHANGE"), Column::text("ROUTING KEY"), Column::new("QUEUE")]);
        for binding in &self.bindings {
            bindings.row([&binding.exchange, &binding.routing_key, &binding.queue].map(String::clone));
        }
        for (at, table) in [exchanges, queues, bindings].iter().enumerate() {
            if at > 0 {
                output.line("");
            }
            output.table(table);
        }
    }
}

impl ShownQueue {
    /// `depth` is `Some(None)` when the broker says that there is no such queue.
    fn new(spec: &QueueSpec, namespace: &Namespace, depth: Option<Option<QueueDepth>>) -> Self {
        Self {
            name: spec.queue.name(namespace),
            delivery_limit: spec.delivery_limit,
            max_length: spec.max_length,
            message_ttl_ms: spec.ttl.and_then(|ttl| u64::try_from(ttl.as_millis()).ok()),
            dead_letter_exchange: spec.dead_letters.map(|exchange| exchange.name(namespace)),
            single_active_consumer: spec.single_active,
            declared: depth.map(|depth| depth.is_some()),
            ready: depth.flatten().map(|depth| depth.ready),
            consumers: depth.flatten().map(|depth| depth.consumers),
        }
    }

    fn arguments(&self) -> String {
        let mut words = vec![format!("delivery-limit={}", self.delivery_limit)];
        words.extend(self.max_length.map(|length| format!("max-length={length}")));
        words.extend(self.message_ttl_ms.map(|ttl| format!("message-ttl={ttl}ms")));
        words.extend(self.dead_letter_exchange.iter().map(|exchange| format!("dead-letters={exchange}")));
        words.extend(self.single_active_consumer.then(|| "single-active-consumer".to_owned()));
        words.join(" ")
    }
}

impl ShownBinding {
    fn new(binding: &Binding, namespace: &Namespace) -> Self {
        Self {
            exchange: binding.exchange.name(namespace),
            routing_key: binding.key.clone(),
            queue: binding.queue.name(namespace),
        }
    }
}
