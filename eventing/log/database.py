"""The disk of the event log: statements in, one synced transaction out.

It blocks, so only the log's writer thread calls it. It knows tables, not events: what the rows mean is decided in
`commits`, `cursors` and `dead_letters`, and reading groups is `reading`'s, on a connection and a thread of its own, so
that no reader waits for a sync.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import PermanentError, StoreFull
from core.store.salvage import read_until_torn, read_what_is_left, set_file_aside
from eventing.log.rows import (
    StreamRow,
    SubscriptionRow,
    stream_values,
    subscription_values,
    whole_stream,
    whole_subscription,
)
from eventing.log.wal import commits_in

SCHEMA = Path(__file__).with_name("schema.sql")
FORMAT = 1  # of the file; a newer one is refused
APPLICATION_ID = 0x50494C45  # "PILE"
_BUSY_S = 5.0
_WAL_BYTES = 64 * 1024 * 1024
PUT_STREAM = "insert or ignore into streams (number, name, head, tail, checksum) values (?, ?, ?, ?, ?)"
PUT_SUBSCRIPTION = """
insert or replace into subscriptions (number, name, stream, held, position, checksum) values (?, ?, ?, ?, ?, ?)
"""
# What is read of a damaged file besides streams: columns and their types (i, t, b; upper case where null will do).
_TABLES = {
    "groups": ("number, stream, first, count, time_ms, bytes, ids, data", "iiiiiibb"),
    "subscriptions": ("number, name, stream, held, position, checksum", "itiibi"),
    "attempts": ("subscription, offset, number, time_ms, code, reason", "iiiiIt"),
    "dead_letters": (
        "number, subscription, stream, offset, time_ms, reason, attempts, event, checksum, fate",
        "ittIittBIt",
    ),
}
_TYPES = {"i": int, "t": str, "b": bytes}
# Above it a torn page is found when it is read: reading all of it would take too long at the start.
_CHECKED_BYTES = 256 * 1024 * 1024
_OUTLINED = "select stream, first, count from groups indexed by outline"
_SALVAGED_AT_ONCE = 1000

Statement: TypeAlias = tuple[str, Sequence[tuple[Any, ...]]]
"""SQL, and the rows to execute it with."""


def one_thread(name: str) -> Executor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)


@dataclass(frozen=True, slots=True)
class Disk:
    """What the log does its work with. Tests put connections in that fail between any two writes."""

    connection: type[sqlite3.Connection] = sqlite3.Connection
    executor: Callable[[str], Executor] = one_thread
    bytes_max: int | None = None

    def connect(self, path: Path) -> sqlite3.Connection:
        return sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, factory=self.connection
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """A file as it was found, without its events. `aside` is where a file with torn pages was put.

    `cut_off` counts transactions behind a damaged one that can no longer be read: one may have been under way when the
    process died, more have been acknowledged.
    """

    streams: Sequence[tuple[StreamRow, int]]  # with the bytes that its groups take
    subscriptions: Sequence[SubscriptionRow]
    attempts: Sequence[tuple[int, int, int, int, int | None, str]]
    last_dead_letter: int
    aside: Path | None
    cut_off: int


class Database:
    """One SQLite file in WAL mode with `synchronous=FULL`: NORMAL would not sync at commit."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.generation = 0
        """Rises when another file takes this one's place: whoever has it open opens it again."""
        self.aside: Path | None = None
        self._cut_off = 0
        self._disk = disk
        self._connection: sqlite3.Connection | None = None

    def open(self, now: float) -> Contents:
        """Makes or reads the file; `now` in epoch seconds. PermanentError, StoreFull."""
        try:
            try:
                self._finish_mending()
                commits = commits_in(self.path.with_name(f"{self.path.name}-wal"))
                self._connection = self._connect(self.path)
                readable = self._connection.execute("pragma wal_checkpoint(passive)").fetchone()[1]
                self._cut_off = sum(number > readable for number in commits)
                return self._read()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self.mend(now)
                return self._read()
        except sqlite3.DatabaseError as error:
            self.close()
            if is_damage(error):
                message = f"{self.path} cannot be read ({error}): move it away to start empty, or put a copy in place"
                raise PermanentError(message, reason="EventLogUnreadable") from error
            raise self._refused(error) from error
        except BaseException:
            self.close()
            raise

    def commit(self, statements: Sequence[Statement]) -> None:
        """Writes all of it and syncs, or nothing of it. StoreFull; sqlite3.DatabaseError where the file is damaged."""
        connection = self._opened()
        try:
            connection.execute("begin immediate")
            for sql, rows in statements:
                if len(rows) == 1:
                    connection.execute(sql, rows[0])
                else:
                    connection.executemany(sql, rows)
            connection.execute("commit")
        except sqlite3.DatabaseError as error:
            _roll_back(connection)
            if is_damage(error):
                raise
            raise self._refused(error) from error

    def mend(self, now: float) -> None:
        """Puts what can be read of a damaged file in a new one. sqlite3.DatabaseError where that is nothing.

        The damaged one is renamed first and the new one gets its name last, so that a crash in between is seen.
        """
        self.close()
        self._fill_from(set_file_aside(self.path, now))

    def _fill_from(self, aside: Path) -> None:
        if not any(next(read_what_is_left(aside, table, "number"), None) for table in ("streams", "groups")):
            aside.rename(self.path)
            raise sqlite3.DatabaseError("neither streams nor events can be read")
        new = self.path.with_name(f"{self.path.name}.mending")
        new.unlink(missing_ok=True)
        self._connection = self._connect(new)
        for table, (columns, types) in _TABLES.items():
            marks = ", ".join("?" * (columns.count(",") + 1))
            put = f"insert or ignore into {table} ({columns}) values ({marks})"
            rows = (tuple(values) for _, *values in read_what_is_left(aside, table, columns) if _fit(values, types))
            while some := list(islice(rows, _SALVAGED_AT_ONCE)):
                self.commit([(put, some)])
        self.commit([(PUT_STREAM, [stream_values(row) for row in _streams_left(aside)])])
        self.close()
        new.rename(self.path)
        self._connection = self._connect(self.path)
        self.aside = aside
        self.generation += 1

    def _finish_mending(self) -> None:
        """Goes on with a repair that a crash has interrupted."""
        if not self.path.exists() and (left := sorted(self.path.parent.glob(f"{self.path.name}.damaged-*[0-9]"))):
            self._fill_from(left[-1])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, path: Path) -> sqlite3.Connection:
        self.close()
        connection = self._disk.connect(path)
        try:
            found = connection.execute("pragma user_version").fetchone()[0]
            if found > FORMAT:
                message = f"{path} was written by a newer Pilotlight (format {found}, this one reads {FORMAT})"
                raise PermanentError(f"{message}: upgrade", reason="EventLogTooNew")
            for pragma in ("journal_mode = wal", "synchronous = full", f"journal_size_limit = {_WAL_BYTES}"):
                connection.execute(f"pragma {pragma}")
            if self._disk.bytes_max is not None:
                page_bytes = connection.execute("pragma page_size").fetchone()[0]
                connection.execute(f"pragma max_page_count = {max(self._disk.bytes_max // page_bytes, 1)}")
            connection.executescript(SCHEMA.read_text())
            if found < FORMAT:
                connection.execute(f"pragma application_id = {APPLICATION_ID}")
                connection.execute(f"pragma user_version = {FORMAT}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self) -> Contents:
        connection = self._opened()
        if self.path.stat().st_size <= _CHECKED_BYTES:
            verdict = connection.execute("pragma quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        # The outline is read from end to end here, so a torn page of it is found now and not in mid-delivery.
        outline = {
            stream: (tail, size)
            for stream, tail, size in connection.execute(
                "select stream, max(first + count), sum(bytes) from groups indexed by outline group by stream"
            )
        }
        subscriptions = self._subscriptions()
        rows = {row.number: row for row in self._streams()}
        for number in outline.keys() - rows.keys():
            rows[number] = StreamRow(number, f"lost/{number}", 0, 0)
        streams: list[tuple[StreamRow, int]] = []
        for row in sorted(rows.values(), key=lambda row: row.number):
            tail, size = outline.get(row.number, (0, 0))
            streams.append((replace(row, tail=max(row.tail, tail)), size))
        attempts = connection.execute(
            "select subscription, offset, number, time_ms, code, reason from attempts order by 1, 2, 3"
        ).fetchall()
        counted = connection.execute("select seq from sqlite_sequence where name = 'dead_letters'").fetchone()
        last = connection.execute("select max(number) from dead_letters").fetchone()[0]
        return Contents(
            streams, subscriptions, attempts, max(counted[0] if counted else 0, last or 0), self.aside, self._cut_off
        )

    def _streams(self) -> list[StreamRow]:
        query = "select number, cast(name as blob), head, tail, checksum from streams"
        found = self._opened().execute(query).fetchall()
        rows = [whole_stream(*values) for values in found]
        for (number, name, *_), row in zip(found, rows, strict=True):
            if (number, name) != (row.number, row.name.encode()):
                # The bit that is undone in memory is undone in the file.
                self.commit([("delete from streams where number = ?", [(number,)]), (PUT_STREAM, [stream_values(row)])])
        return rows

    def _subscriptions(self) -> list[SubscriptionRow]:
        query = "select number, cast(name as blob), stream, held, position, checksum from subscriptions order by number"
        found = self._opened().execute(query).fetchall()
        rows = [whole_subscription(*values) for values in found]
        for (number, name, stream, *_), row in zip(found, rows, strict=True):
            if row.position is not None and (number, name, stream) != (row.number, row.name.encode(), row.stream):
                values = subscription_values(row.number, row.name, row.stream, row.position)
                put = (PUT_SUBSCRIPTION, [(row.number, row.name, row.stream, int(row.held), *values)])
                self.commit([("delete from subscriptions where number = ?", [(number,)]), put])
        return rows

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError(f"{self.path} is not open")
        return self._connection

    def _refused(self, error: sqlite3.DatabaseError) -> StoreFull:
        message = f"nothing was written: the event log {self.path} refused it ({error}); free its disk, then try again"
        return StoreFull(message, retry_after_s=5)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file's structure is broken; everything else may pass."""
    name: str = getattr(error, "sqlite_errorname", "") or ""
    if not name:  # Python's own: text that is not UTF-8, or a call that was wrong
        return not isinstance(error, sqlite3.ProgrammingError)
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _fit(values: Sequence[Any], types: str) -> bool:
    """Whether the values of a row are of the types that its columns have: a torn page may hold anything."""
    return all(
        isinstance(value, _TYPES[type_.lower()]) or (value is None and type_.isupper())
        for value, type_ in zip(values, types, strict=True)
    )


def _streams_left(aside: Path) -> list[StreamRow]:
    """What can be read of the streams. The outline stands on pages of its own and knows of events that are lost."""
    tails: dict[int, int] = {}
    for row in read_until_torn(aside, f"{_OUTLINED} order by stream desc, first desc"):
        if _fit(row, "iii"):
            number, first, count = row
            tails[number] = max(tails.get(number, 0), first + count)
    left = [whole_stream(*row[1:]) for row in read_what_is_left(aside, "streams", "number, name, head, tail, checksum")]
    return [replace(row, tail=max(row.tail, tails.get(row.number, 0))) for row in left]


def _roll_back(connection: sqlite3.Connection) -> None:
    """SQLite has often rolled back by itself when the disk refused; where it has not, the next begin would fail."""
    try:
        if connection.in_transaction:
            connection.execute("rollback")
    except sqlite3.DatabaseError:
        return  # the next commit meets the same fault and reports it
