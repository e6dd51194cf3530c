-- Everything lives in the schema `trireme`, which the session's search_path names.
-- JSON is text, because it is given back byte by byte and because jsonb has no place for \u0000. Times are integers,
-- milliseconds since 1970: every time fits and sorts right. People look at the view `overview`, which writes them out.

create table store (
    only_row   boolean primary key default true check (only_row),
    id         uuid not null,
    partitions bigint not null
);

-- The version of a stream is the number of its events. One that is not here does not exist.
create table streams (
    name    text collate "C" primary key,
    version bigint not null
);

-- Events that were committed together: a JSON array, one event a line, at most 1 MiB.
create table events (
    stream        text collate "C" not null,
    first_version bigint not null,
    last_version  bigint not null,
    events        text not null,
    primary key (stream, last_version)
);

-- Pieces of the newest snapshot of a stream, numbered from 0.
create table snapshots (
    stream  text collate "C" not null,
    version bigint not null,
    number  bigint not null,
    format  bigint not null,
    state   bytea not null,
    primary key (stream, version, number)
);

create table payloads (
    stream  text collate "C" not null,
    kind    text collate "C" not null,
    ordinal bigint not null,
    attempt bigint not null,
    data    text not null,
    primary key (stream, kind, ordinal, attempt)
);

-- Phase 0 is the project's own row.
create table summaries (
    project      uuid not null,
    phase        bigint not null,
    name         text not null,
    status       text not null,
    ended        boolean not null,
    counts       text not null,
    submitted_ms bigint not null,
    finished_ms  bigint,
    primary key (project, phase)
);

create index summaries_newest on summaries (submitted_ms desc, project desc, phase);
create index summaries_status on summaries (status, submitted_ms desc, project desc) where phase = 0;
create index summaries_open on summaries (project) where not ended;

create view overview as
select project, phase, name, status, counts,
       to_timestamp(submitted_ms / 1000.0) as submitted_at, to_timestamp(finished_ms / 1000.0) as finished_at
from summaries
order by submitted_ms desc, project desc, phase;

-- Writes a batch, or nothing. It is one call, so that no transaction is ever open between two round trips. The
-- streams come sorted and are locked in that order. TR001 says that one of them is not at the version expected.
create function append_batch(
    part_stream text[], part_expected bigint[], part_added bigint[],
    event_stream text[], event_first bigint[], event_last bigint[], event_events text[],
    payload_stream text[], payload_kind text[], payload_ordinal bigint[], payload_attempt bigint[], payload_data text[],
    summary_project uuid[], summary_phase bigint[], summary_name text[], summary_status text[],
    summary_ended boolean[], summary_counts text[], summary_submitted bigint[], summary_finished bigint[],
    piece_stream text[], piece_version bigint[], piece_number bigint[], piece_format bigint[], piece_state bytea[]
) returns void language plpgsql as $$
begin
    for n in 1 .. cardinality(part_stream) loop
        if part_expected[n] = 0 then
            -- Waits for another call that makes the same stream right now. A mere assertion takes its row away again:
            -- until this call is over, others that make the stream wait for it all the same.
            insert into streams (name, version) values (part_stream[n], part_added[n]) on conflict do nothing;
            if found and part_added[n] = 0 then
                delete from streams where name = part_stream[n];
            end if;
        elsif part_added[n] = 0 then
            perform 1 from streams where name = part_stream[n] and version = part_expected[n] for update;
        else
            update streams set version = version + part_added[n]
            where name = part_stream[n] and version = part_expected[n];
        end if;
        if not found then
            raise exception 'stream % is not at version %', part_stream[n], part_expected[n] using errcode = 'TR001';
        end if;
    end loop;
    insert into events (stream, first_version, last_version, events)
    select * from unnest(event_stream, event_first, event_last, event_events);

    if cardinality(payload_stream) > 0 then
        insert into payloads (stream, kind, ordinal, attempt, data)
        select * from unnest(payload_stream, payload_kind, payload_ordinal, payload_attempt, payload_data)
        on conflict (stream, kind, ordinal, attempt) do update set data = excluded.data;
    end if;

    if cardinality(summary_project) > 0 then
        insert into summaries (project, phase, name, status, ended, counts, submitted_ms, finished_ms)
        select * from unnest(summary_project, summary_phase, summary_name, summary_status,
                             summary_ended, summary_counts, summary_submitted, summary_finished)
        on conflict (project, phase) do update
        set name = excluded.name, status = excluded.status, ended = excluded.ended, counts = excluded.counts,
            submitted_ms = excluded.submitted_ms, finished_ms = excluded.finished_ms;
    end if;

    if cardinality(piece_stream) > 0 then
        insert into snapshots (stream, version, number, format, state)
        select fresh.*
        from unnest(piece_stream, piece_version, piece_number, piece_format, piece_state)
             as fresh (stream, version, number, format, state)
        where not exists (select 1 from snapshots s where s.stream = fresh.stream and s.version >= fresh.version);
        delete from snapshots s
        using (select stream, max(version) as version from snapshots where stream = any (piece_stream) group by stream)
              as newest
        where s.stream = newest.stream and s.version < newest.version;
    end if;
end
$$;
