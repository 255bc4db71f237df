-- The event log of one data folder. `eventing/log/database.py` is its only writer; `sqlite3 events.db` may read it.

create table if not exists streams (
    number integer primary key,
    name text not null unique,      -- broker/NAMESPACE/NAME
    head integer not null,          -- the oldest offset kept
    tail integer not null,          -- no offset below it may be given again, whatever of the groups is left
    checksum integer not null       -- CRC-32 of the row: `eventing/log/rows.py`
);

-- What one commit appended to one stream: `eventing/log/records.py` has the layout of data.
create table if not exists groups (
    number integer primary key,
    stream integer not null,
    first integer not null,         -- offset of its first record; the next group begins at first + count
    count integer not null,
    time_ms integer not null,       -- wall time of acceptance
    bytes integer not null,         -- of data
    ids blob not null,              -- four bytes a record: CRC-32 of the event's id
    data blob not null
);
-- Everything but the data: offsets, times and ids are found without touching what holds the events.
create unique index if not exists outline on groups (stream, first, count, time_ms, bytes, ids);

create table if not exists subscriptions (
    number integer primary key,
    name text not null unique,      -- trigger/NAMESPACE/NAME
    stream integer not null,
    held integer not null,          -- 0: nobody reads now, only the position is kept
    position blob not null,         -- `eventing/log/positions.py`
    checksum integer not null       -- CRC-32 of the row, but for held: `eventing/log/rows.py`
);

-- Failed attempts at events that are not yet acknowledged.
create table if not exists attempts (
    subscription integer not null,
    offset integer not null,
    number integer not null,
    time_ms integer not null,
    code integer,
    reason text not null,
    primary key (subscription, offset, number)
);

create table if not exists dead_letters (
    number integer primary key autoincrement,
    subscription text not null,
    stream text not null,
    offset integer,
    time_ms integer not null,
    reason text not null,
    attempts text not null,         -- JSON: [[number, time_ms, code, reason], …]
    event blob,                     -- as in a group; null where the record itself was damaged
    checksum integer,               -- CRC-32 of event
    fate text not null
);
create index if not exists dead_letters_of_event on dead_letters (stream, offset);
create index if not exists dead_letters_of_subscription on dead_letters (subscription, number);
