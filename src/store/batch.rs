//! A batch as it is written: checked, in the order of its streams, its events cut into chunks.
//!
//! An event batch becomes few rows, because a row costs far more than the bytes in it.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::runtime::port::{Append, CHUNK_BYTES_MAX, EventChunk, Payload, PayloadKind, Snapshot, StoreError, Summary};
use crate::wire::{ProjectId, Raw, StreamId};

/// A page of a stream ends with the chunk that takes it over this many bytes: few round trips, little memory.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The names of all streams of a project: its own, and the bounds of those of its phases, the latter excluded.
pub fn names_of(project: ProjectId) -> (String, String, String) {
    let phases = format!("phase/{project}/");
    // What follows the slash.
    let end = format!("phase/{project}0");
    (StreamId::Project(project).to_string(), phases, end)
}

/// What one stream gets.
#[derive(Debug)]
pub struct Part {
    pub stream: String,
    pub expected: u64,
    /// How many events.
    pub added: u64,
    pub chunks: Vec<EventChunk>,
    /// One for each key, in their order.
    pub payloads: Vec<Payload>,
    pub summary: Option<SummaryRow>,
    pub snapshot: Option<Snapshot>,
}

impl Part {
    /// It changes nothing and only says which version the stream must have.
    pub fn only_asserts(&self) -> bool {
        self.chunks.is_empty() && self.payloads.is_empty() && self.summary.is_none() && self.snapshot.is_none()
    }
}

/// A stream's row on the read side, column by column.
#[derive(Debug)]
pub struct SummaryRow {
    pub project: Uuid,
    /// 0 in the project's own row.
    pub phase: u32,
    pub name: String,
    pub status: &'static str,
    pub ended: bool,
    pub counts: Raw,
    pub submitted_ms: i64,
    pub finished_ms: Option<i64>,
}

/// The number of a stream's row among those of its project: 0 is the project's own.
pub fn phase_of(stream: StreamId) -> u32 {
    match stream {
        StreamId::Project(_) => 0,
        StreamId::Phase(_, phase) => phase,
    }
}

/// The parts in the order of their streams. What no store could ever write is refused here, by all alike.
pub fn checked(mut parts: Vec<Append>) -> Result<Vec<Append>, StoreError> {
    parts.sort_by_key(|part| part.stream);
    if let Some(pair) = parts.windows(2).find(|pair| pair[0].stream == pair[1].stream) {
        return Err(StoreError::Unusable(format!("a batch has `{}` twice", pair[0].stream)));
    }
    for part in &parts {
        if let Some(fault) = fault(part) {
            return Err(StoreError::Unusable(format!("a batch for `{}` has {fault}", part.stream)));
        }
    }
    Ok(parts)
}

fn fault(part: &Append) -> Option<&'static str> {
    let version = part.expected.checked_add(part.events.len() as u64).filter(|version| i64::try_from(*version).is_ok());
    match (version, &part.summary, &part.snapshot) {
        (None, _, _) => Some("a version that is too large"),
        (_, Some(summary), _) if summary.stream != part.stream => Some("the summary of another stream"),
        // Its row would be taken for the project's own.
        (_, Some(Summary { stream: StreamId::Phase(_, 0), .. }), _) => Some("a phase 0; phases are numbered from 1"),
        // PostgreSQL can not write it down, so that nobody does.
        (_, Some(summary), _) if summary.name.contains('\0') => Some("a name with a NUL character"),
        (Some(version), _, Some(snapshot)) if snapshot.version == 0 || snapshot.version > version => {
            Some("a snapshot of a version that it does not have")
        }
        _ => None,
    }
}

/// The checked parts as rows.
pub fn cut(parts: Vec<Append>) -> Result<Vec<Part>, StoreError> {
    parts.into_iter().map(cut_part).collect()
}

fn cut_part(part: Append) -> Result<Part, StoreError> {
    let payloads: BTreeMap<(PayloadKind, u32, u32), Payload> =
        part.payloads.into_iter().map(|payload| ((payload.kind, payload.ordinal, payload.attempt), payload)).collect();
    Ok(Part {
        stream: part.stream.to_string(),
        expected: part.expected,
        added: part.events.len() as u64,
        chunks: chunks(part.expected, &part.events),
        payloads: payloads.into_values().collect(),
        summary: part.summary.map(summary_row).transpose()?,
        snapshot: part.snapshot,
    })
}

fn chunks(expected: u64, events: &[Raw]) -> Vec<EventChunk> {
    const SEPARATOR: &str = ",\n";
    const CLOSING: &str = "]";
    let mut left: usize = events.iter().map(|event| event.bytes() + SEPARATOR.len()).sum();
    let mut chunks: Vec<EventChunk> = Vec::new();
    for (version, event) in (expected + 1..).zip(events) {
        match chunks.last_mut() {
            Some(chunk) if chunk.events.len() + SEPARATOR.len() + event.bytes() + CLOSING.len() <= CHUNK_BYTES_MAX => {
                chunk.last = version;
                chunk.events.push_str(SEPARATOR);
                chunk.events.push_str(event.get());
            }
            _ => {
                let mut text = String::with_capacity(left.min(CHUNK_BYTES_MAX));
                text.push('[');
                text.push_str(event.get());
                chunks.push(EventChunk { first: version, last: version, events: text });
            }
        }
        left -= event.bytes() + SEPARATOR.len();
    }
    chunks.iter_mut().for_each(|chunk| chunk.events.push_str(CLOSING));
    chunks
}

fn summary_row(summary: Summary) -> Result<SummaryRow, StoreError> {
    let counts = Raw::from_serialize(&summary.counts).map_err(|error| StoreError::Unusable(error.to_string()))?;
    Ok(SummaryRow {
        project: summary.stream.project().0,
        phase: phase_of(summary.stream),
        name: summary.name,
        status: summary.status.as_str(),
        ended: summary.status.is_ended(),
        counts,
        submitted_ms: summary.submitted_at.0,
        finished_ms: summary.finished_at.map(|time| time.0),
    })
}

/// A snapshot's state in pieces; an empty one is one empty piece, so that it has a row.
pub fn pieces(state: &[u8]) -> Vec<&[u8]> {
    match state.is_empty() {
        true => vec![state],
        false => state.chunks(CHUNK_BYTES_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> Raw {
        Raw::from(serde_json::Value::from("x".repeat(bytes - 2)))
    }

    #[test]
    fn chunks_are_full_and_never_longer_than_the_cap() {
        let small: Vec<Raw> = (0..5000).map(|_| event(1000)).collect();
        let cut = chunks(7, &small);
        assert_eq!(cut.len(), 5);
        assert!(cut.iter().all(|chunk| chunk.events.len() <= CHUNK_BYTES_MAX));
        assert!(cut[..4].iter().all(|chunk| chunk.events.len() + 1002 > CHUNK_BYTES_MAX));
        assert_eq!((cut[0].first, cut[4].last), (8, 5007));
        assert!(cut.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
    }

    #[test]
    fn the_names_of_a_projects_streams_are_its_own_and_nobody_elses() {
        let project = ProjectId(Uuid::from_u128(0x1fff));
        let (own, first, end) = names_of(project);
        assert_eq!(own, StreamId::Project(project).to_string());
        let is_among = |stream: StreamId| (first.as_str()..end.as_str()).contains(&stream.to_string().as_str());
        assert!([1, 9, 10, u32::MAX].into_iter().all(|phase| is_among(StreamId::Phase(project, phase))));
        for other in [0x1ffe, 0x2000, 0x1fff0] {
            assert!(!is_among(StreamId::Phase(ProjectId(Uuid::from_u128(other)), 1)), "{other:x}");
        }
    }

    #[test]
    fn the_parts_are_in_the_order_of_their_streams() {
        let stream = |n| StreamId::Phase(ProjectId(Uuid::from_u128(1)), n);
        let parts = [11, 2, 7].map(|n| Append::assertion(stream(n), 0));
        let checked = checked(parts.into()).expect("a batch");
        assert_eq!(checked.iter().map(|part| part.stream).collect::<Vec<_>>(), [2, 7, 11].map(stream));
    }

    #[test]
    fn an_event_at_the_cap_shares_its_chunk_with_nobody() {
        let exact = chunks(0, &[event(CHUNK_BYTES_MAX - 2), event(10)]);
        assert_eq!((exact[0].events.len(), exact.len()), (CHUNK_BYTES_MAX, 2));
        let longer = chunks(0, &[event(10), event(CHUNK_BYTES_MAX + 1), event(10)]);
        assert_eq!(longer.iter().map(|chunk| (chunk.first, chunk.last)).collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 3)]);
        assert!(chunks(3, &[]).is_empty());
    }
}
