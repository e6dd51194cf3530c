//! A batch as the arrays that the function `append_batch` takes: one statement however much there is in it.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::store::batch::{Part, pieces};

pub const APPEND: &str = "
    select append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                        $21, $22, $23, $24, $25)";

/// The streams that are at another version, for a batch that changes nothing.
pub const ASSERT: &str = "
    select 1 from unnest($1::text[], $2::bigint[]) as part (name, expected)
    left join streams s on s.name = part.name
    where coalesce(s.version, 0) <> part.expected
    limit 1";

/// Writes a row as it is.
pub const PROBE: &str = "update store set partitions = partitions";

pub const IDENTITY: &str = "insert into store (id, partitions) values ($1, $2) on conflict do nothing";

/// The columns, grouped as in the function: parts, events, payloads, summaries, pieces of snapshots.
#[derive(Default)]
pub struct Columns<'a> {
    part_stream: Vec<&'a str>,
    part_expected: Vec<i64>,
    part_added: Vec<i64>,
    event_stream: Vec<&'a str>,
    event_first: Vec<i64>,
    event_last: Vec<i64>,
    event_events: Vec<&'a str>,
    payload_stream: Vec<&'a str>,
    payload_kind: Vec<&'a str>,
    payload_ordinal: Vec<i64>,
    payload_attempt: Vec<i64>,
    payload_data: Vec<&'a str>,
    summary_project: Vec<Uuid>,
    summary_phase: Vec<i64>,
    summary_name: Vec<&'a str>,
    summary_status: Vec<&'a str>,
    summary_ended: Vec<bool>,
    summary_counts: Vec<&'a str>,
    summary_submitted: Vec<i64>,
    summary_finished: Vec<Option<i64>>,
    piece_stream: Vec<&'a str>,
    piece_version: Vec<i64>,
    piece_number: Vec<i64>,
    piece_format: Vec<i64>,
    piece_state: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub fn of(batch: &'a [Part]) -> Self {
        let mut columns = Self::default();
        batch.iter().for_each(|part| columns.add(part));
        columns
    }

    /// The parameters of [`ASSERT`].
    pub fn assertions(&self) -> [&(dyn ToSql + Sync); 2] {
        [&self.part_stream, &self.part_expected]
    }

    /// The parameters of [`APPEND`].
    pub fn all(&self) -> [&(dyn ToSql + Sync); 25] {
        [
            &self.part_stream,
            &self.part_expected,
            &self.part_added,
            &self.event_stream,
            &self.event_first,
            &self.event_last,
            &self.event_events,
            &self.payload_stream,
            &self.payload_kind,
            &self.payload_ordinal,
            &self.payload_attempt,
            &self.payload_data,
            &self.summary_project,
            &self.summary_phase,
            &self.summary_name,
            &self.summary_status,
            &self.summary_ended,
            &self.summary_counts,
            &self.summary_submitted,
            &self.summary_finished,
            &self.piece_stream,
            &self.piece_version,
            &self.piece_number,
            &self.piece_format,
            &self.piece_state,
        ]
    }

    fn add(&mut self, part: &'a Part) {
        self.part_stream.push(&part.stream);
        self.part_expected.push(signed(part.expected));
        self.part_added.push(signed(part.added));
        for chunk in &part.chunks {
            self.event_stream.push(&part.stream);
            self.event_first.push(signed(chunk.first));
            self.event_last.push(signed(chunk.last));
            self.event_events.push(&chunk.events);
        }
        for payload in &part.payloads {
            self.payload_stream.push(&part.stream);
            self.payload_kind.push(payload.kind.as_str());
            self.payload_ordinal.push(payload.ordinal.into());
            self.payload_attempt.push(payload.attempt.into());
            self.payload_data.push(payload.data.get());
        }
        if let Some(row) = &part.summary {
            self.summary_project.push(row.project);
            self.summary_phase.push(row.phase.into());
            self.summary_name.push(&row.name);
            self.summary_status.push(row.status);
            self.summary_ended.push(row.ended);
            self.summary_counts.push(row.counts.get());
            self.summary_submitted.push(row.submitted_ms);
            self.summary_finished.push(row.finished_ms);
        }
        let Some(snapshot) = &part.snapshot else { return };
        for (number, piece) in (0_i64..).zip(pieces(&snapshot.state)) {
            self.piece_stream.push(&part.stream);
            self.piece_version.push(signed(snapshot.version));
            self.piece_number.push(number);
            self.piece_format.push(snapshot.format.into());
            self.piece_state.push(piece);
        }
    }
}

/// A checked batch has no version that a `bigint` can not hold.
fn signed(version: u64) -> i64 {
    version.cast_signed()
}
