//! What the shipped runtime logs goes into the steps of the seed; and what can only be seen there is counted.

use std::fmt::Write;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::sights::Sight;
use crate::sim::Sim;

pub struct Log(pub Arc<Sim>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = if self.0.is_loud { Level::DEBUG } else { Level::INFO };
        metadata.target().starts_with("trireme") && *metadata.level() <= level
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().trim_start_matches("trireme::").to_owned());
        event.record(&mut line);
        if line.0.contains("let go: another coordinator is in line for it") {
            self.0.see(Sight::PartitionLetGo);
        }
        self.0.note("log", line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of an event on one line.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("a string takes everything");
    }
}
