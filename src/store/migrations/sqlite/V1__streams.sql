-- Times are integers, milliseconds since 1970: every time fits, sorts right, and costs no parsing. People look at
-- the view `overview`, which writes them out.

create table store (
    only_row   integer primary key check (only_row = 1),
    id         text not null,
    partitions integer not null
) strict;

-- The version of a stream is the number of its events. One that is not here does not exist.
create table streams (
    name    text primary key,
    version integer not null
) strict, without rowid;

-- Events that were committed together: a JSON array, one event a line, at most 1 MiB.
create table events (
    stream        text not null,
    first_version integer not null,
    last_version  integer not null,
    events        text not null,
    primary key (stream, last_version)
) strict;

-- Pieces of the newest snapshot of a stream, numbered from 0.
create table snapshots (
    stream  text not null,
    version integer not null,
    number  integer not null,
    format  integer not null,
    state   blob not null,
    primary key (stream, version, number)
) strict;

create table payloads (
    stream  text not null,
    kind    text not null,
    ordinal integer not null,
    attempt integer not null,
    data    text not null,
    primary key (stream, kind, ordinal, attempt)
) strict, without rowid;

-- Phase 0 is the project's own row.
create table summaries (
    project      text not null,
    phase        integer not null,
    name         text not null,
    status       text not null,
    ended        integer not null,
    counts       text not null,
    submitted_ms integer not null,
    finished_ms  integer,
    primary key (project, phase)
) strict, without rowid;

create index summaries_newest on summaries (submitted_ms desc, project desc, phase);
create index summaries_status on summaries (status, submitted_ms desc, project desc) where phase = 0;
create index summaries_open on summaries (project) where not ended;

create view overview as
select project, phase, name, status, counts,
       strftime('%Y-%m-%dT%H:%M:%fZ', submitted_ms / 1000.0, 'unixepoch') as submitted_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', finished_ms / 1000.0, 'unixepoch') as finished_at
from summaries
order by submitted_ms desc, project desc, phase;
