"""The event log: append, read, subscribe. `eventing/log/base.py` has its vocabulary.

Nothing here blocks: writing is `commits`' business on one thread, reading `reading`'s on another. An append is answered
when it has been synced; what is read has been synced.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import structlog

from core.clock import Clock
from core.tasks import Started
from eventing.event import Event
from eventing.log.base import Damaged, Entry, Origin, Record, Retention, Start, StreamInfo
from eventing.log.commits import Commits, Write
from eventing.log.cursors import Cursor
from eventing.log.database import Disk
from eventing.log.dead_letters import DeadLetters
from eventing.log.file import LogFile
from eventing.log.reading import Span
from eventing.log.streams import Fresh, Listener, Streams
from eventing.log.subscriptions import Subscriptions
from eventing.log.upkeep import Upkeep

log = structlog.get_logger()

_FRESH_BYTES = 32 * 1024 * 1024


class EventLog:
    """One file, all streams."""

    def __init__(self, path: Path, clock: Clock, disk: Disk | None = None) -> None:
        self.cut_off = 0
        """Transactions lost to damage at the end of the file, found by `open`; one may be what a crash interrupted."""
        self._file = LogFile(path, clock, disk or Disk())
        self._commits = Commits(self._file, clock, Fresh(_FRESH_BYTES))
        self._streams = Streams()
        self.dead_letters = DeadLetters(self._commits, self._file.rows, clock)
        self.subscriptions = Subscriptions(self._streams, self._commits, self.dead_letters)
        self._upkeep = Upkeep(self._streams, self._commits, self._file, clock)

    async def open(self) -> None:
        """Makes or reads the file. PermanentError, StoreFull."""
        contents = await self._file.open()
        for row, size in contents.streams:
            self._streams.restore(row, size)
        self.subscriptions.restore(contents)
        self.cut_off = contents.cut_off
        self.dead_letters.last = contents.last_dead_letter

    async def close(self) -> None:
        """Waits for what is being written, writes all acknowledgements, closes the file. Again does nothing."""
        if not self._file.opened:
            return
        try:
            await self.flush()
        finally:
            await self._commits.close()
            await self._file.close()

    async def run(self, started: Started) -> None:
        """Service: retention, until canceled."""
        await self._upkeep.run(started)

    # -- writing -------------------------------------------------------------------------------------------------------

    def append_nowait(self, stream: str, events: Sequence[Event]) -> asyncio.Future[int]:
        """Appends all of them in order, or none. The future has the first one's offset, after the sync, or StoreFull.

        TooManyRequests, at once, where more waits for the disk than may.
        """
        return self._commits.append(self._streams.get_or_make(stream), events)

    async def flush(self) -> None:
        """Returns when everything noted so far is synced, acknowledgements too. StoreFull."""
        await self._commits.write(Write((), with_acks=True))

    # -- reading -------------------------------------------------------------------------------------------------------

    def fresh(self, stream: str, offset: int, count_max: int) -> Sequence[Record] | None:
        """Records from `offset` on, if they were appended lately enough to be in memory still; None: `read` them."""
        found = self._streams.get(stream)
        return found.latest(max(offset, found.head), count_max) if found else []

    async def read(self, stream: str, offset: int, count_max: int = 256, bytes_max: int = 1 << 20) -> Sequence[Entry]:
        """What follows from `offset` on without a gap, at least one entry unless `offset` is at the tail.

        Offsets below the head are skipped: look at the first entry's.
        """
        if (latest := self.fresh(stream, offset, count_max)) is not None:
            return latest
        found = self._streams.get_or_make(stream)
        span = Span(found.number, max(offset, found.head), found.tail, count_max, bytes_max)
        entries = await self._file.ask(lambda reader: reader.read(span))
        for entry in entries:
            if isinstance(entry, Damaged) and entry.offset >= found.head:
                log.error("damaged records", stream=stream, offset=entry.offset, count=entry.count, why=entry.reason)
        return [entry for entry in entries if entry.offset >= found.head]  # retention may have been quicker

    def listen(self, stream: str, listener: Listener) -> Callable[[], None]:
        """Calls `listener` on the loop with the records of each commit, after the sync; returns what ends that."""
        listeners = self._streams.get_or_make(stream).listeners
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    async def tail(self, stream: str, offset: int | None = None) -> AsyncIterator[Entry]:
        """Every entry from `offset` (None: from now) on, for ever."""
        more = asyncio.Event()
        stop = self.listen(stream, lambda _: more.set())
        position = self._streams.get_or_make(stream).tail if offset is None else offset
        try:
            while True:
                more.clear()
                for entry in await self.read(stream, position):
                    position = entry.after
                    yield entry
                if position >= self._streams.get_or_make(stream).tail:
                    await more.wait()
        finally:
            stop()

    async def offset_at(self, stream: str, time_s: float) -> int:
        """The first offset that was accepted at that time or later; the tail where there is none."""
        found = self._streams.get_or_make(stream)
        offset = await self._file.ask(lambda reader: reader.offset_at(found.number, int(time_s * 1000)))
        return found.tail if offset is None else max(offset, found.head)

    async def find(self, stream: str, id: str, count_max: int = 10) -> list[Record]:
        """The newest records whose event has this id, whatever its source, newest first."""
        found = self._streams.get_or_make(stream)
        records = await self._file.ask(lambda reader: reader.find(found.number, id, count_max))
        return [record for record in records if record.offset >= found.head]

    # -- streams -------------------------------------------------------------------------------------------------------

    def streams(self) -> list[StreamInfo]:
        return [stream.info for stream in self._streams]

    def stream(self, name: str) -> StreamInfo:
        """An unknown stream is an empty one."""
        found = self._streams.get(name)
        return found.info if found else StreamInfo(name, 0, 0, 0)

    def retain(self, stream: str, retention: Retention) -> None:
        self._streams.get_or_make(stream).retention = retention

    async def prune(self) -> None:
        """One round of retention, now. StoreFull."""
        await self._upkeep.prune()

    async def drop_stream(self, name: str) -> None:
        """Deletes a stream with its records and subscriptions; its dead letters stay. StoreFull: call again."""
        await self.subscriptions.drop_all(name)
        await self._upkeep.drop(name)

    # -- subscriptions -------------------------------------------------------------------------------------------------

    async def subscribe(self, subscription: str, stream: str, start: Start) -> Cursor:
        """The subscription's cursor: where it was, or a new one at `start`, synced before it is returned. StoreFull."""
        offset = await self.offset_at(stream, start.value) if start.origin is Origin.TIME else int(start.value)
        return await self.subscriptions.subscribe(subscription, stream, start, offset)

    async def unsubscribe(self, subscription: str, keep_position: bool = False) -> None:
        """Retention no longer waits for it. With `keep_position`, `subscribe` goes on where it was. StoreFull."""
        await self.subscriptions.unsubscribe(subscription, keep_position)

    def cursor(self, subscription: str) -> Cursor | None:
        """The cursor that `subscribe` returned, until `unsubscribe`."""
        return self.subscriptions.get(subscription)
