//! The arguments of queues: one set that is right on RabbitMQ 3.10 and on 4.x. They are facts that can not be
//! changed afterwards: a queue that exists with others is a mismatch.

use lapin::types::{AMQPValue, FieldTable};

use crate::runtime::port::{QueueKind, QueueSpec};
use crate::wire::address::Namespace;

/// How many messages wait for a subscriber who is slow: enough for a burst of heartbeats of a large team, and
/// what comes on top pushes out the oldest, because a subscription is for what may get lost.
const SUBSCRIPTION_LENGTH_MAX: i64 = 10_000;

/// Those of a queue of a topology.
pub(super) fn of_topology(spec: &QueueSpec, namespace: &Namespace) -> FieldTable {
    let mut table = FieldTable::default();
    match spec.kind {
        QueueKind::Quorum => {
            text(&mut table, "x-queue-type", "quorum");
            // Without it a 4.x broker gives up after 20, and a 3.10 never.
            number(&mut table, "x-delivery-limit", spec.delivery_limit.into());
            text(&mut table, "x-queue-leader-locator", "balanced");
        }
        QueueKind::Classic => text(&mut table, "x-queue-type", "classic"),
    }
    let is_quorum = spec.kind == QueueKind::Quorum;
    if let Some(exchange) = spec.dead_letters {
        // No dead-letter routing key: a letter keeps the keys that it came with, the one in `CC` too.
        text(&mut table, "x-dead-letter-exchange", &exchange.name(namespace));
    }
    if spec.dead_letters.is_some() && is_quorum {
        text(&mut table, "x-dead-letter-strategy", "at-least-once");
    }
    if (spec.dead_letters.is_some() && is_quorum) || spec.max_length.is_some() {
        // At-least-once dead-lettering needs it even where nothing is bounded.
        text(&mut table, "x-overflow", "reject-publish");
    }
    if let Some(length) = spec.max_length {
        number(&mut table, "x-max-length", length.into());
    }
    if let Some(ttl) = spec.ttl {
        number(&mut table, "x-message-ttl", i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
    }
    if spec.single_active {
        table.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    }
    table
}

/// A classic queue that is somebody's own and bounded.
pub(super) fn subscription() -> FieldTable {
    let mut table = FieldTable::default();
    text(&mut table, "x-queue-type", "classic");
    number(&mut table, "x-max-length", SUBSCRIPTION_LENGTH_MAX);
    table
}

fn text(table: &mut FieldTable, name: &str, value: &str) {
    table.insert(name.into(), AMQPValue::LongString(value.into()));
}

fn number(table: &mut FieldTable, name: &str, value: i64) {
    table.insert(name.into(), AMQPValue::LongLongInt(value));
}
