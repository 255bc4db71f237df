-- The store of one data folder. `core/store/database.py` is its only writer; `sqlite3 store.db` may read it at any time.

-- One row per durable object; what lives in memory only has none.
create table if not exists objects (
    kind text not null,          -- plural and group: services.serving.knative.dev
    namespace text not null,     -- empty for what has none
    name text not null,
    version integer not null,    -- the order in which rows were written; not the resource version that watchers saw
    data blob not null,          -- the object as compact JSON
    checksum integer not null,   -- CRC-32 of kind, namespace, name and data
    primary key (kind, namespace, name)
);

-- Rows that no longer matched their checksum: kept for whoever wants to mend one, never read again.
create table if not exists damaged (
    found_at real not null,      -- seconds since the epoch
    kind text, namespace text, name text, version integer, data blob, checksum integer
);

-- resource_versions: no number up to it may be given again after a restart.
create table if not exists counters (
    name text primary key,
    value integer not null
);
