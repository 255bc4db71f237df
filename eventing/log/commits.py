"""Group commit: what waits for the disk, and one transaction after the other that takes all of it.

While one group is being synced the next one gathers. Appends and writes are waited for, so they commit at once;
acknowledgements and failed attempts are not, so they wait a moment for a commit that goes anyway: a crash before it
only repeats deliveries. A group that the disk refuses fails those who wait for it, and nobody else.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import structlog

from core.clock import Clock
from core.errors import ApiError, StoreFull, TooManyRequests
from eventing.event import Event
from eventing.log.base import Record
from eventing.log.cursors import Cursor
from eventing.log.database import PUT_STREAM, Statement
from eventing.log.file import LogFile
from eventing.log.records import encode, encode_group, id_hash
from eventing.log.rows import stream_values
from eventing.log.streams import Fresh, Stream

log = structlog.get_logger()

_WAITING_RECORDS_MAX = 50_000
_WAITING_BYTES_MAX = 64 * 1024 * 1024
_COMMIT_RECORDS_MAX = 2_000
_COMMIT_BYTES_MAX = 4 * 1024 * 1024
# A group is what a read takes off the disk at once.
_GROUP_RECORDS_MAX = 256
_GROUP_BYTES_MAX = 256 * 1024
_ACK_DELAY_S = 0.05
_REFUSED_DELAY_S = 1.0

_PUT_GROUP = "insert into groups (stream, first, count, time_ms, bytes, ids, data) values (?, ?, ?, ?, ?, ?, ?)"


class Append:
    """Events of one call, until they are synced."""

    __slots__ = ("bytes", "done", "events", "first", "payloads", "stream")

    def __init__(self, stream: Stream, events: Sequence[Event]) -> None:
        self.stream = stream
        self.events = events
        self.payloads = [encode(event) for event in events]
        self.bytes = sum(map(len, self.payloads))
        self.first = 0
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class Write:
    """Statements that somebody waits for. `acks` go with them, and count only when they are synced."""

    statements: Sequence[Statement]
    result: int = 0
    acks: Sequence[tuple[Cursor, int, int]] = ()
    with_acks: bool = False  # all other acknowledgements noted so far, too
    settled: Callable[[], None] | None = None
    done: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True)
class _Group:
    """One transaction on its way."""

    appends: list[Append]
    writes: list[Write]
    cursors: set[Cursor]
    time_ms: int
    statements: list[Statement] = field(default_factory=list)
    grown: dict[Stream, tuple[int, int]] = field(default_factory=dict)  # new tail, bytes more


class Commits:
    """All writing of the log. Its methods are called on the loop and do not wait."""

    def __init__(self, file: LogFile, clock: Clock, fresh: Fresh) -> None:
        self._file = file
        self._clock = clock
        self._fresh = fresh
        self._appends: list[Append] = []
        self._writes: list[Write] = []
        self._touched: set[Cursor] = set()
        self._records = self._bytes = 0  # of the waiting appends
        self._acks_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._committing = False
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    def append(self, stream: Stream, events: Sequence[Event]) -> asyncio.Future[int]:
        """TooManyRequests, StoreFull once closed."""
        self._require_open()
        if self._records >= _WAITING_RECORDS_MAX or self._bytes >= _WAITING_BYTES_MAX:
            raise TooManyRequests("more events wait for the disk than may", retry_after_s=1)
        append = Append(stream, events)
        self._records += len(events)
        self._bytes += append.bytes
        self._appends.append(append)
        self._commit_soon()
        return append.done

    def write(self, write: Write) -> asyncio.Future[int]:
        """StoreFull once closed."""
        self._require_open()
        self._writes.append(write)
        self._commit_soon()
        return write.done

    def touch(self, cursor: Cursor) -> None:
        """The cursor has something new to write, which nobody waits for."""
        self._touched.add(cursor)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_ACK_DELAY_S, self._acks_are_due)

    def forget(self, cursor: Cursor) -> None:
        self._touched.discard(cursor)

    async def close(self) -> None:
        """Returns when the last commit has ended."""
        self._closed = True
        await self._idle.wait()
        if self._timer is not None:
            self._timer.cancel()

    def _require_open(self) -> None:
        if self._closed:
            raise StoreFull("the event log is closed: the platform is stopping, nothing was written", retry_after_s=5)

    def _acks_are_due(self) -> None:
        self._timer = None
        if self._touched:
            self._acks_due = True
            self._commit_soon()

    def _commit_soon(self) -> None:
        """Commits at the end of this turn, with all that waits until then; or after the commit under way."""
        if not self._committing:
            self._committing = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        group = self._gather()
        loop = asyncio.get_running_loop()
        future = self._file.commit(group.statements)
        future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._committed, group, done))

    def _gather(self) -> _Group:
        group = _Group(self._next_appends(), self._writes, set(), int(self._clock.wall() * 1000))
        self._writes = []
        if self._acks_due or any(write.with_acks for write in group.writes):
            group.cursors, self._touched = self._touched, set()
            self._acks_due = False
        # In the order of their rows: the same pages are written in the same way, whatever lies where in memory.
        in_order = sorted(group.cursors, key=lambda cursor: cursor.number)
        acked: dict[Cursor, list[tuple[int, int]]] = {cursor: [] for cursor in in_order}
        for write in group.writes:
            group.statements += write.statements
            for cursor, first, end in write.acks:
                acked.setdefault(cursor, []).append((first, end))
        for cursor, ranges in acked.items():
            self._touched.discard(cursor)
            group.cursors.add(cursor)
            group.statements += cursor.statements(ranges)
        _add_appends(group)
        return group

    def _next_appends(self) -> list[Append]:
        records = size = count = 0
        for append in self._appends:
            count += 1
            records += len(append.events)
            size += append.bytes
            if records >= _COMMIT_RECORDS_MAX or size >= _COMMIT_BYTES_MAX:
                break
        taken, self._appends = self._appends[:count], self._appends[count:]
        self._records -= records
        self._bytes -= size
        return taken

    def _committed(self, group: _Group, result: Future[None]) -> None:
        self._committing = False
        error = result.exception()
        if error is None:
            self._publish(group)
        else:
            self._refuse(group, error)
        if self._appends or self._writes or self._acks_due:
            self._commit_soon()
        else:
            self._idle.set()

    def _publish(self, group: _Group) -> None:
        for cursor in group.cursors:
            cursor.synced()
        for write in group.writes:
            for cursor, first, end in write.acks:
                cursor.acked(first, end)
            if write.settled is not None:
                write.settled()
            if not write.done.done():
                write.done.set_result(write.result)
        for stream, (tail, size) in group.grown.items():
            stream.tail = tail
            stream.bytes += size
            stream.stored = True
        published: dict[Stream, list[Record]] = {}
        for append in group.appends:
            records = published.setdefault(append.stream, [])
            for offset, event in enumerate(append.events, append.first):
                records.append(Record(offset, group.time_ms, event))
            if not append.done.done():
                append.done.set_result(append.first)
        for stream, records in published.items():
            if records:
                self._fresh.keep(stream, records, group.grown[stream][1])
                for listener in tuple(stream.listeners):
                    listener(records)

    def _refuse(self, group: _Group, error: BaseException) -> None:
        """Those who wait hear of it; what nobody waits for is written later."""
        log.error("event log commit refused", appends=len(group.appends), writes=len(group.writes), error=str(error))
        for cursor in group.cursors:
            cursor.refused()
        self._touched |= group.cursors
        if self._touched and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REFUSED_DELAY_S, self._acks_are_due)
        waiting: list[asyncio.Future[Any]] = [append.done for append in group.appends]
        for done in waiting + [write.done for write in group.writes]:
            if done.done():
                continue
            if isinstance(error, ApiError):
                done.set_exception(StoreFull(error.message, retry_after_s=error.retry_after_s))
            elif isinstance(error, sqlite3.DatabaseError):
                done.set_exception(StoreFull(f"nothing was written: the event log is damaged ({error})"))
            else:
                done.set_exception(error)


def _add_appends(group: _Group) -> None:
    """Gives offsets to what is appended, and makes the rows of it."""
    payloads: dict[Stream, list[bytes]] = {}
    ids: dict[Stream, list[bytes]] = {}
    for append in group.appends:
        stream = append.stream
        waiting = payloads.setdefault(stream, [])
        append.first = stream.tail + len(waiting)
        waiting += append.payloads
        ids.setdefault(stream, []).extend(id_hash(event.id) for event in append.events)
    new = [stream_values(stream.row) for stream in payloads if not stream.stored]
    rows: list[tuple[Any, ...]] = []
    for stream, waiting in payloads.items():
        before = len(rows)
        for start, end in _slices(waiting):
            first = stream.tail + start
            data = encode_group(stream.number, first, group.time_ms, waiting[start:end])
            names = b"".join(ids[stream][start:end])
            rows.append((stream.number, first, end - start, group.time_ms, len(data), names, data))
        group.grown[stream] = (stream.tail + len(waiting), sum(row[4] for row in rows[before:]))
    if new:
        group.statements.append((PUT_STREAM, new))
    if rows:
        group.statements.append((_PUT_GROUP, rows))


def _slices(payloads: Sequence[bytes]) -> list[tuple[int, int]]:
    """Where one group ends and the next begins."""
    slices: list[tuple[int, int]] = []
    start = size = 0
    for index, payload in enumerate(payloads):
        if index > start and (index - start >= _GROUP_RECORDS_MAX or size + len(payload) > _GROUP_BYTES_MAX):
            slices.append((start, index))
            start, size = index, 0
        size += len(payload)
    if len(payloads) > start:
        slices.append((start, len(payloads)))
    return slices
